//! A store that fails in the middle: what the client is told, and that nothing is lost or made up.

use anyhow::{Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wait;
use berth_tests::wire::{Request, patch, post, put};

use crate::api::Api;
use crate::faulty_store::{Fault, Faults};

/// One registry on the filesystem and one in memory, over stores that fail as told.
fn each() -> impl Iterator<Item = (Api, Faults)> {
    [true, false].into_iter().map(|on_files| {
        let faults = Faults::new();
        match Api::over(&faults, on_files) {
            Ok(api) => (api, faults),
            Err(error) => panic!("no registry: {error:#}"),
        }
    })
}

#[test]
fn a_full_store_is_507_and_the_session_goes_on_when_there_is_room() -> Result<()> {
    for (api, faults) in each() {
        let (old, blob, session) =
            (Blob::random(1, 1000), Blob::random(2, 200_000), api.begin("app")?);
        api.push_blob("app", &old)?;
        api.send(&patch(&session).body(&blob.bytes[..50_000]))?.expect(202)?;
        let finish = put(format!("{session}?digest={}", blob.digest)).body(&blob.bytes[50_000..]);
        let whole =
            post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes);
        faults.set(Some(Fault::Full));
        for request in [patch(&session).body(&blob.bytes[50_000..]), finish.clone(), whole] {
            let message = api.send(&request)?.refusal(507, "UNAVAILABLE")?;
            ensure!(message.contains("space"), "{message}");
            assert_eq!(api.get(&session)?.expect(204)?.header("range")?, "0-49999");
            api.expect_blob("app", &old)?;
        }
        faults.set(None);
        api.send(&finish)?.expect(201)?;
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

#[test]
fn what_could_not_be_made_durable_is_not_acknowledged() -> Result<()> {
    for (api, faults) in each() {
        for fault in [Fault::Sync, Fault::Finish] {
            let (blob, session) = (Blob::random(fault as u64, 100_000), api.begin("app")?);
            let whole =
                post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes);
            let finish = put(format!("{session}?digest={}", blob.digest)).body(&*blob.bytes);
            let requests: &[Request] = match fault {
                Fault::Sync => &[patch(&session).body(&*blob.bytes)],
                _ => &[finish.clone(), whole],
            };
            faults.set(Some(fault));
            for request in requests {
                let answer = api.send(request)?;
                answer.header("retry-after")?;
                answer.refusal(503, "UNAVAILABLE")?;
            }
            api.get(&format!("/v2/app/blobs/{}", blob.digest))?.refusal(404, "BLOB_UNKNOWN")?;
            assert_eq!(api.get(&session)?.expect(204)?.header("range")?, "0-0");
            faults.set(None);
            api.send(&finish)?.expect(201)?;
            api.expect_blob("app", &blob)?;
        }
    }
    Ok(())
}

#[test]
fn a_store_that_cannot_read_is_503_and_its_words_stay_inside() -> Result<()> {
    for (api, faults) in each() {
        let blob = Blob::random(1, 1000);
        api.push_blob("app", &blob)?;
        faults.set(Some(Fault::Open));
        let message =
            api.get(&format!("/v2/app/blobs/{}", blob.digest))?.refusal(503, "UNAVAILABLE")?;
        ensure!(message.contains("try again") && !message.contains("injected"), "{message}");
        api.get("/v2/app/tags/list")?.expect(200)?;
        faults.set(None);
        api.expect_blob("app", &blob)?;
    }
    Ok(())
}

/// The digest of a session is computed from what was appended to it, not from what the store holds. So no writer may
/// change what the store holds once another has moved the session, or bytes of one blob would get the name of another.
#[test]
fn a_writer_that_comes_late_changes_nothing_that_another_has_appended() -> Result<()> {
    for (api, faults) in each() {
        for late in ["PATCH", "PUT"] {
            let (blob, session) = (Blob::random(1, 100_000), api.begin("app")?);
            let (forged, address) = (Blob::random(2, 100_000), api.address);
            let target = format!("{session}?digest={}", blob.digest);
            let request = Request::new(late, if late == "PUT" { &target } else { &session });
            let request = request.body(&*forged.bytes);
            faults.set(Some(Fault::HoldLate));
            let writer = std::thread::spawn(move || berth_tests::wire::send(address, &request));
            wait::until("the writer has seen an empty session", || Ok(faults.somebody_waits()))?;
            api.send(&patch(&session).body(&blob.bytes[..60_000]))?.expect(202)?;
            faults.let_go_on();
            let answer = writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))??;
            answer.refusal(416, "RANGE_INVALID")?;

            let rest =
                put(&target).header("Content-Range", "60000-99999").body(&blob.bytes[60_000..]);
            api.send(&rest)?.expect(201)?;
            api.expect_blob("app", &blob)?;
        }
    }
    Ok(())
}
