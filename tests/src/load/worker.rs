//! What a worker does until the registry dies, or until it has done enough.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use crate::content::{self, Blob, Manifest, Random};
use crate::wire::{Answer, Request, delete, get, patch, post, put};
use anyhow::{Context as _, Error, Result, ensure};
use serde_json::json;

use super::client::{Client, first_line};
use super::model::{BlobLink, Change, Image, Model, Presence, Session, State, TagKey};
use super::{Health, Watch};

/// The repositories that all workers share.
pub const REPOSITORIES: [&str; 3] = ["crash/one", "crash/two", "three"];
const MAX_BLOB: usize = 4 << 20;
/// Blobs shorter than this may have the same bytes by chance.
const DISTINCT: usize = 12;
/// Bytes that several workers push.
const SHARED_SEEDS: u64 = 40;
const TAGS: u64 = 12;
/// More open sessions than this are finished before others are begun.
const OPEN_SESSIONS: usize = 6;

/// One connection's work, and what it learned.
#[derive(Debug)]
pub struct Worker {
    pub(super) number: u64,
    pub(super) random: Random,
    /// What it knows of the registry.
    pub model: Model,
    pub(super) round: u32,
    seed: u64,
    made: u64,
}

/// How long a client waits that was told to come back later, or not told anything.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a step of a worker stops.
#[derive(Debug)]
enum Stop {
    /// The registry was killed, or says that it cannot serve now.
    Cut,
    /// The registry did what it may not.
    Wrong(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

struct Line<'a> {
    client: Client,
    watch: &'a Watch,
}

impl Line<'_> {
    fn expect(&mut self, status: u16, request: &Request) -> Result<Answer, Stop> {
        let before = self.watch.health();
        // A failure may leave a session held for a while by whoever could not let go of it.
        let answer = self.client.send_when_free(request);
        let health = [before, self.watch.health()];
        match answer {
            Ok(answer) if answer.status == status => Ok(answer),
            Ok(answer) if health.contains(&Health::Failing) && passes(&answer) => Err(Stop::Cut),
            Ok(answer) => Ok(answer.expect(status).with_context(|| first_line(request))?),
            Err(_) if health != [Health::Well; 2] => Err(Stop::Cut),
            Err(error) => Err(Stop::Wrong(error.context(first_line(request)))),
        }
    }
}

/// Whether an answer tells of a failure that passes: a client may come back.
fn passes(answer: &Answer) -> bool {
    match answer.status {
        503 => answer.find("retry-after").is_some(),
        status => matches!(status, 409 | 429 | 500..=599),
    }
}

impl Worker {
    /// A worker whose choices are the same for the same seed.
    #[must_use]
    pub fn new(number: u64, seed: u64) -> Self {
        let random = Random::new(seed.wrapping_mul(31).wrapping_add(number));
        Self { number, random, model: Model::default(), round: 0, seed, made: 0 }
    }

    /// Works until the registry is killed or it is told that this is enough; an error if the registry answers anything
    /// but what it must.
    pub fn load(&mut self, address: SocketAddr, watch: &Watch, round: u32) -> Result<()> {
        self.round = round;
        let mut line = Line { client: Client::new(address), watch };
        let mut cut = false;
        while !watch.is_enough() {
            match self.step(&mut line) {
                Ok(()) => {}
                Err(Stop::Wrong(error)) => return Err(error),
                Err(Stop::Cut) => {
                    cut = true;
                    self.model.counts.cut_requests += 1;
                    if watch.health() == Health::Killed {
                        break;
                    }
                    sleep(PAUSE);
                }
            }
            if cut && watch.health() == Health::Well {
                self.settle(&mut line.client).context("after it has failed")?;
                cut = false;
            }
        }
        self.model.counts.cut_changes += u64::from(self.model.pending.is_some());
        Ok(())
    }

    fn step(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        match self.random.below(100) {
            0..20 => self.push_by_post(line),
            20..36 => self.push_by_put(line),
            36..52 => self.push_in_chunks(line),
            52..57 => self.go_on_with_a_session(line),
            57..60 => self.cancel_a_session(line),
            60..68 => self.mount(line),
            68..71 => self.delete_a_blob(line),
            71..75 => self.read(line),
            // Of one change at most is it unknown whether it happened.
            _ if self.model.pending.is_some() => Ok(()),
            75..89 => self.push_an_image(line),
            89..94 => self.move_a_tag(line),
            94..97 => self.delete_a_tag(line),
            _ => self.delete_an_image(line),
        }
    }

