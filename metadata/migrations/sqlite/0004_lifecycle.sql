-- When the collector looks at the link. A link that a manifest needs is looked at again after a long
-- while only: whatever takes the manifest away sets this anew.
ALTER TABLE repository_blobs ADD COLUMN review_at INTEGER NOT NULL DEFAULT 0;

CREATE INDEX repository_blobs_by_review ON repository_blobs (review_at);

-- The manifest's repository, so that one look tells whether any manifest of a repository needs a
-- blob, however many others do. Builds of before leave it to the trigger.
ALTER TABLE manifest_blobs ADD COLUMN repository_id INTEGER;

UPDATE manifest_blobs
SET repository_id = (SELECT m.repository_id FROM manifests m WHERE m.id = manifest_id);

CREATE INDEX manifest_blobs_by_repository ON manifest_blobs (digest, repository_id);

DROP INDEX manifest_blobs_by_digest;

CREATE TRIGGER manifest_blobs_repository AFTER INSERT ON manifest_blobs
WHEN NEW.repository_id IS NULL
BEGIN
    UPDATE manifest_blobs
    SET repository_id = (SELECT m.repository_id FROM manifests m WHERE m.id = NEW.manifest_id)
    WHERE manifest_id = NEW.manifest_id AND digest = NEW.digest;
END;

-- Bytes that no repository links any longer, to be removed from the store.
CREATE TABLE garbage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    -- Not before this time.
    remove_at INTEGER NOT NULL,
    -- How often the removal was begun. What was begun once is never taken back unseen.
    round INTEGER NOT NULL DEFAULT 0,
    -- Until when somebody is at it; 0 while nobody is.
    held_until INTEGER NOT NULL DEFAULT 0,
    -- Whether the bytes are gone. The row stays a while for pushes that began before.
    gone INTEGER NOT NULL DEFAULT 0,
    location TEXT NOT NULL,
    UNIQUE (digest, location)
) STRICT;

CREATE INDEX garbage_by_time ON garbage (remove_at);

-- What somebody was at when it died.
CREATE INDEX garbage_held ON garbage (held_until) WHERE held_until > 0;

CREATE INDEX garbage_by_location ON garbage (location) WHERE location <> '';

-- Whether any repository has a manifest: a storage tree keeps its bytes once for all.
CREATE INDEX manifests_by_digest ON manifests (digest);
