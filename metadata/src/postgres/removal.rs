//! The taking away of manifests and tags, however it comes to that: what goes is recorded so that it can
//! be had back, told to the storage tree and to whoever wants to know, and its blobs are let go of.

use std::time::Duration;

use berth_oci::{Digest, RepositoryName, Tag, attached_tags};

use super::engine::Context;
use super::session::Session;
use super::{events, now};
use crate::encoding::{digest_bytes, duration, micros, time};
use crate::fault::Fault;
use crate::{NewEvent, lifecycle};

/// How many tags are taken at a time, and how many events are held before they are written.
const AT_ONCE: usize = 1000;

/// A manifest that goes. Its row is locked.
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
    /// Until when they can be had back.
    pub(super) until: i64,
    /// Whether they can be had back at all.
    pub(super) recorded: bool,
    /// Whether the artifacts attached to the manifests are to follow.
    pub(super) followed: bool,
    pub(super) events: &'a [NewEvent],
}

/// Takes manifests away, with all their tags and references.
pub(super) async fn remove(
    context: &mut Context<'_>,
    doomed: &[Doomed],
    terms: &Terms<'_>,
) -> Result<(), Fault> {
    if doomed.is_empty() {
        return Ok(());
    }
    for one in doomed {
        let event = |event: &NewEvent| event.of_deleted_manifest(&one.repository, &one.digest);
        context.events.extend(terms.events.iter().map(event));
    }
    let ids: Vec<i64> = doomed.iter().map(|one| one.id).collect();
    while take_tags_of(context, doomed, &ids, terms).await? {}
    let deletions: Vec<i64> = doomed.iter().map(|one| one.deletion).collect();
    if terms.recorded {
        context
            .session
            .query(RECORD)
            .bind(&ids)
            .bind(&deletions)
            .execute(context.session.connection())
            .await?;
    }
    let_go_of_blobs(context.session, &ids, terms).await?;
    let gone: Vec<(Vec<u8>, i64)> =
        context.session.query_as(DELETE).bind(&ids).fetch_all(context.session.connection()).await?;
    if context.record_links {
        tell_of_manifests(context.session, doomed).await?;
    }
    if context.has_files {
        discard_files(context.session, gone, terms.grace).await?;
    }
    if terms.followed {
        follow(context.session, doomed, deletions).await?;
    }
    Ok(())
}

/// Takes some of the tags of manifests that go; false when those were the last.
async fn take_tags_of(
    context: &mut Context<'_>,
    doomed: &[Doomed],
    ids: &[i64],
    terms: &Terms<'_>,
) -> Result<bool, Fault> {
    let rows: Vec<(i64, String)> = context
        .session
        .query_as(TAKE_TAGS)
        .bind(ids)
        .bind(AT_ONCE as i64)
        .fetch_all(context.session.connection())
        .await?;
    let mut tags = Vec::with_capacity(rows.len());
    for (manifest, name) in rows {
        let of = doomed.iter().find(|one| one.id == manifest).ok_or(Fault::Malformed("tag"))?;
        let (repository, digest, deletion) = (of.repository.clone(), of.digest, of.deletion);
        tags.push(TakenTag { repository, digest, deletion, tag: parse_tag(&name)? });
    }
    tags.sort_unstable_by(|one, other| one.tag.as_str().cmp(other.tag.as_str()));
    record_tags(context, &tags, terms).await?;
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
) -> Result<(), Fault> {
    if tags.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = tags.iter().map(|taken| taken.tag.as_str()).collect();
    let repositories: Vec<&str> = tags.iter().map(|taken| taken.repository.as_str()).collect();
    if terms.recorded {
        let deletions: Vec<i64> = tags.iter().map(|taken| taken.deletion).collect();
        let digests: Vec<Vec<u8>> = tags.iter().map(|taken| digest_bytes(&taken.digest)).collect();
        context
            .session
            .query(RECORD_TAGS)
            .bind(deletions)
            .bind(digests)
            .bind(&names)
            .bind(&repositories)
            .execute(context.session.connection())
            .await?;
    }
    if context.record_links {
        context
            .session
            .query(TELL_TREE_OF_TAGS)
            .bind(repositories)
            .bind(names)
            .execute(context.session.connection())
            .await?;
    }
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
        events::insert(context.session, &most).await?;
    }
    Ok(())
}

