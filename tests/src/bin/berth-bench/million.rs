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
/// Changes under way at the same time, so that a transaction has many.
pub(crate) const AT_ONCE: usize = 1024;
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
        let name = format!("tags-{}-each-{}", self.tags, self.each);
        prepare_manifests(cache, &name, self.tags, move |number| {
            let repository = self.repository(number / self.each);
            manifest_of(&repository, number, vec![format!("t{number:07}")], None)
        })
    }
}

/// So many tags, ten to a manifest: half of them in one repository, half over many, a manifest each.
/// One more manifest in the one repository has many that refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) tags: u32,
}

impl Names {
    /// The repository that has many tags.
    pub(crate) const LARGE: &'static str = "names/large";
    /// How many manifests refer to the one.
    pub(crate) const REFERRERS: u32 = 100;
    const TAGS_EACH: u32 = 10;

    pub(crate) fn manifests(self) -> u32 {
        self.tags / Self::TAGS_EACH
    }

    /// The repositories beside the large one.
    pub(crate) fn repositories(self) -> u32 {
        self.manifests() / 2
    }

    /// The manifest that others refer to.
    pub(crate) fn subject(self) -> Digest {
        digest("the subject")
    }

    /// The root directory of such a registry, made if it is not in the cache.
    pub(crate) fn prepare(self, cache: &Path) -> Result<PathBuf> {
        let name = format!("names-{}", self.tags);
        prepare_manifests(cache, &name, self.manifests(), move |number| {
            let small = number >= self.manifests() / 2;
            let repository = match small {
                true => format!("names/r{number:06}"),
                false => Self::LARGE.to_owned(),
            };
            let first = number * Self::TAGS_EACH;
            let tags = (first..first + Self::TAGS_EACH).map(|tag| format!("t{tag:07}")).collect();
            let subject = (number < Self::REFERRERS).then(|| self.subject());
            manifest_of(&repository, number, tags, subject)
        })
    }
}

/// The root directory `name` in the cache, with `count` manifests if it is made now.
fn prepare_manifests(
    cache: &Path,
    name: &str,
    count: u32,
    manifest: impl Fn(u32) -> Result<NewManifest>,
) -> Result<PathBuf> {
    prepare(cache, name, async |store| {
        stream::iter(0..count)
            .map(|number| {
                let manifest = manifest(number);
                async {
                    let put = store.put_manifest(manifest?).await?;
                    ensure!(put == PutManifest::Stored, "not stored");
                    Ok(())
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    })
}

/// The root directory `name` in the cache, with a database that is filled if it is made now.
pub(crate) fn prepare(
    cache: &Path,
    name: &str,
    fill: impl AsyncFnOnce(&SqliteStore) -> Result<()>,
) -> Result<PathBuf> {
    let folder = cache.join(format!("{name}-{}", schema()?));
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    println!("preparing {name}");
    let start = Instant::now();
    crate::remove(&folder)?;
    fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let location = SqliteLocation::File(folder.join("berth.db"));
        let store = SqliteStore::open(SqliteOptions::new(location)).await?;
        fill(&store).await?;
        store.close().await;
        anyhow::Ok(())
    })?;
    fs::write(folder.join("complete"), "")?;
    println!("prepared in {:.0} s", start.elapsed().as_secs_f64());
    Ok(folder)
}

/// A config and a top layer of its own, over layers that all share.
fn manifest_of(
    repository: &str,
    number: u32,
    tags: Vec<String>,
    subject: Option<Digest>,
) -> Result<NewManifest> {
    let own = |part: &str| digest(&format!("{part} of {number}"));
    let shared = |part: &str| digest(part);
    let blobs = [own("config"), shared("base"), shared("packages"), shared("runtime"), own("top")];
    let payload = manifest(&blobs.map(|digest| (digest, BLOB_SIZE)), Some(number));
    Ok(NewManifest {
        repository: repository.parse()?,
        digest: Hasher::digest(Algorithm::Sha256, &payload),
        media_type: MANIFEST_TYPE.to_owned(),
        payload: Bytes::from(payload),
        // Nobody asks for the blobs here, so they need not exist.
        blobs: blobs.map(|digest| (digest, false)).to_vec(),
        manifests: Vec::new(),
        subject,
        artifact_type: None,
        annotations: None,
        tags: tags.iter().map(|tag| Ok(tag.parse()?)).collect::<Result<_>>()?,
        immutable_tags: Vec::new(),
        mirrored: None,
        events: Vec::new(),
    })
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
