//! `kill -9`, of whoever and whenever.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use berth_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::host::{Host, IMAGE};

/// The monitor of a container that runs.
fn monitor(host: &Host, id: &str) -> Result<Pid> {
    let path = host.run_folder().join("containers").join(id).join("running.json");
    let running: Value = serde_json::from_slice(&fs::read(path)?)?;
    let pid = running["monitor"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.and_then(Pid::from_raw).context("no monitor")
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_program_goes_on_without_its_monitor_and_is_taken_up_again() -> Result<()> {
    let host = Host::new()?;
    let script = "trap 'exit 42' TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done";
    let id = host.start(&["--name", "box"], script)?;
    kill_process(monitor(&host, &id)?, Signal::KILL)?;
    assert_eq!(host.status("box")?, "running");
    // What it says is heard again.
    let heard = || -> Result<usize> { Ok(host.ok(&["logs", "box"])?.lines().count()) };
    let before = heard()?;
    until("it says more", || Ok(heard()? > before + 10))?;
    let said: Vec<u32> =
        host.ok(&["logs", "box"])?.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(said.windows(2).all(|two| two[1] == two[0] + 1), "a line is missing or there twice");
    host.ok(&["stop", "box"])?;
    assert_eq!(host.inspect("box")?["State"]["ExitCode"], 42);
    host.ok(&["rm", "box"])?;
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_exit_code_is_kept_when_nobody_was_there_at_the_end() -> Result<()> {
    let host = Host::new()?;
    let gate = host.path().join("gate");
    let status = std::process::Command::new("mkfifo").arg(&gate).status()?;
    assert!(status.success());
    let bind = format!("{}:/gate", gate.display());
    let id = host.start(&["--name", "box", "-v", &bind], "read x < /gate; exit 33")?;
    let program = host.inspect("box")?["State"]["Pid"].as_i64().context("no process")?;
    kill_process(monitor(&host, &id)?, Signal::KILL)?;
    fs::write(&gate, "go\n")?;
    until("it ends", || Ok(!fs::exists(format!("/proc/{program}"))?))?;
    let state = host.inspect("box")?["State"].clone();
    assert_eq!(
        (state["Status"].as_str(), state["ExitCode"].as_i64()),
        (Some("exited"), Some(33)),
        "{state}"
    );
    host.ok(&["rm", "box"])?;
    host.is_clean()
}

/// How often: `BERTH_CRASHES` says otherwise.
const ROUNDS: u64 = 20;

#[test]
#[ignore = "run by cargo xtask runner"]
fn whoever_is_killed_leaves_nothing_that_the_next_command_does_not_clean() -> Result<()> {
    let host = Host::new()?;
    let rounds =
        std::env::var("BERTH_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds {
        let mut command =
            host.command(&["run", "--rm", "--network", "none", IMAGE, "sleep", "0.02"])?;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // At another moment each time, from the first system calls to after the end.
        std::thread::sleep(Duration::from_micros(round * 997 % 120_000));
        if round % 3 != 0 {
            kill_process(Pid::from_child(&child), Signal::KILL)?;
        }
        if round % 3 != 1 {
            for id in host.ok(&["ps", "-aq", "--no-trunc"])?.lines() {
                if let Ok(monitor) = monitor(&host, id) {
                    let _ = kill_process(monitor, Signal::KILL);
                }
            }
        }
        child.wait()?;
        until("no container is left", || Ok(host.ok(&["ps", "-aq"])?.is_empty()))
            .with_context(|| format!("in round {round}: {:#?}", host.leftovers()))?;
        host.is_clean().with_context(|| format!("in round {round}"))?;
    }
    Ok(())
}
