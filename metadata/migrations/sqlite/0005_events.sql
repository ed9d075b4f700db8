-- What happened and has still to be told, one row for each endpoint that wants to know, in the order
-- of the commits.
CREATE TABLE events (
    -- Never used twice: whoever delivers an event forgets it by its id.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The endpoint's name in the configuration.
    endpoint TEXT NOT NULL,
    -- What the event is called by whom it is told; the same for all endpoints.
    uuid BLOB NOT NULL,
    happened_at INTEGER NOT NULL,
    -- push, pull, mount or delete
    action TEXT NOT NULL,
    repository TEXT NOT NULL,
    digest BLOB,
    tag TEXT,
    media_type TEXT,
    size INTEGER,
    -- Where a mount took its blob from.
    from_repository TEXT,
    -- JSON, the descriptors that a manifest names, where they are wanted.
    descriptors TEXT,
    -- JSON, the request that made it.
    origin TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_endpoint ON events (endpoint, id);
