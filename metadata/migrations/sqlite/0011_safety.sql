-- Blobs that an import has found in a storage tree, until it ends. They become rows of `blobs` when a
-- repository is found that links them.
CREATE TABLE found_blobs (
    digest BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    written_at INTEGER NOT NULL,
    location TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Tags that an import has found, until the manifests are here that they point to.
CREATE TABLE found_tags (
    repository TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    written_at INTEGER NOT NULL,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;

-- Blobs whose bytes are not what their digest says, or are gone. They are not served until somebody
-- pushes them again.
CREATE TABLE damaged_blobs (
    blob_id INTEGER PRIMARY KEY,
    found_at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;

-- Triggers, so that a push of before and after this step ends it alike.
CREATE TRIGGER damaged_blob_replaced AFTER UPDATE OF location ON blobs
WHEN NEW.location <> OLD.location
BEGIN
    DELETE FROM damaged_blobs WHERE blob_id = NEW.id;
END;

CREATE TRIGGER damaged_blob_gone AFTER DELETE ON blobs
BEGIN
    DELETE FROM damaged_blobs WHERE blob_id = OLD.id;
END;
