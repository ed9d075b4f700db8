//! How much a mirror keeps, how fast it fetches, and what it does not fetch at all.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::Fault;
use berth_tests::wire::{self, get};
use berth_tests::{Launch, Target, wait};

use crate::scene::{Image, LAYER, Scene};

pub(crate) const COLLECTION: &str = "REGISTRY_STORAGE_MAINTENANCE_GARBAGECOLLECTION";

pub(crate) fn metric(scene: &Scene, name: &str) -> Result<Option<u64>> {
    let text = String::from_utf8(scene.get("/metrics")?.expect(200)?.body)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.and_then(|value| value.trim().parse().ok()))
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_was_not_pulled_for_longest_makes_room_and_what_was_pushed_stays() -> Result<()> {
    let scene = Scene::with(|mirror| {
        mirror
            .env("REGISTRY_MIRRORS_0_TTL", "1h")
            .env("REGISTRY_MIRRORS_0_PUSH", "true")
            .env("REGISTRY_MIRRORS_0_MAXSIZE", (3 * LAYER + LAYER / 2).to_string())
            .env("REGISTRY_STORAGE_DELETE_UNDELETE", "0s")
            .env(format!("{COLLECTION}_LEASE"), "1s")
            .env(format!("{COLLECTION}_GRACEPERIOD"), "1ms")
            .env(format!("{COLLECTION}_INTERVAL"), "200ms")
    })?;
    let own = Image::new(300);
    own.push(&scene.mirror, "hub/team/app", "own")?;
    let images: Vec<Image> = (301..306).map(Image::new).collect();
    for (place, image) in images.iter().enumerate() {
        scene.push(&format!("v{place}"), image)?;
        scene.pull(&format!("v{place}"), image)?;
        scene.wait_until_kept(&image.layer)?;
        // The age of a pull counts in leases: the next one is younger than this one.
        std::thread::sleep(Duration::from_millis(300));
    }
    wait::until("a mirror makes room", || {
        let evicted = metric(&scene, "berth_mirror_evicted_manifests_total ")?;
        let kept = metric(&scene, "berth_mirror_kept_bytes{prefix=\"hub\"} ")?;
        Ok(evicted >= Some(3) && kept.is_some_and(|kept| kept < 4 * LAYER as u64))
    })?;
    scene.cut_off();
    scene.pull("own", &own)?;
    scene.pull("v4", &images[4])?;
    ensure!(scene.manifest("v0")?.status == 502, "the oldest is still there");
    // The bytes go with the grace period.
    let layer = &images[0].layer.digest;
    wait::until("the bytes are removed", || Ok(!scene.has_blob(layer)))?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_upstream_is_read_no_faster_than_it_may_be() -> Result<()> {
    // All of a layer in two seconds.
    let scene = Scene::with(|mirror| {
        let name = "REGISTRY_MIRRORS_0_UPSTREAMS_0_BUDGET_BANDWIDTH";
        mirror.env(name, (LAYER / 2).to_string())
    })?;
    let image = Image::new(310);
    scene.push("v1", &image)?;
    let begun = Instant::now();
    scene.pull("v1", &image)?;
    let took = begun.elapsed();
    ensure!(took > Duration::from_millis(1700), "{took:?}");
    ensure!(took < Duration::from_secs(10), "{took:?}");
    scene.stop()
}

/// Begins to read a blob through the mirror, and goes.
fn read_a_little(scene: &Scene, digest: &str) -> Result<()> {
    let mut stream = TcpStream::connect(scene.mirror.address())?;
    stream.write_all(&get(format!("/v2/hub/team/app/blobs/{digest}")).head())?;
    let mut little = [0; 1000];
    stream.read_exact(&mut little)?;
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_fetch_that_nobody_wants_any_longer_ends_or_goes_on_as_is_configured() -> Result<()> {
    for (seed, finish) in [(320, true), (321, false)] {
        let scene = Scene::with(|mirror| {
            mirror
                .env("REGISTRY_MIRRORS_0_FINISH", finish.to_string())
                .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_BUDGET_BANDWIDTH", (LAYER / 2).to_string())
        })?;
        let image = Image::new(seed);
        scene.push("v1", &image)?;
        read_a_little(&scene, &image.layer.digest)?;
        match finish {
            true => scene.wait_until_kept(&image.layer)?,
            false => wait::until("the fetch ends", || {
                Ok(scene.mirror.log().contains("all who wanted it have gone"))
            })?,
        }
        // Whoever wants it then gets it.
        scene.pull("v1", &image)?;
        let expected = if finish { 1 } else { 2 };
        ensure!(scene.fetches(&image.layer.digest) == expected, "finish: {finish}");
        scene.stop()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_blob_over_a_quota_is_refused_as_a_push_would_be() -> Result<()> {
    let scene = Scene::with(|mirror| {
        mirror
            .env("REGISTRY_POLICY_QUOTAS_0_REPOSITORIES", "hub")
            .env("REGISTRY_POLICY_QUOTAS_0_BYTES", (LAYER / 2).to_string())
    })?;
    let image = Image::new(330);
    scene.push("v1", &image)?;
    scene.manifest("v1")?.expect(200)?;
    let told = scene.blob(&image.layer)?.refusal(403, "DENIED")?;
    ensure!(told.contains("quota"), "{told}");
    scene.blob(&image.config)?.expect(200)?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn mirrors_that_ask_one_another_are_told_so_at_once() -> Result<()> {
    // A free port for the one that the other must know before it is there.
    let first = berth_tests::server::free_address()?;
    let mirror = |upstream: &str| -> Result<Launch> {
        let launch = Launch::temporary()?.target(Target::Berth);
        Ok(launch
            .env("REGISTRY_MIRRORS_0_PREFIX", "*")
            .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_URL", upstream))
    };
    let second = mirror(&format!("http://{first}"))?.start()?;
    let first = mirror(&format!("http://{}", second.host()))?.address(first).start()?;
    let digest = Image::new(340).layer.digest;
    for target in ["team/app/manifests/v1".to_owned(), format!("team/app/blobs/{digest}")] {
        let begun = Instant::now();
        let told = wire::send(first.address(), &get(format!("/v2/{target}")))?;
        let told = told.refusal(502, "UNAVAILABLE")?;
        ensure!(told.contains("in a ring"), "{told}");
        ensure!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    first.stop()?;
    second.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn what_is_saved_and_what_is_left_is_counted() -> Result<()> {
    let scene = Scene::with(|mirror| {
        mirror
            .env("REGISTRY_MIRRORS_0_TTL", "1h")
            .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_BUDGET_REQUESTS", "10")
    })?;
    let image = Image::new(350);
    scene.push("v1", &image)?;
    scene.pull("v1", &image)?;
    scene.wait_until_kept(&image.layer)?;
    scene.proxy.next(Fault::Refuse, usize::MAX);
    scene.pull("v1", &image)?;
    let size = (image.layer.bytes.len() + image.config.bytes.len()) as u64;
    ensure!(metric(&scene, "berth_mirror_saved_bytes_total ")? == Some(size));
    let upstream = scene.proxy.endpoint();
    let upstream = upstream.strip_prefix("http://").context("no http")?;
    let labels = format!("{{prefix=\"hub\",upstream=\"{upstream}\"}} ");
    let left = metric(&scene, &format!("berth_mirror_budget_requests_left{labels}"))?;
    ensure!(left == Some(7), "{left:?}");
    ensure!(metric(&scene, "berth_mirror_age_seconds{prefix=\"hub\"} ")?.is_some());
    scene.stop()
}
