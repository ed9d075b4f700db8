//! Other runtimes in the place of ours (`--runtime`): those that people have, one that is not there, one that goes.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use berth_tests::wait::until;

use crate::host::{Host, IMAGE};
use crate::terminal::Typed;

/// A container of a runtime from its start to its end.
fn walk(host: &Host, runtime: &str) -> Result<()> {
    let once = |options: &[&str], command: &str| {
        let runtime = ["--runtime", runtime];
        host.shell(&[&runtime, options].concat(), command)
    };
    let ran = once(&["-m", "64m", "--hostname", "here"], "hostname; echo err >&2; exit 3")?;
    let said = (ran.code, ran.said.as_str(), ran.complained.as_str());
    assert_eq!(said, (3, "here\n", "err\n"));
    let ran = once(&["-t", "-u", "ann"], "tty; id -u")?;
    assert_eq!((ran.code, ran.said.as_str()), (0, "/dev/pts/0\r\n1000\r\n"), "{ran:?}");
    let missing =
        host.berth(&["run", "--rm", "--runtime", runtime, "--network", "none", IMAGE, "nothing"])?;
    assert_eq!(missing.code, 127, "{missing:?}");
    assert!(missing.complained.contains("executable file"), "{missing:?}");
    host.is_clean()?;

    host.idle(&["--name", "box", "--runtime", runtime])?;
    host.ok(&["pause", "box"])?;
    assert_eq!(host.status("box")?, "paused");
    host.ok(&["unpause", "box"])?;
    joined(host)?;
    host.ok(&["stop", "box"])?;
    assert_eq!(host.inspect("box")?["State"]["ExitCode"], 143);
    host.ok(&["start", "box"])?;
    until("it is ready again", || Ok(host.ok(&["logs", "box"])? == "ready\nready\n"))?;
    host.ok(&["kill", "box"])?;
    assert_eq!(host.inspect("box")?["State"]["ExitCode"], 137);
    host.ok(&["rm", "box"])?;
    host.is_clean()
}

/// Other programs in the container `box`.
fn joined(host: &Host) -> Result<()> {
    let shell = |options: &[&str], command: &str| {
        host.berth(&[&["exec"], options, &["box", "sh", "-c", command]].concat())
    };
    let ran = shell(&["-u", "ann", "-w", "/tmp", "-e", "B=2"], "id -u; pwd; echo $B >&2; exit 5")?;
    assert_eq!((ran.code, &*ran.said, &*ran.complained), (5, "1000\n/tmp\n", "2\n"));
    assert_eq!(shell(&[], "kill -9 $$")?.code, 137);
    assert_eq!(shell(&["-t"], "tty")?.said, "/dev/pts/0\r\n");
    assert_eq!(host.ok(&["exec", "box", "cat"])?, "");
    let mut piped = host.command(&["exec", "-i", "box", "cat"])?;
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    piped.stdin.take().context("no input")?.write_all(b"typed")?;
    assert_eq!(piped.wait_with_output()?.stdout, b"typed");
    let mut typed =
        Typed::new(host.command(&["exec", "-it", "box", "sh", "-c", "read a; exit $a"])?)?;
    typed.terminal.write_all(b"9\n")?;
    assert_eq!(typed.child.wait()?.code(), Some(9));
    for (program, code) in [("nothing", 127), ("/etc/passwd", 126)] {
        for mode in [&[][..], &["-t"], &["-d"]] {
            let ran = host.berth(&[&["exec"], mode, &["box", program]].concat())?;
            assert_eq!(ran.code, code, "{mode:?}: {ran:?}");
            assert_eq!(ran.complained.lines().count(), 1, "{mode:?}: {ran:?}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn runc_makes_containers() -> Result<()> {
    walk(&Host::new()?, "runc")
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn crun_makes_containers() -> Result<()> {
    walk(&Host::without_hybrid_cgroups()?, "crun")
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_runtime_that_is_not_there_leaves_nothing() -> Result<()> {
    let host = Host::new()?;
    let text = host.path().join("text");
    fs::write(&text, "no program")?;
    for (runtime, words) in [
        ("/no/where", "execute the runtime /no/where: No such file or directory"),
        ("no-where", "execute the runtime no-where: No such file or directory"),
        (text.to_str().context("a path")?, "Permission denied"),
    ] {
        let args = ["--runtime", runtime, "--network", "none", IMAGE, "true"];
        let ran = host.berth(&[&["run", "--rm"], &args[..]].concat())?;
        assert!(ran.code == 125 && ran.complained.contains(words), "{ran:?}");
        // Nobody looks after it: it is given back by whoever was to start it.
        host.is_clean()?;
        let ran = host.berth(&[&["run", "--name", "kept"], &args[..]].concat())?;
        assert!(ran.code == 125 && ran.complained.contains(words), "{ran:?}");
        assert_eq!(host.status("kept")?, "created");
        host.ok(&["rm", "kept"])?;
        host.is_clean()?;
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_container_ends_and_goes_without_its_runtime() -> Result<()> {
    let host = Host::new()?;
    let runtime = host.path().join("runtime");
    for options in [&["--rm"][..], &[]] {
        fs::copy("/usr/sbin/runc", &runtime)?;
        let path = runtime.to_str().context("a path")?;
        host.idle(&[&["--name", "box", "--runtime", path], options].concat())?;
        fs::remove_file(&runtime)?;
        until("it is ready", || Ok(host.ok(&["logs", "box"])? == "ready\n"))?;
        host.ok(&["stop", "box"])?;
        if options.is_empty() {
            assert_eq!(host.inspect("box")?["State"]["ExitCode"], 143);
            host.ok(&["rm", "box"])?;
        }
        host.is_clean()?;
    }
    Ok(())
}
