//! `kill -9`, of whoever and whenever.

use std::fs;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use berth_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::host::{Host, IMAGE, lives};

/// The monitor of a container that runs.
pub(crate) fn monitor(host: &Host, id: &str) -> Result<Pid> {
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

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_published_port_stays_its_containers_without_a_monitor() -> Result<()> {
    let host = Host::isolated()?;
    let serve = ["httpd", "-f", "-p", "80", "-h", "/etc"];
    let args = ["run", "-d", "--name", "web", "-p", "18080:80", IMAGE];
    let id = host.ok(&[&args[..], &serve].concat())?.trim().to_owned();
    let refused = || -> Result<()> {
        let ran = host.berth(&["run", "--rm", "-p", "18080:80", IMAGE, "true"])?;
        assert_eq!(ran.code, 125, "{ran:?}");
        assert!(
            ran.complained.contains("Bind for 0.0.0.0:18080 failed: port is already allocated")
        );
        std::net::TcpStream::connect("127.0.0.1:18080").map(drop).map_err(Into::into)
    };
    kill_process(monitor(&host, &id)?, Signal::KILL)?;
    // Nobody holds it just now,
    refused()?;
    // and then another monitor does.
    assert_eq!(host.status("web")?, "running");
    until("it is taken up", || {
        Ok(monitor(&host, &id).is_ok_and(|pid| test_kill_process(pid).is_ok()))
    })?;
    refused()?;
    host.ok(&["rm", "-f", "web"])?;
    // What is left behind by both that were killed is in nobody's way.
    let args = ["run", "-d", "--name", "dead", "-p", "18080:80", IMAGE];
    let id = host.ok(&[&args[..], &serve].concat())?.trim().to_owned();
    let program = host.inspect("dead")?["State"]["Pid"].as_i64().context("no process")?;
    kill_process(monitor(&host, &id)?, Signal::KILL)?;
    let program = i32::try_from(program).ok().and_then(Pid::from_raw).context("no process")?;
    kill_process(program, Signal::KILL)?;
    host.ok(&["run", "--rm", "-p", "18080:80", IMAGE, "true"])?;
    host.ok(&["rm", "dead"])?;
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn an_end_that_is_written_down_stays_what_it_was() -> Result<()> {
    let host = Host::new()?;
    let id = host.idle(&["--name", "box"])?;
    let run = host.run_folder().join("containers").join(&id);
    let running = fs::read(run.join("running.json"))?;
    host.ok(&["stop", "box"])?;
    until("all is given back", || Ok(!fs::exists(&run)?))?;
    // What a monitor leaves that was killed when it had done all but remove this.
    fs::create_dir(&run)?;
    fs::write(run.join("running.json"), running)?;
    let state = host.inspect("box")?["State"].clone();
    assert_eq!((state["ExitCode"].as_i64(), state["Error"].as_str()), (Some(143), Some("")));
    assert!(!fs::exists(&run)?);
    host.ok(&["rm", "box"])?;
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_container_runs_until_its_end_is_written_down() -> Result<()> {
    let host = Host::new()?;
    let id = host.idle(&["--name", "box"])?;
    let monitor = monitor(&host, &id)?;
    let program = host.inspect("box")?["State"]["Pid"].as_i64().context("no process")?;
    let program = i32::try_from(program).ok().and_then(Pid::from_raw).context("no process")?;
    kill_process(monitor, Signal::STOP)?;
    kill_process(program, Signal::KILL)?;
    until("it has ended", || Ok(!lives(program)))?;
    assert_eq!(host.status("box")?, "running");
    let mut stop = host.command(&["stop", "box"])?.stdout(Stdio::null()).spawn()?;
    kill_process(monitor, Signal::CONT)?;
    assert!(stop.wait()?.success());
    let state = host.inspect("box")?["State"].clone();
    assert_eq!((state["Status"].as_str(), state["ExitCode"].as_i64()), (Some("exited"), Some(137)));
    host.ok(&["rm", "box"])?;
    host.is_clean()
}

/// What is there of a host after its machine went down and came up: programs and mounts are gone, and what was in
/// memory.
fn go_down(host: &Host, ids: &[&str]) -> Result<()> {
    let (mut monitors, mut programs) = (Vec::new(), Vec::new());
    for id in ids {
        let program = host.inspect(id)?["State"]["Pid"].as_i64().context("no process")?;
        programs.push(i32::try_from(program).ok().and_then(Pid::from_raw).context("no process")?);
        monitors.push(monitor(host, id)?);
    }
    // No monitor sees a program end, or another monitor.
    for process in monitors.iter().chain(&programs) {
        kill_process(*process, Signal::KILL)?;
    }
    for process in monitors.into_iter().chain(programs) {
        until("it has ended", || Ok(!lives(process)))?;
    }
    host.unmount_all();
    Ok(fs::remove_dir_all(host.run_folder())?)
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_ran_when_the_machine_went_down_has_ended() -> Result<()> {
    let host = Host::new()?;
    host.ok(&["create", "--name", "idle", "--network", "none", IMAGE, "true"])?;
    let over = ["run", "--name", "over", "--network", "none", IMAGE, "sh", "-c", "exit 7"];
    assert_eq!(host.berth(&over)?.code, 7);
    let kept = host.idle(&["--name", "kept"])?;
    // The second time it has ended once already.
    for _ in 0..2 {
        let going = host.idle(&["--name", "going", "--rm", "-v", "/anonymous"])?;
        let gone = host.idle(&["--name", "gone", "--rm"])?;
        go_down(&host, &[&kept, &going, &gone])?;
        // Of a file that nobody wrote to the disk there may be nothing but its name.
        fs::write(host.data().join("containers").join(&gone).join("container.json"), "")?;
        let state = host.inspect("kept")?["State"].clone();
        let error = state["Error"].as_str().unwrap_or_default();
        assert!(error.starts_with("the machine went down"), "{state}");
        let listed = host.ok(&["ps", "-a", "--format", "{{.Names}} {{.Status}}"])?;
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(lines.len(), 3, "{listed}");
        assert!(lines[0].starts_with("kept Exited (255) "), "{listed}");
        assert!(lines[1].starts_with("over Exited (7) "), "{listed}");
        assert_eq!(lines[2], "idle Created");
        host.ok(&["start", "kept"])?;
    }
    host.ok(&["kill", "kept"])?;
    assert_eq!(host.inspect("kept")?["State"]["ExitCode"], 137);
    assert_eq!(host.ok(&["volume", "ls", "-q"])?, "");
    host.ok(&["rm", "kept", "over", "idle"])?;
    host.is_clean()
}
