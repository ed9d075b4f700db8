//! Deletions: their beginning, their batches, and their end.

use std::time::Duration;

use async_trait::async_trait;
use berth_oci::{Digest, Reference, RepositoryName, Tag, attached_tags};

use super::engine::{Context, Operation};
use super::removal::{self, Doomed, TakenTag, Terms, parse_tag};
use super::session::Session;
use super::{now, repositories};
use crate::encoding::{self, digest_bytes, duration};
use crate::fault::Fault;
use crate::rows;
use crate::{DeleteManifest, DeletionId, Keep, NewEvent, ProtectedTags};

/// Records the beginning of a deletion. Answers its id, and until when it can be had back.
pub(super) async fn begin(
    session: &mut Session,
    repository: &RepositoryName,
    reference: Option<&Reference>,
    undelete: Duration,
) -> Result<(i64, i64), Fault> {
    let (digest, tag) = match reference {
        None => (None, None),
        Some(Reference::Digest(digest)) => (Some(digest_bytes(digest)), None),
        Some(Reference::Tag(tag)) => (None, Some(tag.as_str())),
    };
    let begun = session
        .query_as(BEGIN)
        .bind(repository.as_str())
        .bind(digest)
        .bind(tag)
        .bind(duration(undelete))
        .fetch_one(session.connection())
        .await?;
    Ok(begun)
}

/// Ends those of some deletions that have nothing left to do, and forgets those of them that cannot be
/// had back. Answers which go on.
pub(super) async fn end(session: &mut Session, deletions: &[i64]) -> Result<Vec<i64>, Fault> {
    session.query(END).bind(deletions).execute(session.connection()).await?;
    session.query(FORGET_EMPTY).bind(deletions).execute(session.connection()).await?;
    let open = session
        .query_scalar("SELECT id FROM deletions WHERE id = ANY($1) AND open = 1")
        .bind(deletions)
        .fetch_all(session.connection())
        .await?;
    Ok(open)
}

const BEGIN: &str = concat!(
    "INSERT INTO deletions (repository, digest, tag, deleted_at, until, open)
    SELECT $1, $2, $3, t.now, t.now + $4, 1 FROM (SELECT ",
    now!(),
    " AS now) t
    RETURNING id, until"
);

const END: &str = "
    UPDATE deletions d SET open = 0
    WHERE d.id = ANY($1)
        AND NOT EXISTS (SELECT 1 FROM deleted_subjects s WHERE s.deletion_id = d.id)";

/// Forgets deletions that nothing can be had back from.
pub(super) const FORGET_EMPTY: &str = "
    DELETE FROM deletions d
    WHERE d.id = ANY($1) AND d.open = 0
        AND NOT EXISTS (SELECT 1 FROM deleted_manifests m WHERE m.deletion_id = d.id)
        AND NOT EXISTS (SELECT 1 FROM deleted_tags t WHERE t.deletion_id = d.id)";

/// See [`MetadataStore::delete_manifest`](crate::MetadataStore::delete_manifest).
pub(super) struct Delete {
    pub(super) repository: RepositoryName,
    pub(super) digest: Digest,
    pub(super) keep: Keep,
    pub(super) events: Vec<NewEvent>,
    pub(super) protected: ProtectedTags,
}

#[async_trait]
impl Operation for Delete {
    type Output = DeleteManifest;

    async fn apply(&self, context: &mut Context<'_>) -> Result<DeleteManifest, Fault> {
        let Keep { grace, undelete } = self.keep;
        let locked: Option<(i64, i64)> = context
            .session
            .query_as(LOCK)
            .bind(self.repository.as_str())
            .bind(digest_bytes(&self.digest))
            .fetch_optional(context.session.connection())
            .await?;
        let Some((id, repository_id)) = locked else { return Ok(DeleteManifest::Unknown) };
        // Looked for when nobody can name it any longer: whoever stores an index has to lock this row.
        let index: Option<Vec<u8>> = context
            .session
            .query_scalar(NAMING_INDEX)
            .bind(id)
            .fetch_optional(context.session.connection())
            .await?;
        if let Some(index) = index {
            return Ok(DeleteManifest::NamedBy(encoding::digest(&index)?));
        }
        if let Some(tag) = self.protected_tag(context.session, id).await? {
            return Ok(DeleteManifest::Protected(tag));
        }
        let named = Reference::Digest(self.digest);
        let (deletion, until) =
            begin(context.session, &self.repository, Some(&named), undelete).await?;
        let recorded = !undelete.is_zero();
        let terms = Terms { grace, until, recorded, followed: true, events: &self.events };
        let (repository, digest) = (self.repository.clone(), self.digest);
        let doomed = [Doomed { id, repository_id, repository, digest, deletion }];
        removal::remove(context, &doomed, &terms).await?;
        let open = end(context.session, &[deletion]).await?;
        Ok(DeleteManifest::Deleted { unfinished: open.first().copied().map(DeletionId) })
    }
}

impl Delete {
    /// A tag of the manifest that is not to be deleted. Whoever tags a manifest has to lock its row.
    async fn protected_tag(
        &self,
        session: &mut Session,
        manifest: i64,
    ) -> Result<Option<Tag>, Fault> {
        if self.protected.is_none() {
            return Ok(None);
        }
        let names: Vec<String> =
            session.query_scalar(TAGS_OF).bind(manifest).fetch_all(session.connection()).await?;
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
            " FROM manifest_manifests p JOIN manifests i ON i.id = p.manifest_id
            WHERE p.digest = m.digest AND i.repository_id = m.repository_id"
        )
    };
}
pub(super) use naming_index;

