-- Blobs that an import has found in a storage tree, until it ends. They become rows of blobs when a
-- repository is found that links them.
CREATE TABLE found_blobs (
    digest bytea PRIMARY KEY,
    size bigint NOT NULL,
    written_at bigint NOT NULL,
    location text NOT NULL
);

-- Tags that an import has found, until the manifests are here that they point to.
CREATE TABLE found_tags (
    repository text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    written_at bigint NOT NULL,
    PRIMARY KEY (repository, name)
);

-- Blobs whose bytes are not what their digest says, or are gone. They are not served until somebody
-- pushes them again.
CREATE TABLE damaged_blobs (
    blob_id bigint PRIMARY KEY,
    found_at bigint NOT NULL,
    reason text NOT NULL
);

CREATE FUNCTION damaged_blob_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM damaged_blobs WHERE blob_id = OLD.id;
    RETURN NULL;
END $$;

CREATE TRIGGER damaged_blob_replaced AFTER UPDATE OF location ON blobs
FOR EACH ROW WHEN (NEW.location <> OLD.location) EXECUTE FUNCTION damaged_blob_ended();

CREATE TRIGGER damaged_blob_gone AFTER DELETE ON blobs
FOR EACH ROW EXECUTE FUNCTION damaged_blob_ended();
