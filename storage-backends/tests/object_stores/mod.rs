//! The suite over the drivers of object stores, each against a server that speaks its protocol.

mod openstack;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use berth_config::{Config, Storage};
use berth_oci::UploadId;
use berth_storage_backends::{BlobStore, open_remote};
use berth_test_stores::{Azurite, Gcs, Moto, Oss, S3Access, Swift, VersityGateway};
use serde_json::Value;

use super::suite::fixtures::{Opened, bytes, digest, put, stale};
use crate::blob_store_suite;

const MINUTE: Duration = Duration::from_secs(60);

// One server of each kind, for all tests of this process; each test has a folder of its own.
static VERSITY: LazyLock<VersityGateway> = LazyLock::new(|| VersityGateway::start().unwrap());
static MOTO: LazyLock<Moto> = LazyLock::new(|| Moto::start().unwrap());
static AZURITE: LazyLock<Azurite> = LazyLock::new(|| Azurite::start().unwrap());
static GCS: LazyLock<Gcs> = LazyLock::new(|| Gcs::start().unwrap());
static OSS: LazyLock<Oss> = LazyLock::new(|| Oss::start().unwrap());
static SWIFT: LazyLock<Swift> = LazyLock::new(|| Swift::start().unwrap());

fn opened(store: Arc<dyn BlobStore>) -> Opened {
    Opened { store, directory: None }
}

/// The storage section that a text of `key: value` lines makes.
fn storage(driver: &str, settings: &[(&str, &str)]) -> Storage {
    let folder = format!("suite/{}", UploadId::random());
    let directory = if driver == "swift" { "prefix" } else { "rootdirectory" };
    let mut text = format!("version: 0.1\nstorage:\n  {driver}:\n    {directory}: {folder}\n");
    for (key, value) in settings {
        // A list, a number and a switch stand for themselves.
        let value = match serde_json::from_str(value) {
            Ok(value @ (Value::Array(_) | Value::Bool(_) | Value::Number(_))) => value,
            _ => Value::from(*value),
        };
        text.push_str(&format!("    {key}: {value}\n"));
    }
    Config::parse(&text, []).unwrap().config.storage
}

fn open_s3(access: &S3Access) -> Opened {
    open_s3_with(access, &[])
}

fn open_s3_with(access: &S3Access, more: &[(&str, &str)]) -> Opened {
    let settings = [
        ("regionendpoint", &*access.endpoint),
        ("region", &access.region),
        ("bucket", &access.bucket),
        ("accesskey", &access.access_key),
        ("secretkey", &access.secret_key),
        ("chunksize", "5MiB"),
    ];
    let storage = storage("s3", &[&settings, more].concat());
    opened(open_remote(storage.remote().unwrap()).unwrap())
}

fn open_versity() -> Opened {
    open_s3(VERSITY.access())
}

fn open_moto() -> Opened {
    open_s3(MOTO.access())
}

fn open_azurite() -> Opened {
    let storage = storage(
        "azure",
        &[
            ("endpoint", AZURITE.endpoint()),
            ("accountname", AZURITE.account()),
            ("accountkey", AZURITE.key()),
            ("container", AZURITE.container()),
        ],
    );
    opened(open_remote(storage.remote().unwrap()).unwrap())
}

fn open_gcs() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.json");
    std::fs::write(&key, GCS.service_account()).unwrap();
    let settings = [
        ("endpoint", &*GCS.endpoint()),
        ("bucket", GCS.bucket()),
        ("keyfile", key.to_str().unwrap()),
    ];
    let storage = storage("gcs", &settings);
    opened(open_remote(storage.remote().unwrap()).unwrap())
}

/// With signatures of version 4.
fn open_oss() -> Opened {
    open_oss_with(&[("region", OSS.region())])
}

/// With signatures of version 1: they need no region.
fn open_oss_without_region() -> Opened {
    open_oss_with(&[])
}

fn open_oss_with(more: &[(&str, &str)]) -> Opened {
    let endpoint = OSS.endpoint();
    let settings = [
        ("endpoint", &*endpoint),
        ("bucket", OSS.bucket()),
        ("accesskeyid", OSS.access_key()),
        ("accesskeysecret", OSS.secret_key()),
        ("chunksize", "5MiB"),
    ];
    let storage = storage("oss", &[&settings, more].concat());
    opened(open_remote(storage.remote().unwrap()).unwrap())
}

fn open_swift() -> Opened {
    opened(openstack::open(&SWIFT, &[]))
}

