//! Several mirrors on one database and one tree.

use std::thread;

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::{FaultProxy, Postgres};
use berth_tests::wire::{self, get};
use berth_tests::{Launch, Server, Target};

use crate::scene::{Image, mirror_of};

const REPLICAS: usize = 3;

#[test]
#[ignore = "run by cargo xtask faults"]
fn replicas_fetch_each_thing_once() -> Result<()> {
    let postgres = Postgres::start()?;
    let database = postgres.database()?;
    let upstream = Launch::temporary()?.target(Target::DockerRegistry).start()?;
    let image = Image::new(110);
    image.push(&upstream, "team/app", "v1")?;
    let proxy = FaultProxy::start(&format!("http://{}", upstream.host()))?;
    let tree = tempfile::tempdir()?;
    let launch = mirror_of(Launch::filesystem(tree.path().join("tree"))?, &proxy.endpoint())
        .env("REGISTRY_MIRRORS_0_TTL", "1h")
        .env("REGISTRY_METADATA_URL", database);
    let replicas: Vec<Server> = (0..REPLICAS).map(|_| launch.start()).collect::<Result<_>>()?;
    let pull = |server: &Server| -> Result<()> {
        let get = |path: &str| {
            wire::send(server.address(), &get(format!("/v2/hub/team/app/{path}")))?.expect(200)
        };
        ensure!(get("manifests/v1")?.body == image.manifest.bytes, "another manifest");
        for blob in [&image.config, &image.layer] {
            ensure!(get(&format!("blobs/{}", blob.digest))?.body == blob.bytes, "other bytes");
        }
        Ok(())
    };
    let pulled = thread::scope(|scope| {
        let pulls: Vec<_> = (0..60)
            .map(|number| {
                scope.spawn({
                    let (pull, server) = (&pull, &replicas[number % REPLICAS]);
                    move || pull(server)
                })
            })
            .collect();
        pulls.into_iter().map(|pull| pull.join().ok()).collect::<Option<Vec<_>>>()
    });
    pulled.context("a client panicked")?.into_iter().collect::<Result<()>>()?;
    let seen = proxy.requests();
    for what in [&image.layer.digest, &image.config.digest, &"manifests/v1".to_owned()] {
        let fetches = seen.iter().filter(|seen| seen.method == "GET" && seen.path.ends_with(what));
        ensure!(fetches.count() == 1, "{what}: {seen:?}");
    }
    for replica in replicas {
        replica.stop()?;
    }
    upstream.stop()
}