    fn push_by_post(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let repository = self.repository();
        let (blob, entry) = self.content(repository, true);
        self.model.may_appear(entry);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
        let request = self.with_body(post(target), blob.bytes);
        self.model.counts.cut_posts += 1;
        line.expect(201, &request)?;
        self.model.counts.cut_posts -= 1;
        self.model.counts.requests += 1;
        self.model.counts.posts += 1;
        self.model.blobs[entry].presence = Presence::Present;
        Ok(())
    }

    fn push_by_put(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let repository = self.repository();
        let (blob, entry) = self.content(repository, true);
        self.open_session(line, repository, blob, entry)?;
        self.finish_session(line, self.model.sessions.len() - 1)?;
        self.model.counts.puts += 1;
        Ok(())
    }

    fn push_in_chunks(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let repository = self.repository();
        let (blob, entry) = self.content(repository, false);
        self.open_session(line, repository, blob, entry)?;
        let session = self.model.sessions.len() - 1;
        for _ in 0..self.random.below(5) {
            self.send_chunk(line, session)?;
        }
        if self.chance(15) {
            self.model.counts.left_open += 1;
            return Ok(());
        }
        self.finish_session(line, session)?;
        self.model.counts.chunked += 1;
        Ok(())
    }

    fn go_on_with_a_session(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some(session) = self.any_session() else { return Ok(()) };
        self.send_chunk(line, session)?;
        if self.model.sessions.len() > OPEN_SESSIONS || self.chance(30) {
            self.finish_session(line, session)?;
            self.model.counts.chunked += 1;
        }
        Ok(())
    }

    fn cancel_a_session(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some(session) = self.any_session() else { return Ok(()) };
        self.model.sessions[session].ending = true;
        self.model.counts.cut_cancels += 1;
        line.expect(204, &delete(self.model.sessions[session].path.clone()))?;
        self.model.counts.cut_cancels -= 1;
        self.model.counts.requests += 1;
        self.model.counts.cancels += 1;
        self.model.end_session(session);
        Ok(())
    }

    fn open_session(
        &mut self,
        line: &mut Line<'_>,
        repository: &'static str,
        blob: Blob,
        entry: usize,
    ) -> Result<(), Stop> {
        let answer = line.expect(202, &post(format!("/v2/{repository}/blobs/uploads/")))?;
        self.model.counts.requests += 1;
        self.model.sessions.push(Session {
            path: answer.location()?,
            blob: entry,
            bytes: Arc::new(blob.bytes),
            acknowledged: 0,
            sent: 0,
            ending: false,
        });
        Ok(())
    }

    fn send_chunk(&mut self, line: &mut Line<'_>, session: usize) -> Result<(), Stop> {
        let Session { path, bytes, acknowledged: from, .. } = self.model.sessions[session].clone();
        // A session with one byte answers as one with none does, so no chunk has one.
        let left = bytes.len() - from;
        if left < 2 {
            return Ok(());
        }
        let to = from + 2 + self.random.below(left as u64 - 1) as usize;
        let mut request = patch(path).header("Content-Type", "application/octet-stream");
        if self.chance(50) {
            request = request.header("Content-Range", format!("{from}-{}", to - 1));
        }
        let request = self.with_body(request, bytes[from..to].to_vec());
        self.model.sessions[session].sent = to;
        let answer = line.expect(202, &request)?;
        self.model.counts.requests += 1;
        let session = &mut self.model.sessions[session];
        session.acknowledged = to;
        session.path = answer.location()?;
        Ok(())
    }

    fn finish_session(&mut self, line: &mut Line<'_>, session: usize) -> Result<(), Stop> {
        let Session { path, bytes, blob, acknowledged, .. } = self.model.sessions[session].clone();
        self.model.may_appear(blob);
        let finishing = &mut self.model.sessions[session];
        finishing.sent = bytes.len();
        finishing.ending = true;
        let request = put(path).with_query(&format!("digest={}", self.model.blobs[blob].digest));
        let request = match bytes.len() - acknowledged {
            0 => request,
            _ => self.with_body(request, bytes[acknowledged..].to_vec()),
        };
        self.model.counts.cut_finishes += 1;
        line.expect(201, &request)?;
        self.model.counts.cut_finishes -= 1;
        self.model.counts.requests += 1;
        self.model.blobs[blob].presence = Presence::Present;
        self.model.end_session(session);
        Ok(())
    }

    fn mount(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some(source) = self.any_blob(|blob| blob.presence == Presence::Present) else {
            return Ok(());
        };
        let target = self.repository();
        let BlobLink { repository: from, digest, .. } = self.model.blobs[source].clone();
        let mut request = format!("/v2/{target}/blobs/uploads/?mount={digest}");
        if self.chance(70) {
            request.push_str(&format!("&from={from}"));
        }
        let entry = self.model.mounted(target, source, self.round);
        self.model.may_appear(entry);
        line.expect(201, &post(request))?;
        self.model.counts.requests += 1;
        self.model.counts.mounts += 1;
        self.model.blobs[entry].presence = Presence::Present;
        Ok(())
    }

