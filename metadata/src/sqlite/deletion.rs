//! Deletions: their beginning, their batches, and their end.

use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag, attached_tags};
use sqlx::SqliteConnection;

use super::cache::Cache;
use super::removal::{self, Doomed, Stale, TakenTag, Terms, parse_tag};
use super::repositories;
use super::writer::{Context, Operation};
use crate::encoding::{self, digest_bytes, json, lease_end};
use crate::fault::Fault;
use crate::rows;
use crate::{DeleteManifest, DeletionId, Keep, NewEvent, ProtectedTags};

/// Records the beginning of a deletion. Answers its id, and until when it can be had back.
pub(super) async fn begin(
    context: &mut Context<'_>,
    repository: &RepositoryName,
    reference: Option<&Reference>,
    undelete: Duration,
) -> Result<(i64, i64), Fault> {
    let (digest, tag) = match reference {
        None => (None, None),
        Some(Reference::Digest(digest)) => (Some(digest_bytes(digest)), None),
        Some(Reference::Tag(tag)) => (None, Some(tag.as_str())),
    };
    let until = lease_end(context.now, undelete);
    let id = sqlx::query_scalar(BEGIN)
        .bind(repository.as_str())
        .bind(digest)
        .bind(tag)
        .bind(context.now)
        .bind(until)
        .fetch_one(&mut *context.connection)
        .await?;
    Ok((id, until))
}

/// Ends those of some deletions that have nothing left to do, and forgets those of them that cannot be
/// had back.
pub(super) async fn end(context: &mut Context<'_>, deletions: &[i64]) -> Result<(), Fault> {
    sqlx::query(END).bind(json(&deletions)?).execute(&mut *context.connection).await?;
    Ok(())
}

async fn is_open(connection: &mut SqliteConnection, id: i64) -> Result<bool, Fault> {
    let open: Option<i64> =
        sqlx::query_scalar(FIND_OPEN).bind(id).fetch_optional(connection).await?;
    Ok(open.is_some())
}

const BEGIN: &str = "
    INSERT INTO deletions (repository, digest, tag, deleted_at, until, open)
    VALUES ($1, $2, $3, $4, $5, 1) RETURNING id";

pub(super) const END: &str = "
    UPDATE deletions SET open = 0
    WHERE id IN (SELECT value FROM json_each($1))
        AND NOT EXISTS (SELECT 1 FROM deleted_subjects s WHERE s.deletion_id = deletions.id);
    DELETE FROM deletions
    WHERE id IN (SELECT value FROM json_each($1)) AND open = 0
        AND NOT EXISTS (SELECT 1 FROM deleted_manifests m WHERE m.deletion_id = deletions.id)
        AND NOT EXISTS (SELECT 1 FROM deleted_tags t WHERE t.deletion_id = deletions.id)";

pub(super) const FIND_OPEN: &str = "SELECT id FROM deletions WHERE id = $1 AND open = 1";

/// See [`MetadataStore::delete_manifest`](crate::MetadataStore::delete_manifest).
pub(super) struct Delete {
    pub(super) repository: RepositoryName,
    pub(super) digest: Digest,
    pub(super) keep: Keep,
    pub(super) events: Vec<NewEvent>,
    pub(super) protected: ProtectedTags,
}

/// How it ended, and what the cache must forget.
pub(super) struct Outcome<T> {
    pub(super) answer: T,
    stale: Stale,
}

impl<T> Outcome<T> {
    fn unchanged(answer: T) -> Self {
        Self { answer, stale: Stale::default() }
    }
}

#[async_trait]
impl Operation for Delete {
    type Output = Outcome<DeleteManifest>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Self::Output, Fault> {
        let row: Option<(i64, i64, Option<Vec<u8>>)> = sqlx::query_as(FIND)
            .bind(self.repository.as_str())
            .bind(digest_bytes(&self.digest))
            .fetch_optional(&mut *context.connection)
            .await?;
        let Some((id, repository_id, index)) = row else {
            return Ok(Outcome::unchanged(DeleteManifest::Unknown));
        };
        if let Some(index) = index {
            let index = encoding::digest(&index)?;
            return Ok(Outcome::unchanged(DeleteManifest::NamedBy(index)));
        }
        if let Some(tag) = self.protected_tag(context.connection, id).await? {
            return Ok(Outcome::unchanged(DeleteManifest::Protected(tag)));
        }
        let named = Reference::Digest(self.digest);
        let (deletion, until) =
            begin(context, &self.repository, Some(&named), self.keep.undelete).await?;
        let terms = Terms { grace: self.keep.grace, until, followed: true, events: &self.events };
        let (repository, digest) = (self.repository.clone(), self.digest);
        let doomed = [Doomed { id, repository_id, repository, digest, deletion }];
        let mut stale = Stale::default();
        removal::remove(context, &doomed, &terms, &mut stale).await?;
        end(context, &[deletion]).await?;
        let is_unfinished = is_open(context.connection, deletion).await?;
        let unfinished = is_unfinished.then_some(DeletionId(deletion));
        Ok(Outcome { answer: DeleteManifest::Deleted { unfinished }, stale })
    }

