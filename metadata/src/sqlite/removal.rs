//! The taking away of manifests and tags, however it comes to that: what goes is recorded so that it can
//! be had back, told to the storage tree and to whoever wants to know, and its blobs are let go of.

use std::time::Duration;

use berth_oci::{Digest, Reference, RepositoryName, Tag, attached_tags};
use serde::Serialize;

use super::cache::Cache;
use super::events;
use super::writer::Context;
use crate::encoding::{digest_hex, json, lease_end, micros, time};
use crate::fault::Fault;
use crate::{NewEvent, lifecycle};

/// How many tags are taken at a time, and how many events are held before they are written.
const AT_ONCE: usize = 1000;

/// A manifest that goes.
pub(super) struct Doomed {
    pub(super) id: i64,
    pub(super) repository_id: i64,
    pub(super) repository: RepositoryName,
    pub(super) digest: Digest,
    /// The deletion that it goes in.
    pub(super) deletion: i64,
}

/// How manifests and tags go.
pub(super) struct Terms<'a> {
    pub(super) grace: Duration,
    /// Until when they can be had back; `now` when they cannot.
    pub(super) until: i64,
    /// Whether the artifacts attached to the manifests are to follow.
    pub(super) followed: bool,
    pub(super) events: &'a [NewEvent],
}

impl Terms<'_> {
    fn is_recorded(&self, now: i64) -> bool {
        self.until > now
    }
}

/// What the cache must not answer any longer.
#[derive(Default)]
pub(super) struct Stale {
    references: Vec<(RepositoryName, Reference)>,
    /// They are too many to be named.
    is_all: bool,
}

impl Stale {
    pub(super) fn add(&mut self, repository: &RepositoryName, reference: Reference) {
        match self.references.len() < AT_ONCE * 4 {
            true => self.references.push((repository.clone(), reference)),
            false => self.is_all = true,
        }
    }

    pub(super) fn invalidate(&self, cache: &Cache) {
        for (repository, reference) in &self.references {
            cache.manifest_changed(repository, reference);
        }
        if self.is_all {
            cache.all_manifests_changed();
        }
    }
}

/// Takes manifests away, with all their tags and references.
pub(super) async fn remove(
    context: &mut Context<'_>,
    doomed: &[Doomed],
    terms: &Terms<'_>,
    stale: &mut Stale,
) -> Result<(), Fault> {
    if doomed.is_empty() {
        return Ok(());
    }
    for one in doomed {
        stale.add(&one.repository, Reference::Digest(one.digest));
        let event = |event: &NewEvent| event.of_deleted_manifest(&one.repository, &one.digest);
        context.events.extend(terms.events.iter().map(event));
    }
    let keys = json(&doomed.iter().map(Key::of).collect::<Vec<_>>())?;
    while take_tags_of(context, doomed, &keys, terms, stale).await? {}
    if terms.is_recorded(context.now) {
        sqlx::query(RECORD).bind(&keys).execute(&mut *context.connection).await?;
    }
    let_go_of_blobs(context, &keys, terms).await?;
    let mut gone: Vec<(String, i64)> =
        sqlx::query_as(DELETE).bind(&keys).fetch_all(&mut *context.connection).await?;
    if context.record_links {
        if !context.has_files {
            gone.clear();
        }
        sqlx::query(DISCARD_FILES)
            .bind(&keys)
            .bind(json(&gone)?)
            .bind(lease_end(context.now, terms.grace))
            .execute(&mut *context.connection)
            .await?;
    }
    if terms.followed {
        sqlx::query(FOLLOW).bind(&keys).execute(&mut *context.connection).await?;
    }
    Ok(())
}

/// A manifest that goes, as the statements read it: id, deletion, repository, digest, name of the
/// repository, and what the tags begin with that attach artifacts to it.
#[derive(Serialize)]
struct Key<'a>(i64, i64, i64, String, &'a str, String);

impl<'a> Key<'a> {
    fn of(doomed: &'a Doomed) -> Self {
        let Doomed { id, repository_id, repository, digest, deletion } = doomed;
        let [plain, ..] = attached_tags(digest);
        Self(*id, *deletion, *repository_id, digest_hex(digest), repository.as_str(), plain)
    }
}

