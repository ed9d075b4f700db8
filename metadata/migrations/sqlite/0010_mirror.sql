-- Tags that came from an upstream registry: what each pointed to there, and when that was last looked at. One that
-- points elsewhere here was pushed since. A row outlives its tag: one that is brought back came from there still.
CREATE TABLE mirrored_tags (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    checked_at INTEGER NOT NULL,
    upstream TEXT NOT NULL,
    PRIMARY KEY (repository_id, name)
) STRICT, WITHOUT ROWID;