    fn invalidate(&self, output: &Self::Output, cache: &Cache) {
        output.stale.invalidate(cache);
    }
}

impl Delete {
    /// A tag of the manifest that is not to be deleted.
    async fn protected_tag(
        &self,
        connection: &mut SqliteConnection,
        manifest: i64,
    ) -> Result<Option<Tag>, Fault> {
        if self.protected.is_none() {
            return Ok(None);
        }
        let names: Vec<String> =
            sqlx::query_scalar(TAGS_OF).bind(manifest).fetch_all(connection).await?;
        let tags = names.iter().map(|name| parse_tag(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.protected.first(&tags))
    }
}

pub(super) const TAGS_OF: &str = "SELECT name FROM tags WHERE manifest_id = $1";

/// An index of the repository `m.repository_id` that names the manifest `m.digest`.
macro_rules! naming_index {
    ($what:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM manifest_manifests p CROSS JOIN manifests i ON i.id = p.manifest_id
            WHERE p.digest = m.digest AND i.repository_id = m.repository_id"
        )
    };
}
pub(super) use naming_index;

pub(super) const FIND: &str = concat!(
    "SELECT m.id, r.id, (",
    naming_index!("i.digest"),
    " LIMIT 1)
    FROM repositories r
    JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
    WHERE r.name = $1"
);

/// See [`MetadataStore::delete_repository`](crate::MetadataStore::delete_repository).
pub(super) struct DeleteRepository {
    pub(super) repository: RepositoryName,
    pub(super) undelete: Duration,
}

#[async_trait]
impl Operation for DeleteRepository {
    type Output = Option<DeletionId>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Option<DeletionId>, Fault> {
        if !repositories::exists(context.connection, &self.repository).await? {
            return Ok(None);
        }
        sqlx::query(MARK)
            .bind(self.repository.as_str())
            .bind(context.now)
            .execute(&mut *context.connection)
            .await?;
        // Whoever asks while it is going on has it go on up to now.
        let open: Option<i64> = sqlx::query_scalar(EXTEND)
            .bind(self.repository.as_str())
            .bind(context.now)
            .bind(lease_end(context.now, self.undelete))
            .fetch_optional(&mut *context.connection)
            .await?;
        if let Some(open) = open {
            return Ok(Some(DeletionId(open)));
        }
        let (id, _) = begin(context, &self.repository, None, self.undelete).await?;
        Ok(Some(DeletionId(id)))
    }
}

pub(super) const MARK: &str = "
    INSERT INTO deleted_repositories (repository_id, since)
    SELECT id, $2 FROM repositories WHERE name = $1
    ON CONFLICT (repository_id) DO UPDATE SET since = max(since, excluded.since)";

pub(super) const EXTEND: &str = "
    UPDATE deletions SET deleted_at = $2, until = max(until, $3)
    WHERE repository = $1 AND open = 1 AND digest IS NULL AND tag IS NULL
    RETURNING id";

/// See [`MetadataStore::continue_deletion`](crate::MetadataStore::continue_deletion).
pub(super) struct Continue {
    pub(super) id: i64,
    pub(super) grace: Duration,
    pub(super) limit: u32,
    pub(super) events: Vec<NewEvent>,
}

/// An open deletion.
struct Open {
    id: i64,
    repository_id: i64,
    repository: RepositoryName,
    is_whole: bool,
    until: i64,
}

impl Open {
    fn doomed(&self, rows: Vec<(i64, Vec<u8>)>) -> Result<Vec<Doomed>, Fault> {
        let doomed = |(id, digest): (i64, Vec<u8>)| {
            let (repository, repository_id) = (self.repository.clone(), self.repository_id);
            let digest = encoding::digest(&digest)?;
            Ok(Doomed { id, repository_id, repository, digest, deletion: self.id })
        };
        rows.into_iter().map(doomed).collect()
    }
}

