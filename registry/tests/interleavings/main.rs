//! An image is pushed while the same image is deleted and garbage is collected: whatever comes between what,
//! a push that was acknowledged can be pulled.
//!
//! Both stores stop before each of their steps, and a seed says who goes on. What runs is all real: the
//! listener, the services, the SQLite store, and the filesystem driver, where the bytes of a push lie where
//! those of the garbage lay.
//!
//! `BERTH_INTERLEAVINGS` sets how many there are, `BERTH_INTERLEAVINGS_SEED` repeats the choices of a run.

mod blobs;
mod client;
mod image;
mod metadata;
mod schedule;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use berth_config::Config;
use berth_metadata::{Follower, MetadataStore, SqliteLocation, SqliteOptions, SqliteStore};
use berth_registry::Registry;
use berth_registry::control::{Ask, Told, carry_out};
use berth_registry::http::App;
use berth_registry::server::{Listener, Server};
use berth_storage_backends::FilesystemStore;
use tokio::sync::mpsc;

use blobs::GatedBlobs;
use image::Image;
use metadata::GatedMetadata;
use schedule::{Part, Random, Schedule};

const INTERLEAVINGS: u64 = 1000;
const REPOSITORIES: [&str; 2] = ["one", "two"];

#[tokio::test]
async fn a_push_that_was_acknowledged_pulls_whatever_was_deleted_meanwhile() -> Result<()> {
    let interleavings = from_environment("BERTH_INTERLEAVINGS")?.unwrap_or(INTERLEAVINGS);
    let seed = match from_environment("BERTH_INTERLEAVINGS_SEED")? {
        Some(seed) => seed,
        None => u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?,
    };
    println!("BERTH_INTERLEAVINGS_SEED={seed} BERTH_INTERLEAVINGS={interleavings}");
    let told = || format!("with BERTH_INTERLEAVINGS_SEED={seed}");
    let mut scene = Scene::open().await?;
    scene.image.push(scene.address, scene.here(), false).await?;
    for number in 0..interleavings {
        let random = Random(seed.wrapping_add(number));
        let interleaved = scene.interleave(random).await;
        interleaved.with_context(|| format!("in interleaving {number}")).with_context(told)?;
    }
    scene.end().await.with_context(told)
}

/// A registry, and where the image is.
struct Scene {
    root: tempfile::TempDir,
    registry: Arc<Registry>,
    metadata: Arc<dyn MetadataStore>,
    schedule: Schedule,
    address: SocketAddr,
    image: Image,
    /// Which of the repositories has the image.
    here: usize,
}

impl Scene {
    async fn open() -> Result<Self> {
        let root = temporary()?;
        let schedule = Schedule::default();
        let inner = Arc::new(FilesystemStore::open(root.path())?);
        let blobs = Arc::new(GatedBlobs { inner, schedule: schedule.clone() });
        let options = SqliteOptions {
            location: SqliteLocation::File(root.path().join("berth.db")),
            readers: 2,
            cache_bytes: 1 << 20,
            follower: Follower::Tree,
        };
        let inner = Arc::new(SqliteStore::open(options).await?);
        let metadata: Arc<dyn MetadataStore> =
            Arc::new(GatedMetadata { inner, schedule: schedule.clone() });
        let config = Arc::new(configuration("0s")?);
        let registry = Arc::new(Registry::new(config.clone(), blobs, metadata.clone()));
        let app = Arc::new(App::new(registry.clone(), None, None));
        let listener = Listener::bind(&config.http.listen().map_err(anyhow::Error::msg)?).await?;
        let address = listener.address().parse()?;
        let server = Server::new(config.http.limits.connections);
        tokio::spawn(server.listen(listener, app));
        let image = Image::new();
        Ok(Self { root, registry, metadata, schedule, address, image, here: 0 })
    }

