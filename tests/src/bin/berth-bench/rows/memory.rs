//! What a server holds in memory, idle and with many transfers.

use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::watch::{group, watch};
use super::{Row, settle};
use crate::Bench;
use crate::client::{Limit, Pulled, pull, push_paced};
use crate::content::Content;
use crate::peers::{BERTH, Peer, Server};
use crate::results::{Metric, RowRun, Series};
use crate::settings::{GIB, MIB, Settings};

pub(crate) const IDLE: &str = "idle";

const REPOSITORY: &str = "bench/memory";

/// How many transfers go each way.
#[derive(Clone, Copy)]
struct Mix {
    pulls: usize,
    pushes: usize,
}

/// The mixes of so many transfers.
fn mixes(transfers: usize) -> [Mix; 3] {
    let half = transfers / 2;
    [
        Mix { pulls: half, pushes: transfers - half },
        Mix { pulls: 0, pushes: transfers },
        Mix { pulls: transfers, pushes: 0 },
    ]
}

impl Mix {
    fn name(self) -> String {
        match self {
            Self { pulls: 0, pushes } => format!("{pushes} pushes"),
            Self { pulls, pushes: 0 } => format!("{pulls} pulls"),
            Self { pulls, pushes } => format!("{pulls} pulls and {pushes} pushes"),
        }
    }
}

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    run.setting(format!(
        "resident set of all processes of a server: {} s after its start on an empty directory, and its peak (`VmHWM`, \
         reset before) while {} transfers of {} MiB are under way for {} s, on a fresh server each time; a pull that ends \
         is followed by another; pushes are paced to fill that time and {} GiB of disk together, and broken off",
        settings.idle.as_secs(),
        settings.transfers,
        settings.blob / MIB,
        settings.transfer_time.as_secs(),
        settings.transfer_disk / GIB,
    ));
    let content = Content::new(settings.blob);
    for round in 0..settings.memory_rounds {
        for peer in bench.peers.iter().filter(|peer| peer.is_registry() && peer.starts_empty()) {
            idle(bench, run, peer, round)?;
            // The others are there to compare with; one case of the three shows what they need.
            let mixes = mixes(settings.transfers);
            let mixes = if peer.name == BERTH { &mixes[..] } else { &mixes[..1] };
            for mix in mixes {
                transfers(bench, run, peer, round, *mix, content.clone())?;
            }
        }
    }
    Ok(())
}

fn idle(bench: &Bench, run: &mut RowRun, peer: &Peer, round: usize) -> Result<()> {
    let server = peer.start(&Row::Memory.launch(bench, &peer.name)?)?;
    thread::sleep(bench.settings.idle);
    let memory = group(&server)?.memory()?;
    let values =
        [(Metric::IdleMebibytes, memory.resident), (Metric::AnonymousMebibytes, memory.anonymous)];
    run.record(IDLE, &peer.name, round, &values);
    server.stop()
}

fn transfers(
    bench: &Bench,
    run: &mut RowRun,
    peer: &Peer,
    round: usize,
    mix: Mix,
    mut content: Content,
) -> Result<()> {
    let server = peer.start(&Row::Memory.launch(bench, &peer.name)?)?;
    server.store_content(REPOSITORY, &mut content)?;
    settle();
    let path = format!("/v2/{REPOSITORY}/blobs/{}", content.digest);
    let watched = watch(group(&server)?, || load(&bench.settings, &server, &path, mix))?;
    let values =
        [(Metric::PeakMebibytes, watched.peak), (Metric::AnonymousMebibytes, watched.anonymous())];
    run.record(&mix.name(), &peer.name, round, &values);
    run.note(format!("{}, {}: {}", peer.name, mix.name(), watched.result.told()));
    run.series.push(Series {
        case: mix.name(),
        peer: peer.name.clone(),
        points: watched.resident(),
    });
    // The data are large and the next server gets its own.
    server.stop()?;
    bench.folder(Row::Memory, &peer.name)?;
    Ok(())
}

/// What all transfers of a mix moved.
struct Moved {
    pulled: Option<Pulled>,
    pushed: Vec<u64>,
}

impl Moved {
    fn told(&self) -> String {
        let mut parts = Vec::new();
        if let Some(Pulled { bytes, seconds, least }) = self.pulled {
            parts.push(format!(
                "pulled {:.1} GiB in {seconds:.0} s, the slowest connection {} MiB",
                bytes as f64 / GIB as f64,
                least / MIB
            ));
        }
        if let Some(least) = self.pushed.iter().min() {
            let sum: u64 = self.pushed.iter().sum();
            let gibibytes = sum as f64 / GIB as f64;
            parts.push(format!(
                "pushed {gibibytes:.1} GiB, the slowest connection {} MiB",
                least / MIB
            ));
        }
        parts.join("; ")
    }
}

fn load(settings: &Settings, server: &Server, path: &str, mix: Mix) -> Result<Moved> {
    let end = Instant::now() + settings.transfer_time;
    let address = server.address;
    let rate = settings.transfer_disk as f64
        / mix.pushes.max(1) as f64
        / settings.transfer_time.as_secs_f64();
    let announced = settings.blob;
    thread::scope(|scope| {
        let pushes = scope.spawn(move || push_paced(address, mix.pushes, announced, rate, end));
        let pulled = match mix.pulls {
            0 => None,
            pulls => Some(pull(address, path, pulls, Limit::Time(end))?),
        };
        let pushed = pushes.join().map_err(|_| anyhow!("the pushes panicked"))??;
        Ok(Moved { pulled, pushed })
    })
}
