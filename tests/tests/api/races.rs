//! Several clients at the same content.

use anyhow::{Result, anyhow, ensure};
use berth_tests::content::{Blob, Manifest};
use berth_tests::wait;
use berth_tests::wire::{Connection, Request, patch, put};

use crate::api::Api;

/// A writer that has begun its body and holds the session.
fn hold(api: &Api, request: &Request, sent: usize) -> Result<Connection> {
    let before = api.received_bytes()?;
    let mut connection = api.connect()?;
    connection.write(&request.head())?;
    connection.write(&request.framed_body()[..sent])?;
    // A body is read by whoever holds the session.
    wait::until("the body is read", || Ok(api.received_bytes()? > before))?;
    Ok(connection)
}

#[test]
fn a_second_writer_is_turned_away_until_the_first_is_done() -> Result<()> {
    for api in Api::each() {
        let (blob, session) = (Blob::random(1, 100_000), api.begin("app")?);
        let first = patch(&session).body(&blob.bytes[..60_000]);
        let mut writer = hold(&api, &first, 20_000)?;
        let finish = put(format!("{session}?digest={}", blob.digest)).body(&*blob.bytes);
        for request in [patch(&session).body("other"), finish] {
            let message = api.send(&request)?.refusal(409, "BLOB_UPLOAD_INVALID")?;
            ensure!(message.contains("GET"), "{message}");
        }
        api.get(&session)?.expect(204)?;
        writer.write(&first.framed_body()[20_000..])?;
        writer.answer(false)?.expect(202)?;
        let rest = put(format!("{session}?digest={}", blob.digest)).body(&blob.bytes[60_000..]);
        api.send(&rest)?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn cancelling_a_session_that_is_written_to_ends_it_for_its_writer_too() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 100_000);
        let finish: fn(&str, &Blob) -> Request =
            |session, blob| put(format!("{session}?digest={}", blob.digest)).body(&*blob.bytes);
        let append: fn(&str, &Blob) -> Request = |session, blob| patch(session).body(&*blob.bytes);
        for request in [finish, append] {
            let session = api.begin("app")?;
            let request = request(&session, &blob);
            let mut writer = hold(&api, &request, 20_000)?;
            api.delete(&session)?.expect(204)?;
            writer.write(&request.framed_body()[20_000..])?;
            writer.answer(false)?.refusal(404, "BLOB_UPLOAD_UNKNOWN")?;
            api.get(&session)?.expect(404)?;
            api.get(&format!("/v2/app/blobs/{}", blob.digest))?.expect(404)?;
        }
        if api.has_files() {
            assert_eq!(std::fs::read_dir(api.root()?.join("berth/uploads"))?.count(), 0);
        }
        api.push_blob("app", &blob)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn a_session_is_finished_once_whoever_tries() -> Result<()> {
    for api in Api::each() {
        for round in 0..30 {
            let (blob, session) = (Blob::random(round, 50_000), api.begin("app")?);
            let other = Blob::random(round + 1000, 60_000);
            let finish = |blob: &Blob| {
                let request = put(format!("{session}?digest={}", blob.digest)).body(&*blob.bytes);
                api.send(&request)
            };
            let answers =
                together(8, |number| finish(if number % 2 == 0 { &blob } else { &other }))?;
            let created = answers.iter().filter(|answer| answer.status == 201).count();
            assert_eq!(
                created,
                1,
                "{:?}",
                answers.iter().map(|answer| answer.status).collect::<Vec<_>>()
            );
            for answer in answers {
                ensure!(matches!(answer.status, 201 | 404 | 409), "answered {}", answer.status);
            }
            let reads = [&blob, &other].map(|blob| api.expect_blob("app", blob).is_ok());
            assert_eq!(
                reads.iter().filter(|read| **read).count(),
                1,
                "one of the two is there, whole"
            );
        }
    }
    Ok(())
}

#[test]
fn many_clients_push_the_same_blob_at_once() -> Result<()> {
    for api in Api::each() {
        for round in 0..10 {
            let blob = Blob::random(round, 100_000);
            let repositories = ["a", "b", "c"];
            together(9, |number| api.push_blob(repositories[number % 3], &blob))?;
            for repository in repositories {
                api.expect_blob(repository, &blob)?;
            }
        }
    }
    Ok(())
}

#[test]
fn many_uploads_share_the_least_memory_and_all_come_to_their_end() -> Result<()> {
    for api in Api::each_with(&[("REGISTRY_HTTP_LIMITS_UPLOADMEMORY", "512KiB")]) {
        let blobs: Vec<Blob> = (0..24).map(|seed| Blob::random(seed, 2 << 20)).collect();
        together(blobs.len(), |number| api.push_blob("app", &blobs[number]))?;
        for blob in &blobs {
            api.expect_blob("app", blob)?;
        }
    }
    Ok(())
}

#[test]
fn a_tag_that_many_move_stands_for_one_of_theirs() -> Result<()> {
    for api in Api::each() {
        let manifests: Vec<Manifest> = (0..8)
            .map(|seed| api.push_image("app", &format!("v{seed}"), seed))
            .collect::<Result<_>>()?;
        together(8, |number| api.push_manifest("app", "latest", &manifests[number])?.expect(201))?;
        let latest = api.get("/v2/app/manifests/latest")?.expect(200)?;
        ensure!(
            manifests.iter().any(|manifest| manifest.bytes == latest.body),
            "a manifest of nobody"
        );
    }
    Ok(())
}

#[test]
fn a_blob_that_is_read_while_it_is_deleted_is_read_to_its_end() -> Result<()> {
    for api in Api::each() {
        let blob = Blob::random(1, 32 << 20);
        api.push_blob("app", &blob)?;
        let target = format!("/v2/app/blobs/{}", blob.digest);
        let mut reader = api.connect()?;
        reader.write(&berth_tests::wire::get(&target).head())?;
        // More than the buffers of both ends hold, so that the reading goes on behind the deletion.
        api.delete(&target)?.expect(202)?;
        let answer = reader.answer(false)?;
        ensure!(answer.status == 404 || answer.body == blob.bytes, "the blob was cut off");
    }
    Ok(())
}

/// Does the same in several threads and gives all results.
fn together<T: Send>(count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let (start, work) = (&std::sync::Barrier::new(count), &work);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                scope.spawn(move || {
                    start.wait();
                    work(number)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
            .collect()
    })
}
