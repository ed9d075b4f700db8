//! The statements that are the same for both engines, by subject.

macro_rules! account_columns {
    () => {
        "a.name, a.kind, a.is_admin, a.is_disabled, a.password, a.description, a.expires_at,
        a.tokens_valid_from, a.created_at"
    };
}

macro_rules! token_columns {
    () => {
        "t.id, t.name, t.role, t.pattern, t.expires_at, t.created_at, t.used_at"
    };
}

macro_rules! grant_columns {
    () => {
        "g.id, g.effect, g.subject, g.role, g.pattern, g.granted_by, g.created_at"
    };
}

macro_rules! audit_columns {
    () => {
        "l.id, l.happened_at, l.actor, l.action, l.target, l.reference, l.digest, l.source,
        l.outcome, l.detail, l.request"
    };
}

// Accounts

pub(crate) const FIND_ACCOUNT: &str =
    concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.name = $1");

pub(crate) const FIND_KIND: &str = "SELECT kind FROM accounts WHERE name = $1";

pub(crate) const LIST_ACCOUNTS: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM accounts a WHERE a.kind = $1 AND a.name > $2 ORDER BY a.name LIMIT $3"
);

pub(crate) const LIST_ROBOTS: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM accounts a WHERE a.owner = $4 AND a.kind = $1 AND a.name > $2 ORDER BY a.name LIMIT $3"
);

pub(crate) const HAS_ACCOUNTS: &str = "SELECT EXISTS (SELECT 1 FROM accounts)";

pub(crate) const INSERT_ACCOUNT: &str = "
    INSERT INTO accounts (
        name, kind, owner, is_admin, password, description, expires_at, tokens_valid_from, created_at
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
    ON CONFLICT (name) DO NOTHING";

/// The second of two parameters counts where the first is 1.
pub(crate) const CHANGE_ACCOUNT: &str = "
    UPDATE accounts SET
        is_admin = coalesce($2, is_admin),
        is_disabled = coalesce($3, is_disabled),
        password = CASE WHEN $4 = 1 THEN $5 ELSE password END,
        description = coalesce($6, description),
        expires_at = CASE WHEN $7 = 1 THEN $8 ELSE expires_at END,
        tokens_valid_from = CASE WHEN $9 = 1 THEN $10 ELSE tokens_valid_from END
    WHERE name = $1 AND ($11 = 0 OR is_admin = 0 OR is_disabled = 1 OR EXISTS (
        SELECT 1 FROM accounts other
        WHERE other.name <> $1 AND other.is_admin = 1 AND other.is_disabled = 0
            AND other.expires_at IS NULL
    ))";

pub(crate) const DELETE_LOGINS: &str = "DELETE FROM logins WHERE account = $1";

pub(crate) const DELETE_ACCOUNT: &str = "DELETE FROM accounts WHERE name = $1";

// Members and teams

/// Writes nothing where the member has the role already.
pub(crate) const ADD_MEMBER: &str = "
    INSERT INTO organisation_members (organisation, member, role)
    SELECT o.name, u.name, $3 FROM accounts o, accounts u
    WHERE o.name = $1 AND o.kind = 'organisation' AND u.name = $2 AND u.kind = 'user'
    ON CONFLICT (organisation, member) DO UPDATE SET role = excluded.role
    WHERE organisation_members.role <> excluded.role";

pub(crate) const IS_MEMBER: &str = "
    SELECT EXISTS (SELECT 1 FROM organisation_members WHERE organisation = $1 AND member = $2)";

pub(crate) const REMOVE_MEMBER: &str =
    "DELETE FROM organisation_members WHERE organisation = $1 AND member = $2";

pub(crate) const LIST_MEMBERS: &str = "
    SELECT member, role FROM organisation_members
    WHERE organisation = $1 AND member > $2 ORDER BY member LIMIT $3";

pub(crate) const INSERT_TEAM: &str = "
    INSERT INTO teams (name, organisation)
    SELECT $1, name FROM accounts WHERE name = $2 AND kind = 'organisation'
    ON CONFLICT (name) DO NOTHING";

pub(crate) const TEAM_EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM teams WHERE name = $1)";