#[async_trait]
impl Operation for Continue {
    /// Whether there is more to do.
    type Output = Outcome<bool>;

    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<bool>, Fault> {
        let row: Option<(Option<i64>, String, bool, i64)> =
            sqlx::query_as(OPEN).bind(self.id).fetch_optional(&mut *context.connection).await?;
        let Some((repository_id, repository, is_whole, until)) = row else {
            return Ok(Outcome::unchanged(false));
        };
        let mut stale = Stale::default();
        if let Some(repository_id) = repository_id {
            let repository = rows::name(&repository)?;
            let open = Open { id: self.id, repository_id, repository, is_whole, until };
            let more = match is_whole {
                true => self.empty(context, &open, &mut stale).await?,
                false => self.follow(context, &open, &mut stale).await?,
            };
            if more {
                return Ok(Outcome { answer: true, stale });
            }
        }
        end(context, &[self.id]).await?;
        Ok(Outcome { answer: false, stale })
    }

    fn invalidate(&self, output: &Outcome<bool>, cache: &Cache) {
        output.stale.invalidate(cache);
    }
}

impl Continue {
    fn terms(&self, open: &Open) -> Terms<'_> {
        // In a repository that goes whole nothing has to be followed.
        let followed = !open.is_whole;
        Terms { grace: self.grace, until: open.until, followed, events: &self.events }
    }

    /// Takes a batch of what a repository had when its deletion began: first tags, then manifests,
    /// those that an index names after the index.
    async fn empty(
        &self,
        context: &mut Context<'_>,
        open: &Open,
        stale: &mut Stale,
    ) -> Result<bool, Fault> {
        let full = i64::from(self.limit);
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(OLD_TAGS)
            .bind(open.repository_id)
            .bind(full)
            .fetch_all(&mut *context.connection)
            .await?;
        if !rows.is_empty() {
            self.take_tags(context, open, &rows, stale).await?;
            return Ok(true);
        }
        let manifests = sqlx::query_as(OLD_MANIFESTS)
            .bind(open.repository_id)
            .bind(full)
            .fetch_all(&mut *context.connection)
            .await?;
        let manifests = open.doomed(manifests)?;
        removal::remove(context, &manifests, &self.terms(open), stale).await?;
        if manifests.is_empty() {
            sqlx::query(DONE).bind(open.repository_id).execute(&mut *context.connection).await?;
        }
        Ok(!manifests.is_empty())
    }

    /// Takes a batch of what is attached to the manifests that went: first what the tags point to that
    /// attach it, then the referrers.
    async fn follow(
        &self,
        context: &mut Context<'_>,
        open: &Open,
        stale: &mut Stale,
    ) -> Result<bool, Fault> {
        let full = i64::from(self.limit);
        let subject: Option<(Vec<u8>, bool)> = sqlx::query_as(SUBJECT)
            .bind(open.id)
            .bind(open.repository_id)
            .fetch_optional(&mut *context.connection)
            .await?;
        let Some((subject, is_back)) = subject else { return Ok(false) };
        // One that was pushed again keeps what is attached to it.
        if !is_back {
            let names = attached_tags(&encoding::digest(&subject)?);
            let tags: Vec<(String, Vec<u8>)> = sqlx::query_as(ATTACHED_TAGS)
                .bind(open.repository_id)
                .bind(json(&names)?)
                .fetch_all(&mut *context.connection)
                .await?;
            self.take_tags(context, open, &tags, stale).await?;
            let pointed: Vec<Digest> = tags
                .iter()
                .map(|(_, digest)| encoding::digest(digest))
                .collect::<Result<_, _>>()?;
            let attached = sqlx::query_as(ATTACHED)
                .bind(open.repository_id)
                .bind(encoding::digest_array(&pointed))
                .fetch_all(&mut *context.connection)
                .await?;
            let attached = open.doomed(attached)?;
            removal::remove(context, &attached, &self.terms(open), stale).await?;
            let referrers = sqlx::query_as(REFERRERS)
                .bind(open.repository_id)
                .bind(full)
                .bind(&subject)
                .fetch_all(&mut *context.connection)
                .await?;
            let referrers = open.doomed(referrers)?;
            removal::remove(context, &referrers, &self.terms(open), stale).await?;
            if referrers.len() == self.limit as usize {
                return Ok(true);
            }
        }
        sqlx::query(FOLLOWED).bind(open.id).bind(subject).execute(&mut *context.connection).await?;
        Ok(true)
    }

    /// Takes tags alone, each with the digest of what it points to.
    async fn take_tags(
        &self,
        context: &mut Context<'_>,
        open: &Open,
        rows: &[(String, Vec<u8>)],
        stale: &mut Stale,
    ) -> Result<(), Fault> {
        let mut tags = Vec::with_capacity(rows.len());
        for (name, digest) in rows {
            let (tag, digest) = (parse_tag(name)?, encoding::digest(digest)?);
            let (repository, deletion) = (open.repository.clone(), open.id);
            tags.push(TakenTag { repository, tag, digest, deletion });
        }
        let names: Vec<&str> = tags.iter().map(|taken| taken.tag.as_str()).collect();
        sqlx::query(DELETE_TAGS)
            .bind(open.repository_id)
            .bind(json(&names)?)
            .execute(&mut *context.connection)
            .await?;
        removal::record_tags(context, &tags, &self.terms(open), stale).await?;
        removal::tell_of_tags(context, &tags, &self.terms(open)).await
    }
}

