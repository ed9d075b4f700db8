-- Who may use the registry. Users, robots and organisations share one name space.
CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    -- user, robot or organisation
    kind TEXT NOT NULL,
    -- The user or organisation that a robot belongs to.
    owner TEXT REFERENCES accounts (name) ON DELETE CASCADE,
    is_admin INTEGER NOT NULL,
    is_disabled INTEGER NOT NULL DEFAULT 0,
    -- A hash in the PHC string format.
    password TEXT,
    description TEXT NOT NULL,
    expires_at INTEGER,
    tokens_valid_from INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    CHECK ((kind = 'robot') = (owner IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX accounts_by_kind ON accounts (kind, name);
CREATE INDEX accounts_by_owner ON accounts (owner, name);
CREATE INDEX accounts_by_right ON accounts (is_admin, is_disabled);

CREATE TABLE organisation_members (
    organisation TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    member TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    -- member or owner
    role TEXT NOT NULL,
    PRIMARY KEY (organisation, member)
) STRICT, WITHOUT ROWID;

CREATE INDEX organisation_members_by_member ON organisation_members (member);

CREATE TABLE teams (
    -- With the organisation's: acme/developers.
    name TEXT PRIMARY KEY,
    organisation TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX teams_by_organisation ON teams (organisation, name);

-- Who leaves the organisation leaves its teams.
CREATE TABLE team_members (
    team TEXT NOT NULL REFERENCES teams (name) ON DELETE CASCADE,
    member TEXT NOT NULL,
    organisation TEXT NOT NULL,
    PRIMARY KEY (team, member),
    FOREIGN KEY (organisation, member)
        REFERENCES organisation_members (organisation, member) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX team_members_by_member ON team_members (organisation, member);

CREATE TABLE grants (
    -- Never used twice, as it is told to others.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- allow or deny
    effect TEXT NOT NULL,
    -- As text: user:alice, team:acme/developers, anyone.
    subject TEXT NOT NULL,
    -- reader, writer, maintainer or admin
    role TEXT NOT NULL,
    -- Of repository names.
    pattern TEXT NOT NULL,
    -- The first component of the pattern where that has no star, or empty.
    namespace TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- What the subject names, so that the grant goes with it.
    account TEXT REFERENCES accounts (name) ON DELETE CASCADE,
    team TEXT REFERENCES teams (name) ON DELETE CASCADE,
    UNIQUE (subject, pattern, role, effect)
) STRICT;

CREATE INDEX grants_by_subject ON grants (subject, id);
CREATE INDEX grants_by_namespace ON grants (namespace, id);
CREATE INDEX grants_by_account ON grants (account);
CREATE INDEX grants_by_team ON grants (team);

-- How often what decisions follow from has changed: one row.
CREATE TABLE policy (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
) STRICT;

INSERT INTO policy (id, generation) VALUES (1, 1);

-- What somebody logs in with in place of a password.
CREATE TABLE access_tokens (
    -- Never used twice: when a token was used is noted a while later, by its id.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- SHA-256 of the secret.
    hash BLOB NOT NULL UNIQUE,
    -- The most that it may do, and where alone.
    role TEXT,
    pattern TEXT,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    used_at INTEGER,
    UNIQUE (account, name)
) STRICT;

CREATE INDEX access_tokens_by_account ON access_tokens (account, id);

-- What the refresh tokens have in common that came one of another.
CREATE TABLE logins (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subject TEXT NOT NULL,
    account TEXT REFERENCES accounts (name) ON DELETE CASCADE,
    access_token INTEGER REFERENCES access_tokens (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    -- JSON
    details TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX logins_by_account ON logins (account);
CREATE INDEX logins_by_access_token ON logins (access_token);
CREATE INDEX logins_by_end ON logins (expires_at);

-- One that has been exchanged stays as long as its login, so that it is known when it comes again.
CREATE TABLE refresh_tokens (
    -- SHA-256 of the secret.
    hash BLOB PRIMARY KEY,
    login_id INTEGER NOT NULL REFERENCES logins (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    exchanged INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_by_login ON refresh_tokens (login_id);

CREATE TABLE signing_keys (
    -- Greater for a newer one.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    -- PKCS#8 DER
    private_key BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    happened_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    reference TEXT,
    digest TEXT,
    source TEXT,
    -- done, failed or denied
    outcome TEXT NOT NULL,
    detail TEXT,
    request TEXT
) STRICT;

-- Each of them ends with the id by itself.
CREATE INDEX audit_by_time ON audit (happened_at);
CREATE INDEX audit_by_actor ON audit (actor, happened_at);
CREATE INDEX audit_by_target ON audit (target, happened_at);
