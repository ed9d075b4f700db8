//! The statements whose plans are looked at. Left out are those over a table of a few rows, and those that
//! read all there is, or tell no types of their parameters.

use super::{audit, refresh, tokens};
use crate::accounts::sql;

/// Enough that the planner would rather not read all of it.
pub(in crate::postgres) const FILL: &str = "
    INSERT INTO accounts (name, kind, owner, is_admin, description, tokens_valid_from, created_at)
    SELECT 'user-' || n, 'user', NULL, 0, '', 0, 0 FROM generate_series(1, 20000) n
    UNION ALL SELECT 'org-' || n, 'organisation', NULL, 0, '', 0, 0 FROM generate_series(1, 5000) n
    UNION ALL SELECT 'user-' || n % 500 || '+' || n, 'robot', 'user-1', 0, '', 0, 0
    FROM generate_series(1, 20000) n;
    INSERT INTO organisation_members (organisation, member, role)
    SELECT 'org-' || (1 + n % 5000), 'user-' || n, 'member' FROM generate_series(1, 20000) n
    UNION ALL SELECT 'org-1', 'user-' || n, 'member' FROM generate_series(1, 20000) n WHERE n % 5000 > 0;
    INSERT INTO teams (name, organisation)
    SELECT 'org-1/team-' || n, 'org-1' FROM generate_series(1, 20000) n;
    INSERT INTO team_members (team, member, organisation)
    SELECT 'org-1/team-' || 1 + n % 2, member, organisation
    FROM (SELECT row_number() OVER () AS n, m.* FROM organisation_members m WHERE organisation = 'org-1') m;
    INSERT INTO grants (effect, subject, role, pattern, namespace, granted_by, created_at, account)
    SELECT 'allow', 'user:user-' || 1 + n % 2, 'reader', 'org-' || n % 10 || '/' || n, 'org-' || n % 10,
        'root', 0, 'user-' || 1 + n % 2
    FROM generate_series(1, 50000) n;
    INSERT INTO access_tokens (account, name, hash, created_at)
    SELECT 'user-' || 1 + n % 10, 'token-' || n, decode(md5(n::text), 'hex'), 0
    FROM generate_series(1, 50000) n;
    INSERT INTO logins (subject, account, access_token, client, details, expires_at)
    SELECT 'alice', account, id, 'docker', '{}', id FROM access_tokens;
    INSERT INTO refresh_tokens (hash, login_id, created_at)
    SELECT decode(md5(id::text), 'hex'), id, 0 FROM logins;
    INSERT INTO audit (happened_at, actor, action, target, outcome)
    SELECT n / 3, 'user-' || n % 10, 'push', 'app-' || n % 10, 'done' FROM generate_series(1, 50000) n;
    ANALYZE";

/// In the order of the answer by themselves.
pub(in crate::postgres) const LISTINGS: &[(&str, &str)] = &[
    ("list accounts", sql::LIST_ACCOUNTS),
    ("list robots", sql::LIST_ROBOTS),
    ("list members", sql::LIST_MEMBERS),
    ("list teams", sql::LIST_TEAMS),
    ("list team members", sql::LIST_TEAM_MEMBERS),
    ("list grants", sql::LIST_GRANTS),
    ("list grants of subject", sql::LIST_GRANTS_OF_SUBJECT),
    ("list grants of namespace", sql::LIST_GRANTS_OF_NAMESPACE),
    ("list tokens", sql::LIST_TOKENS),
    ("audit", sql::AUDIT),
    ("audit of target", sql::AUDIT_OF_TARGET),
    ("audit of actor", sql::AUDIT_OF_ACTOR),
];

pub(in crate::postgres) const OTHERS: &[(&str, &str)] = &[
    ("find account", sql::FIND_ACCOUNT),
    ("find kind", sql::FIND_KIND),
    ("insert account", sql::INSERT_ACCOUNT),
    ("change account", sql::CHANGE_ACCOUNT),
    ("delete logins", sql::DELETE_LOGINS),
    ("delete account", sql::DELETE_ACCOUNT),
    ("add member", sql::ADD_MEMBER),
    ("is member", sql::IS_MEMBER),
    ("remove member", sql::REMOVE_MEMBER),
    ("insert team", sql::INSERT_TEAM),
    ("team exists", sql::TEAM_EXISTS),
    ("delete team", sql::DELETE_TEAM),
    ("join organisation", sql::JOIN_ORGANISATION),
    ("add team member", sql::ADD_TEAM_MEMBER),
    ("is team member", sql::IS_TEAM_MEMBER),
    ("remove team member", sql::REMOVE_TEAM_MEMBER),
    ("find grant", sql::FIND_GRANT),
    ("find same grant", sql::FIND_SAME_GRANT),
    ("insert grant", sql::INSERT_GRANT),
    ("delete grant", sql::DELETE_GRANT),
    ("takes tokens", sql::TAKES_TOKENS),
    ("find token", sql::FIND_TOKEN),
    ("rotate token", sql::ROTATE_TOKEN),
    ("delete logins of token", sql::DELETE_LOGINS_OF_TOKEN),
    ("delete token", sql::DELETE_TOKEN),
    ("insert refresh token", sql::INSERT_REFRESH_TOKEN),
    ("find refresh token", sql::FIND_REFRESH_TOKEN),
    ("exchange", sql::EXCHANGE),
    ("delete login", sql::DELETE_LOGIN),
    ("audit time", sql::AUDIT_TIME),
    ("lines to write", audit::RECORD),
    ("account to lock", refresh::LOCK_ACCOUNT),
    ("login to lock", refresh::LOCK),
    ("old lines to forget", audit::PURGE),
    ("logins that are over", refresh::PURGE_LOGINS),
    ("tokens that are over", refresh::PURGE_TOKENS),
    ("uses of tokens", tokens::USED),
];
