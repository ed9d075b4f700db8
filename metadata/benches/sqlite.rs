//! Rates of the SQLite store, on a file in a temporary directory (`TMPDIR` chooses the disk).
//!
//! `cargo bench -p berth-metadata [-- <part of a name>]`
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_metadata::{
    BlobLocation, BlobRecord, FinishedUpload, Follower, MetadataStore, NewManifest, NewUpload,
    RecordedUpload, SqliteLocation, SqliteOptions, SqliteStore,
};
use berth_oci::{Algorithm, Digest, Hasher, Reference, RepositoryName, UploadId};
use bytes::Bytes;
use tokio::task::JoinSet;

const CALLERS: usize = 32;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| filter.as_deref().is_none_or(|part| name.contains(part));
    if wanted("idle") {
        idle().await;
    }
    if wanted("pushes") {
        for callers in [1, CALLERS, 128] {
            pushes(callers).await;
        }
    }
    if wanted("manifest pushes") {
        manifest_pushes().await;
    }
    if wanted("reads") {
        reads(64 * 1024 * 1024, "from the cache").await;
        reads(0, "from the file").await;
    }
    if wanted("growth") {
        growth().await;
    }
}

fn options(directory: &tempfile::TempDir) -> SqliteOptions {
    let location = SqliteLocation::File(directory.path().join("metadata.db"));
    SqliteOptions { follower: Follower::Tree, ..SqliteOptions::new(location) }
}

fn repository(number: usize) -> RepositoryName {
    format!("bench/repository-{number:06}").parse().unwrap()
}

fn digest(text: &str) -> Digest {
    Hasher::digest(Algorithm::Sha256, text.as_bytes())
}

fn manifest(repository: RepositoryName, number: usize) -> NewManifest {
    let payload = format!("{number:0>1024}");
    NewManifest {
        repository,
        digest: digest(&payload),
        media_type: berth_oci::media_type::OCI_IMAGE_MANIFEST.to_owned(),
        payload: Bytes::from(payload),
        blobs: (0..8).map(|layer| (digest(&format!("{number} {layer}")), false)).collect(),
        manifests: Vec::new(),
        subject: None,
        artifact_type: None,
        annotations: None,
        tags: vec![format!("tag-{number:07}").parse().unwrap()],
        immutable_tags: Vec::new(),
        mirrored: None,
        events: Vec::new(),
    }
}

/// What an open store takes of memory before it is used.
async fn idle() {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4
    };
    let before = resident();
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(&directory)).await.unwrap();
    println!("idle store: {} KiB", resident() - before);
    store.close().await;
}

/// Opens a session and finishes it.
async fn pushes(callers: usize) {
    const TOTAL: usize = 20_000;
    let total = if callers == 1 { TOTAL / 10 } else { TOTAL };
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(options(&directory)).await.unwrap());
    let hash_state = Hasher::new(Algorithm::Sha256).save();
    let took = run(&store, callers, total, move |store, number| {
        let hash_state = hash_state.clone();
        async move {
            let (id, repository) = (UploadId::random(), repository(number % 8));
            let upload = NewUpload {
                id,
                repository: repository.clone(),
                algorithm: Algorithm::Sha256,
                hash_state,
                handle: String::new(),
            };
            store.create_upload(upload).await.unwrap();
            let blob = BlobRecord {
                digest: digest(&number.to_string()),
                size: 4096,
                location: BlobLocation::default(),
            };
            let lease = Duration::from_secs(3600);
            let (id, grace, events) = (Some(id), lease, Vec::new());
            let finished =
                FinishedUpload { id, repository, blob, lease, grace, seen: None, events };
            let recorded = store.finish_upload(finished).await.unwrap();
            assert_eq!(recorded, RecordedUpload::Linked);
        }
    })
    .await;
    report(&format!("pushes of blobs, {callers} callers"), total, took);
    store.close().await;
}

async fn manifest_pushes() {
    const TOTAL: usize = 10_000;
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(options(&directory)).await.unwrap());
    let took = run(&store, CALLERS, TOTAL, move |store, number| async move {
        store.put_manifest(manifest(repository(number % 8), number)).await.unwrap();
    })
    .await;
    report(&format!("manifest pushes (8 layers, one tag), {CALLERS} callers"), TOTAL, took);
    store.close().await;
}

