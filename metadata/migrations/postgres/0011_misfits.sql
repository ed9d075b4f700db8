-- Blobs that an import has found with another size than a manifest tells, until it has looked at their bytes. The
-- manifest is known to the next import, so these outlive one that breaks off.
CREATE TABLE misfits (
    digest bytea PRIMARY KEY,
    expected bigint NOT NULL,
    found bigint NOT NULL
);
