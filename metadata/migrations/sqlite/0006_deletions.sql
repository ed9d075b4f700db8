-- A deletion of a tag, a manifest or a whole repository, with all that went along. It stays as long as
-- it can be had back, and as long as there is more of it to do.
CREATE TABLE deletions (
    -- Never used twice: later deletions have greater ones.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repository TEXT NOT NULL,
    -- What was to be deleted: this manifest, or this tag; neither for the whole repository.
    digest BLOB,
    tag TEXT,
    deleted_at INTEGER NOT NULL,
    -- Until when it can be had back; the time of the deletion when it cannot.
    until INTEGER NOT NULL,
    -- Whether there is more to delete.
    open INTEGER NOT NULL
) STRICT;

CREATE INDEX deletions_by_repository ON deletions (repository, id);

CREATE INDEX deletions_by_end ON deletions (until) WHERE open = 0;

CREATE INDEX deletions_open ON deletions (id) WHERE open = 1;

-- Manifests that can be had back, as they were.
CREATE TABLE deleted_manifests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    deletion_id INTEGER NOT NULL,
    repository TEXT NOT NULL,
    digest BLOB NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    subject BLOB,
    created_at INTEGER NOT NULL,
    annotations TEXT,
    -- JSON, the blobs and the manifests that it references: pairs of a digest as hexadecimal text, and 1 where the
    -- repository had the content or 0.
    blobs TEXT NOT NULL,
    manifests TEXT NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (deletion_id, digest)
) STRICT;

CREATE INDEX deleted_manifests_by_digest ON deleted_manifests (repository, digest, deletion_id);

-- Tags that can be had back, and what they pointed to.
CREATE TABLE deleted_tags (
    deletion_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    name TEXT NOT NULL,
    repository TEXT NOT NULL,
    PRIMARY KEY (deletion_id, digest, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX deleted_tags_by_name ON deleted_tags (repository, name, deletion_id);

-- Manifests that went in an open deletion, and whose attached artifacts have still to follow.
CREATE TABLE deleted_subjects (
    deletion_id INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (deletion_id, digest)
) STRICT, WITHOUT ROWID;

-- Repositories that were deleted whole. They exist from their next manifest on: the links that are
-- kept so that a deletion can be undone do not count.
CREATE TABLE deleted_repositories (
    repository_id INTEGER PRIMARY KEY,
    -- While it is being deleted: what was pushed until this time goes. 0 when it is done.
    since INTEGER NOT NULL
) STRICT;
