//! A registry with many blobs, some of which no manifest needs, prepared once and kept.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use berth_metadata::{
    BlobLocation, BlobRecord, FinishedUpload, MetadataStore, NewManifest, PutManifest,
    RecordedUpload, SqliteStore,
};
use berth_oci::{Algorithm, Digest, Hasher};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::content::{MANIFEST_TYPE, blob_data, manifest};
use crate::million;

/// The size that manifests say their blobs have.
const BLOB_SIZE: u64 = 4096;
const REPOSITORIES: u32 = 1000;

/// So many blobs, a tenth of them garbage, the others each in one of so many manifests. Every link is
/// due for the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Garbage {
    pub(crate) blobs: u32,
}

impl Garbage {
    /// How many blobs there are for each that is garbage, and for each manifest.
    const EACH: u32 = 10;

    pub(crate) fn garbage(self) -> u32 {
        self.blobs / Self::EACH
    }

    pub(crate) fn manifests(self) -> u32 {
        self.blobs / Self::EACH
    }

    /// The path of a manifest that is there.
    pub(crate) fn path(self) -> String {
        format!("/v2/{}/manifests/t0", repository(0))
    }

    /// The folder in the cache that has the database, made if it is not there.
    pub(crate) fn prepare(self, cache: &Path) -> Result<PathBuf> {
        let name = format!("garbage-{}", self.blobs);
        million::prepare(cache, &name, async |store| self.fill(store).await)
    }

    async fn fill(self, store: &SqliteStore) -> Result<()> {
        stream::iter(0..self.blobs)
            .map(|number| link(store, number))
            .buffer_unordered(million::AT_ONCE)
            .try_collect::<()>()
            .await?;
        stream::iter(0..self.manifests())
            .map(|number| put(store, number))
            .buffer_unordered(million::AT_ONCE)
            .try_collect()
            .await
    }

    /// Makes the files of what is garbage, as they lie in the tree. The other ones are not looked at.
    pub(crate) fn write_files(self, root: &Path) -> Result<()> {
        for number in (0..self.blobs).step_by(Self::EACH as usize) {
            let data = blob_data(root, &digest(number));
            fs::create_dir_all(data.parent().context("a file lies in a folder")?)?;
            File::create(data)?.write_all(&[0x5a; 64])?;
        }
        Ok(())
    }
}

/// The first blob of each manifest's ten is garbage.
async fn link(store: &SqliteStore, number: u32) -> Result<()> {
    let finished = FinishedUpload {
        id: None,
        repository: repository(number / Garbage::EACH).parse()?,
        blob: BlobRecord {
            digest: digest(number),
            size: BLOB_SIZE,
            location: BlobLocation::default(),
        },
        lease: Duration::ZERO,
        grace: Duration::ZERO,
        seen: None,
        events: Vec::new(),
    };
    let recorded = store.finish_upload(finished).await?;
    ensure!(recorded == RecordedUpload::Linked, "not linked");
    Ok(())
}

async fn put(store: &SqliteStore, number: u32) -> Result<()> {
    let first = number * Garbage::EACH;
    let blobs: Vec<Digest> = (first + 1..first + Garbage::EACH).map(digest).collect();
    let parts: Vec<_> = blobs.iter().map(|digest| (*digest, BLOB_SIZE)).collect();
    let payload = manifest(&parts, Some(number));
    let put = store
        .put_manifest(NewManifest {
            repository: repository(number).parse()?,
            digest: Hasher::digest(Algorithm::Sha256, &payload),
            media_type: MANIFEST_TYPE.to_owned(),
            payload: Bytes::from(payload),
            blobs: blobs.into_iter().map(|digest| (digest, true)).collect(),
            manifests: Vec::new(),
            subject: None,
            artifact_type: None,
            annotations: None,
            tags: vec![format!("t{}", number / REPOSITORIES).parse()?],
            immutable_tags: Vec::new(),
            mirrored: None,
            events: Vec::new(),
        })
        .await?;
    ensure!(put == PutManifest::Stored, "not stored");
    Ok(())
}

fn repository(manifest: u32) -> String {
    format!("garbage/r{:04}", manifest % REPOSITORIES)
}

fn digest(number: u32) -> Digest {
    Hasher::digest(Algorithm::Sha256, format!("blob {number}").as_bytes())
}