    fn here(&self) -> &'static str {
        REPOSITORIES[self.here]
    }

    /// The image is deleted where it is, and pushed there again or elsewhere, while one or two collectors work.
    async fn interleave(&mut self, mut random: Random) -> Result<()> {
        // Without a promise the collector lets go of the links of what was pushed, with one only of what was
        // deleted.
        let is_promised = random.coin();
        let lease = if is_promised { "1h" } else { "0s" };
        self.registry.reload(Arc::new(configuration(lease)?));
        let with_blobs = is_promised || random.coin();
        let in_session = random.coin();
        let from = self.here();
        let is_elsewhere = random.coin();
        if is_elsewhere {
            self.here = 1 - self.here;
        }
        let (image, address, to) = (self.image.clone(), self.address, self.here());
        let mut parts: Vec<Part> = Vec::new();
        if is_elsewhere {
            let pushed = image.clone();
            parts.push((
                "delete",
                Box::pin(async move { image.delete(address, from, with_blobs).await }),
            ));
            parts.push((
                "push",
                Box::pin(async move { pushed.push(address, to, in_session).await }),
            ));
        } else {
            let again = async move {
                image.delete(address, from, with_blobs).await?;
                image.push(address, to, in_session).await
            };
            parts.push(("delete and push", Box::pin(again)));
        }
        for _ in 0..=random.below(2) {
            let registry = self.registry.clone();
            parts.push(("collect", Box::pin(async move { collect(&registry).await })));
        }
        self.schedule.run(&mut random, parts).await?;

        self.image.pull(address, to).await.context("right after the push")?;
        if is_elsewhere {
            self.image.expect_gone(address, from).await?;
        }
        // What was left for a later cycle.
        collect(&self.registry).await?;
        collect(&self.registry).await?;
        self.image.pull(address, to).await.context("after the collection")?;
        self.expect_files(&self.image.digests())
    }

    /// When all is deleted nothing is left.
    async fn end(self) -> Result<()> {
        self.image.delete(self.address, self.here(), true).await?;
        // What was promised there may still hold blobs whose manifest went.
        self.image.delete_blobs(self.address, REPOSITORIES[1 - self.here]).await?;
        collect(&self.registry).await?;
        collect(&self.registry).await?;
        self.expect_files(&[])?;
        self.metadata.close().await;
        Ok(())
    }

    /// The blobs in the storage tree are these and no others, manifests among them.
    fn expect_files(&self, digests: &[String]) -> Result<()> {
        let mut found = Vec::new();
        for path in files(&self.root.path().join("docker/registry/v2/blobs"))? {
            let folder =
                path.parent().and_then(Path::file_name).context("a file without a folder")?;
            found.push(folder.to_string_lossy().into_owned());
        }
        found.sort();
        ensure!(found == digests, "the tree has the blobs {found:?} and should have {digests:?}");
        Ok(())
    }
}

/// One cycle, as `berth garbage-collect` asks for it.
async fn collect(registry: &Arc<Registry>) -> Result<()> {
    let (tell, mut told) = mpsc::channel(64);
    let work = async {
        carry_out(registry, Ask::Collect { dry_run: false, delete_untagged: false }, tell).await;
    };
    let watch = async {
        let mut last = None;
        while let Some(told) = told.recv().await {
            last = Some(told);
        }
        last
    };
    match tokio::join!(work, watch).1 {
        Some(Told::Done(collected)) => {
            ensure!(collected.failed == 0, "{collected:?}");
            Ok(())
        }
        other => anyhow::bail!("the collection ended with {other:?}"),
    }
}

/// What is deleted goes at once.
fn configuration(lease: &str) -> Result<Config> {
    const SECTION: &str = "REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION";
    let environment = [
        ("REGISTRY_HTTP_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
        ("REGISTRY_STORAGE_DELETE_ENABLED".to_owned(), "true".to_owned()),
        ("REGISTRY_STORAGE_DELETE_UNDELETE".to_owned(), "0s".to_owned()),
        (format!("{SECTION}_LEASE"), lease.to_owned()),
        (format!("{SECTION}_GRACEPERIOD"), "0s".to_owned()),
    ];
    Ok(Config::parse("version: 0.1\n", environment.to_vec())?.config)
}

/// A folder in memory where there is such a thing: nothing here is about disks.
fn temporary() -> Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    Ok(tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir())?)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => files.extend(self::files(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

fn from_environment(name: &str) -> Result<Option<u64>> {
    let Ok(text) = env::var(name) else { return Ok(None) };
    Ok(Some(text.parse().with_context(|| format!("{name} must be a number, not {text:?}"))?))
}
