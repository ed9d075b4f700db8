//! Reading and deleting blobs.

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::tree::blob_data;
use berth_tests::wire::{get, head};

use crate::api::Api;

#[test]
fn a_blob_comes_with_all_headers_that_clients_lean_on() -> Result<()> {
    for api in Api::each() {
        for (seed, size) in [(1, 0), (2, 1), (3, 40_000), (4, 10 << 20)] {
            let blob = Blob::random(seed, size);
            api.push_blob("app", &blob)?;
            let target = format!("/v2/app/blobs/{}", blob.digest);
            let (whole, head) = (api.get(&target)?.expect(200)?, api.head(&target)?.expect(200)?);
            ensure!(whole.body == blob.bytes, "{size} bytes came back changed");
            for answer in [&whole, &head] {
                assert_eq!(answer.header("content-length")?, size.to_string());
                assert_eq!(answer.header("content-type")?, "application/octet-stream");
                assert_eq!(answer.header("docker-content-digest")?, blob.digest);
                assert_eq!(answer.header("etag")?, format!("\"{}\"", blob.digest));
                assert_eq!(answer.header("accept-ranges")?, "bytes");
                ensure!(answer.header("cache-control")?.contains("immutable"), "{answer:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn stored_bytes_are_never_encoded_for_the_way() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::new("text that any encoder could shrink ".repeat(10_000));
        api.push_blob("app", &blob)?;
        let request = get(format!("/v2/app/blobs/{}", blob.digest))
            .header("Accept-Encoding", "zstd, gzip, deflate");
        let answer = api.send(&request)?.expect(200)?;
        assert_eq!(answer.find("content-encoding"), None);
        ensure!(answer.body == blob.bytes, "the bytes were changed");
    }
    Ok(())
}

#[test]
fn whoever_has_a_blob_is_not_sent_it_again() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("app", &blob)?;
        let target = format!("/v2/app/blobs/{}", blob.digest);
        for request in [get(&target), head(&target)] {
            let condition = format!("\"{}\"", blob.digest);
            let answer = api.send(&request.header("If-None-Match", &condition))?.expect(304)?;
            assert_eq!(answer.header("etag")?, condition);
        }
        let other = get(&target).header("If-None-Match", "\"other\"");
        ensure!(api.send(&other)?.expect(200)?.body == blob.bytes, "not the blob");
        let absent = Blob::random(2, 10);
        let request = get(format!("/v2/app/blobs/{}", absent.digest)).header("If-None-Match", "*");
        api.send(&request)?.refusal(404, "BLOB_UNKNOWN")?;
    }
    Ok(())
}

#[test]
fn one_connection_serves_many_requests() -> Result<()> {
    for api in Api::each() {
        let blobs = [
            Blob::random(1, 10),
            Blob::random(2, 200_000),
            Blob::random(3, 0),
            Blob::random(4, 9 << 20),
        ];
        let mut connection = api.connect()?;
        for blob in &blobs {
            api.push_blob("app", blob)?;
        }
        for blob in blobs.iter().chain(&blobs) {
            let target = format!("/v2/app/blobs/{}", blob.digest);
            connection.send(&head(&target))?.expect(200)?;
            let answer = connection.send(&get(&target))?.expect(200)?;
            ensure!(answer.body == blob.bytes, "{} came back changed", blob.digest);
            connection.send(&get("/v2/none/tags/list"))?.expect(404)?;
        }
        // Requests that are sent without waiting are answered in order.
        for blob in &blobs {
            connection.write(&get(format!("/v2/app/blobs/{}", blob.digest)).head())?;
        }
        for blob in &blobs {
            let answer = connection.answer(false)?.expect(200)?;
            ensure!(answer.body == blob.bytes, "{} came back changed", blob.digest);
        }
    }
    Ok(())
}

#[test]
fn many_readers_of_one_blob_all_get_all_of_it() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 5 << 20);
        api.push_blob("app", &blob)?;
        std::thread::scope(|scope| {
            let readers: Vec<_> =
                (0..16).map(|_| scope.spawn(|| api.expect_blob("app", &blob))).collect();
            readers.into_iter().try_for_each(|reader| {
                reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))?
            })
        })?;
    }
    Ok(())
}

#[test]
fn a_deleted_blob_is_gone_from_its_repository_until_it_is_pushed_again() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("app", &blob)?;
        let target = format!("/v2/app/blobs/{}", blob.digest);
        api.delete(&target)?.expect(202)?;
        api.get(&target)?.refusal(404, "BLOB_UNKNOWN")?;
        api.head(&target)?.expect(404)?;
        api.delete(&target)?.refusal(404, "BLOB_UNKNOWN")?;
        api.push_blob("app", &blob)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn a_damaged_blob_is_told_and_a_new_push_heals_it() -> Result<()> {
    let api = Api::on_files(&[])?;
    let blob = Blob::random(1, 100_000);
    let path = blob_data(api.root()?, &blob.digest);
    let target = format!("/v2/app/blobs/{}", blob.digest);
    let cut: fn(&std::path::Path) -> std::io::Result<()> =
        |path| std::fs::OpenOptions::new().write(true).open(path)?.set_len(50_000);
    let remove: fn(&std::path::Path) -> std::io::Result<()> = |path| std::fs::remove_file(path);
    for harm in [cut, remove] {
        api.push_blob("app", &blob)?;
        harm(&path)?;
        let message = api.get(&target)?.refusal(500, "UNKNOWN")?;
        ensure!(message.contains("push it again"), "{message}");
        api.push_blob("app", &blob)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}
