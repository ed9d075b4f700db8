//! A tree as `registry:2` keeps it, made once and kept.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use berth_oci::{Algorithm, Digest, Hasher};

use crate::content::{blob_data, manifest};

/// Changes with what stands in a tree.
const EDITION: &str = "2";
/// Layers of a manifest, and how many there are to choose from.
const LAYERS: u32 = 6;
const BLOBS: u32 = 1000;
/// Manifests of a repository.
const EACH: u32 = 100;

/// So many manifests, each with ten link files: one of its own, two of a tag, and seven of blobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    pub(super) manifests: u32,
}

impl Tree {
    pub(super) fn links(self) -> u32 {
        self.manifests * (LAYERS + 4)
    }

    /// The root directory of such a tree, made if it is not in the cache.
    pub(super) fn prepare(self, cache: &Path) -> Result<PathBuf> {
        let root = cache.join(format!("tree-{}-edition-{EDITION}", self.manifests));
        if root.join("complete").exists() {
            return Ok(root);
        }
        println!("making {}", root.display());
        crate::remove(&root)?;
        let blobs: Vec<(Digest, u64)> = (0..BLOBS)
            .map(|number| put(&root, format!("blob {number}").as_bytes()))
            .collect::<Result<_>>()?;
        for number in 0..self.manifests {
            self.write(&root, number, &blobs)?;
        }
        fs::write(root.join("complete"), "")?;
        Ok(root)
    }

    fn write(self, root: &Path, number: u32, blobs: &[(Digest, u64)]) -> Result<()> {
        let repository = format!("moved/r{:05}", number / EACH);
        // Other blobs for each, so that the links of a repository are many.
        let config = put(root, format!("config {number}").as_bytes())?;
        let layers = (0..LAYERS).map(|layer| blobs[((number * LAYERS + layer) % BLOBS) as usize]);
        let parts: Vec<(Digest, u64)> = std::iter::once(config).chain(layers).collect();
        let (digest, _) = put(root, &manifest(&parts, Some(number)))?;
        let folder = root.join("docker/registry/v2/repositories").join(repository);
        for (part, _) in &parts {
            let name = format!("_layers/{}/{}/link", part.algorithm().as_str(), part.hex());
            link(&folder.join(name), part)?;
        }
        let of = format!("{}/{}/link", digest.algorithm().as_str(), digest.hex());
        let manifests = folder.join("_manifests");
        link(&manifests.join("revisions").join(&of), &digest)?;
        let tag = manifests.join(format!("tags/t{number:06}"));
        link(&tag.join("current/link"), &digest)?;
        link(&tag.join("index").join(of), &digest)
    }
}

/// Writes a blob, and gives its digest and its size.
fn put(root: &Path, bytes: &[u8]) -> Result<(Digest, u64)> {
    let digest = Hasher::digest(Algorithm::Sha256, bytes);
    let data = blob_data(root, &digest);
    fs::create_dir_all(data.parent().context("no folder")?)?;
    fs::write(data, bytes)?;
    Ok((digest, bytes.len() as u64))
}

fn link(path: &Path, digest: &Digest) -> Result<()> {
    fs::create_dir_all(path.parent().context("no folder")?)?;
    Ok(fs::write(path, digest.to_string())?)
}
