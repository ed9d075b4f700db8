//! What the tests do with a running registry.

use anyhow::{Context, Result, ensure};
use berth_tests::Server;
use berth_tests::content::{Blob, Manifest};
use berth_tests::wire::{self, Answer, Request, get, post, put};

/// A registry and the way to it.
pub(crate) trait Client {
    /// Sends a request over a connection of its own.
    fn send(&self, request: &Request) -> Result<Answer>;

    /// GET.
    fn get(&self, target: &str) -> Result<Answer> {
        self.send(&get(target))
    }

    /// Opens an upload session and gives its location.
    fn begin(&self, repository: &str) -> Result<String> {
        self.send(&post(format!("/v2/{repository}/blobs/uploads/")))?.expect(202)?.location()
    }

    /// Pushes a blob in one request.
    fn push_blob(&self, repository: &str, blob: &Blob) -> Result<Answer> {
        let target = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
        self.send(&post(target).body(&*blob.bytes))
    }

    /// Pushes a manifest.
    fn push_manifest(&self, repository: &str, tag: &str, manifest: &Manifest) -> Result<Answer> {
        let request = put(format!("/v2/{repository}/manifests/{tag}"))
            .header("Content-Type", &manifest.media_type)
            .body(&*manifest.bytes);
        self.send(&request)
    }

    /// Pushes an image of two blobs made from `seed`, and gives its layer.
    fn push_image(&self, repository: &str, tag: &str, seed: u64) -> Result<Blob> {
        let (config, layer) = (Blob::random(2 * seed, 100), Blob::random(2 * seed + 1, 50_000));
        self.push_blob(repository, &config)?.expect(201)?;
        self.push_blob(repository, &layer)?.expect(201)?;
        let manifest = Manifest::image(&config, &[&layer]);
        self.push_manifest(repository, tag, &manifest)?.expect(201)?;
        Ok(layer)
    }

    /// Checks that a blob can be read, byte for byte.
    fn expect_blob(&self, repository: &str, blob: &Blob) -> Result<()> {
        let answer = self.get(&format!("/v2/{repository}/blobs/{}", blob.digest))?.expect(200)?;
        ensure!(answer.body == blob.bytes, "{} came back changed", blob.digest);
        Ok(())
    }

    /// The value of a series of the metrics.
    fn metric(&self, series: &str) -> Result<f64> {
        let text = String::from_utf8(self.get("/metrics")?.expect(200)?.body)?;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.with_context(|| format!("no {series} in\n{text}"))
    }
}

impl Client for Server {
    fn send(&self, request: &Request) -> Result<Answer> {
        wire::send(self.address(), request)
    }
}
