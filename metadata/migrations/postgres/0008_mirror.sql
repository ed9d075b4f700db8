-- Tags that came from an upstream registry: what each pointed to there, and when that was last looked at. One that
-- points elsewhere here was pushed since. A row outlives its tag: one that is brought back came from there still.
CREATE TABLE mirrored_tags (
    repository_id bigint NOT NULL REFERENCES repositories (id),
    name text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    checked_at bigint NOT NULL,
    upstream text NOT NULL,
    PRIMARY KEY (repository_id, name)
);

-- What a process is fetching from an upstream, and until when others leave that to it.
CREATE TABLE fetches (
    what text COLLATE "C" PRIMARY KEY,
    holder bytea NOT NULL,
    held_until bigint NOT NULL
);
