-- Whether an object in a store has become a blob. Stores that find a blob by its digest have no
-- locations.
CREATE INDEX blobs_by_location ON blobs (location) WHERE location <> '';
