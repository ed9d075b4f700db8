//! What a worker does with blobs: it pushes them in every way, leaves uploads open, mounts and deletes.

use std::sync::Arc;

use super::line::{Line, Stop};
use super::model::{BlobLink, Presence, Session};
use super::worker::{Worker, pick};
use crate::content::Blob;
use crate::wire::{Request, delete, patch, post, put};

const MAX_BLOB: usize = 4 << 20;
/// Blobs shorter than this may have the same bytes by chance.
const DISTINCT: usize = 12;
/// Bytes that several workers push.
const SHARED_SEEDS: u64 = 40;
/// More open sessions than this are finished before others are begun.
const OPEN_SESSIONS: usize = 6;

impl Worker {
    pub(super) fn push_by_post(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
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

    pub(super) fn push_by_put(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let repository = self.repository();
        let (blob, entry) = self.content(repository, true);
        self.open_session(line, repository, blob, entry)?;
        self.finish_session(line, self.model.sessions.len() - 1)?;
        self.model.counts.puts += 1;
        Ok(())
    }

    pub(super) fn push_in_chunks(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
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

    pub(super) fn go_on_with_a_session(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
        let Some(session) = self.any_session() else { return Ok(()) };
        self.send_chunk(line, session)?;
        if self.model.sessions.len() > OPEN_SESSIONS || self.chance(30) {
            self.finish_session(line, session)?;
            self.model.counts.chunked += 1;
        }
        Ok(())
    }

    pub(super) fn cancel_a_session(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
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

    pub(super) fn mount(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
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

    pub(super) fn delete_a_blob(&mut self, line: &mut Line<'_>) -> Result<(), Stop> {
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

    fn any_session(&mut self) -> Option<usize> {
        pick(&mut self.random, &self.model.sessions, Session::is_certain)
    }
}