/// Manifests that neither a tag points to nor an index names.
macro_rules! unheld {
    () => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = m.id)
            AND NOT EXISTS (",
            naming_index!("1"),
            ")"
        )
    };
}

/// An open deletion, with the repository's id.
pub(super) const OPEN: &str = "
    SELECT r.id, d.repository, d.digest IS NULL AND d.tag IS NULL, d.until
    FROM deletions d
    LEFT JOIN repositories r ON r.name = d.repository
    WHERE d.id = $1 AND d.open = 1";

pub(super) const OLD_TAGS: &str = "
    SELECT t.name, m.digest
    FROM deleted_repositories d
    CROSS JOIN tags t ON t.repository_id = d.repository_id
    CROSS JOIN manifests m ON m.id = t.manifest_id
    WHERE d.repository_id = $1 AND t.updated_at <= d.since
    ORDER BY t.name
    LIMIT $2";

pub(super) const OLD_MANIFESTS: &str = concat!(
    "SELECT m.id, m.digest
    FROM deleted_repositories d
    CROSS JOIN manifests m ON m.repository_id = d.repository_id
    WHERE d.repository_id = $1 AND m.created_at <= d.since AND ",
    unheld!(),
    " ORDER BY m.digest
    LIMIT $2"
);

const DONE: &str = "UPDATE deleted_repositories SET since = 0 WHERE repository_id = $1";

/// A subject whose attached artifacts have to follow, and whether it is there again.
pub(super) const SUBJECT: &str = "
    SELECT s.digest, EXISTS (
        SELECT 1 FROM manifests m WHERE m.repository_id = $2 AND m.digest = s.digest
    )
    FROM deleted_subjects s
    WHERE s.deletion_id = $1
    ORDER BY s.digest
    LIMIT 1";

const FOLLOWED: &str = "DELETE FROM deleted_subjects WHERE deletion_id = $1 AND digest = $2";

pub(super) const ATTACHED_TAGS: &str = "
    SELECT t.name, m.digest
    FROM json_each($2) q
    CROSS JOIN tags t ON t.repository_id = $1 AND t.name = q.value
    CROSS JOIN manifests m ON m.id = t.manifest_id";

pub(super) const ATTACHED: &str = concat!(
    "SELECT DISTINCT m.id, m.digest
    FROM json_each($2) q
    CROSS JOIN manifests m ON m.repository_id = $1 AND m.digest = unhex(q.value)
    WHERE ",
    unheld!()
);

pub(super) const REFERRERS: &str = concat!(
    "SELECT m.id, m.digest FROM manifests m
    WHERE m.repository_id = $1 AND m.subject = $3 AND ",
    unheld!(),
    " ORDER BY m.digest
    LIMIT $2"
);

pub(super) const DELETE_TAGS: &str = "
    DELETE FROM tags WHERE repository_id = $1 AND name IN (SELECT value FROM json_each($2))";

/// See [`MetadataStore::open_deletions`](crate::MetadataStore::open_deletions).
pub(super) async fn open(
    connection: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<DeletionId>, Fault> {
    let ids: Vec<i64> = sqlx::query_scalar(LIST_OPEN)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(DeletionId).collect())
}

pub(super) const LIST_OPEN: &str =
    "SELECT id FROM deletions WHERE open = 1 AND id > $1 ORDER BY id LIMIT $2";
