-- Manifests that came from an upstream registry, and when somebody last wanted each: what a mirror lets go of first
-- when it holds too much. What was pushed here is not among them.
CREATE TABLE cached_manifests (
    manifest_id INTEGER PRIMARY KEY,
    -- The mirror that has it.
    prefix TEXT NOT NULL,
    pulled_at INTEGER NOT NULL
) STRICT;

CREATE INDEX cached_manifests_by_pull ON cached_manifests (prefix, pulled_at);

CREATE TRIGGER cached_manifest_deleted AFTER DELETE ON manifests
BEGIN
    DELETE FROM cached_manifests WHERE manifest_id = OLD.id;
END;
