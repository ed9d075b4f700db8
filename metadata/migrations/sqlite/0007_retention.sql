-- When something last happened to a manifest that a retention policy asks about; 0 is never. A table of
-- its own: a row of `manifests` holds the payload, and would be written anew each time.
CREATE TABLE manifest_times (
    manifest_id INTEGER PRIMARY KEY,
    -- A tag left it, or it was pushed once more without one.
    untagged_at INTEGER NOT NULL DEFAULT 0,
    -- Somebody read it; kept up only where a policy asks for it.
    pulled_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Before this time nobody noted when a tag left a manifest.
INSERT INTO settings (name, value)
VALUES ('tags_watched_since', CAST(CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS TEXT))
ON CONFLICT (name) DO NOTHING;

-- Triggers, so that builds of before note it too, and a push that moves no tag pays nothing. A database
-- that another one is being copied into gets the times from there.
CREATE TRIGGER tag_moved AFTER UPDATE OF manifest_id ON tags
WHEN OLD.manifest_id <> NEW.manifest_id
    AND NOT EXISTS (SELECT 1 FROM settings WHERE name = 'closed')
BEGIN
    INSERT INTO manifest_times (manifest_id, untagged_at) VALUES (OLD.manifest_id, NEW.updated_at)
    ON CONFLICT (manifest_id) DO UPDATE SET untagged_at = excluded.untagged_at;
END;

CREATE TRIGGER tag_deleted AFTER DELETE ON tags
WHEN NOT EXISTS (SELECT 1 FROM settings WHERE name = 'closed')
BEGIN
    INSERT INTO manifest_times (manifest_id, untagged_at)
    VALUES (OLD.manifest_id, CAST(unixepoch('subsec') * 1000000 AS INTEGER))
    ON CONFLICT (manifest_id) DO UPDATE SET untagged_at = excluded.untagged_at;
END;

CREATE TRIGGER manifest_deleted AFTER DELETE ON manifests
BEGIN
    DELETE FROM manifest_times WHERE manifest_id = OLD.id;
END;