async fn let_go_of_blobs(
    session: &mut Session,
    ids: &[i64],
    terms: &Terms<'_>,
) -> Result<(), Fault> {
    let links: Vec<(i64, i64, i64, i64)> =
        session.query_as(LINKS).bind(ids).fetch_all(session.connection()).await?;
    if links.is_empty() {
        return Ok(());
    }
    let until = time(terms.until)?;
    let (mut repositories, mut blobs, mut leases, mut reviews) = (vec![], vec![], vec![], vec![]);
    for (repository, blob, leased_until, now) in links {
        let leased_until = lifecycle::lease_after_deletion(time(leased_until)?, until);
        let review_at = lifecycle::review_after_deletion(leased_until, time(now)?, terms.grace);
        repositories.push(repository);
        blobs.push(blob);
        leases.push(micros(leased_until));
        reviews.push(micros(review_at));
    }
    session
        .query(SET_TIMES)
        .bind(repositories)
        .bind(blobs)
        .bind(leases)
        .bind(reviews)
        .execute(session.connection())
        .await?;
    Ok(())
}

async fn tell_of_manifests(session: &mut Session, doomed: &[Doomed]) -> Result<(), Fault> {
    let repositories: Vec<&str> = doomed.iter().map(|one| one.repository.as_str()).collect();
    let digests: Vec<Vec<u8>> = doomed.iter().map(|one| digest_bytes(&one.digest)).collect();
    session.query(TELL_TREE).bind(repositories).bind(digests).execute(session.connection()).await?;
    Ok(())
}

async fn discard_files(
    session: &mut Session,
    gone: Vec<(Vec<u8>, i64)>,
    grace: Duration,
) -> Result<(), Fault> {
    let (digests, sizes): (Vec<_>, Vec<_>) = gone.into_iter().unzip();
    session
        .query(DISCARD_FILES)
        .bind(digests)
        .bind(sizes)
        .bind(duration(grace))
        .execute(session.connection())
        .await?;
    Ok(())
}

/// Remembers those that artifacts are attached to.
async fn follow(
    session: &mut Session,
    doomed: &[Doomed],
    deletions: Vec<i64>,
) -> Result<(), Fault> {
    let repositories: Vec<i64> = doomed.iter().map(|one| one.repository_id).collect();
    let digests: Vec<Vec<u8>> = doomed.iter().map(|one| digest_bytes(&one.digest)).collect();
    let plain = |one: &Doomed| {
        let [plain, ..] = attached_tags(&one.digest);
        plain
    };
    session
        .query(FOLLOW)
        .bind(deletions)
        .bind(repositories)
        .bind(digests)
        .bind(doomed.iter().map(plain).collect::<Vec<_>>())
        .execute(session.connection())
        .await?;
    Ok(())
}

pub(super) fn parse_tag(name: &str) -> Result<Tag, Fault> {
    name.parse().map_err(|_| Fault::Malformed("tag"))
}

pub(super) const TAKE_TAGS: &str = "
    WITH taken AS (
        SELECT t.repository_id, t.name FROM tags t
        WHERE t.manifest_id = ANY($1)
        ORDER BY t.name
        LIMIT $2
        FOR UPDATE
    )
    DELETE FROM tags t USING taken
    WHERE t.repository_id = taken.repository_id AND t.name = taken.name
    RETURNING t.manifest_id, t.name";

const RECORD_TAGS: &str = "
    INSERT INTO deleted_tags (deletion_id, digest, name, repository)
    SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[])
    ON CONFLICT (deletion_id, digest, name) DO NOTHING";