pub(crate) const DELETE_TEAM: &str = "DELETE FROM teams WHERE name = $1";

pub(crate) const LIST_TEAMS: &str =
    "SELECT name FROM teams WHERE organisation = $1 AND name > $2 ORDER BY name LIMIT $3";

/// Makes who comes into a team a member of its organisation.
pub(crate) const JOIN_ORGANISATION: &str = "
    INSERT INTO organisation_members (organisation, member, role)
    SELECT t.organisation, u.name, 'member' FROM teams t, accounts u
    WHERE t.name = $1 AND u.name = $2 AND u.kind = 'user'
    ON CONFLICT (organisation, member) DO NOTHING";

pub(crate) const ADD_TEAM_MEMBER: &str = "
    INSERT INTO team_members (team, organisation, member)
    SELECT t.name, t.organisation, u.name FROM teams t, accounts u
    WHERE t.name = $1 AND u.name = $2 AND u.kind = 'user'
    ON CONFLICT (team, member) DO NOTHING";

pub(crate) const IS_TEAM_MEMBER: &str =
    "SELECT EXISTS (SELECT 1 FROM team_members WHERE team = $1 AND member = $2)";

pub(crate) const REMOVE_TEAM_MEMBER: &str =
    "DELETE FROM team_members WHERE team = $1 AND member = $2";

pub(crate) const LIST_TEAM_MEMBERS: &str = "
    SELECT t.member, o.role
    FROM team_members t
    JOIN organisation_members o ON o.organisation = t.organisation AND o.member = t.member
    WHERE t.team = $1 AND t.member > $2 ORDER BY t.member LIMIT $3";

// Grants and the policy

pub(crate) const FIND_GRANT: &str =
    concat!("SELECT ", grant_columns!(), " FROM grants g WHERE g.id = $1");

pub(crate) const FIND_SAME_GRANT: &str =
    "SELECT id FROM grants WHERE subject = $1 AND pattern = $2 AND role = $3 AND effect = $4";

