-- The size that a manifest tells of a blob that was found with another.
ALTER TABLE found_blobs ADD COLUMN expected INTEGER;
