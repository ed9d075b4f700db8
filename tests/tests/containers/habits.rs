//! What programs and scripts are used to in docker's containers, and no specification says.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use berth_tests::berth_binary;

use crate::host::{Host, IMAGE, Ran};
use crate::terminal::Typed;

/// A command line of `berth` after what a shell does before it.
fn after(host: &Host, before: &str, args: &[&str]) -> Result<Ran> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{before}; exec \"$@\"")).arg("sh").arg(berth_binary()?);
    let berth = host.command(args)?;
    for (name, value) in berth.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    Ran::new(shell.args(args).stdin(Stdio::null()).output()?)
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_input_has_a_name_and_an_end() -> Result<()> {
    let host = Host::new()?;
    for user in ["root", "ann"] {
        // By then there is no writer any more.
        let script = "read x; cat /dev/stdin; cat /dev/stdin";
        let args = ["run", "--rm", "-i", "-u", user, "--network", "none", IMAGE, "sh", "-c"];
        let mut command = host.command(&[&args[..], &[script]].concat())?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        child.stdin.take().context("no input")?.write_all(b"one\ntwo\n")?;
        let output = child.wait_with_output()?;
        assert!(output.status.success());
        // A shell reads no more of a pipe than its line.
        assert_eq!(output.stdout, b"two\n", "{user}");
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn what_a_caller_ignores_and_hides_is_the_callers() -> Result<()> {
    let host = Host::new()?;
    let run = ["run", "--rm", "--network", "none"];
    let ignored = ["grep", "SigIgn", "/proc/self/status"];
    let ran = after(&host, "trap '' HUP INT TERM USR1", &[&run, &[IMAGE][..], &ignored].concat())?;
    assert_eq!(ran.said, "SigIgn:\t0000000000000000\n", "{ran:?}");
    let source = host.path().join("source");
    let folders = ["volume:/v".to_owned(), format!("{}:/v", source.display())];
    for folder in folders {
        let mode = ["-v", &folder, IMAGE, "stat", "-c", "%a", "/v"];
        let ran = after(&host, "umask 077", &[&run, &mode[..]].concat())?;
        assert_eq!((ran.code, ran.said.as_str()), (0, "755\n"), "{folder}: {ran:?}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn folders_in_memory_are_everybodys_or_like_what_they_hide() -> Result<()> {
    let host = Host::new()?;
    for (options, said) in [
        (&["-u", "ann", "--tmpfs", "/new"][..], "1777\n"),
        (&["-u", "ann", "--mount", "type=tmpfs,dst=/new"], "1777\n"),
        (&["--mount", "type=tmpfs,dst=/new,tmpfs-mode=0700"], "700\n"),
        (&["--tmpfs", "/etc", "--tmpfs", "/new"], "1777\n"),
    ] {
        let ran = host.shell(options, "touch /new/file && stat -c %a /new")?;
        assert_eq!((ran.code, ran.said.as_str()), (0, said), "{options:?}: {ran:?}");
    }
    let ran = host.shell(&["--tmpfs", "/etc"], "stat -c %a /etc")?;
    assert_eq!(ran.said, "755\n", "{ran:?}");
    for options in [&["--tmpfs", "/tmp:ro"][..], &["--mount", "type=tmpfs,dst=/tmp,ro"]] {
        let ran = host.shell(options, "stat -c %a /tmp; touch /tmp/file")?;
        assert_eq!((ran.code, ran.said.as_str()), (1, "1777\n"), "{options:?}: {ran:?}");
        assert!(ran.complained.contains("Read-only file system"), "{ran:?}");
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn only_the_streams_that_were_asked_for_are_shown() -> Result<()> {
    let host = Host::new()?;
    for (options, out, err) in [
        (&["-a", "stdout"][..], "out\n", ""),
        (&["-a", "stderr"], "", "err\n"),
        (&["-a", "stdout", "-a", "stderr"], "out\n", "err\n"),
    ] {
        let ran = host.shell(options, "echo out; echo err >&2")?;
        assert_eq!((ran.said.as_str(), ran.complained.as_str()), (out, err), "{options:?}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn memory_is_shared_by_those_who_share_it() -> Result<()> {
    let host = Host::new()?;
    for (mode, words) in [("private", Some("non-shareable IPC")), ("shareable", None)] {
        host.idle(&["--name", mode, "--ipc", mode])?;
        let ran = host.shell(&["--ipc", &format!("container:{mode}")], "true")?;
        assert_eq!(ran.code, if words.is_some() { 125 } else { 0 }, "{ran:?}");
        assert!(ran.complained.contains(words.unwrap_or_default()), "{ran:?}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_name_with_a_domain_is_known_without_it() -> Result<()> {
    let host = Host::isolated()?;
    let ran = host.ok(&["run", "--rm", "--hostname", "web.lan", IMAGE, "cat", "/etc/hosts"])?;
    assert!(ran.contains("\tweb.lan web\n"), "{ran}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn exit_codes_say_whether_it_was_the_program() -> Result<()> {
    let host = Host::new()?;
    let run = |args: &[&str]| host.berth(&[&["run", "--rm", "--network", "none"], args].concat());
    for (args, code) in [
        (&[IMAGE, ""][..], 127),
        (&[IMAGE, "/etc"], 126),
        (&["-v", "/etc/hostname:/etc", IMAGE, "true"], 125),
    ] {
        assert_eq!(run(args)?.code, code, "{args:?}");
    }
    host.idle(&["--name", "box"])?;
    for (args, code) in [(&["box", ""][..], 127), (&["box", "/etc"], 126)] {
        let ran = host.berth(&[&["exec"], args].concat())?;
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn whoever_comes_later_has_the_screen_drawn_again() -> Result<()> {
    let host = Host::new()?;
    let script = "trap 'echo drawn' WINCH; echo ready; while :; do sleep 0.01; done";
    let args = ["run", "-dt", "--name", "box", "--network", "none", IMAGE, "sh", "-c", script];
    host.ok(&args)?;
    let mut first = Typed::new(host.command(&["attach", "--detach-keys", "x", "box"])?)?;
    first.read_until("drawn")?;
    // The terminal has its size by now.
    let mut second = Typed::new(host.command(&["attach", "box"])?)?;
    second.read_until("drawn")?;
    host.ok(&["rm", "-f", "box"])?;
    first.child.wait()?;
    second.child.wait()?;
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn programs_find_out_that_they_are_in_a_container() -> Result<()> {
    let host = Host::new()?;
    let look = "test -f /.dockerenv && readlink /etc/mtab && grep -c ' / ' /etc/mtab";
    for options in [&[][..], &["--read-only"], &["-u", "ann"]] {
        let ran = host.shell(options, look)?;
        assert_eq!(ran.said, "/proc/mounts\n1\n", "{options:?}: {ran:?}");
    }
    // What is there is left as it is.
    let script = "rm /etc/mtab; echo mine > /etc/mtab; cat /etc/mtab";
    host.ok(&["run", "--name", "box", "--network", "none", IMAGE, "sh", "-c", script])?;
    let container = host.ok(&["start", "-a", "box"])?;
    assert_eq!(container, "mine\n");
    Ok(())
}
