//! What is asked of an upstream when many want the same.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use berth_tests::{Launch, Target};

use crate::scene::{Image, LAYER, Scene};

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_image_is_fetched_once_and_then_served_without_the_upstream() -> Result<()> {
    let (scene, image) =
        (Scene::with(|mirror| mirror.env("REGISTRY_MIRRORS_0_TTL", "1h"))?, Image::new(1));
    scene.push("v1", &image)?;
    scene.pull("v1", &image)?;
    scene.wait_until_kept(&image.layer)?;
    scene.cut_off();
    scene.pull("v1", &image)?;
    scene.pull(&image.manifest.digest, &image)?;
    for what in [&image.layer.digest, &image.config.digest, &"manifests/v1".to_owned()] {
        ensure!(scene.fetches(what) == 1, "{what} was fetched {} times", scene.fetches(what));
    }
    let metrics = scene.get("/metrics")?.expect(200)?;
    let metrics = String::from_utf8(metrics.body)?;
    for line in ["berth_mirror_misses_total 3", "berth_mirror_stale_total 0"] {
        ensure!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_crowd_shares_one_fetch_of_each_blob_and_manifest() -> Result<()> {
    let (scene, image) = (Scene::new()?, Image::new(2));
    scene.push("v1", &image)?;
    let pulled = thread::scope(|scope| {
        let pulls: Vec<_> = (0..40).map(|_| scope.spawn(|| scene.pull("v1", &image))).collect();
        pulls.into_iter().map(|pull| pull.join().ok()).collect::<Option<Vec<_>>>()
    });
    pulled.context("a client panicked")?.into_iter().collect::<Result<()>>()?;
    for what in [&image.layer.digest, &image.config.digest, &"manifests/v1".to_owned()] {
        ensure!(scene.fetches(what) == 1, "{what} was fetched {} times", scene.fetches(what));
    }
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn heads_ranges_and_digests_are_answered_before_anything_is_here() -> Result<()> {
    let (scene, image) = (Scene::new()?, Image::new(3));
    scene.push("v1", &image)?;
    let target = format!("/v2/hub/team/app/blobs/{}", image.layer.digest);
    let head = scene.head(&target)?.expect(200)?;
    ensure!(head.header("content-length")? == image.layer.bytes.len().to_string());
    ensure!(scene.fetches(&image.layer.digest) == 0, "a HEAD has fetched a blob");

    let range = berth_tests::wire::get(&target).header("Range", "bytes=1000000-1000099");
    let part = berth_tests::wire::send(scene.mirror.address(), &range)?.expect(206)?;
    ensure!(part.body == image.layer.bytes[1_000_000..1_000_100], "other bytes");
    let whole = format!("bytes 1000000-1000099/{}", image.layer.bytes.len());
    ensure!(part.header("content-range")? == whole);

    scene.pull(&image.manifest.digest, &image)?;
    let head = scene.head("/v2/hub/team/app/manifests/v1")?.expect(200)?;
    ensure!(head.header("docker-content-digest")? == image.manifest.digest);
    ensure!(scene.fetches(&image.layer.digest) == 1, "a range and a pull share no fetch");
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_blob_that_another_repository_has_is_not_fetched_again() -> Result<()> {
    let (scene, image) = (Scene::new()?, Image::new(4));
    scene.push("v1", &image)?;
    image.push(&scene.upstream, "team/other", "v1")?;
    scene.pull("v1", &image)?;
    scene.wait_until_kept(&image.layer)?;
    let target = |digest: &str| format!("/v2/hub/team/other/blobs/{digest}");
    let answer = scene.get(&target(&image.layer.digest))?.expect(200)?;
    ensure!(answer.body == image.layer.bytes && scene.fetches(&image.layer.digest) == 1);
    // A repository that upstream does not have it in does not get it.
    let nowhere = format!("/v2/hub/team/nowhere/blobs/{}", image.layer.digest);
    scene.get(&nowhere)?.refusal(404, "BLOB_UNKNOWN")?;
    scene.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn two_hundred_clients_of_a_slow_upstream_take_as_long_as_one_and_no_memory() -> Result<()> {
    const CLIENTS: usize = 200;
    // So much a second from the upstream, whoever asks.
    let rate = (LAYER / 8).to_string();
    let upstream = Launch::temporary()?.target(Target::Berth);
    let upstream = upstream.env("REGISTRY_HTTP_LIMITS_CALLER_BANDWIDTH", rate).start()?;
    let (one, crowd) = (Image::new(5), Image::new(6));
    for (image, tag) in [(&one, "one"), (&crowd, "crowd")] {
        image.push(&upstream, "team/app", tag)?;
    }
    let scene = Scene::of(upstream, |mirror| mirror)?;
    let begun = Instant::now();
    let target = format!("/v2/team/app/blobs/{}", one.layer.digest);
    let straight = berth_tests::wire::get(target);
    berth_tests::wire::send(scene.upstream.address(), &straight)?.expect(200)?;
    let alone = begun.elapsed();

    let begun = Instant::now();
    let target = format!("/v2/hub/team/app/blobs/{}", crowd.layer.digest);
    let pull = || count(scene.mirror.address(), &target);
    let pulled = thread::scope(|scope| {
        let pulls: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(pull)).collect();
        pulls.into_iter().map(|pull| pull.join().ok()).collect::<Option<Vec<_>>>()
    });
    let together = begun.elapsed();
    for received in pulled.context("a client panicked")? {
        ensure!(received? > LAYER as u64, "a client did not get all of it");
    }
    ensure!(scene.fetches(&crowd.layer.digest) == 1);
    let peak = peak_memory(scene.mirror.id())?;
    println!("one client alone {alone:?}, {CLIENTS} together {together:?}, peak {peak} MiB");
    ensure!(together < alone.mul_f64(1.3), "{together:?} for {CLIENTS}, {alone:?} for one");
    ensure!(peak < 96, "{peak} MiB");
    scene.stop()
}

/// How many bytes are the answer to a GET. So many clients share the machine with the mirror, so they do nothing else.
fn count(address: SocketAddr, target: &str) -> Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(&berth_tests::wire::get(target).header("Connection", "close").head())?;
    Ok(io::copy(&mut stream, &mut io::sink())?)
}

/// The most memory that a process has had, in MiB.
fn peak_memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmHWM")?;
    Ok(kibibytes.parse::<u64>()? / 1024)
}
