//! Listening on a Unix socket.

use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use berth_tests::process::Daemon;
use berth_tests::server::berth_binary;

fn start(directory: &Path) -> Result<Daemon> {
    let mut command = Command::new(berth_binary()?);
    command.arg("serve").current_dir(directory).env_clear();
    command.env("REGISTRY_HTTP_NET", "unix").env("REGISTRY_HTTP_ADDR", "registry.sock");
    command.env("REGISTRY_STORAGE", "inmemory");
    Daemon::start("the registry", command, &directory.join("log"))
}

/// What it answers to the version check.
fn ask(socket: &Path) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_socket_that_a_crash_left_is_taken_over_and_one_that_is_served_is_not() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("registry.sock");
    for _ in 0..2 {
        let mut server = start(directory.path())?;
        server.wait_until(|| ask(&socket).is_ok())?;
        ensure!(ask(&socket)?.starts_with("HTTP/1.1 200 OK"), "{}", ask(&socket)?);

        let second = start(directory.path())?.wait_until(|| false);
        let told = second.err().map(|error| error.to_string()).unwrap_or_default();
        ensure!(told.contains("exit status: 1") && told.contains("registry.sock"), "{told}");
        ensure!(ask(&socket)?.starts_with("HTTP/1.1 200 OK"), "the first lost its socket");
        server.kill()?;
        ensure!(socket.metadata()?.file_type().is_socket(), "a crash leaves the socket");
    }
    Ok(())
}