const TELL_TREE_OF_TAGS: &str = "
    INSERT INTO outbox (kind, repository, tag)
    SELECT 'delete_tag', q.repository, q.tag
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS q (repository, tag, place)
    ORDER BY q.place";

/// The digests of a manifest's references, each with whether the repository has what it names.
macro_rules! references {
    ($table:literal, $present:literal) => {
        concat!(
            "(SELECT coalesce(json_agg(json_build_array(
                encode(p.digest, 'hex'), (EXISTS (",
            $present,
            "))::int)), '[]')::text FROM ",
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
    SELECT q.deletion, r.name, m.digest, m.media_type, m.artifact_type, m.subject, m.created_at,
        m.annotations, ",
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
    FROM unnest($1::bigint[], $2::bigint[]) AS q (id, deletion)
    JOIN manifests m ON m.id = q.id
    JOIN repositories r ON r.id = m.repository_id
    ON CONFLICT (deletion_id, digest) DO NOTHING"
);

/// Locks are taken in the order of the blobs.
pub(super) const LINKS: &str = concat!(
    "SELECT l.repository_id, l.blob_id, l.leased_until, ",
    now!(),
    " FROM (
        SELECT DISTINCT p.repository_id, b.id AS blob_id
        FROM manifest_blobs p
        JOIN blobs b ON b.digest = p.digest
        WHERE p.manifest_id = ANY($1)
    ) f
    JOIN repository_blobs l ON l.repository_id = f.repository_id AND l.blob_id = f.blob_id
    ORDER BY l.blob_id, l.repository_id
    FOR UPDATE OF l"
);

pub(super) const SET_TIMES: &str = "
    UPDATE repository_blobs l SET leased_until = k.leased_until, review_at = k.review_at
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
        AS k (repository_id, blob_id, leased_until, review_at)
    WHERE l.repository_id = k.repository_id AND l.blob_id = k.blob_id";

/// The references go with the manifest by their foreign keys.
const DELETE: &str = "
    DELETE FROM manifests WHERE id = ANY($1) RETURNING digest, length(payload)::bigint";

const TELL_TREE: &str = "
    INSERT INTO outbox (kind, repository, digest)
    SELECT 'delete_manifest', q.repository, q.digest
    FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS q (repository, digest, place)
    ORDER BY q.place";

/// In a storage tree a manifest is a file that is removed like a blob's, with the last one.
pub(super) const DISCARD_FILES: &str = concat!(
    "INSERT INTO garbage (digest, size, location, remove_at)
    SELECT DISTINCT ON (f.digest) f.digest, f.size, '', ",
    now!(),
    " + $3
    FROM unnest($1::bytea[], $2::bigint[]) AS f (digest, size)
    WHERE (SELECT count(*) FROM manifests m WHERE m.digest = f.digest) = 0
        AND (SELECT count(*) FROM blobs b WHERE b.digest = f.digest) = 0
    ON CONFLICT (digest, location) DO UPDATE SET
        size = excluded.size, remove_at = excluded.remove_at, round = 0, held_until = 0, gone = 0"
);

/// The counts keep the planner from reading all manifests at once.
pub(super) const FOLLOW: &str = "
    INSERT INTO deleted_subjects (deletion_id, digest)
    SELECT q.deletion, q.digest
    FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::text[])
        AS q (deletion, repository_id, digest, plain)
    WHERE (
        SELECT count(*) FROM (
            SELECT 1 FROM manifests m
            WHERE m.repository_id = q.repository_id AND m.subject = q.digest LIMIT 1
        ) f
    ) > 0 OR (
        SELECT count(*) FROM tags t
        WHERE t.repository_id = q.repository_id AND t.name = ANY (ARRAY[
            q.plain, q.plain || '.sig', q.plain || '.att', q.plain || '.sbom'
        ])
    ) > 0
    ON CONFLICT (deletion_id, digest) DO NOTHING";
