//! Stores that give nothing back before a blob is whole: what is on its way is followed beside them.

use std::thread;

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::{Fault, FaultProxy};
use berth_tests::stores::Stored;
use berth_tests::wire::{self, get};
use berth_tests::{Launch, Target};

use crate::scene::{Image, LAYER, mirror_of};

fn pulls_through(launch: Launch, seed: u64) -> Result<()> {
    let upstream = Launch::temporary()?.target(Target::DockerRegistry).start()?;
    let image = Image::new(seed);
    image.push(&upstream, "team/app", "v1")?;
    let proxy = FaultProxy::start(&format!("http://{}", upstream.host()))?;
    let mirror = mirror_of(launch, &proxy.endpoint()).start()?;
    let target = format!("/v2/hub/team/app/blobs/{}", image.layer.digest);
    let pull = || wire::send(mirror.address(), &get(&target));

    proxy.next(Fault::Flip(LAYER as u64 / 2), 1);
    ensure!(pull().is_err(), "other bytes were served whole");
    proxy.next(Fault::Cut(LAYER as u64 / 2), 1);
    let pulled = thread::scope(|scope| {
        let pulls: Vec<_> = (0..8).map(|_| scope.spawn(pull)).collect();
        pulls.into_iter().map(|pull| pull.join().ok()).collect::<Option<Vec<_>>>()
    });
    for answer in pulled.context("a client panicked")? {
        ensure!(answer?.expect(200)?.body == image.layer.bytes, "other bytes");
    }
    let seen = proxy.requests();
    let fetches = seen.iter().filter(|seen| seen.path.ends_with(&image.layer.digest)).count();
    ensure!(fetches == 3, "{fetches} fetches: one was wrong, one broke off");
    let (digest, _) = mirror.registry().verify("hub/team/app", "v1")?;
    ensure!(digest == image.manifest.digest);
    mirror.stop()?;
    upstream.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_mirror_in_memory_streams_while_it_stores() -> Result<()> {
    pulls_through(Launch::in_memory()?, 100)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_mirror_in_a_bucket_streams_while_it_stores() -> Result<()> {
    let stored = Stored::s3()?;
    let launch = stored.launch.clone().env("REGISTRY_STORAGE_REDIRECT_DISABLE", "true");
    pulls_through(launch, 101)
}
