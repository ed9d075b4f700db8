//! Registries with many tags, prepared once and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use berth_metadata::{
    MetadataStore, NewManifest, PutManifest, SqliteLocation, SqliteOptions, SqliteStore,
};
use berth_oci::{Algorithm, Digest, Hasher};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::content::{MANIFEST_TYPE, manifest};

/// Changes with what stands in a database.
const EDITION: &str = "1";
/// Pushes under way at the same time, so that a transaction has many.
const PUSHES: usize = 1024;
/// The size that manifests say their blobs have.
const BLOB_SIZE: u64 = 4096;

/// The path of a manifest, for the numbers of its repository and its tag.
pub(crate) const TEMPLATE: &str = "/v2/growth/r%06d/manifests/t%07d";

/// So many tags, over so many repositories, each tag with a manifest of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) tags: u32,
    /// The tags of one repository.
    pub(crate) each: u32,
}

impl Shape {
    pub(crate) fn repositories(self) -> u32 {
        self.tags.div_ceil(self.each)
    }

    pub(crate) fn repository(self, number: u32) -> String {
        format!("growth/r{number:06}")
    }

    /// The root directory of a registry of this shape, made if it is not in the cache.
    pub(crate) fn prepare(self, cache: &Path) -> Result<PathBuf> {
        let name = format!("tags-{}-each-{}-{}", self.tags, self.each, schema()?);
        let folder = cache.join(name);
        if folder.join("complete").exists() {
            return Ok(folder);
        }
        println!("preparing {} tags in {} repositories", self.tags, self.repositories());
        let start = Instant::now();
        crate::remove(&folder)?;
        fs::create_dir_all(&folder)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.fill(&folder))?;
        fs::write(folder.join("complete"), "")?;
        println!("prepared in {:.0} s", start.elapsed().as_secs_f64());
        Ok(folder)
    }

    async fn fill(self, folder: &Path) -> Result<()> {
        let location = SqliteLocation::File(folder.join("berth.db"));
        let store = SqliteStore::open(SqliteOptions::new(location)).await?;
        stream::iter(0..self.tags)
            .map(|number| self.push(&store, number))
            .buffer_unordered(PUSHES)
            .try_collect::<()>()
            .await?;
        store.close().await;
        Ok(())
    }

    async fn push(self, store: &SqliteStore, number: u32) -> Result<()> {
        // A config and a top layer of its own, over layers that all share.
        let own = |part: &str| digest(&format!("{part} of {number}"));
        let shared = |part: &str| digest(part);
        let blobs =
            [own("config"), shared("base"), shared("packages"), shared("runtime"), own("top")];
        let payload = manifest(&blobs.map(|digest| (digest, BLOB_SIZE)), Some(number));
        let manifest = NewManifest {
            repository: self.repository(number / self.each).parse()?,
            digest: Hasher::digest(Algorithm::Sha256, &payload),
            media_type: MANIFEST_TYPE.to_owned(),
            payload: Bytes::from(payload),
            // Nobody asks for the blobs here, so they need not exist.
            blobs: blobs.map(|digest| (digest, false)).to_vec(),
            manifests: Vec::new(),
            subject: None,
            artifact_type: None,
            annotations: None,
            tags: vec![format!("t{number:07}").parse()?],
        };
        ensure!(store.put_manifest(manifest).await? == PutManifest::Stored, "not stored");
        Ok(())
    }
}

/// Makes the kernel forget what it holds of a file, so that the next reader waits for the disk.
pub(crate) fn forget(file: &Path) -> Result<()> {
    let file = fs::File::open(file)?;
    file.sync_all()?;
    Ok(rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?)
}

fn digest(text: &str) -> Digest {
    Hasher::digest(Algorithm::Sha256, text.as_bytes())
}

/// Differs where the tables differ, while their first edition is still changing.
fn schema() -> Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../metadata/migrations/sqlite");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(EDITION.as_bytes());
    for file in files {
        hasher.update(&fs::read(file)?);
    }
    Ok(hasher.finish().hex()[..12].to_owned())
}