    fn delete_a_blob(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let free =
            |blob: &BlobLink| blob.presence == Presence::Present && !blob.shared && !blob.used;
        let Some(entry) = self.any_blob(free) else { return Ok(()) };
        let blob = &mut self.model.blobs[entry];
        blob.presence = Presence::Unknown;
        line.expect(202, &delete(format!("/v2/{}/blobs/{}", blob.repository, blob.digest)))?;
        blob.presence = Presence::Absent;
        self.model.counts.requests += 1;
        self.model.counts.blob_deletes += 1;
        Ok(())
    }

    /// A blob, and where it is certain what a tag points to, that.
    fn read(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let present = |blob: &BlobLink| blob.presence == Presence::Present;
        if let Some(blob) = self.any_blob(present) {
            let BlobLink { repository, digest, .. } = &self.model.blobs[blob];
            let path = format!("/v2/{repository}/blobs/{digest}");
            let answer = line.expect(200, &get(path.clone()))?;
            same(&path, digest, &content::sha256(&answer.body))?;
            self.model.counts.reads += 1;
        }
        if let Some((key, image)) = self.any_tag().filter(|_| self.model.pending.is_none()) {
            let path = format!("/v2/{}/manifests/{}", key.0, key.1);
            let answer = line.expect(200, &get(path.clone()))?;
            let digest = &self.model.images[image].manifest.digest;
            same(&path, digest, &content::sha256(&answer.body))?;
            self.model.counts.reads += 1;
        }
        Ok(())
    }

    /// A new image, or one that was deleted; by a tag, or by its digest with several.
    fn push_an_image(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let known = self.any_image(|image| !image.present).filter(|_| self.chance(20));
        let Some(image) = known.or_else(|| self.compose()) else { return Ok(()) };
        let Image { repository, manifest, .. } = self.model.images[image].clone();
        let mut keys = vec![self.tag(repository)];
        let mut target = format!("/v2/{repository}/manifests/{}", keys[0].1);
        if self.chance(40) {
            keys.extend((0..self.random.below(3)).map(|_| self.tag(repository)));
            keys.sort();
            keys.dedup();
            let tags: Vec<_> = keys.iter().map(|(_, tag)| format!("tag={tag}")).collect();
            target = format!("/v2/{repository}/manifests/{}?{}", manifest.digest, tags.join("&"));
        }
        self.put_image(line, image, target, keys)?;
        self.model.counts.image_pushes += 1;
        Ok(())
    }

    fn move_a_tag(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some(image) = self.any_image(|image| image.present) else { return Ok(()) };
        let key = self.tag(self.model.images[image].repository);
        let target = format!("/v2/{}/manifests/{}", key.0, key.1);
        self.put_image(line, image, target, vec![key])?;
        self.model.counts.tag_moves += 1;
        Ok(())
    }

    fn put_image(
        &mut self,
        line: &mut Line<'_>,
        image: usize,
        target: String,
        keys: Vec<TagKey>,
    ) -> Result<(), Stop> {
        let Image { manifest, present, .. } = self.model.images[image].clone();
        let now = |key: &TagKey| self.model.tags.get(key).copied().flatten();
        let before =
            State { present, tags: keys.iter().map(|key| (key.clone(), now(key))).collect() };
        let tags = keys.into_iter().map(|key| (key, Some(image))).collect();
        let after = State { present: true, tags };
        let request = put(target).header("Content-Type", manifest.media_type).body(manifest.bytes);
        self.change(line, 201, &request, Change { image, before, after })
    }

    fn delete_a_tag(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some((key, image)) = self.any_tag() else { return Ok(()) };
        let request = delete(format!("/v2/{}/manifests/{}", key.0, key.1));
        let before = State { present: true, tags: [(key.clone(), Some(image))].into() };
        let after = State { present: true, tags: [(key, None)].into() };
        self.change(line, 202, &request, Change { image, before, after })?;
        self.model.counts.tag_deletes += 1;
        Ok(())
    }

    fn delete_an_image(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some(image) = self.any_image(|image| image.present) else { return Ok(()) };
        let Image { repository, manifest, .. } = &self.model.images[image];
        let request = delete(format!("/v2/{repository}/manifests/{}", manifest.digest));
        let tagged = self.model.tags.iter().filter(|(_, at)| **at == Some(image));
        let tags: BTreeMap<_, _> = tagged.map(|(key, at)| (key.clone(), *at)).collect();
        let untagged = tags.keys().map(|key| (key.clone(), None)).collect();
        let before = State { present: true, tags };
        let after = State { present: false, tags: untagged };
        self.change(line, 202, &request, Change { image, before, after })?;
        self.model.counts.image_deletes += 1;
        Ok(())
    }