pub(super) const LOCK: &str = "
    SELECT m.id, r.id
    FROM repositories r
    JOIN manifests m ON m.repository_id = r.id AND m.digest = $2
    WHERE r.name = $1
    FOR UPDATE OF m";

pub(super) const NAMING_INDEX: &str = concat!(
    "SELECT n.digest FROM manifests m CROSS JOIN LATERAL (",
    naming_index!("i.digest"),
    " LIMIT 1) n WHERE m.id = $1"
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
        let session = &mut *context.session;
        if !repositories::exists(session, &self.repository).await? {
            return Ok(None);
        }
        // Whoever else begins waits here.
        session.query(MARK).bind(self.repository.as_str()).execute(session.connection()).await?;
        // Whoever asks while it is going on has it go on up to now.
        let open: Option<i64> = session
            .query_scalar(EXTEND)
            .bind(self.repository.as_str())
            .bind(duration(self.undelete))
            .fetch_optional(session.connection())
            .await?;
        if let Some(open) = open {
            return Ok(Some(DeletionId(open)));
        }
        let (id, _) = begin(session, &self.repository, None, self.undelete).await?;
        Ok(Some(DeletionId(id)))
    }
}

pub(super) const MARK: &str = concat!(
    "INSERT INTO deleted_repositories AS d (repository_id, since)
    SELECT r.id, ",
    now!(),
    " FROM repositories r WHERE r.name = $1
    ON CONFLICT (repository_id) DO UPDATE SET since = greatest(d.since, ",
    now!(),
    ")"
);

pub(super) const EXTEND: &str = concat!(
    "UPDATE deletions SET deleted_at = t.now, until = greatest(until, t.now + $2)
    FROM (SELECT ",
    now!(),
    " AS now) t
    WHERE repository = $1 AND open = 1 AND digest IS NULL AND tag IS NULL
    RETURNING id"
);

/// See [`MetadataStore::continue_deletion`](crate::MetadataStore::continue_deletion).
pub(super) struct Continue {
    pub(super) id: i64,
    pub(super) grace: Duration,
    pub(super) limit: u32,
    pub(super) events: Vec<NewEvent>,
}

/// An open deletion, which nobody else goes on with meanwhile.
struct Open {
    id: i64,
    repository_id: i64,
    repository: RepositoryName,
    is_whole: bool,
    until: i64,
    recorded: bool,
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
    type Output = bool;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let row: Option<(i64, String, bool, i64, bool)> = context
            .session
            .query_as(OPEN)
            .bind(self.id)
            .fetch_optional(context.session.connection())
            .await?;
        let Some((repository_id, name, is_whole, until, recorded)) = row else { return Ok(false) };
        let repository = rows::name(&name)?;
        let open = Open { id: self.id, repository_id, repository, is_whole, until, recorded };
        let more = match is_whole {
            true => self.empty(context, &open).await?,
            false => self.follow(context, &open).await?,
        };
        if !more {
            end(context.session, &[self.id]).await?;
        }
        Ok(more)
    }
}

impl Continue {
    fn terms(&self, open: &Open) -> Terms<'_> {
        // In a repository that goes whole nothing has to be followed.
        let (followed, recorded) = (!open.is_whole, open.recorded);
        Terms { grace: self.grace, until: open.until, recorded, followed, events: &self.events }
    }

    /// Takes a batch of what a repository had when its deletion began: first tags, then manifests,
    /// those that an index names after the index.
    async fn empty(&self, context: &mut Context<'_>, open: &Open) -> Result<bool, Fault> {
        let session = &mut *context.session;
        let tags: Vec<(String, Vec<u8>)> = session
            .query_as(TAKE_OLD_TAGS)
            .bind(open.repository_id)
            .bind(i64::from(self.limit))
            .fetch_all(session.connection())
            .await?;
        if !tags.is_empty() {
            self.took_tags(context, open, &tags).await?;
            return Ok(true);
        }
        let locked: Vec<i64> = session
            .query_scalar(LOCK_OLD_MANIFESTS)
            .bind(open.repository_id)
            .bind(i64::from(self.limit))
            .fetch_all(session.connection())
            .await?;
        let found_some = !locked.is_empty();
        let manifests = unheld(session, locked).await?;
        removal::remove(context, &open.doomed(manifests)?, &self.terms(open)).await?;
        if !found_some {
            let session = &mut *context.session;
            session.query(DONE).bind(open.repository_id).execute(session.connection()).await?;
        }
        Ok(found_some)
    }

    /// Takes a batch of what is attached to the manifests that went: first what the tags point to that
    /// attach it, then the referrers.
    async fn follow(&self, context: &mut Context<'_>, open: &Open) -> Result<bool, Fault> {
        let session = &mut *context.session;
        let subject: Option<(Vec<u8>, bool)> = session
            .query_as(SUBJECT)
            .bind(open.id)
            .bind(open.repository_id)
            .fetch_optional(session.connection())
            .await?;
        let Some((subject, is_back)) = subject else { return Ok(false) };
        // One that was pushed again keeps what is attached to it.
        if !is_back && self.take_attached(context, open, &subject).await? {
            return Ok(true);
        }
        let session = &mut *context.session;
        session.query(FOLLOWED).bind(open.id).bind(subject).execute(session.connection()).await?;
        Ok(true)
    }

    /// Takes a batch of what is attached to `subject`; false when that was the last of it.
    async fn take_attached(
        &self,
        context: &mut Context<'_>,
        open: &Open,
        subject: &[u8],
    ) -> Result<bool, Fault> {
        let session = &mut *context.session;
        let names = attached_tags(&encoding::digest(subject)?);
        let tags: Vec<(String, Vec<u8>)> = session
            .query_as(TAKE_ATTACHED_TAGS)
            .bind(open.repository_id)
            .bind(names.as_slice())
            .fetch_all(session.connection())
            .await?;
        self.took_tags(context, open, &tags).await?;
        let pointed: Vec<Vec<u8>> = tags.into_iter().map(|(_, digest)| digest).collect();
        let session = &mut *context.session;
        let locked: Vec<i64> = session
            .query_scalar(LOCK_ATTACHED)
            .bind(open.repository_id)
            .bind(pointed)
            .fetch_all(session.connection())
            .await?;
        let attached = unheld(session, locked).await?;
        removal::remove(context, &open.doomed(attached)?, &self.terms(open)).await?;
        let session = &mut *context.session;
        let locked: Vec<i64> = session
            .query_scalar(LOCK_REFERRERS)
            .bind(open.repository_id)
            .bind(i64::from(self.limit))
            .bind(subject)
            .fetch_all(session.connection())
            .await?;
        let is_full = locked.len() == self.limit as usize;
        let referrers = unheld(session, locked).await?;
        removal::remove(context, &open.doomed(referrers)?, &self.terms(open)).await?;
        Ok(is_full)
    }

    /// Records tags that were taken alone, each with the digest of what it pointed to.
    async fn took_tags(
        &self,
        context: &mut Context<'_>,
        open: &Open,
        rows: &[(String, Vec<u8>)],
    ) -> Result<(), Fault> {
        let mut tags = Vec::with_capacity(rows.len());
        for (name, digest) in rows {
            let (tag, digest) = (parse_tag(name)?, encoding::digest(digest)?);
            let (repository, deletion) = (open.repository.clone(), open.id);
            tags.push(TakenTag { repository, tag, digest, deletion });
        }
        removal::record_tags(context, &tags, &self.terms(open)).await?;
        removal::tell_of_tags(context, &tags, &self.terms(open)).await
    }
}

