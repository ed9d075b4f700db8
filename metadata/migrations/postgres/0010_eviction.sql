-- Manifests that came from an upstream registry, and when somebody last wanted each: what a mirror lets go of first
-- when it holds too much. What was pushed here is not among them.
CREATE TABLE cached_manifests (
    manifest_id bigint PRIMARY KEY,
    -- The mirror that has it.
    prefix text COLLATE "C" NOT NULL,
    pulled_at bigint NOT NULL
);

CREATE INDEX cached_manifests_by_pull ON cached_manifests (prefix, pulled_at);

CREATE FUNCTION cached_manifest_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM cached_manifests WHERE manifest_id = OLD.id;
    RETURN NULL;
END $$;

CREATE TRIGGER cached_manifest_deleted AFTER DELETE ON manifests
FOR EACH ROW EXECUTE FUNCTION cached_manifest_deleted();
