//! What a worker does until the registry dies, or until it has done enough.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::client::Client;
use super::line::{Line, Stop};
use super::model::{BlobLink, Model, Presence, TagKey};
use super::{Health, Watch};
use crate::content::{self, Random};
use crate::wire::get;

/// The repositories that all workers share.
pub const REPOSITORIES: [&str; 3] = ["crash/one", "crash/two", "three"];

/// One connection's work, and what it learned.
#[derive(Debug)]
pub struct Worker {
    pub(super) number: u64,
    pub(super) random: Random,
    /// What it knows of the registry.
    pub model: Model,
    pub(super) round: u32,
    pub(super) seed: u64,
    /// How many things it has made, so that no two are the same.
    pub(super) made: u64,
}

/// How long a client waits that was told to come back later, or not told anything.
const PAUSE: Duration = Duration::from_millis(100);

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

    pub(super) fn repository(&mut self) -> &'static str {
        REPOSITORIES[self.random.below(REPOSITORIES.len() as u64) as usize]
    }

    /// A tag that points to something, and to what.
    pub(super) fn any_tag(&mut self) -> Option<(TagKey, usize)> {
        let tags = self.model.tags.iter();
        let set: Vec<_> = tags.filter_map(|(key, at)| Some((key.clone(), (*at)?))).collect();
        (!set.is_empty()).then(|| self.random.choose(&set).clone())
    }

    pub(super) fn any_blob(&mut self, fits: impl Fn(&BlobLink) -> bool) -> Option<usize> {
        pick(&mut self.random, &self.model.blobs, fits)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }
}

fn same(path: &str, expected: &str, found: &str) -> Result<()> {
    ensure!(expected == found, "{path} is {found}, not {expected}");
    Ok(())
}

/// The place of some item that fits, if a few tries find one.
pub(super) fn pick<T>(
    random: &mut Random,
    items: &[T],
    fits: impl Fn(&T) -> bool,
) -> Option<usize> {
    let count = items.len() as u64;
    let mut tries = (0..if count > 0 { 20 } else { 0 }).map(|_| random.below(count) as usize);
    tries.find(|place| fits(&items[*place]))
}
