//! What is done while the process is killed: the garbage that is prepared, and the requests of a client.

use anyhow::{Result, ensure};
use berth_tests::Server;
use berth_tests::checker::Acknowledged;
use berth_tests::content::{Blob, Manifest};
use berth_tests::load::Client;
use berth_tests::wire::{Request, delete, post, put};

/// An image of a repository, under a tag.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    repository: &'static str,
    tag: &'static str,
    blobs: Vec<Blob>,
    manifest: Manifest,
}

/// A request, and what its answer promises.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    request: Request,
    statuses: &'static [u16],
    pushed: Vec<(String, String)>,
    deleted: Vec<String>,
    /// What is not promised any longer.
    forgotten: Vec<String>,
}

impl Step {
    /// Sends it, and notes what was acknowledged. False when no answer came: the registry has died.
    pub(crate) fn take(&self, client: &mut Client, known: &mut Acknowledged) -> Result<bool> {
        self.pushed.iter().for_each(|(path, _)| known.unsure(path));
        self.deleted.iter().chain(&self.forgotten).for_each(|path| known.unsure(path));
        let Ok(answer) = client.send(&self.request) else { return Ok(false) };
        ensure!(
            self.statuses.contains(&answer.status),
            "{} was {}",
            self.request.line(),
            answer.text()
        );
        self.pushed.iter().for_each(|(path, digest)| known.pushed(path, digest));
        self.deleted.iter().for_each(|path| known.deleted(path));
        Ok(true)
    }
}

impl Image {
    pub(crate) fn new(repository: &'static str, tag: &'static str, layers: &[&str]) -> Self {
        let mut blobs = vec![Blob::new(format!("{{\"tag\":\"{tag}\"}}"))];
        // Some bytes, so that a removal that is cut off would show.
        blobs.extend(layers.iter().map(|layer| Blob::new(layer.repeat(1000))));
        let layers: Vec<&Blob> = blobs[1..].iter().collect();
        let manifest = Manifest::image(&blobs[0], &layers);
        Self { repository, tag, blobs, manifest }
    }

    /// Its blobs, then its manifest.
    pub(crate) fn push(&self) -> Vec<Step> {
        let mut steps: Vec<_> =
            self.blobs.iter().map(|blob| push_blob(self.repository, blob)).collect();
        let Self { repository, tag, manifest, .. } = self;
        let by_tag = format!("/v2/{repository}/manifests/{tag}");
        let request =
            put(&*by_tag).header("Content-Type", &manifest.media_type).body(&*manifest.bytes);
        let digest = &manifest.digest;
        let pushed = [by_tag, self.by_digest()].map(|path| (path, digest.clone()));
        steps.push(Step {
            request,
            statuses: &[201],
            pushed: pushed.into(),
            deleted: Vec::new(),
            forgotten: Vec::new(),
        });
        steps
    }

    /// Its manifest by the digest, and its tag with it.
    pub(crate) fn delete(&self) -> Step {
        let Self { repository, tag, .. } = self;
        let deleted = vec![self.by_digest(), format!("/v2/{repository}/manifests/{tag}")];
        let request = delete(self.by_digest());
        // The collector may let go of the blobs at once.
        let forgotten = self.blobs.iter().map(|blob| blob_path(repository, blob)).collect();
        Step { request, statuses: &[202], pushed: Vec::new(), deleted, forgotten }
    }

    /// Its tag alone.
    pub(crate) fn delete_tag(&self) -> Step {
        delete_at(format!("/v2/{}/manifests/{}", self.repository, self.tag), &[202])
    }

    /// Its blobs, which nothing may need any longer.
    pub(crate) fn delete_blobs(&self) -> Vec<Step> {
        self.blobs.iter().map(|blob| delete_blob(self.repository, blob)).collect()
    }

    /// What nobody promises any longer, once nothing stands for it: it may be gone or not.
    pub(crate) fn forget(&self, known: &mut Acknowledged) {
        known.unsure(&self.by_digest());
        self.blobs.iter().for_each(|blob| known.unsure(&blob_path(self.repository, blob)));
    }

    fn by_digest(&self) -> String {
        format!("/v2/{}/manifests/{}", self.repository, self.manifest.digest)
    }
}

/// All that the table's rows find: images that stay, some sharing layers with those that go, and garbage of each sort.
pub(crate) struct Prepared {
    /// Everything that was promised.
    pub(crate) known: Acknowledged,
    /// Images that are there, to be deleted.
    pub(crate) images: [Image; 3],
    /// A blob that is there, alone, to be deleted.
    blob: Step,
}

impl Prepared {
    /// A tag, a manifest and a blob.
    pub(crate) fn deletions(&self) -> [Step; 3] {
        let [first, second, _] = &self.images;
        [first.delete_tag(), second.delete(), self.blob.clone()]
    }
}

/// Fills a registry that collects nothing.
pub(crate) fn prepare(server: &Server) -> Result<Prepared> {
    let mut client = Client::new(server.address());
    let mut known = Acknowledged::default();
    let mut take = |steps: Vec<Step>| -> Result<()> {
        for step in steps {
            ensure!(step.take(&mut client, &mut known)?, "the registry has died");
        }
        Ok(())
    };
    let kept = Image::new("app", "kept", &["shared", "kept"]);
    let elsewhere = Image::new("team/other", "kept", &["shared", "elsewhere"]);
    let gone = Image::new("app", "gone", &["shared", "gone"]);
    let gone_everywhere = Image::new("once", "gone", &["once"]);
    let untagged = Image::new("app", "untagged", &["shared", "untagged"]);
    let images = [
        Image::new("app", "first", &["shared", "first"]),
        Image::new("app", "second", &["second", "elsewhere"]),
        Image::new("two", "third", &["third"]),
    ];
    let all = [&kept, &elsewhere, &gone, &gone_everywhere, &untagged];
    for image in all.into_iter().chain(&images) {
        take(image.push())?;
    }
    let (released, loose) = (Blob::new("released"), Blob::new("loose"));
    let deleted = Blob::new("deleted later");
    for blob in [&released, &loose, &deleted] {
        take(vec![push_blob("app", blob)])?;
    }
    // Links that are due; garbage; a manifest that nothing stands for.
    take(vec![gone.delete(), gone_everywhere.delete(), untagged.delete_tag()])?;
    take(vec![delete_blob("app", &released)])?;
    untagged.forget(&mut known);
    known.unsure(&blob_path("app", &loose));
    known.unsure(&blob_path("app", &deleted));
    // Those that stay need some of these.
    for image in all[..2].iter().copied().chain(&images) {
        for blob in &image.blobs {
            known.pushed(&blob_path(image.repository, blob), &blob.digest);
        }
    }
    Ok(Prepared { known, images, blob: delete_blob("app", &deleted) })
}

fn push_blob(repository: &str, blob: &Blob) -> Step {
    let request = post(format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest));
    let pushed = vec![(blob_path(repository, blob), blob.digest.clone())];
    Step {
        request: request.body(&*blob.bytes),
        statuses: &[201],
        pushed,
        deleted: Vec::new(),
        forgotten: Vec::new(),
    }
}

fn delete_blob(repository: &str, blob: &Blob) -> Step {
    // The collector may have been here before.
    delete_at(blob_path(repository, blob), &[202, 404])
}

fn delete_at(path: String, statuses: &'static [u16]) -> Step {
    Step {
        request: delete(&*path),
        statuses,
        pushed: Vec::new(),
        deleted: vec![path],
        forgotten: Vec::new(),
    }
}

fn blob_path(repository: &str, blob: &Blob) -> String {
    format!("/v2/{repository}/blobs/{}", blob.digest)
}
