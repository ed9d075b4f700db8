//! Other programs in a container that runs (N19), and looking at it (N20, N21).

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use berth_tests::wait::until;
use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::host::Host;

#[test]
#[ignore = "run by cargo xtask runner"]
fn another_program_joins() -> Result<()> {
    let host = Host::new()?;
    host.idle(&["--name", "box", "--hostname", "here", "-e", "A=1"])?;
    let shell = |options: &[&str], command: &str| {
        let mut args = vec!["exec"];
        args.extend(options);
        args.extend(["box", "sh", "-c", command]);
        host.berth(&args)
    };
    let ran = shell(
        &["-e", "B=2"],
        "echo $A $B; hostname; ls /proc | grep -c '^1$'; echo err >&2; exit 5",
    )?;
    assert_eq!(
        (ran.code, ran.said.as_str(), ran.complained.as_str()),
        (5, "1 2\nhere\n1\n", "err\n")
    );
    assert_eq!(
        shell(&["-u", "ann", "-w", "/tmp"], "id -u; id -G; pwd; echo $HOME")?.said,
        "1000\n1000 50\n/tmp\n/home/ann\n"
    );
    assert_eq!(
        shell(&["-u", "ann"], "grep CapEff /proc/self/status")?.said,
        "CapEff:\t0000000000000000\n"
    );
    let missing =
        "OCI runtime exec failed: exec: \"nothing\": executable file not found in $PATH\n";
    let denied = "OCI runtime exec failed: exec: \"/etc/passwd\": permission denied\n";
    for (program, code, words) in [("nothing", 127, missing), ("/etc/passwd", 126, denied)] {
        let ran = host.berth(&["exec", "box", program])?;
        assert_eq!((ran.code, ran.complained.as_str()), (code, words), "{ran:?}");
    }
    let nowhere = host.berth(&["exec", "-w", "/nowhere", "box", "true"])?;
    assert_eq!(nowhere.code, 127, "{nowhere:?}");
    assert!(nowhere.complained.contains("working directory /nowhere"), "{nowhere:?}");
    let ran = host.berth(&["exec", "-d", "box", "nothing"])?;
    assert_eq!((ran.code, ran.complained.as_str()), (127, &*format!("berth: {missing}")));
    host.ok(&["exec", "-d", "box", "touch", "/made"])?;
    until("it is made", || Ok(shell(&[], "test -e /made")?.code == 0))
}

/// CVE-2019-5736: the command is in the container until it executes the program, and can be executed there.
#[test]
#[ignore = "run by cargo xtask runner"]
fn the_file_of_the_command_cannot_be_written_to() -> Result<()> {
    let host = Host::new()?;
    host.idle(&["--name", "box"])?;
    let mut exec = host.command(&["exec", "-i", "box", "sh", "-c", "echo up; cat"])?;
    let mut exec = exec.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(exec.stdout.take().context("no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    assert_eq!(line, "up\n");
    let file = statvfs(format!("/proc/{}/exe", exec.id()))?;
    assert!(file.f_flag.contains(StatVfsMountFlags::RDONLY));
    drop(exec.stdin.take());
    assert!(exec.wait()?.success());
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_container_is_looked_at() -> Result<()> {
    let host = Host::new()?;
    let id = host.idle(&["--name", "box", "--label", "a=b", "-m", "64m"])?;
    for (template, shown) in [
        ("{{.Name}}", "/box"),
        ("{{.Id}}", id.as_str()),
        ("{{.HostConfig.Privileged}}", "false"),
        ("{{.HostConfig.Memory}}", "67108864"),
        ("{{.State.Running}} {{.State.ExitCode}}", "true 0"),
        ("{{index .Config.Labels \"a\"}}", "b"),
        ("{{json .Config.Labels}}", "{\"a\":\"b\"}"),
    ] {
        assert_eq!(host.ok(&["inspect", "-f", template, "box"])?.trim(), shown);
    }
    let other = host.idle(&["--name", "second", "--privileged"])?;
    let ids = host.ok(&["ps", "-q"])?;
    let args = ["inspect", "-f", "{{.Name}} {{.HostConfig.Privileged}}"];
    let shown = host.ok(&args.into_iter().chain(ids.lines()).collect::<Vec<_>>())?;
    assert_eq!(shown, "/second true\n/box false\n");
    host.ok(&["rm", "-f", &other])?;
    let processes = host.ok(&["top", "box"])?;
    assert!(processes.starts_with("UID ") && processes.contains("sh -c trap"), "{processes}");
    assert!(host.ok(&["top", "box", "-o", "pid,comm"])?.starts_with("PID "));
    host.idle(&["--name", "other"])?;
    let listed = host.ok(&["ps"])?;
    assert!(listed.starts_with("CONTAINER ID   IMAGE   "), "{listed}");
    assert_eq!(listed.lines().count(), 3);
    for (filter, names) in [
        ("label=a", "box\n"),
        ("name=oth", "other\n"),
        ("ancestor=tools", "other\nbox\n"),
        ("since=box", "other\n"),
        ("before=other", "box\n"),
        ("status=exited", ""),
        ("network=none", "other\nbox\n"),
    ] {
        let args = ["ps", "--filter", filter, "--format", "{{.Names}}"];
        assert_eq!(host.ok(&args)?, names, "{filter}");
    }
    Ok(())
}