async fn reads(cache_bytes: u64, from: &str) {
    const MANIFESTS: usize = 1000;
    let total = if cache_bytes > 0 { 2_000_000 } else { 100_000 };
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions { cache_bytes, ..options(&directory) };
    let store = Arc::new(SqliteStore::open(options).await.unwrap());
    run(&store, CALLERS, MANIFESTS, move |store, number| async move {
        store.put_manifest(manifest(repository(0), number)).await.unwrap();
    })
    .await;
    let references: Arc<[Reference]> =
        (0..MANIFESTS).map(|number| format!("tag-{number:07}").parse().unwrap()).collect();
    let name = repository(0);
    let took = run(&store, CALLERS, total, move |store, number| {
        let (references, name) = (Arc::clone(&references), name.clone());
        async move {
            let found = store.manifest(&name, &references[number % MANIFESTS]).await.unwrap();
            assert!(found.is_some());
        }
    })
    .await;
    report(&format!("manifest reads by tag {from}, {CALLERS} callers"), total, took);
    store.close().await;
}

/// Opening, listing and reading with a million tags in one repository and a hundred thousand
/// repositories.
async fn growth() {
    const TAGS: usize = 1_000_000;
    const REPOSITORIES: usize = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(options(&directory)).await.unwrap());
    let started = Instant::now();
    for size in [1000, TAGS] {
        let from = if size == TAGS { 1000 } else { 0 };
        run(&store, 128, (size - from) / 100, move |store, batch| async move {
            let first = from + batch * 100;
            let mut manifest = manifest(repository(0), first);
            manifest.tags = (first..first + 100)
                .map(|number| format!("tag-{number:07}").parse().unwrap())
                .collect();
            store.put_manifest(manifest).await.unwrap();
        })
        .await;
        let repositories = size * REPOSITORIES / TAGS;
        run(&store, 128, repositories, move |store, number| async move {
            store.put_manifest(manifest(repository(number), 1)).await.unwrap();
        })
        .await;
        println!("{size} tags, {repositories} repositories, after {:.1?}", started.elapsed());
        latencies(&store, size, repositories).await;
    }
    store.close().await;
    drop(store);
    for _ in 0..3 {
        let opening = Instant::now();
        let store = SqliteStore::open(options(&directory)).await.unwrap();
        println!("  open {:.2?}", opening.elapsed());
        store.close().await;
    }
}

/// Without the cache: each read is of another name.
async fn latencies(store: &SqliteStore, tags: usize, repositories: usize) {
    let mut by_tag = Vec::new();
    let mut listing = Vec::new();
    let mut catalog = Vec::new();
    for number in 0..1000 {
        let tag = number * 7919 % tags;
        let reference: Reference = format!("tag-{tag:07}").parse().unwrap();
        by_tag.push(timed(store.manifest(&repository(0), &reference)).await);
        listing.push(timed(store.tags(&repository(0), None, 100)).await);
        catalog.push(timed(store.repositories(None, 100)).await);
        let other = repository(number * 7919 % repositories);
        store.repository_exists(&other).await.unwrap();
    }
    for (what, mut times) in [("manifest", by_tag), ("tags", listing), ("catalog", catalog)] {
        times.sort_unstable();
        println!("  {what}: p50 {:.1?}, p99 {:.1?}", times[500], times[990]);
    }
}

async fn timed<T>(
    read: impl Future<Output = Result<T, berth_metadata::MetadataError>>,
) -> Duration {
    let started = Instant::now();
    read.await.unwrap();
    started.elapsed()
}

/// Runs `work` for the numbers up to `total`, spread over `callers` tasks.
async fn run<F, W>(store: &Arc<SqliteStore>, callers: usize, total: usize, work: W) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
    W: Fn(Arc<SqliteStore>, usize) -> F + Clone + Send + 'static,
{
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (store, work) = (Arc::clone(store), work.clone());
        tasks.spawn(async move {
            for number in (caller..total).step_by(callers) {
                work(Arc::clone(&store), number).await;
            }
        });
    }
    tasks.join_all().await;
    started.elapsed()
}

fn report(what: &str, total: usize, took: Duration) {
    let rate = total as f64 / took.as_secs_f64();
    println!("{what}: {rate:.0} per second ({total} in {took:.2?})");
}
