//! A client that pushes images of layers that others push too, pulls them back whole, and deletes them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use berth_tests::content::{Blob, Manifest, Random, sha256};
use berth_tests::load::Client;
use berth_tests::wire::{delete, get, head, patch, post, put};

/// Layers that all workers take from: the fewer, the more often one is deleted here and pushed there.
const LAYERS: u64 = 12;
const MAX_LAYER: u64 = 64 << 10;
/// A worker keeps so many images at most.
const IMAGES: usize = 6;
const REPOSITORIES: [&str; 3] = ["soak/one", "soak/two", "three"];

/// What all workers do together.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) pushes: AtomicU64,
    pub(crate) uploads: AtomicU64,
    pub(crate) mounts: AtomicU64,
    /// Layers that were there, so that they were not pushed.
    pub(crate) found: AtomicU64,
    pub(crate) pulls: AtomicU64,
    pub(crate) deletes: AtomicU64,
}

/// An image that was pushed, and must be there.
#[derive(Clone, Debug)]
struct Image {
    repository: &'static str,
    tag: String,
    manifest: Manifest,
    blobs: Vec<Arc<Blob>>,
}

pub(crate) struct Worker<'a> {
    number: u64,
    random: Random,
    layers: Arc<[Arc<Blob>]>,
    counts: &'a Counts,
    images: Vec<Image>,
    made: u64,
}

/// The layers that all take from.
pub(crate) fn layers(seed: u64) -> Arc<[Arc<Blob>]> {
    let mut random = Random::new(seed);
    let layer = |number| Blob::random(seed ^ (number << 8), 1 + random.below(MAX_LAYER) as usize);
    (0..LAYERS).map(layer).map(Arc::new).collect()
}

impl<'a> Worker<'a> {
    pub(crate) fn new(
        number: u64,
        seed: u64,
        layers: Arc<[Arc<Blob>]>,
        counts: &'a Counts,
    ) -> Self {
        let random = Random::new(seed.wrapping_mul(31).wrapping_add(number));
        Self { number, random, layers, counts, images: Vec::new(), made: 0 }
    }

    /// Works until `enough`. Whatever is answered otherwise than it must be ends it.
    pub(crate) fn work(&mut self, addresses: &[SocketAddr], enough: &AtomicBool) -> Result<()> {
        let mut clients: Vec<_> = addresses.iter().copied().map(Client::new).collect();
        while !enough.load(Ordering::SeqCst) {
            let client = &mut clients[self.random.below(addresses.len() as u64) as usize];
            match self.random.below(10) {
                0..5 => self.push(client)?,
                5..8 => self.pull_one(client)?,
                _ => self.delete_one(client)?,
            }
            if self.images.len() > IMAGES {
                self.delete_one(client)?;
            }
        }
        Ok(())
    }

    /// Pulls all that must be there.
    pub(crate) fn pull_all(&self, address: SocketAddr) -> Result<()> {
        let mut client = Client::new(address);
        self.images.iter().try_for_each(|image| self.pull(&mut client, image))
    }

    pub(crate) fn delete_all(&mut self, address: SocketAddr) -> Result<()> {
        let mut client = Client::new(address);
        while !self.images.is_empty() {
            self.delete_one(&mut client)?;
        }
        Ok(())
    }

    /// As a client does it: it looks whether a layer is there before it pushes it.
    fn push(&mut self, client: &mut Client) -> Result<()> {
        let repository = REPOSITORIES[self.random.below(3) as usize];
        self.made += 1;
        let config = Arc::new(Blob::new(format!("{{\"made\":\"{} {}\"}}", self.number, self.made)));
        let mut blobs = vec![config];
        for _ in 0..=self.random.below(3) {
            let layer = &self.layers[self.random.below(LAYERS) as usize];
            if !blobs.contains(layer) {
                blobs.push(layer.clone());
            }
        }
        for blob in &blobs {
            self.bring(client, repository, blob)?;
        }
        let layers: Vec<&Blob> = blobs[1..].iter().map(Arc::as_ref).collect();
        let manifest = Manifest::image(&blobs[0], &layers);
        let tag = format!("w{}-{}", self.number, self.made);
        let request = put(format!("/v2/{repository}/manifests/{tag}"))
            .header("Content-Type", &manifest.media_type)
            .body(&*manifest.bytes);
        client.expect(201, &request)?;
        self.counts.pushes.fetch_add(1, Ordering::Relaxed);
        self.images.push(Image { repository, tag, manifest, blobs });
        Ok(())
    }

    fn bring(&mut self, client: &mut Client, repository: &str, blob: &Blob) -> Result<()> {
        let path = format!("/v2/{repository}/blobs/{}", blob.digest);
        if client.send(&head(path))?.status == 200 {
            self.counts.found.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        if self.random.below(3) == 0 {
            let answer = client.send(&post(format!("{uploads}?mount={}", blob.digest)))?;
            if answer.status == 201 {
                self.counts.mounts.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            return self.upload(client, answer.expect(202)?.location()?, blob);
        }
        if self.random.below(2) == 0 {
            let whole = post(format!("{uploads}?digest={}", blob.digest)).body(&*blob.bytes);
            client.expect(201, &whole)?;
            self.counts.uploads.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let session = client.expect(202, &post(uploads))?.location()?;
        self.upload(client, session, blob)
    }

    fn upload(&self, client: &mut Client, session: String, blob: &Blob) -> Result<()> {
        let chunk = patch(session).header("Content-Type", "application/octet-stream");
        let session = client.expect(202, &chunk.body(&*blob.bytes))?.location()?;
        client.expect(201, &put(session).with_query(&format!("digest={}", blob.digest)))?;
        self.counts.uploads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn pull_one(&mut self, client: &mut Client) -> Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let image = &self.images[self.random.below(self.images.len() as u64) as usize];
        self.pull(client, image)
    }

    fn pull(&self, client: &mut Client, image: &Image) -> Result<()> {
        let Image { repository, tag, manifest, blobs } = image;
        let path = format!("/v2/{repository}/manifests/{tag}");
        let answer = client.expect(200, &get(path))?;
        ensure!(answer.body == manifest.bytes, "another manifest than was pushed");
        for blob in blobs {
            let path = format!("/v2/{repository}/blobs/{}", blob.digest);
            let answer = client.expect(200, &get(&*path))?;
            ensure!(sha256(&answer.body) == blob.digest, "{path} has other bytes");
        }
        self.counts.pulls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn delete_one(&mut self, client: &mut Client) -> Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let place = self.random.below(self.images.len() as u64) as usize;
        let Image { repository, manifest, .. } = self.images.swap_remove(place);
        let request = delete(format!("/v2/{repository}/manifests/{}", manifest.digest));
        client.expect(202, &request).context("deleting an image")?;
        self.counts.deletes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
