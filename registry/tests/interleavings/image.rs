//! The one image that is pushed and deleted.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use berth_oci::{Algorithm, Digest, Hasher};

use crate::client::send;

/// What its manifest is sent as.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// How often a client begins anew because what it brought was deleted before its manifest came.
const TRIES: usize = 50;

/// An image of two blobs.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    blobs: [(Digest, Vec<u8>); 2],
    manifest: (Digest, Vec<u8>),
}

impl Image {
    pub(crate) fn new() -> Self {
        let [config, layer] = ["{}", "the layer"].map(|text| {
            let bytes = text.as_bytes().to_vec();
            (Hasher::digest(Algorithm::Sha256, &bytes), bytes)
        });
        let descriptor = |kind: &str, (digest, bytes): &(Digest, Vec<u8>)| {
            let media_type = format!("application/vnd.oci.image.{kind}");
            serde_json::json!({
                "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len(),
            })
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPE,
            "config": descriptor("config.v1+json", &config),
            "layers": [descriptor("layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = Hasher::digest(Algorithm::Sha256, &manifest);
        Self { blobs: [config, layer], manifest: (digest, manifest) }
    }

    /// The digests of all that it is made of, in order.
    pub(crate) fn digests(&self) -> Vec<String> {
        let mut digests: Vec<_> =
            self.blobs.iter().chain([&self.manifest]).map(|(digest, _)| digest.hex()).collect();
        digests.sort();
        digests
    }

    /// Pushes it. A client whose blobs were collected before its manifest came pushes them again: that
    /// is so where nothing is promised for a while.
    pub(crate) async fn push(
        &self,
        address: SocketAddr,
        repository: &str,
        in_session: bool,
    ) -> Result<()> {
        for _ in 0..TRIES {
            for (digest, bytes) in &self.blobs {
                let uploads = format!("/v2/{repository}/blobs/uploads/");
                let answer = match in_session {
                    false => {
                        let target = format!("{uploads}?digest={digest}");
                        send(address, "POST", &target, bytes).await?
                    }
                    true => {
                        let session = send(address, "POST", &uploads, &[]).await?.expect(202)?;
                        let target = format!("{}?digest={digest}", session.location);
                        send(address, "PUT", &target, bytes).await?
                    }
                };
                answer.expect(201).context("pushing a blob")?;
            }
            let target = format!("/v2/{repository}/manifests/latest");
            let answer = send(address, "PUT", &target, &self.manifest.1).await?;
            if !String::from_utf8_lossy(&answer.body).contains("MANIFEST_BLOB_UNKNOWN") {
                answer.expect(201).context("pushing the manifest")?;
                return Ok(());
            }
        }
        bail!("its blobs were taken away {TRIES} times")
    }

    /// Pulls it, and compares every byte.
    pub(crate) async fn pull(&self, address: SocketAddr, repository: &str) -> Result<()> {
        let target = format!("/v2/{repository}/manifests/latest");
        let answer = send(address, "GET", &target, &[]).await?.expect(200)?;
        ensure!(answer.body == self.manifest.1, "another manifest");
        for (digest, bytes) in &self.blobs {
            let target = format!("/v2/{repository}/blobs/{digest}");
            let answer = send(address, "GET", &target, &[]).await?;
            let answer = answer.expect(200).with_context(|| format!("pulling {digest}"))?;
            ensure!(answer.body == *bytes, "other bytes of {digest}");
        }
        Ok(())
    }

    /// Deletes its manifest, and its blobs too unless the collector is to find them.
    pub(crate) async fn delete(
        &self,
        address: SocketAddr,
        repository: &str,
        with_blobs: bool,
    ) -> Result<()> {
        let target = format!("/v2/{repository}/manifests/{}", self.manifest.0);
        send(address, "DELETE", &target, &[])
            .await?
            .expect(202)
            .context("deleting the manifest")?;
        if with_blobs {
            self.delete_blobs(address, repository).await?;
        }
        Ok(())
    }

    /// Deletes its blobs, where they are linked.
    pub(crate) async fn delete_blobs(&self, address: SocketAddr, repository: &str) -> Result<()> {
        for (digest, _) in &self.blobs {
            let target = format!("/v2/{repository}/blobs/{digest}");
            let answer = send(address, "DELETE", &target, &[]).await?;
            // The collector may have been here before.
            ensure!([202, 404].contains(&answer.status), "deleting {digest}: {}", answer.status);
        }
        Ok(())
    }

    /// Whether nothing of it is to be had by its digests.
    pub(crate) async fn expect_gone(&self, address: SocketAddr, repository: &str) -> Result<()> {
        let target = format!("/v2/{repository}/manifests/{}", self.manifest.0);
        send(address, "GET", &target, &[]).await?.expect(404).context("a deleted manifest")?;
        Ok(())
    }
}
