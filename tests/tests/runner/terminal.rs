//! Terminals: made in the container, handed over by a socket.

use std::fs::File;
use std::io::{IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

use crate::bundle::Bundle;

/// Takes the terminal that a runtime sends.
fn receive(listener: &UnixListener) -> Result<File> {
    let (stream, _) = listener.accept()?;
    let mut name = [0; 256];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fd: Option<OwnedFd> = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok(fd.context("no terminal came")?.into())
}

/// Reads up to and with `end`.
fn read_until(terminal: &mut File, end: &str) -> Result<String> {
    let mut text = String::new();
    while !text.contains(end) {
        let mut bytes = [0; 1024];
        let length = terminal.read(&mut bytes).with_context(|| format!("after {text:?}"))?;
        text.push_str(std::str::from_utf8(&bytes[..length])?);
    }
    Ok(text)
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_terminal_of_the_right_size_is_handed_over() -> Result<()> {
    let bundle = Bundle::shell(
        "tty; stty size; stat -c %t:%T /dev/console; read line; echo got $line; exec sleep 1000",
    )?
    .with("/process/terminal", json!(true))
    .with("/process/consoleSize", json!({"height": 31, "width": 77}));
    let socket = bundle.path().join("console");
    let listener = UnixListener::bind(&socket)?;
    let status =
        bundle.making("create", &["--console-socket", socket.to_str().unwrap()])?.status()?;
    assert!(status.success());
    let mut terminal = receive(&listener)?;
    bundle.command(&["start", &bundle.id])?;
    let text = read_until(&mut terminal, "88:0\r\n")?;
    assert_eq!(text, "/dev/pts/0\r\n31 77\r\n88:0\r\n");
    terminal.write_all(b"typed\n")?;
    assert!(read_until(&mut terminal, "got typed\r\n")?.starts_with("typed"));
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_process_that_joins_has_a_terminal_of_its_own() -> Result<()> {
    let bundle = Bundle::idle()?.start()?;
    let socket = bundle.path().join("console");
    let listener = UnixListener::bind(&socket)?;
    let args = [
        "exec",
        "--tty",
        "--detach",
        "--console-socket",
        socket.to_str().unwrap(),
        &bundle.id,
        "sh",
        "-c",
        "tty; exec sleep 1000",
    ];
    assert!(bundle.oci(&args)?.status()?.success());
    assert_eq!(read_until(&mut receive(&listener)?, "\n")?, "/dev/pts/0\r\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn in_the_foreground_the_terminal_is_shown() -> Result<()> {
    let bundle = Bundle::shell("tty && echo shown")?.with("/process/terminal", json!(true));
    assert_eq!(bundle.says()?, "/dev/pts/0\r\nshown\r\n");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_terminal_needs_a_place_to_go_and_a_file_system_for_terminals() -> Result<()> {
    let bundle = Bundle::shell("true")?.with("/process/terminal", json!(true));
    let created = bundle.making("create", &[])?.output()?;
    assert!(String::from_utf8(created.stderr)?.contains("--console-socket"));
    assert!(bundle.is_gone()?);
    Ok(())
}
