-- Digests are one byte for the algorithm (0 sha256, 1 sha512) and the hash. Times are microseconds
-- since 1970. Names are compared by their bytes. Large columns stand last in their row, so that
-- reading the others does not touch them.

-- A repository exists from its first link or manifest on.
CREATE TABLE repositories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- What is known of the bytes, whoever links them.
CREATE TABLE blobs (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    location TEXT NOT NULL
) STRICT;

-- Which repository may read which blob, and until when the link is kept without a manifest.
CREATE TABLE repository_blobs (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    blob_id INTEGER NOT NULL REFERENCES blobs (id),
    linked_at INTEGER NOT NULL,
    leased_until INTEGER NOT NULL,
    PRIMARY KEY (repository_id, blob_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX repository_blobs_by_blob ON repository_blobs (blob_id);

CREATE TABLE manifests (
    id INTEGER PRIMARY KEY,
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    digest BLOB NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    subject BLOB,
    created_at INTEGER NOT NULL,
    -- JSON, an object of strings.
    annotations TEXT,
    payload BLOB NOT NULL,
    UNIQUE (repository_id, digest)
) STRICT;

CREATE INDEX manifests_by_subject ON manifests (repository_id, subject, digest)
    WHERE subject IS NOT NULL;

-- The blobs that a manifest references, whether they are here or not.
CREATE TABLE manifest_blobs (
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (manifest_id, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX manifest_blobs_by_digest ON manifest_blobs (digest);

-- The manifests that an index references, whether they are here or not.
CREATE TABLE manifest_manifests (
    manifest_id INTEGER NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (manifest_id, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX manifest_manifests_by_digest ON manifest_manifests (digest);

CREATE TABLE tags (
    repository_id INTEGER NOT NULL REFERENCES repositories (id),
    name TEXT NOT NULL,
    manifest_id INTEGER NOT NULL REFERENCES manifests (id),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_manifest ON tags (manifest_id);

-- Open upload sessions. The repository is its name: a session does not make a repository.
CREATE TABLE uploads (
    id BLOB PRIMARY KEY,
    repository TEXT NOT NULL,
    algorithm INTEGER NOT NULL,
    received INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    hash_state BLOB NOT NULL,
    handle TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX uploads_by_age ON uploads (updated_at);

-- Committed changes that a storage tree has still to follow, in the order of their commits.
CREATE TABLE outbox (
    -- Never used twice: an entry is forgotten by all entries up to its id.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- link_blob, unlink_blob, put_manifest, delete_manifest, set_tag or delete_tag
    kind TEXT NOT NULL,
    repository TEXT NOT NULL,
    digest BLOB,
    tag TEXT
) STRICT;
