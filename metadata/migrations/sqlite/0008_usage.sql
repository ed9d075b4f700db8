-- Prefixes of repository names, and what the repositories hold that have the name or lie below it: each
-- blob once, however many of them link it. The triggers keep the numbers true, whoever writes.
CREATE TABLE usage_prefixes (
    id INTEGER PRIMARY KEY,
    -- Empty for all repositories.
    prefix TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL DEFAULT 0,
    manifests INTEGER NOT NULL DEFAULT 0,
    tags INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Which prefixes a repository counts for.
CREATE TABLE usage_repositories (
    repository_id INTEGER NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    prefix_id INTEGER NOT NULL REFERENCES usage_prefixes (id),
    PRIMARY KEY (repository_id, prefix_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER usage_of_new_repository AFTER INSERT ON repositories
BEGIN
    INSERT INTO usage_repositories (repository_id, prefix_id)
    SELECT NEW.id, id FROM usage_prefixes
    WHERE prefix = '' OR prefix = NEW.name OR substr(NEW.name, 1, length(prefix) + 1) = prefix || '/';
END;

CREATE TRIGGER usage_of_new_link AFTER INSERT ON repository_blobs
WHEN EXISTS (SELECT 1 FROM usage_repositories WHERE repository_id = NEW.repository_id)
BEGIN
    UPDATE usage_prefixes SET bytes = bytes + (SELECT size FROM blobs WHERE id = NEW.blob_id)
    WHERE id IN (SELECT prefix_id FROM usage_repositories WHERE repository_id = NEW.repository_id)
        AND NOT EXISTS (
            SELECT 1 FROM repository_blobs o
            JOIN usage_repositories q
                ON q.repository_id = o.repository_id AND q.prefix_id = usage_prefixes.id
            WHERE o.blob_id = NEW.blob_id AND o.repository_id <> NEW.repository_id
        );
END;

CREATE TRIGGER usage_of_old_link AFTER DELETE ON repository_blobs
WHEN EXISTS (SELECT 1 FROM usage_repositories WHERE repository_id = OLD.repository_id)
BEGIN
    UPDATE usage_prefixes SET bytes = bytes - (SELECT size FROM blobs WHERE id = OLD.blob_id)
    WHERE id IN (SELECT prefix_id FROM usage_repositories WHERE repository_id = OLD.repository_id)
        AND NOT EXISTS (
            SELECT 1 FROM repository_blobs o
            JOIN usage_repositories q
                ON q.repository_id = o.repository_id AND q.prefix_id = usage_prefixes.id
            WHERE o.blob_id = OLD.blob_id
        );
END;

-- A push again may correct a size.
CREATE TRIGGER usage_of_new_size AFTER UPDATE OF size ON blobs WHEN NEW.size <> OLD.size
BEGIN
    UPDATE usage_prefixes SET bytes = bytes + NEW.size - OLD.size
    WHERE EXISTS (
        SELECT 1 FROM repository_blobs o
        JOIN usage_repositories q
            ON q.repository_id = o.repository_id AND q.prefix_id = usage_prefixes.id
        WHERE o.blob_id = NEW.id
    );
END;

CREATE TRIGGER usage_of_new_manifest AFTER INSERT ON manifests
WHEN EXISTS (SELECT 1 FROM usage_repositories WHERE repository_id = NEW.repository_id)
BEGIN
    UPDATE usage_prefixes SET manifests = manifests + 1
    WHERE id IN (SELECT prefix_id FROM usage_repositories WHERE repository_id = NEW.repository_id);
END;

CREATE TRIGGER usage_of_old_manifest AFTER DELETE ON manifests
WHEN EXISTS (SELECT 1 FROM usage_repositories WHERE repository_id = OLD.repository_id)
BEGIN
    UPDATE usage_prefixes SET manifests = manifests - 1
    WHERE id IN (SELECT prefix_id FROM usage_repositories WHERE repository_id = OLD.repository_id);
END;

CREATE TRIGGER usage_of_new_tag AFTER INSERT ON tags
WHEN EXISTS (SELECT 1 FROM usage_repositories WHERE repository_id = NEW.repository_id)
BEGIN
    UPDATE usage_prefixes SET tags = tags + 1
    WHERE id IN (SELECT prefix_id FROM usage_repositories WHERE repository_id = NEW.repository_id);
END;

CREATE TRIGGER usage_of_old_tag AFTER DELETE ON tags
WHEN EXISTS (SELECT 1 FROM usage_repositories WHERE repository_id = OLD.repository_id)
BEGIN
    UPDATE usage_prefixes SET tags = tags - 1
    WHERE id IN (SELECT prefix_id FROM usage_repositories WHERE repository_id = OLD.repository_id);
END;
