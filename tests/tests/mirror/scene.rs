//! An upstream, what can go wrong on the way to it, and a mirror behind that.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::{Fault, FaultProxy};
use berth_tests::content::{Blob, Manifest};
use berth_tests::tree::blob_data;
use berth_tests::wire::{self, Answer, Request, get, head, post, put};
use berth_tests::{Launch, Server, Target};
use tempfile::TempDir;

/// The size of the layer of a test image: several batches of the fetch.
pub(crate) const LAYER: usize = 3 << 20;

/// An upstream, a proxy before it, and a mirror that knows the proxy alone.
pub(crate) struct Scene {
    pub(crate) upstream: Server,
    pub(crate) proxy: FaultProxy,
    pub(crate) mirror: Server,
    launch: Launch,
    /// What the mirror keeps outlives it.
    tree: TempDir,
}

/// An image as it is upstream.
pub(crate) struct Image {
    pub(crate) config: Blob,
    pub(crate) layer: Blob,
    pub(crate) manifest: Manifest,
}

impl Image {
    pub(crate) fn new(seed: u64) -> Self {
        let (config, layer) = (Blob::random(2 * seed, 300), Blob::random(2 * seed + 1, LAYER));
        let manifest = Manifest::image(&config, &[&layer]);
        Self { config, layer, manifest }
    }

    /// Pushes it to a registry.
    pub(crate) fn push(&self, server: &Server, repository: &str, tag: &str) -> Result<()> {
        self.push_showing(server, repository, tag, None)
    }

    /// Pushes it to a registry that wants to be shown something.
    pub(crate) fn push_showing(
        &self,
        server: &Server,
        repository: &str,
        tag: &str,
        authorization: Option<&str>,
    ) -> Result<()> {
        let send = |request: Request| {
            let request = match authorization {
                Some(authorization) => request.header("Authorization", authorization),
                None => request,
            };
            wire::send(server.address(), &request)
        };
        for blob in [&self.config, &self.layer] {
            let begun = send(post(format!("/v2/{repository}/blobs/uploads/")))?.expect(202)?;
            let location = path_of(begun.header("location")?);
            let separator = if location.contains('?') { '&' } else { '?' };
            let target = format!("{location}{separator}digest={}", blob.digest);
            send(put(target).body(&*blob.bytes))?.expect(201)?;
        }
        send(manifest_put(repository, tag, &self.manifest))?.expect(201)?;
        Ok(())
    }
}

/// Points a tag to a manifest.
pub(crate) fn push_manifest(
    server: &Server,
    repository: &str,
    reference: &str,
    manifest: &Manifest,
) -> Result<()> {
    wire::send(server.address(), &manifest_put(repository, reference, manifest))?.expect(201)?;
    Ok(())
}

fn manifest_put(repository: &str, reference: &str, manifest: &Manifest) -> Request {
    put(format!("/v2/{repository}/manifests/{reference}"))
        .header("Content-Type", &manifest.media_type)
        .body(&*manifest.bytes)
}

/// The path of a URL; a path as it is.
fn path_of(location: &str) -> String {
    match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or(String::new(), |slash| rest[slash..].to_owned()),
        None => location.to_owned(),
    }
}

/// The settings of a mirror of everything below `hub/`, that asks the upstream at an address at each pull.
pub(crate) fn mirror_of(launch: Launch, upstream: &str) -> Launch {
    launch
        .target(Target::Berth)
        .env("REGISTRY_MIRRORS_0_PREFIX", "hub")
        .env("REGISTRY_MIRRORS_0_TTL", "0s")
        .env("REGISTRY_MIRRORS_0_NEGATIVETTL", "0s")
        .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_URL", upstream)
        .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_TIMEOUTS_ANSWER", "2s")
        .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_TIMEOUTS_STALL", "2s")
}

impl Scene {
    /// Debian's docker-registry, and a mirror of it.
    pub(crate) fn new() -> Result<Self> {
        Self::with(|launch| launch)
    }

