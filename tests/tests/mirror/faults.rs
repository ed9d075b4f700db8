//! What can go wrong between a mirror and its upstream, and what clients see of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use berth_test_stores::Fault;
use berth_tests::wire;

use crate::scene::{Image, LAYER, Scene};

/// Plans a fault for the next request that is for a blob.
fn next_fetch(scene: &Scene, digest: &str, fault: Fault, times: usize) {
    let end = digest.to_owned();
    scene
        .proxy
        .next_where(fault, times, move |seen| seen.method == "GET" && seen.path.ends_with(&end));
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_fetch_that_breaks_or_stalls_goes_on_where_it_was_and_no_client_notices() -> Result<()> {
    let half = LAYER as u64 / 2;
    for (seed, fault) in [(10, Fault::Cut(half)), (11, Fault::Stall(half)), (12, Fault::Refuse)] {
        let (scene, image) = (Scene::new()?, Image::new(seed));
        scene.push("v1", &image)?;
        next_fetch(&scene, &image.layer.digest, fault.clone(), 1);
        match fault {
            // Nothing had begun yet, so the client is told, and tries again.
            Fault::Refuse => {
                scene.blob(&image.layer)?.refusal(502, "UNAVAILABLE")?;
            }
            _ => {
                let answer = scene.blob(&image.layer)?.expect(200)?;
                ensure!(answer.body == image.layer.bytes, "other bytes after {fault:?}");
                let down = scene.proxy.bytes_down();
                ensure!(down < 2 * LAYER as u64, "{down} bytes came for {LAYER} after {fault:?}");
            }
        }
        scene.pull("v1", &image)?;
        scene.stop()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_is_not_what_its_digest_says_ends_as_an_error_and_is_not_kept() -> Result<()> {
    for (seed, fault) in [
        (20, Fault::Flip(LAYER as u64 / 2)),
        (21, Fault::Flip(0)),
        (22, Fault::Flip(LAYER as u64 - 1)),
        (23, Fault::Truncate(LAYER as u64 / 2)),
    ] {
        let (scene, image) = (Scene::new()?, Image::new(seed));
        scene.push("v1", &image)?;
        next_fetch(&scene, &image.layer.digest, fault.clone(), 1);
        let mut connection = wire::Connection::open(scene.mirror.address())?;
        connection
            .write(&wire::get(format!("/v2/hub/team/app/blobs/{}", image.layer.digest)).head())?;
        let sent = connection.until_closed()?;
        let body = sent.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
        // A truncated body has a length of its own, which the client is told, and it lacks a byte as well.
        let told = match fault {
            Fault::Truncate(at) => at as usize,
            _ => LAYER,
        };
        ensure!(sent.len() - body < told, "{fault:?} was served whole");
        // Nothing of it is kept, so that the next pull brings the right bytes.
        scene.pull("v1", &image)?;
        ensure!(scene.fetches(&image.layer.digest) == 2, "{fault:?}");
        scene.stop()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_manifest_that_is_not_what_its_digest_says_is_refused() -> Result<()> {
    let (scene, image) = (Scene::new()?, Image::new(30));
    scene.push("v1", &image)?;
    for reference in ["v1", &*image.manifest.digest] {
        next_fetch(&scene, reference, Fault::Flip(40), 1);
        let message = scene.manifest(reference)?.refusal(502, "UNAVAILABLE")?;
        ensure!(message.contains("gave content with the digest"), "{message}");
    }
    scene.pull("v1", &image)?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn whatever_the_upstream_says_what_is_cached_is_served_and_the_client_is_told_why() -> Result<()> {
    let (scene, image) = (Scene::new()?, Image::new(40));
    scene.push("v1", &image)?;
    scene.pull("v1", &image)?;
    scene.wait_until_kept(&image.layer)?;
    for (fault, status, code, says) in [
        (Fault::Status(401), 403, "DENIED", "credentials"),
        (Fault::Status(403), 403, "DENIED", "does not allow"),
        (Fault::Status(429), 429, "TOOMANYREQUESTS", "429"),
        (Fault::Status(500), 502, "UNAVAILABLE", "500"),
        (Fault::Status(503), 502, "UNAVAILABLE", "503"),
        (Fault::Status(418), 502, "UNAVAILABLE", "418"),
        (Fault::Refuse, 502, "UNAVAILABLE", "cannot be reached"),
        (Fault::Late(Duration::from_secs(60)), 502, "UNAVAILABLE", "did not answer within"),
    ] {
        scene.proxy.next(fault.clone(), usize::MAX);
        let stale = scene.manifest("v1")?.expect(200)?;
        ensure!(stale.body == image.manifest.bytes, "{fault:?}");
        let warning = stale.header("warning")?;
        ensure!(warning.starts_with("299 - \"served from the cache: "), "{warning}");
        ensure!(warning.contains(says), "{fault:?}: {warning}");
        scene.pull_blobs(&image)?;
        let message = scene.manifest("v2")?.refusal(status, code)?;
        ensure!(message.contains(says), "{fault:?}: {message}");
        scene.proxy.heal();
    }
    let fresh = scene.manifest("v1")?.expect(200)?;
    ensure!(fresh.find("warning").is_none());
    scene.manifest("v2")?.refusal(404, "MANIFEST_UNKNOWN")?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_mirror_that_is_killed_in_the_middle_of_a_fetch_serves_the_whole_blob_afterwards() -> Result<()>
{
    let (scene, image) = (Scene::new()?, Image::new(50));
    scene.push("v1", &image)?;
    next_fetch(&scene, &image.layer.digest, Fault::Stall(LAYER as u64 / 2), 1);
    let mut connection = wire::Connection::open(scene.mirror.address())?;
    connection
        .write(&wire::get(format!("/v2/hub/team/app/blobs/{}", image.layer.digest)).head())?;
    berth_tests::wait::until("the fetch is on its way", || {
        Ok(scene.proxy.bytes_down() > LAYER as u64 / 4)
    })?;
    let scene = scene.restart(|mirror| mirror.kill(), |launch| launch)?;
    scene.pull("v1", &image)?;
    scene.stop()
}