/// What a process leaves in the store that dies in the middle of a large upload.
async fn parts_that_nobody_completed_are_found_and_ended(store: Arc<dyn BlobStore>) {
    let id = UploadId::random();
    let handle = store.begin_upload(id).await.unwrap();
    let mut writer = store.continue_upload(&handle, 0).await.unwrap();
    writer.write(vec![bytes(1, 24 << 20)]).await.unwrap();
    // Nothing of this was recorded.
    writer.sync().await.unwrap();
    drop(writer);
    assert_eq!(stale(&store, SystemTime::now() - MINUTE).await, []);
    let found = stale(&store, SystemTime::now() + MINUTE).await;
    assert_eq!(found.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
    store.abort_upload(&found[0].handle).await.unwrap();
    assert_eq!(stale(&store, SystemTime::now() + MINUTE).await, []);
}

#[tokio::test]
async fn objects_are_encrypted_and_classed_as_the_settings_say() {
    for (settings, expected) in [
        (
            &[("encrypt", "true"), ("storageclass", "STANDARD_IA")][..],
            &[("x-amz-server-side-encryption", "AES256"), ("x-amz-storage-class", "STANDARD_IA")][..],
        ),
        (
            &[("encrypt", "true"), ("keyid", "alias/registry")],
            &[
                ("x-amz-server-side-encryption", "aws:kms"),
                ("x-amz-server-side-encryption-aws-kms-key-id", "alias/registry"),
            ],
        ),
    ] {
        let store = open_s3_with(MOTO.access(), settings).store;
        // In one piece, and in parts.
        for size in [1000, 12 << 20] {
            let blob = bytes(1, size);
            let location = put(&store, &blob).await;
            let address = store.presign(&digest(&blob), &location, MINUTE).await.unwrap().unwrap();
            let answer = reqwest::get(address).await.unwrap().error_for_status().unwrap();
            for (name, value) in expected {
                assert_eq!(answer.headers()[*name], *value, "{size} bytes with {settings:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_probe_tells_what_it_found() {
    for open in [open_versity, open_moto, open_azurite, open_oss, open_swift] {
        let store = open().store;
        let found = store.probe(true).await.unwrap();
        println!("{found:#?}");
        for words in [
            "read whole and in part",
            "not written over where that is forbidden",
            "a listing shows them at once",
            "in the order of their keys",
            "uploads in parts",
            "uploads that nobody ends",
            "readers",
            "can be deleted",
        ] {
            assert!(found.iter().any(|one| one.contains(words)), "{words:?} is not in {found:#?}");
        }
        assert_eq!(stale(&store, SystemTime::now() + MINUTE).await, []);
    }
}

/// A blob that comes in one request may take longer than any grace period.
#[tokio::test]
async fn an_upload_that_is_being_written_does_not_stand_still() {
    let store = open_versity().store;
    let handle = store.begin_upload(UploadId::random()).await.unwrap();
    let mut writer = store.continue_upload(&handle, 0).await.unwrap();
    writer.write(vec![bytes(1, 24 << 20)]).await.unwrap();
    writer.sync().await.unwrap();
    let soon = SystemTime::now() + MINUTE;
    assert_eq!(stale(&store, soon).await, []);
    drop(writer);
    assert_eq!(stale(&store, soon).await.len(), 1);
}

#[tokio::test]
async fn s3_parts_that_nobody_completed_are_found_and_ended() {
    parts_that_nobody_completed_are_found_and_ended(open_versity().store).await;
}

#[tokio::test]
async fn google_parts_that_nobody_completed_are_found_and_ended() {
    parts_that_nobody_completed_are_found_and_ended(open_gcs().store).await;
}

#[tokio::test]
async fn aliyun_parts_that_nobody_completed_are_found_and_ended() {
    parts_that_nobody_completed_are_found_and_ended(open_oss().store).await;
}

#[tokio::test]
async fn segments_of_swift_that_nobody_completed_are_found_and_ended() {
    parts_that_nobody_completed_are_found_and_ended(open_swift().store).await;
}

/// Not with moto, which looks first and writes then, so that two may both find nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_at_the_same_time_one_writes() {
    for open in [open_versity, open_azurite, open_gcs, open_oss, open_swift] {
        let opened = open();
        crate::suite::files::of_two_writers_at_the_same_time_one_writes(opened.store.clone()).await;
    }
}

blob_store_suite!(versity, open_versity);
blob_store_suite!(moto, open_moto);
blob_store_suite!(azurite, open_azurite);
blob_store_suite!(google, open_gcs);
blob_store_suite!(aliyun, open_oss);
blob_store_suite!(aliyun_without_region, open_oss_without_region);
blob_store_suite!(swift, open_swift);
