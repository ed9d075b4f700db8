-- Blobs that an import has found with another size than a manifest tells, until it has looked at their bytes. The
-- manifest is known to the next import, so these outlive one that breaks off.
CREATE TABLE misfits (
    digest BLOB PRIMARY KEY,
    expected INTEGER NOT NULL,
    found INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
