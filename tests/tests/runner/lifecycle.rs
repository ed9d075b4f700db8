//! Making, starting, killing and deleting containers.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use anyhow::Result;

use crate::bundle::Bundle;

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_container_runs_and_leaves_nothing() -> Result<()> {
    let bundle = Bundle::shell("echo hello; exit 7")?;
    let ran = bundle.run()?;
    assert_eq!((ran.code, ran.said.as_str(), ran.complained.as_str()), (7, "hello\n", ""));
    assert!(bundle.is_gone()?);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_configuration_may_come_by_a_pipe_when_it_is_there() -> Result<()> {
    let bundle = Bundle::shell("echo hello")?;
    let mut command = bundle.making("run", &["--config", "/dev/stdin"])?;
    let path = bundle.path().join("config.json");
    let config = fs::read(&path)?;
    fs::remove_file(path)?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().unwrap().write_all(&config)?;
    let output = child.wait_with_output()?;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"hello\n"[..]));
    assert!(bundle.is_gone()?);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_process_that_is_killed_has_128_and_the_signal_for_its_exit_code() -> Result<()> {
    // The first process of a namespace cannot kill itself.
    let bundle = Bundle::shell("kill -9 $$")?.with_namespace("pid", None);
    assert_eq!(bundle.run()?.code, 137);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_container_goes_from_created_to_running_to_stopped() -> Result<()> {
    let bundle =
        Bundle::shell("touch /began; trap 'exit 0' TERM; while :; do sleep 1000 & wait; done")?;
    let id = bundle.id.as_str();
    bundle.create()?;
    let state = bundle.state()?;
    assert_eq!(state["status"], "created");
    assert_eq!(state["id"], id);
    assert_eq!(state["bundle"], bundle.path().to_str().unwrap());
    assert!(!bundle.root().join("began").exists());
    assert!(bundle.complaint(&["delete", id])?.contains("created and not started"));

    bundle.command(&["start", id])?;
    bundle.wait_for("running")?;
    assert!(bundle.complaint(&["start", id])?.contains("cannot start: the container is running"));
    assert!(bundle.complaint(&["delete", id])?.contains("cannot delete: the container is running"));

    bundle.command(&["kill", id, "KILL"])?;
    bundle.wait_for("stopped")?;
    assert_eq!(bundle.state()?["pid"], 0);
    assert!(bundle.complaint(&["kill", id, "TERM"])?.contains("container not running"));
    assert!(bundle.complaint(&["exec", id, "true"])?.contains("stopped"));
    bundle.command(&["delete", id])?;
    assert!(bundle.complaint(&["state", id])?.contains("does not exist"));
    assert!(bundle.is_gone()?);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_running_container_is_deleted_by_force_and_one_that_is_not_there_is_no_error() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    bundle.command(&["delete", "--force", &bundle.id])?;
    assert!(bundle.is_gone()?);
    bundle.command(&["delete", "--force", &bundle.id])?;
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_name_is_taken_once() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    let again = bundle.making("create", &[])?.output()?;
    assert!(String::from_utf8(again.stderr)?.contains("exists already"));
    // The one that is there has not noticed.
    assert_eq!(bundle.exec(&[], "echo here")?.said, "here\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_a_command_that_was_killed_left_is_deleted_by_force() -> Result<()> {
    let bundle = Bundle::idle()?;
    fs::create_dir_all(bundle.path().join("state").join(&bundle.id))?;
    bundle.command(&["delete", "--force", &bundle.id])?;
    assert!(bundle.is_gone()?);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn another_process_joins_and_its_exit_code_is_told() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    let ran =
        bundle.exec(&["--env", "X=y"], "echo $X; hostname; ls /proc | grep -c '^1$'; exit 5")?;
    assert_eq!((ran.code, ran.said.as_str()), (5, "y\nbox\n1\n"));
    let ran = bundle
        .exec(&["--user", "1000:50", "--additional-gids", "60", "--cwd", "/tmp"], "id; pwd")?;
    assert_eq!(ran.said, "uid=1000 gid=50 groups=60\n/tmp\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn another_process_is_in_the_cgroup_and_is_listed() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    let pid_file = bundle.path().join("pid");
    let args =
        ["exec", "--detach", "--pid-file", pid_file.to_str().unwrap(), &bundle.id, "sleep", "1000"];
    bundle
        .oci(&args)?
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()?;
    let pid: i32 = fs::read_to_string(&pid_file)?.parse()?;
    let listed: Vec<i32> =
        serde_json::from_str(&bundle.command(&["ps", "--format", "json", &bundle.id])?)?;
    assert!(listed.contains(&pid), "{pid} is not in {listed:?}");
    assert!(bundle.command(&["ps", &bundle.id])?.contains("sleep 1000"));
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_paused_container_does_nothing_until_it_is_resumed() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    let id = bundle.id.as_str();
    bundle.command(&["pause", id])?;
    assert_eq!(bundle.state()?["status"], "paused");
    assert!(bundle.complaint(&["pause", id])?.contains("cannot pause: the container is paused"));
    assert!(bundle.complaint(&["exec", id, "true"])?.contains("paused"));
    bundle.command(&["resume", id])?;
    assert_eq!(bundle.state()?["status"], "running");
    assert_eq!(bundle.exec(&[], "echo awake")?.said, "awake\n");
    // Whoever is paused can be killed.
    bundle.command(&["pause", id])?;
    bundle.command(&["kill", id, "KILL"])?;
    bundle.wait_for("stopped")
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn all_processes_end_where_they_share_the_namespace_of_the_host() -> Result<()> {
    let bundle = Bundle::idle()?.with_namespace("pid", None).start()?;
    bundle.command(&["kill", "--all", &bundle.id, "KILL"])?;
    bundle.wait_for("stopped")?;
    bundle.command(&["delete", &bundle.id])?;
    assert!(bundle.is_gone()?);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn containers_are_listed() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    assert_eq!(bundle.command(&["list", "--quiet"])?, format!("{}\n", bundle.id));
    let listed: serde_json::Value =
        serde_json::from_str(&bundle.command(&["list", "--format", "json"])?)?;
    assert_eq!(listed[0]["status"], "running");
    let table = bundle.command(&["list"])?;
    assert!(table.starts_with("ID ") && table.contains("running"), "{table}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn errors_are_in_the_log_as_engines_read_it() -> Result<()> {
    let bundle = Bundle::shell("true")?;
    let log = bundle.path().join("log.json");
    let args = ["--log", log.to_str().unwrap(), "--log-format", "json", "start", "nobody"];
    assert!(!bundle.oci(&args)?.output()?.status.success());
    let line: serde_json::Value = serde_json::from_str(fs::read_to_string(log)?.trim())?;
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], "container nobody does not exist");
    assert!(line["time"].is_string());
    Ok(())
}
