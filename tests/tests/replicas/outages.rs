//! PostgreSQL fails in the middle of a mixed load: clients see nothing but failures that pass, nothing acknowledged is
//! lost, and the service returns by itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::{Postgres, TcpProxy};
use berth_tests::content::{Manifest, image};
use berth_tests::disk::Disk;
use berth_tests::load::{Counts, Health, Watch, Worker, join, verify_all};
use berth_tests::wait;
use berth_tests::wire::{self, Request, get, put};
use serde_json::json;

use crate::database;
use crate::group::{self, Blobs, Replicas};
use crate::size::Size;

const WORKERS: u64 = 8;
/// Longer than a replica waits for an answer of the database (`metadata.postgres.timeout`).
const STALL: Duration = Duration::from_secs(13);

#[test]
#[ignore = "run by cargo xtask replicas"]
fn postgresql_is_stopped() -> Result<()> {
    let mut server = Postgres::start()?;
    let url = server.database()?;
    under_load(&url, |_, size| {
        server.stop()?;
        thread::sleep(size.outage);
        server.start_again()
    })
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn postgresql_is_killed() -> Result<()> {
    let mut server = Postgres::start()?;
    let url = server.database()?;
    under_load(&url, |_, _| {
        server.kill()?;
        server.start_again()
    })
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_connections_to_postgresql_are_cut_again_and_again() -> Result<()> {
    let server = Postgres::start()?;
    let url = server.database()?;
    under_load(&url, |_, size| {
        let end = Instant::now() + size.outage;
        let mut cut = 0;
        while Instant::now() < end {
            cut += server.disconnect_clients()?;
            thread::sleep(Duration::from_millis(300));
        }
        println!("{cut} connections cut");
        ensure!(cut > 0, "there were no connections");
        Ok(())
    })
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn the_network_before_postgresql_loses_everything() -> Result<()> {
    let server = Postgres::start()?;
    let proxy = TcpProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())))?;
    let direct = server.database()?;
    let port = |port: u16| format!("127.0.0.1:{port}");
    let url = direct.replace(&port(server.port()), &port(proxy.address().port()));
    under_load(&url, |_, _| {
        proxy.stall();
        thread::sleep(STALL);
        proxy.heal();
        Ok(())
    })
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn postgresql_has_no_space_for_tables() -> Result<()> {
    let disk = Disk::ext4(64)?;
    let server = Postgres::start()?;
    let tables = disk.path("tables");
    std::fs::create_dir(&tables)?;
    let url = server.database_in(&tables)?;
    under_load(&url, |replicas, size| {
        disk.fill()?;
        let answer = wire::send(replicas.address(), &large_manifest())?;
        ensure!([503, 507].contains(&answer.status), "{}: {}", answer.status, answer.text());
        let old = get(format!("/v2/probe/blobs/{}", group::probe(0).digest));
        wire::send(replicas.address(), &old)?.expect(200).context("what is there can be read")?;
        thread::sleep(size.outage);
        disk.free()
    })
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn postgresql_has_no_space_for_its_log() -> Result<()> {
    let disk = Disk::ext4(160)?;
    let options = Postgres::options().folder(&disk.path(""));
    let mut server =
        options.setting("max_wal_size", "32MB").setting("min_wal_size", "8MB").start()?;
    let url = server.database()?;
    under_load(&url, |replicas, size| {
        disk.fill()?;
        wait::until("postgresql notices", || {
            let answer = wire::send(replicas.address(), &large_manifest());
            Ok(answer.is_ok_and(|answer| answer.status >= 500))
        })?;
        thread::sleep(size.outage);
        disk.free()?;
        // It ends itself when it cannot go on with its log, and whoever looks after it starts it again.
        wait::until("postgresql serves again", || {
            if server.has_ended() {
                server.start_again()?;
            }
            Ok(server.is_ready())
        })
    })
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn postgresql_fails_over_to_a_standby() -> Result<()> {
    let mut primary = Postgres::start()?;
    let name = database::name(&primary.database()?).to_owned();
    let standby = primary.standby()?;
    let url = Postgres::url_of(&[&primary, &standby], &name);
    under_load(&url, |_, _| {
        primary.kill()?;
        standby.promote()
    })
}

/// Has a mixed load on three replicas when `fail` makes their database fail, and heals it.
fn under_load(url: &str, fail: impl FnOnce(&Replicas, Size) -> Result<()>) -> Result<()> {
    let size = Size::from_environment();
    let blobs = Blobs::in_a_bucket()?;
    let replicas = Replicas::start(&blobs.with(url), 4)?;
    replicas.wait_until_they_serve()?;
    let address = replicas.address();
    let mut workers: Vec<Worker> = (0..WORKERS).map(|number| Worker::new(number, 5)).collect();
    let watch = &Watch::default();
    thread::scope(|scope| {
        let running: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                scope.spawn(move || {
                    let worked = worker.load(address, watch, 1);
                    // One that has found a fault need not be waited for.
                    if worked.is_err() {
                        watch.end();
                    }
                    worked
                })
            })
            .collect();
        let outcome = fail_in_the_middle(&replicas, watch, size, fail);
        watch.end();
        // What a worker saw is the cause of what follows.
        join(running)?;
        outcome
    })?;
    verify_all(address, &mut workers, true).context("at the end")?;
    let counts: Counts = workers.iter().map(|worker| worker.model.counts.clone()).sum();
    println!("{counts}");
    ensure!(counts.cut_requests > 0, "no client has noticed anything");
    replicas.stop()
}

fn fail_in_the_middle(
    replicas: &Replicas,
    watch: &Watch,
    size: Size,
    fail: impl FnOnce(&Replicas, Size) -> Result<()>,
) -> Result<()> {
    // The sleeps wait for nothing: they are how long the load goes on.
    thread::sleep(size.calm);
    watch.set(Health::Failing);
    fail(replicas, size)?;
    let healed = Instant::now();
    replicas.wait_until_they_serve()?;
    println!("all replicas serve again after {:.1} s", healed.elapsed().as_secs_f64());
    watch.set(Health::Well);
    thread::sleep(size.calm);
    Ok(())
}

/// A manifest that does not fit into what a database has allocated already.
fn large_manifest() -> Request {
    let mut value = image(&group::probe(0), &[]);
    value["annotations"] = json!({ "filling": "x".repeat(2 << 20) });
    let manifest = Manifest::new(&value);
    put("/v2/probe/manifests/large")
        .header("Content-Type", manifest.media_type)
        .body(manifest.bytes)
}