pub(crate) const INSERT_GRANT: &str = "
    INSERT INTO grants (
        subject, pattern, role, effect, namespace, granted_by, created_at, account, team
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    RETURNING id";

pub(crate) const DELETE_GRANT: &str = "DELETE FROM grants WHERE id = $1";

pub(crate) const LIST_GRANTS: &str =
    concat!("SELECT ", grant_columns!(), " FROM grants g WHERE g.id > $1 ORDER BY g.id LIMIT $2");

/// Those of a subject, in a namespace where one is given.
pub(crate) const LIST_GRANTS_OF_SUBJECT: &str = concat!(
    "SELECT ",
    grant_columns!(),
    " FROM grants g WHERE g.subject = $3 AND g.id > $1 AND (g.namespace = $4 OR $4 IS NULL)
    ORDER BY g.id LIMIT $2"
);

pub(crate) const LIST_GRANTS_OF_NAMESPACE: &str = concat!(
    "SELECT ",
    grant_columns!(),
    " FROM grants g WHERE g.namespace = $3 AND g.id > $1 ORDER BY g.id LIMIT $2"
);

pub(crate) const GENERATION: &str = "SELECT generation FROM policy WHERE id = 1";

pub(crate) const NEXT_GENERATION: &str =
    "UPDATE policy SET generation = generation + 1 WHERE id = 1";

// Access tokens

pub(crate) const INSERT_TOKEN: &str = "
    INSERT INTO access_tokens (account, name, hash, role, pattern, expires_at, created_at)
    SELECT name, $2, $3, $4, $5, $6, $7 FROM accounts
    WHERE name = $1 AND kind IN ('user', 'robot')
    ON CONFLICT (account, name) DO NOTHING
    RETURNING id";

/// Whether an account may have tokens.
pub(crate) const TAKES_TOKENS: &str =
    "SELECT EXISTS (SELECT 1 FROM accounts WHERE name = $1 AND kind IN ('user', 'robot'))";

pub(crate) const FIND_TOKEN: &str = concat!(
    "SELECT ",
    token_columns!(),
    ", ",
    account_columns!(),
    " FROM access_tokens t JOIN accounts a ON a.name = t.account WHERE t.hash = $1"
);

pub(crate) const LIST_TOKENS: &str = concat!(
    "SELECT ",
    token_columns!(),
    " FROM access_tokens t WHERE t.account = $1 AND t.id > $2 ORDER BY t.id LIMIT $3"
);

pub(crate) const ROTATE_TOKEN: &str =
    "UPDATE access_tokens SET hash = $3, expires_at = $4 WHERE id = $1 AND account = $2";

pub(crate) const DELETE_LOGINS_OF_TOKEN: &str = "DELETE FROM logins WHERE access_token = $1";

pub(crate) const DELETE_TOKEN: &str = "DELETE FROM access_tokens WHERE id = $1 AND account = $2";

// Refresh tokens

/// Stores nothing where the account, or the access token, has gone: the refresh token would have gone
/// with it.
pub(crate) const INSERT_LOGIN: &str = "
    INSERT INTO logins (subject, account, access_token, client, details, expires_at)
    SELECT $1, $2, $3, $4, $5, $6
    WHERE ($2 IS NULL OR EXISTS (SELECT 1 FROM accounts WHERE name = $2))
        AND ($3 IS NULL OR EXISTS (SELECT 1 FROM access_tokens WHERE id = $3))
    RETURNING id";

pub(crate) const INSERT_REFRESH_TOKEN: &str =
    "INSERT INTO refresh_tokens (hash, login_id, created_at) VALUES ($1, $2, $3)";

pub(crate) const FIND_REFRESH_TOKEN: &str = "
    SELECT t.exchanged, t.created_at, l.subject, l.client, l.details, l.expires_at
    FROM refresh_tokens t JOIN logins l ON l.id = t.login_id
    WHERE t.hash = $1";

pub(crate) const EXCHANGE: &str =
    "UPDATE refresh_tokens SET exchanged = 1 WHERE hash = $1 RETURNING login_id";

pub(crate) const DELETE_LOGIN: &str =
    "DELETE FROM logins WHERE id = (SELECT login_id FROM refresh_tokens WHERE hash = $1)";

// Signing keys

pub(crate) const LIST_KEYS: &str =
    "SELECT id, private_key, created_at FROM signing_keys ORDER BY number DESC";

pub(crate) const NEWEST_KEY: &str = "SELECT id FROM signing_keys ORDER BY number DESC LIMIT 1";

pub(crate) const INSERT_KEY: &str =
    "INSERT INTO signing_keys (id, private_key, created_at) VALUES ($1, $2, $3)";

pub(crate) const FORGET_KEYS: &str = "
    DELETE FROM signing_keys
    WHERE created_at < $1
        AND number NOT IN (SELECT number FROM signing_keys ORDER BY number DESC LIMIT 2)";

// The audit log

/// What all listings have in common: the time and number that lines are before, since when, and what
/// else is asked for.
macro_rules! audit_page {
    () => {
        "(l.happened_at, l.id) < ($1, $2) AND l.happened_at >= $3
            AND (l.action = $5 OR $5 IS NULL) AND (l.outcome = $6 OR $6 IS NULL)
        ORDER BY l.happened_at DESC, l.id DESC LIMIT $4"
    };
}

pub(crate) const AUDIT: &str =
    concat!("SELECT ", audit_columns!(), " FROM audit l WHERE ", audit_page!());

pub(crate) const AUDIT_OF_TARGET: &str =
    concat!("SELECT ", audit_columns!(), " FROM audit l WHERE l.target = $7 AND ", audit_page!());

/// Those of an actor, to a target where one is given.
pub(crate) const AUDIT_OF_ACTOR: &str = concat!(
    "SELECT ",
    audit_columns!(),
    " FROM audit l WHERE l.actor = $7 AND (l.target = $8 OR $8 IS NULL) AND ",
    audit_page!()
);

pub(crate) const AUDIT_TIME: &str = "SELECT happened_at FROM audit WHERE id = $1";
