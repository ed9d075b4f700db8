//! From the start of the process to the first answer, with many tags.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::Row;
use super::growth::{name, shapes};
use crate::Bench;
use crate::million::{Shape, forget};
use crate::peers::{BERTH, Launch, Peer};
use crate::results::{Metric, RowRun};

pub(crate) const CLEAN: &str = "after a clean stop";
pub(crate) const KILLED: &str = "after kill -9";
const COLD: &str = "database not in the page cache";

/// How often the port is tried.
const TRY: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    run.setting(format!(
        "berth alone, {} starts of each kind; from the start of the process to the first 200 for `GET /v2/`, tried every \
         {} µs; program and database in the page cache unless said otherwise",
        settings.starts,
        TRY.as_micros(),
    ));
    let berth = bench.peers.iter().find(|peer| peer.name == BERTH).context("no berth")?;
    for [_, many] in shapes(settings.tags, settings.tags_each) {
        let data = many.prepare(&bench.cache)?;
        let launch = Row::Start.launch(bench, BERTH)?.on(&data);
        start(berth, &launch)?.stop(Signal::TERM)?;
        for round in 0..settings.starts {
            measure(run, berth, &launch, many, round)?;
        }
    }
    Ok(())
}

fn measure(
    run: &mut RowRun,
    berth: &Peer,
    launch: &Launch,
    shape: Shape,
    round: usize,
) -> Result<()> {
    let name = name(shape);
    let mut started = |case: &str, end: Signal| -> Result<()> {
        let started = start(berth, launch)?;
        run.record(case, &name, round, &[(Metric::Milliseconds, started.milliseconds)]);
        started.stop(end)
    };
    started(CLEAN, Signal::KILL)?;
    started(KILLED, Signal::TERM)?;
    forget(&launch.data().join("berth.db"))?;
    started(COLD, Signal::TERM)
}

struct Started {
    child: Child,
    milliseconds: f64,
}

fn start(berth: &Peer, launch: &Launch) -> Result<Started> {
    let address = berth_tests::server::free_address()?;
    let mut command = berth.command(launch, address)?;
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let child = command.spawn().context("cannot start berth")?;
    let mut started = Started { child, milliseconds: f64::NAN };
    let ready = wait(address, start);
    if ready.is_err() {
        started.child.kill()?;
    }
    started.milliseconds = ready?;
    Ok(started)
}

/// Milliseconds until the first good answer.
fn wait(address: SocketAddr, start: Instant) -> Result<f64> {
    while !crate::peers::answers(address) {
        ensure!(start.elapsed() < PATIENCE, "berth does not answer");
        sleep(TRY);
    }
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

impl Started {
    fn stop(mut self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)?;
        self.child.wait()?;
        Ok(())
    }
}