/// Takes some of the tags of manifests that go; false when those were the last.
async fn take_tags_of(
    context: &mut Context<'_>,
    doomed: &[Doomed],
    keys: &str,
    terms: &Terms<'_>,
    stale: &mut Stale,
) -> Result<bool, Fault> {
    let rows: Vec<(i64, String)> = sqlx::query_as(TAKE_TAGS)
        .bind(keys)
        .bind(AT_ONCE as i64)
        .fetch_all(&mut *context.connection)
        .await?;
    let mut tags = Vec::with_capacity(rows.len());
    for (manifest, name) in rows {
        let of = doomed.iter().find(|one| one.id == manifest).ok_or(Fault::Malformed("tag"))?;
        let (repository, digest, deletion) = (of.repository.clone(), of.digest, of.deletion);
        tags.push(TakenTag { repository, digest, deletion, tag: parse_tag(&name)? });
    }
    tags.sort_unstable_by(|one, other| one.tag.as_str().cmp(other.tag.as_str()));
    record_tags(context, &tags, terms, stale).await?;
    tell_of_tags(context, &tags, terms).await?;
    Ok(tags.len() == AT_ONCE)
}

/// A tag that was taken away.
pub(super) struct TakenTag {
    pub(super) repository: RepositoryName,
    pub(super) tag: Tag,
    /// What it pointed to.
    pub(super) digest: Digest,
    pub(super) deletion: i64,
}

/// Records tags that were taken away.
pub(super) async fn record_tags(
    context: &mut Context<'_>,
    tags: &[TakenTag],
    terms: &Terms<'_>,
    stale: &mut Stale,
) -> Result<(), Fault> {
    if tags.is_empty() {
        return Ok(());
    }
    let row = |taken: &TakenTag| {
        let TakenTag { repository, tag, digest, deletion } = taken;
        (*deletion, digest_hex(digest), tag.to_string(), repository.to_string())
    };
    for taken in tags {
        stale.add(&taken.repository, Reference::Tag(taken.tag.clone()));
    }
    sqlx::query(RECORD_TAGS)
        .bind(json(&tags.iter().map(row).collect::<Vec<_>>())?)
        .bind(terms.is_recorded(context.now))
        .bind(context.record_links)
        .execute(&mut *context.connection)
        .await?;
    Ok(())
}

/// Records the events of tags that were taken away. Many are written at once, so that no number of
/// tags needs memory for all of them.
pub(super) async fn tell_of_tags(
    context: &mut Context<'_>,
    tags: &[TakenTag],
    terms: &Terms<'_>,
) -> Result<(), Fault> {
    for taken in tags {
        let event = |event: &NewEvent| event.of_deleted_tag(&taken.repository, &taken.tag);
        context.events.extend(terms.events.iter().map(event));
    }
    if context.events.len() > AT_ONCE {
        // The last one stays, so that the end of the transaction knows that there are events.
        let last = context.events.split_off(context.events.len() - 1);
        let most = std::mem::replace(context.events, last);
        events::insert(context.connection, context.now, &most).await?;
    }
    Ok(())
}

async fn let_go_of_blobs(
    context: &mut Context<'_>,
    keys: &str,
    terms: &Terms<'_>,
) -> Result<(), Fault> {
    let links: Vec<(i64, i64, i64)> =
        sqlx::query_as(LINKS).bind(keys).fetch_all(&mut *context.connection).await?;
    if links.is_empty() {
        return Ok(());
    }
    let (now, until) = (time(context.now)?, time(terms.until)?);
    let mut times = Vec::with_capacity(links.len());
    for (repository, blob, leased_until) in links {
        let leased_until = lifecycle::lease_after_deletion(time(leased_until)?, until);
        let review_at = lifecycle::review_after_deletion(leased_until, now, terms.grace);
        times.push((repository, blob, micros(leased_until), micros(review_at)));
    }
    sqlx::query(SET_TIMES).bind(json(&times)?).execute(&mut *context.connection).await?;
    Ok(())
}

pub(super) fn parse_tag(name: &str) -> Result<Tag, Fault> {
    name.parse().map_err(|_| Fault::Malformed("tag"))
}

pub(super) const TAKE_TAGS: &str = "
    DELETE FROM tags WHERE (repository_id, name) IN (
        SELECT t.repository_id, t.name FROM json_each($1) q
        CROSS JOIN tags t ON t.manifest_id = q.value ->> 0
        LIMIT $2
    )
    RETURNING manifest_id, name";

