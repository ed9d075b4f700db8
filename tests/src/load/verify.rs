//! What must be there after a crash, seen over HTTP.

use std::net::SocketAddr;

use crate::content::{Blob, sha256};
use crate::wire::{Answer, delete, get, post, put};
use anyhow::{Context as _, Result, ensure};

use super::Worker;
use super::client::Client;
use super::model::{BlobLink, Change, Image, Presence, Session, State, TagKey};

/// What is of these last rounds is verified whole, of the older a sample.
const RECENT: u32 = 3;
const SAMPLE: u64 = 12;

impl Worker {
    /// Settles what was unanswered and verifies what was answered; afterwards the model is certain again.
    pub fn verify(&mut self, address: SocketAddr, everything: bool) -> Result<()> {
        let mut client = Client::new(address);
        self.settle(&mut client)?;
        self.verify_blobs(&mut client, everything)?;
        self.verify_images(&mut client, everything)?;
        self.verify_tags(&mut client)
    }

    /// Finds out what became of the requests without an answer.
    pub(super) fn settle(&mut self, client: &mut Client) -> Result<()> {
        self.settle_change(client)?;
        self.verify_ended(client)?;
        let unanswered = self.settle_blobs(client)?;
        self.settle_sessions(client, &unanswered)?;
        for blob in unanswered {
            self.push_again(client, blob)?;
        }
        Ok(())
    }

    /// The unanswered change happened whole or not at all.
    fn settle_change(&mut self, client: &mut Client) -> Result<()> {
        let Some(Change { image, before, after }) = self.model.pending.take() else {
            return Ok(());
        };
        if self.stands(client, image, &after)? {
            self.model.counts.changes_done += 1;
            self.model.settle(image, after);
        } else {
            let digest = &self.model.images[image].manifest.digest;
            ensure!(
                self.stands(client, image, &before)?,
                "manifest {digest} is neither {before:?} nor {after:?}"
            );
            self.model.counts.changes_undone += 1;
            self.model.settle(image, before);
        }
        Ok(())
    }

    fn stands(&self, client: &mut Client, image: usize, state: &State) -> Result<bool> {
        let mut stands = has_image(client, &self.model.images[image])? == state.present;
        for (key, at) in &state.tags {
            let expected = at.map(|at| &self.model.images[at].manifest.digest);
            stands &= resolve(client, key)?.as_ref() == expected;
        }
        Ok(stands)
    }

    fn verify_ended(&mut self, client: &mut Client) -> Result<()> {
        for path in self.model.ended.drain(..) {
            client.expect(404, &get(path))?;
            self.model.counts.stayed_ended += 1;
        }
        Ok(())
    }

    /// An unanswered blob is whole or absent. Tells which blobs were unanswered.
    fn settle_blobs(&mut self, client: &mut Client) -> Result<Vec<usize>> {
        let mut unanswered = Vec::new();
        for (place, blob) in self.model.blobs.iter_mut().enumerate() {
            if blob.presence != Presence::Unknown {
                continue;
            }
            unanswered.push(place);
            if is_whole(client, blob)? {
                blob.presence = Presence::Present;
                self.model.counts.unknown_whole += 1;
            } else {
                blob.presence = Presence::Absent;
                self.model.counts.unknown_absent += 1;
            }
        }
        Ok(unanswered)
    }

    /// Every session stands where its last answer said, or where an unanswered request took it, and can go on.
    fn settle_sessions(&mut self, client: &mut Client, unanswered: &[usize]) -> Result<()> {
        for session in std::mem::take(&mut self.model.sessions) {
            let by_put = unanswered.contains(&session.blob);
            let what = format!(
                "session {} of {} bytes, {} acknowledged, {} sent{}",
                session.path,
                session.bytes.len(),
                session.acknowledged,
                session.sent,
                if session.ending { ", ending" } else { "" },
            );
            self.settle_session(client, session, by_put).context(what)?;
        }
        Ok(())
    }

    /// `by_put`: the unanswered request may have made the session's bytes a blob that was not there before.
    fn settle_session(
        &mut self,
        client: &mut Client,
        session: Session,
        by_put: bool,
    ) -> Result<()> {
        let BlobLink { presence, shared, .. } = self.model.blobs[session.blob];
        let answer = client.send(&get(session.path.clone()))?;
        if answer.status == 404 {
            ensure!(session.ending, "is lost");
            let again = client.send(&delete(session.path.clone()))?;
            ensure!([204, 404].contains(&again.status), "cannot be cancelled: {}", again.text());
            self.model.counts.ended += 1;
            if by_put && presence == Presence::Absent {
                self.model.counts.ended_without_blob += 1;
            }
            return Ok(());
        }
        let offset = offset(&answer.expect(204)?)?;
        ensure!((session.acknowledged..=session.sent).contains(&offset), "stands at {offset}");
        ensure!(
            !by_put || shared || presence == Presence::Absent,
            "is open although it became a blob"
        );
        match self.random.below(100) {
            0..45 => self.resume(client, &session, offset),
            45..65 => {
                client.expect(204, &delete(session.path.clone()))?;
                client.expect(404, &get(session.path))?;
                self.model.counts.cancelled_later += 1;
                Ok(())
            }
            _ => {
                self.model.counts.kept += 1;
                let (acknowledged, sent) = (offset, offset);
                self.model.sessions.push(Session { acknowledged, sent, ending: false, ..session });
                Ok(())
            }
        }
    }

