//! Making, starting, stopping and removing containers (N1, N16, N21, I5).

use anyhow::Result;

use crate::host::{Host, IMAGE};

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_container_runs_and_leaves_nothing() -> Result<()> {
    let host = Host::new()?;
    let ran = host.shell(&[], "echo out; echo err >&2; exit 7")?;
    assert_eq!((ran.code, ran.said.as_str(), ran.complained.as_str()), (7, "out\n", "err\n"));
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_is_typed_into_a_pipe_is_read_to_its_end() -> Result<()> {
    use std::io::Write as _;
    use std::process::Stdio;
    let host = Host::new()?;
    let mut command = host.command(&["run", "--rm", "-i", "--network", "none", IMAGE, "cat"])?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let text = "line\n".repeat(100_000);
    let mut input = child.stdin.take().unwrap();
    let typed = text.clone();
    let typing = std::thread::spawn(move || input.write_all(typed.as_bytes()));
    let output = child.wait_with_output()?;
    typing.join().unwrap()?;
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == text.as_bytes(), "{} bytes came", output.stdout.len());
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn nothing_that_is_written_last_is_lost() -> Result<()> {
    let host = Host::new()?;
    for _ in 0..20 {
        let ran = host.shell(&[], "seq 1 20000")?;
        assert!(ran.said.ends_with("\n19999\n20000\n"), "{} bytes came", ran.said.len());
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_container_goes_through_its_life() -> Result<()> {
    let host = Host::new()?;
    let id = host.ok(&[
        "create",
        "--name",
        "one",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "trap 'exit 3' TERM; while :; do sleep 1000 & wait; done",
    ])?;
    let id = id.trim();
    assert_eq!(id.len(), 64);
    assert_eq!(host.status("one")?, "created");
    assert!(host.ok(&["ps", "-q"])?.is_empty());
    assert_eq!(host.ok(&["ps", "-aq"])?.trim(), &id[..12]);

    assert_eq!(host.ok(&["start", "one"])?, "one\n");
    assert_eq!(host.status(&id[..5])?, "running");
    assert!(host.inspect("one")?["State"]["Pid"].as_i64() > Some(1));
    let refused = host.berth(&["rm", "one"])?;
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .complained
            .contains("container is running: stop the container before removing or force remove"),
        "{refused:?}"
    );

    assert_eq!(host.ok(&["pause", "one"])?, "one\n");
    assert_eq!(host.status("one")?, "paused");
    assert!(host.berth(&["pause", "one"])?.complained.contains("is already paused"));
    assert!(
        host.berth(&["exec", "one", "true"])?
            .complained
            .contains("is paused, unpause the container before exec")
    );
    host.ok(&["unpause", "one"])?;
    assert!(host.berth(&["unpause", "one"])?.complained.contains("is not paused"));

    host.ok(&["rename", "one", "two"])?;
    assert_eq!(host.berth(&["inspect", "one"])?.code, 1);
    assert_eq!(host.ok(&["stop", "two"])?, "two\n");
    let state = &host.inspect("two")?["State"];
    assert_eq!((state["Status"].as_str(), state["ExitCode"].as_i64()), (Some("exited"), Some(3)));
    assert_eq!(host.ok(&["wait", "two"])?, "3\n");
    assert!(host.berth(&["exec", "two", "true"])?.complained.contains("is not running"));

    host.ok(&["restart", "two"])?;
    assert_eq!(host.status("two")?, "running");
    host.ok(&["kill", "two"])?;
    assert_eq!(host.ok(&["wait", "two"])?, "137\n");
    assert!(host.berth(&["kill", "two"])?.complained.contains("is not running"));
    assert_eq!(host.ok(&["rm", "two"])?, "two\n");
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_was_written_is_there_when_it_starts_again() -> Result<()> {
    let host = Host::new()?;
    host.ok(&[
        "create",
        "--name",
        "box",
        "--network",
        "none",
        IMAGE,
        "sh",
        "-c",
        "echo x >> /file; wc -l < /file",
    ])?;
    host.ok(&["start", "-a", "box"])?;
    assert_eq!(host.ok(&["start", "-a", "box"])?.trim(), "2");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn those_that_run_are_not_removed_with_the_others() -> Result<()> {
    let host = Host::new()?;
    let idle = host.idle(&["--name", "idle"])?;
    for name in ["a1", "a2"] {
        host.ok(&["run", "--name", name, "--network", "none", IMAGE, "true"])?;
    }
    let all = host.ok(&["ps", "-aq"])?;
    let mut args = vec!["rm"];
    args.extend(all.lines());
    let ran = host.berth(&args)?;
    assert_eq!((ran.code, ran.said.lines().count()), (1, 2), "{ran:?}");
    assert_eq!(host.ok(&["ps", "-aq", "--no-trunc"])?.trim(), idle);
    assert_eq!(host.ok(&["stop", "idle"])?, "idle\n");
    let pruned = host.ok(&["container", "prune", "-f"])?;
    assert!(
        pruned.starts_with("Deleted Containers:\n") && pruned.contains("Total reclaimed space: "),
        "{pruned}"
    );
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_name_is_free_when_the_container_has_gone_with_its_end() -> Result<()> {
    let host = Host::new()?;
    for _ in 0..5 {
        host.ok(&["run", "--rm", "--name", "same", "--network", "none", IMAGE, "true"])?;
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_signal_to_the_command_is_the_programs() -> Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let host = Host::new()?;
    let script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 1000 & wait; done";
    let mut command =
        host.command(&["run", "--rm", "--network", "none", IMAGE, "sh", "-c", script])?;
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap()?, "ready");
    kill_process(Pid::from_child(&child), Signal::INT)?;
    assert_eq!(lines.next().unwrap()?, "caught");
    assert_eq!(child.wait()?.code(), Some(5));
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_first_process_ignores_what_it_does_not_handle_and_an_init_does_not() -> Result<()> {
    let host = Host::new()?;
    let id = host.ok(&["run", "-d", "--init", "--network", "none", IMAGE, "sleep", "1000"])?;
    host.ok(&["stop", "-t", "60", id.trim()])?;
    assert_eq!(host.inspect(id.trim())?["State"]["ExitCode"], 143);
    let id = host.ok(&["run", "-d", "--network", "none", IMAGE, "sleep", "1000"])?;
    host.ok(&["stop", "-t", "1", id.trim()])?;
    assert_eq!(host.inspect(id.trim())?["State"]["ExitCode"], 137);
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_is_not_there_is_removed_by_force_and_not_without() -> Result<()> {
    let host = Host::new()?;
    host.ok(&["create", "--name", "box", "--network", "none", IMAGE])?;
    let words = "berth: No such container: nobody\n";
    let ran = host.berth(&["rm", "nobody"])?;
    assert_eq!((ran.code, ran.complained.as_str()), (1, words));
    let ran = host.berth(&["rm", "-f", "nobody", "box"])?;
    assert_eq!((ran.code, ran.said.as_str(), ran.complained.as_str()), (0, "box\n", words));
    host.is_clean()
}
