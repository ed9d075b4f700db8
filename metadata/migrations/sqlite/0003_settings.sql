-- What the database must agree with its users about: where its blobs are (storage), and that it is
-- not to be served (closed).
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
