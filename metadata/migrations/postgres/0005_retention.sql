-- When something last happened to a manifest that a retention policy asks about; 0 is never. A table of
-- its own: a row of `manifests` holds the payload, and would be written anew each time. It does not
-- refer to `manifests`: whoever writes to it would have to lock the manifest, which others who wait for
-- the tag may have locked.
CREATE TABLE manifest_times (
    manifest_id bigint PRIMARY KEY,
    -- A tag left it, or it was pushed once more without one.
    untagged_at bigint NOT NULL DEFAULT 0,
    -- Somebody read it; kept up only where a policy asks for it.
    pulled_at bigint NOT NULL DEFAULT 0
);

-- Before this time nobody noted when a tag left a manifest.
INSERT INTO settings (name, value)
VALUES ('tags_watched_since', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text)
ON CONFLICT (name) DO NOTHING;

-- Triggers, so that builds of before note it too, and a push that moves no tag pays nothing. A database
-- that another one is being copied into gets the times from there.
CREATE FUNCTION manifest_untagged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM settings WHERE name = 'closed') THEN
        INSERT INTO manifest_times AS t (manifest_id, untagged_at)
        VALUES (OLD.manifest_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
        ON CONFLICT (manifest_id) DO UPDATE
        SET untagged_at = greatest(t.untagged_at, excluded.untagged_at);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER tag_moved AFTER UPDATE OF manifest_id ON tags
FOR EACH ROW WHEN (OLD.manifest_id <> NEW.manifest_id) EXECUTE FUNCTION manifest_untagged();

CREATE TRIGGER tag_deleted AFTER DELETE ON tags
FOR EACH ROW EXECUTE FUNCTION manifest_untagged();

CREATE FUNCTION manifest_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM manifest_times WHERE manifest_id = OLD.id;
    RETURN NULL;
END $$;

CREATE TRIGGER manifest_deleted AFTER DELETE ON manifests
FOR EACH ROW EXECUTE FUNCTION manifest_deleted();