    fn change(
        &mut self,
        line: &mut Line<'_>,
        status: u16,
        request: &Request,
        change: Change,
    ) -> Result<(), Stop> {
        self.model.pending = Some(change.clone());
        line.expect(status, request)?;
        self.model.counts.requests += 1;
        self.model.pending = None;
        self.model.settle(change.image, change.after);
        Ok(())
    }

    /// A manifest over blobs of one repository that are there.
    fn compose(&mut self) -> Option<usize> {
        let repository = self.repository();
        let present =
            |blob: &BlobLink| blob.presence == Presence::Present && blob.repository == repository;
        let parts: Vec<usize> =
            (0..1 + self.random.below(4)).filter_map(|_| self.any_blob(present)).collect();
        let descriptors: Vec<_> = parts
            .iter()
            .map(|part| &self.model.blobs[*part])
            .map(|blob| json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": blob.digest, "size": blob.len }))
            .collect();
        let (config, layers) = descriptors.split_first()?;
        self.made += 1;
        let manifest = Manifest::new(&json!({
            "schemaVersion": 2,
            "mediaType": content::IMAGE,
            "config": config,
            "layers": layers,
            "annotations": { "maker": format!("{} {}", self.number, self.made) },
        }));
        for part in parts {
            self.model.blobs[part].used = true;
        }
        let image = Image { repository, manifest, present: false, round: self.round };
        self.model.images.push(image);
        Some(self.model.images.len() - 1)
    }

    /// New bytes; bytes that others push too, if that is wanted.
    fn content(&mut self, repository: &'static str, may_share: bool) -> (Blob, usize) {
        let (seed, len) = if may_share && self.chance(15) {
            let seed = self.random.below(SHARED_SEEDS);
            (seed, 1 + (seed * seed * 61) as usize)
        } else {
            self.made += 1;
            let seed = self.seed ^ ((self.number + 1) << 48) ^ (self.made << 8);
            let shortest = if may_share { 1 } else { DISTINCT };
            (seed, self.size().max(shortest))
        };
        let shared = len < DISTINCT || seed < SHARED_SEEDS;
        let blob = Blob::random(seed, len);
        let entry = self.model.blob(repository, &blob, seed, shared, self.round);
        if shared {
            self.model.may_appear(entry);
        }
        (blob, entry)
    }

    /// Every magnitude from 1 byte up, the small ones more often, so that much happens before the kill.
    fn size(&mut self) -> usize {
        let magnitudes = u64::from(MAX_BLOB.ilog2());
        let magnitude = 1 << self.random.below(magnitudes).min(self.random.below(magnitudes));
        magnitude + self.random.below(magnitude as u64) as usize
    }

    fn with_body(&mut self, request: Request, bytes: Vec<u8>) -> Request {
        if self.chance(30) { request.streamed(bytes) } else { request.body(bytes) }
    }

    fn repository(&mut self) -> &'static str {
        REPOSITORIES[self.random.below(REPOSITORIES.len() as u64) as usize]
    }

    /// A tag that no other worker uses.
    fn tag(&mut self, repository: &'static str) -> TagKey {
        (repository, format!("w{}-{}", self.number, self.random.below(TAGS)))
    }

    fn any_session(&mut self) -> Option<usize> {
        pick(&mut self.random, &self.model.sessions, Session::is_certain)
    }

    /// A tag that points to something, and to what.
    fn any_tag(&mut self) -> Option<(TagKey, usize)> {
        let tags = self.model.tags.iter();
        let set: Vec<_> = tags.filter_map(|(key, at)| Some((key.clone(), (*at)?))).collect();
        (!set.is_empty()).then(|| self.random.choose(&set).clone())
    }

    fn any_blob(&mut self, fits: impl Fn(&BlobLink) -> bool) -> Option<usize> {
        pick(&mut self.random, &self.model.blobs, fits)
    }

    fn any_image(&mut self, fits: impl Fn(&Image) -> bool) -> Option<usize> {
        pick(&mut self.random, &self.model.images, fits)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }
}

fn same(path: &str, expected: &str, found: &str) -> Result<()> {
    ensure!(expected == found, "{path} is {found}, not {expected}");
    Ok(())
}

/// The place of some item that fits, if a few tries find one.
fn pick<T>(random: &mut Random, items: &[T], fits: impl Fn(&T) -> bool) -> Option<usize> {
    let count = items.len() as u64;
    let mut tries = (0..if count > 0 { 20 } else { 0 }).map(|_| random.below(count) as usize);
    tries.find(|place| fits(&items[*place]))
}