/// Those of some locked manifests that still neither a tag points to nor an index names. Nobody can
/// change that any longer: whoever tags a manifest, or names it in an index, has to lock its row, too.
async fn unheld(session: &mut Session, locked: Vec<i64>) -> Result<Vec<(i64, Vec<u8>)>, Fault> {
    if locked.is_empty() {
        return Ok(Vec::new());
    }
    Ok(session.query_as(UNHELD).bind(locked).fetch_all(session.connection()).await?)
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

pub(super) const UNHELD: &str =
    concat!("SELECT m.id, m.digest FROM manifests m WHERE m.id = ANY($1) AND ", unheld!());

/// An open deletion, locked, with the repository's id, and whether it can be had back.
pub(super) const OPEN: &str = "
    SELECT r.id, d.repository, d.digest IS NULL AND d.tag IS NULL, d.until, d.until > d.deleted_at
    FROM deletions d
    JOIN repositories r ON r.name = d.repository
    WHERE d.id = $1 AND d.open = 1
    FOR UPDATE OF d";

pub(super) const TAKE_OLD_TAGS: &str = "
    WITH taken AS (
        SELECT t.repository_id, t.name
        FROM deleted_repositories d
        JOIN tags t ON t.repository_id = d.repository_id
        WHERE d.repository_id = $1 AND t.repository_id = $1 AND t.updated_at <= d.since
        ORDER BY t.name
        LIMIT $2
        FOR UPDATE OF t
    )
    DELETE FROM tags t USING taken, manifests m
    WHERE t.repository_id = taken.repository_id AND t.name = taken.name AND m.id = t.manifest_id
    RETURNING t.name, m.digest";

pub(super) const LOCK_OLD_MANIFESTS: &str = concat!(
    "SELECT m.id
    FROM deleted_repositories d
    JOIN manifests m ON m.repository_id = d.repository_id
    WHERE d.repository_id = $1 AND m.repository_id = $1 AND m.created_at <= d.since AND ",
    unheld!(),
    " ORDER BY m.digest
    LIMIT $2
    FOR UPDATE OF m"
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

pub(super) const TAKE_ATTACHED_TAGS: &str = "
    DELETE FROM tags t USING manifests m
    WHERE t.repository_id = $1 AND t.name = ANY($2) AND m.id = t.manifest_id
    RETURNING t.name, m.digest";

pub(super) const LOCK_ATTACHED: &str = "
    SELECT m.id FROM manifests m
    WHERE m.repository_id = $1 AND m.digest = ANY($2)
    ORDER BY m.id
    FOR UPDATE";

pub(super) const LOCK_REFERRERS: &str = concat!(
    "SELECT m.id FROM manifests m
    WHERE m.repository_id = $1 AND m.subject = $3 AND ",
    unheld!(),
    " ORDER BY m.digest
    LIMIT $2
    FOR UPDATE OF m"
);

/// See [`MetadataStore::open_deletions`](crate::MetadataStore::open_deletions).
pub(super) async fn open(
    session: &mut Session,
    after: i64,
    limit: u32,
) -> Result<Vec<DeletionId>, Fault> {
    let ids: Vec<i64> = session
        .query_scalar(LIST_OPEN)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(session.connection())
        .await?;
    Ok(ids.into_iter().map(DeletionId).collect())
}

pub(super) const LIST_OPEN: &str =
    "SELECT id FROM deletions WHERE open = 1 AND id > $1 ORDER BY id LIMIT $2";