    /// The same with more settings of the mirror.
    pub(crate) fn with(settings: impl FnOnce(Launch) -> Launch) -> Result<Self> {
        let upstream = Launch::temporary()?.target(Target::DockerRegistry);
        let upstream = upstream.env("REGISTRY_STORAGE_DELETE_ENABLED", "true").start()?;
        Self::of(upstream, settings)
    }

    /// A mirror of this upstream.
    pub(crate) fn of(upstream: Server, settings: impl FnOnce(Launch) -> Launch) -> Result<Self> {
        let proxy = FaultProxy::start(&format!("http://{}", upstream.host()))?;
        let tree = tempfile::tempdir()?;
        let launch = Launch::filesystem(tree.path().join("tree"))?;
        let launch = settings(mirror_of(launch, &proxy.endpoint()));
        let mirror = launch.start()?;
        Ok(Self { upstream, proxy, mirror, launch, tree })
    }

    /// Ends the mirror as `end` does, and starts one on what it has kept.
    pub(crate) fn restart(
        self,
        end: impl FnOnce(Server) -> Result<()>,
        settings: impl FnOnce(Launch) -> Launch,
    ) -> Result<Self> {
        let Self { upstream, proxy, mirror, launch, tree } = self;
        end(mirror)?;
        let launch = settings(launch);
        let mirror = launch.start()?;
        Ok(Self { upstream, proxy, mirror, launch, tree })
    }

    pub(crate) fn push(&self, tag: &str, image: &Image) -> Result<()> {
        image.push(&self.upstream, "team/app", tag)
    }

    pub(crate) fn manifest(&self, reference: &str) -> Result<Answer> {
        self.get(&format!("/v2/hub/team/app/manifests/{reference}"))
    }

    pub(crate) fn blob(&self, blob: &Blob) -> Result<Answer> {
        self.get(&format!("/v2/hub/team/app/blobs/{}", blob.digest))
    }

    pub(crate) fn get(&self, target: &str) -> Result<Answer> {
        wire::send(self.mirror.address(), &get(target))
    }

    pub(crate) fn head(&self, target: &str) -> Result<Answer> {
        wire::send(self.mirror.address(), &head(target))
    }

    /// Pulls an image through the mirror, and compares all of it.
    pub(crate) fn pull(&self, tag: &str, image: &Image) -> Result<()> {
        let manifest = self.manifest(tag)?.expect(200)?;
        ensure!(manifest.body == image.manifest.bytes, "another manifest came");
        ensure!(manifest.header("content-type")? == image.manifest.media_type);
        self.pull_blobs(image)
    }

    pub(crate) fn pull_blobs(&self, image: &Image) -> Result<()> {
        for blob in [&image.config, &image.layer] {
            let answer = self.blob(blob)?.expect(200)?;
            ensure!(answer.body == blob.bytes, "other bytes came for {}", blob.digest);
        }
        Ok(())
    }

    /// Returns once the mirror has the blob itself: it is recorded before it is linked in the tree.
    pub(crate) fn wait_until_kept(&self, blob: &Blob) -> Result<()> {
        let hex = blob.digest.strip_prefix("sha256:").context("not sha256")?;
        let repository = "docker/registry/v2/repositories/hub/team/app";
        let link = format!("tree/{repository}/_layers/sha256/{hex}/link");
        let link = self.tree.path().join(link);
        berth_tests::wait::until("the blob is kept", || Ok(link.exists()))
    }

    /// What the mirror calls its root directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.tree.path().join("tree")
    }

    /// Whether the mirror's tree has the bytes of a blob.
    pub(crate) fn has_blob(&self, digest: &str) -> bool {
        blob_data(&self.root(), digest).exists()
    }

    /// How often the upstream was asked for the content of a path that ends so.
    pub(crate) fn fetches(&self, end: &str) -> usize {
        let seen = self.proxy.requests();
        seen.iter().filter(|seen| seen.method == "GET" && seen.path.ends_with(end)).count()
    }

    /// From now on the upstream cannot be reached.
    pub(crate) fn cut_off(&self) {
        self.proxy.next(Fault::Refuse, usize::MAX);
    }

    /// A command of berth's, beside the mirror.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Command> {
        self.launch.command(arguments)
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.mirror.stop()?;
        self.upstream.stop()
    }
}