pub(super) const RECORD_TAGS: &str = "
    INSERT INTO deleted_tags (deletion_id, digest, name, repository)
    SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3 FROM json_each($1) WHERE $2
    ON CONFLICT (deletion_id, digest, name) DO NOTHING;
    INSERT INTO outbox (kind, repository, tag)
    SELECT 'delete_tag', value ->> 3, value ->> 2 FROM json_each($1) WHERE $3 ORDER BY key";

/// The digests of a manifest's references, each with whether the repository has what it names.
macro_rules! references {
    ($table:literal, $present:literal) => {
        concat!(
            "(SELECT json_group_array(json_array(lower(hex(p.digest)), EXISTS (",
            $present,
            "))) FROM ",
            $table,
            " p WHERE p.manifest_id = m.id)"
        )
    };
}

pub(super) const RECORD: &str = concat!(
    "INSERT INTO deleted_manifests (
        deletion_id, repository, digest, media_type, artifact_type, subject, created_at, annotations,
        blobs, manifests, payload
    )
    SELECT q.value ->> 1, q.value ->> 4, m.digest, m.media_type, m.artifact_type, m.subject,
        m.created_at, m.annotations, ",
    references!(
        "manifest_blobs",
        "SELECT 1 FROM blobs b
        JOIN repository_blobs l ON l.blob_id = b.id AND l.repository_id = m.repository_id
        WHERE b.digest = p.digest"
    ),
    ", ",
    references!(
        "manifest_manifests",
        "SELECT 1 FROM manifests c WHERE c.repository_id = m.repository_id AND c.digest = p.digest"
    ),
    ", m.payload
    FROM json_each($1) q CROSS JOIN manifests m ON m.id = q.value ->> 0
    WHERE true
    ON CONFLICT (deletion_id, digest) DO NOTHING"
);

pub(super) const LINKS: &str = "
    SELECT DISTINCT l.repository_id, l.blob_id, l.leased_until
    FROM json_each($1) q
    CROSS JOIN manifest_blobs p ON p.manifest_id = q.value ->> 0
    CROSS JOIN blobs b ON b.digest = p.digest
    CROSS JOIN repository_blobs l ON l.repository_id = p.repository_id AND l.blob_id = b.id";

pub(super) const SET_TIMES: &str = "
    UPDATE repository_blobs SET leased_until = k.value ->> 2, review_at = k.value ->> 3
    FROM json_each($1) k
    WHERE repository_id = k.value ->> 0 AND blob_id = k.value ->> 1";

/// The references go with the manifest by their foreign keys.
pub(super) const DELETE: &str = "
    DELETE FROM manifests WHERE id IN (SELECT value ->> 0 FROM json_each($1))
    RETURNING lower(hex(digest)), length(payload)";

/// In a storage tree a manifest is a file that is removed like a blob's, with the last one.
pub(super) const DISCARD_FILES: &str = "
    INSERT INTO outbox (kind, repository, digest)
    SELECT 'delete_manifest', value ->> 4, unhex(value ->> 3) FROM json_each($1) ORDER BY key;
    INSERT INTO garbage (digest, size, location, remove_at)
    SELECT unhex(f.value ->> 0), f.value ->> 1, '', $3 FROM json_each($2) f
    WHERE NOT EXISTS (SELECT 1 FROM manifests m WHERE m.digest = unhex(f.value ->> 0))
        AND NOT EXISTS (SELECT 1 FROM blobs b WHERE b.digest = unhex(f.value ->> 0))
    ON CONFLICT (digest, location) DO UPDATE SET
        size = excluded.size, remove_at = excluded.remove_at, round = 0, held_until = 0, gone = 0";

/// Remembers those that artifacts are attached to.
pub(super) const FOLLOW: &str = "
    INSERT INTO deleted_subjects (deletion_id, digest)
    SELECT q.value ->> 1, unhex(q.value ->> 3) FROM json_each($1) q
    WHERE EXISTS (
        SELECT 1 FROM manifests m
        WHERE m.repository_id = q.value ->> 2 AND m.subject = unhex(q.value ->> 3)
    ) OR EXISTS (
        SELECT 1 FROM tags t
        WHERE t.repository_id = q.value ->> 2 AND t.name IN (
            q.value ->> 5, q.value ->> 5 || '.sig', q.value ->> 5 || '.att', q.value ->> 5 || '.sbom'
        )
    )
    ON CONFLICT (deletion_id, digest) DO NOTHING";