    fn resume(&mut self, client: &mut Client, session: &Session, offset: usize) -> Result<()> {
        let Session { path, bytes, blob, .. } = session;
        let blob = &mut self.model.blobs[*blob];
        let mut request = put(path.clone()).with_query(&format!("digest={}", blob.digest));
        if offset < bytes.len() {
            request = request
                .header("Content-Range", format!("{offset}-{}", bytes.len() - 1))
                .body(&bytes[offset..]);
        }
        client.expect(201, &request)?;
        blob.presence = Presence::Present;
        ensure!(is_whole(client, blob)?, "became no blob");
        client.expect(404, &get(path.clone()))?;
        self.model.counts.resumed += 1;
        Ok(())
    }

    fn push_again(&mut self, client: &mut Client, place: usize) -> Result<()> {
        let blob = &self.model.blobs[place];
        let BlobLink { repository, digest, seed, len, .. } = blob;
        let bytes = Blob::random(*seed, *len).bytes;
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        client.expect(201, &post(target).body(bytes))?;
        ensure!(is_whole(client, blob)?, "{digest} is gone after it was pushed again");
        self.model.blobs[place].presence = Presence::Present;
        self.model.counts.pushed_again += 1;
        Ok(())
    }

    fn verify_blobs(&mut self, client: &mut Client, everything: bool) -> Result<()> {
        for place in
            self.chosen(everything, self.model.blobs.len(), |w, at| w.model.blobs[at].round)
        {
            let blob = &self.model.blobs[place];
            let whole = is_whole(client, blob)?;
            let BlobLink { repository, digest, round, .. } = blob;
            match blob.presence {
                Presence::Present => {
                    ensure!(whole, "{repository}@{digest} of round {round} is lost");
                    self.model.counts.blobs_verified += 1;
                }
                _ => {
                    ensure!(!whole, "{repository}@{digest} of round {round} came back");
                    self.model.counts.blobs_absent += 1;
                }
            }
        }
        Ok(())
    }

    fn verify_images(&mut self, client: &mut Client, everything: bool) -> Result<()> {
        let count = self.model.images.len();
        for place in self.chosen(everything, count, |w, at| w.model.images[at].round) {
            let image = &self.model.images[place];
            let there = has_image(client, image)?;
            let Image { repository, manifest, present, round } = image;
            let digest = &manifest.digest;
            ensure!(
                there == *present,
                "manifest {repository}@{digest} of round {round} is {}",
                if *present { "lost" } else { "there again" }
            );
            match there {
                true => self.model.counts.images_verified += 1,
                false => self.model.counts.images_absent += 1,
            }
        }
        Ok(())
    }

    fn verify_tags(&mut self, client: &mut Client) -> Result<()> {
        for (key, at) in &self.model.tags {
            let expected = at.map(|at| &self.model.images[at].manifest.digest);
            let found = resolve(client, key)?;
            ensure!(found.as_ref() == expected, "{key:?} points to {found:?}, not to {expected:?}");
            self.model.counts.tags_verified += 1;
        }
        Ok(())
    }

    fn chosen(
        &mut self,
        everything: bool,
        count: usize,
        round: fn(&Self, usize) -> u32,
    ) -> Vec<usize> {
        let mut chosen = Vec::new();
        for place in 0..count {
            let recent = round(self, place) + RECENT > self.round;
            if everything || recent || self.random.below(count as u64) < SAMPLE {
                chosen.push(place);
            }
        }
        chosen
    }
}

/// Whether the blob is there, all of it and nothing else; an error if it is there in any other way.
pub(super) fn is_whole(client: &mut Client, blob: &BlobLink) -> Result<bool> {
    let BlobLink { repository, digest, len, .. } = blob;
    let path = format!("/v2/{repository}/blobs/{digest}");
    let answer = client.send(&get(path.clone()))?;
    if answer.status == 404 {
        return Ok(false);
    }
    let body = answer.expect(200).with_context(|| path.clone())?.body;
    ensure!(body.len() == *len, "{path} has {} bytes, not {len}", body.len());
    ensure!(sha256(&body) == *digest, "the bytes of {path} are {}", sha256(&body));
    Ok(true)
}

fn has_image(client: &mut Client, image: &Image) -> Result<bool> {
    let Image { repository, manifest, .. } = image;
    let path = format!("/v2/{repository}/manifests/{}", manifest.digest);
    let answer = client.send(&get(path.clone()))?;
    if answer.status == 404 {
        return Ok(false);
    }
    let answer = answer.expect(200).with_context(|| path.clone())?;
    ensure!(answer.body == manifest.bytes, "{path} has other bytes");
    ensure!(answer.header("content-type")? == manifest.media_type, "{path} has another type");
    Ok(true)
}

/// The digest that a tag stands for; its bytes must be of that digest.
fn resolve(client: &mut Client, (repository, tag): &TagKey) -> Result<Option<String>> {
    let path = format!("/v2/{repository}/manifests/{tag}");
    let answer = client.send(&get(path.clone()))?;
    if answer.status == 404 {
        return Ok(None);
    }
    let answer = answer.expect(200).with_context(|| path.clone())?;
    let digest = sha256(&answer.body);
    ensure!(answer.header("docker-content-digest")? == digest, "{path} is of other bytes");
    Ok(Some(digest))
}

/// How many bytes a session has. One with a single byte looks like one with none; these tests make none such.
fn offset(status: &Answer) -> Result<usize> {
    let range = status.header("range")?;
    let last = range.strip_prefix("0-").and_then(|last| last.parse().ok());
    let last: usize = last.with_context(|| format!("Range: {range}"))?;
    Ok(if last == 0 { 0 } else { last + 1 })
}
