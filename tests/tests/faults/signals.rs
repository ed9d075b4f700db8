//! SIGTERM in the middle of work, and SIGHUP.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use berth_tests::content::Blob;
use berth_tests::wire::{Connection, Request, get, patch, post, put};
use berth_tests::{Launch, Server, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;

fn signal(server: &Server, signal: Signal) -> Result<()> {
    let pid = i32::try_from(server.id())?;
    Ok(kill_process(Pid::from_raw(pid).context("a process id")?, signal)?)
}

/// Sends the head of a request and the first half of its body, and waits until that is read.
fn half_sent(server: &Server, request: &Request) -> Result<(Connection, Vec<u8>)> {
    let received = || server.metric("berth_http_received_bytes_total");
    let (before, body) = (received()?, request.framed_body());
    let (first, rest) = body.split_at(body.len() / 2);
    let mut connection = Connection::open(server.address())?;
    connection.write(&request.head())?;
    connection.write(first)?;
    // Framing is not counted.
    let expected = before + first.len() as f64 * 0.99;
    wait::until("the first half is read", || Ok(received()? >= expected))?;
    Ok((connection, rest.to_vec()))
}

fn refuses_connections(server: &Server) -> bool {
    TcpStream::connect(server.address()).is_err()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn sigterm_lets_requests_end_takes_no_new_ones_and_exits_with_0() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let launch = Launch::filesystem(directory.path())?;
    let server = launch.start()?;
    let (pushed, appended, large) =
        (Blob::random(1, 200_000), Blob::random(2, 200_000), Blob::random(3, 64 << 20));
    server.push_blob("app", &large)?.expect(201)?;
    let session = server.begin("app")?;
    let whole =
        post(format!("/v2/app/blobs/uploads/?digest={}", pushed.digest)).body(&*pushed.bytes);
    let mut idle = Connection::open(server.address())?;
    idle.send(&get("/v2/"))?.expect(200)?;
    let (mut push, push_rest) = half_sent(&server, &whole)?;
    let (mut append, append_rest) =
        half_sent(&server, &patch(&session).streamed(&*appended.bytes))?;
    let mut pull = Connection::open(server.address())?;
    pull.write(&get(format!("/v2/app/blobs/{}", large.digest)).head())?;

    wait::until("the pull has begun", || Ok(server.metric("berth_http_connections")? >= 5.0))?;
    signal(&server, Signal::TERM)?;
    wait::until("it takes no connections", || Ok(refuses_connections(&server)))?;
    ensure!(idle.until_closed()?.is_empty(), "an answer to no request");
    push.write(&push_rest)?;
    push.answer(false)?.expect(201)?;
    append.write(&append_rest)?;
    append.answer(false)?.expect(202)?;
    ensure!(pull.answer(false)?.expect(200)?.body == large.bytes, "the pull was cut off");
    server.stop()?;

    let server = launch.start()?;
    server.expect_blob("app", &pushed)?;
    server.send(&put(format!("{session}?digest={}", appended.digest)))?.expect(201)?;
    server.expect_blob("app", &appended)?;
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_drain_does_not_wait_longer_than_it_is_told() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let launch = Launch::filesystem(directory.path())?.env("REGISTRY_HTTP_DRAINTIMEOUT", "300ms");
    let server = launch.start()?;
    let (blob, session) = (Blob::random(1, 200_000), server.begin("app")?);
    let (connection, _) = half_sent(&server, &patch(&session).body(&*blob.bytes))?;
    let began = Instant::now();
    server.stop()?;
    ensure!(began.elapsed() < Duration::from_secs(20), "it waited for {:?}", began.elapsed());
    drop(connection);
    let server = launch.start()?;
    let offset = session_offset(&server, &session)?;
    server
        .send(&put(format!("{session}?digest={}", blob.digest)).body(&blob.bytes[offset..]))?
        .expect(201)?;
    server.expect_blob("app", &blob)?;
    server.stop()
}

fn session_offset(server: &Server, session: &str) -> Result<usize> {
    let status = server.get(session)?.expect(204)?;
    let last = status.header("range")?.strip_prefix("0-").context("a range")?.parse::<usize>()?;
    Ok(if last == 0 { 0 } else { last + 1 })
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn sigterm_before_it_is_ready_ends_it_with_0_and_sighup_does_not_end_it() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let database = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("postgres://berth@{}/berth", database.local_addr()?);
    let mut registry = Launch::filesystem(directory.path())?
        .env("REGISTRY_METADATA_URL", url)
        .command(&["serve"])?
        .stderr(Stdio::piped())
        .spawn()?;
    // The database takes the connection and says nothing, so that nothing is ready.
    let _connection = database.accept()?;
    let pid = Pid::from_child(&registry);
    kill_process(pid, Signal::HUP)?;
    kill_process(pid, Signal::TERM)?;
    wait::until("it ends", || Ok(registry.try_wait()?.is_some()))?;
    let output = registry.wait_with_output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it ended with {}: {told}", output.status);
    ensure!(told.contains("stopped before it was ready"), "{told}");
    ensure!(!told.contains('\x1b'), "colours where there is no terminal: {told}");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn sighup_reads_the_configuration_again_and_a_bad_one_changes_nothing() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("config.yml");
    let write = |read_only: &str| {
        let text = format!(
            "version: 0.1\nhttp:\n  headers: {{X-Read-Only: [\"{read_only}\"]}}\nstorage:\n  maintenance:\n    readonly:\n      enabled: {read_only}\n"
        );
        fs::write(&file, text)
    };
    write("false")?;
    let server = Launch::filesystem(directory.path().join("data"))?
        .env("REGISTRY_CONFIGURATION_PATH", &file)
        .start()?;
    let is = |read_only: &str| -> Result<bool> {
        Ok(server.get("/v2/")?.header("x-read-only")? == read_only)
    };
    ensure!(is("false")?, "the file is not in force");
    let layer = server.push_image("app", "1", 1)?;

    // A request that is in flight ends as it began.
    let blob = Blob::random(9, 100_000);
    let whole = post(format!("/v2/app/blobs/uploads/?digest={}", blob.digest)).body(&*blob.bytes);
    let (mut push, rest) = half_sent(&server, &whole)?;
    write("true")?;
    signal(&server, Signal::HUP)?;
    wait::until("the new configuration is in force", || is("true"))?;
    push.write(&rest)?;
    push.answer(false)?.expect(201)?;
    server.send(&post("/v2/app/blobs/uploads/"))?.refusal(405, "UNSUPPORTED")?;
    server.expect_blob("app", &layer)?;

    write("perhaps")?;
    signal(&server, Signal::HUP)?;
    wait::until("the mistake is told", || Ok(server.log_end().contains("was not reloaded")))?;
    ensure!(
        server.log_end().contains("storage.maintenance.readonly.enabled"),
        "{}",
        server.log_end()
    );
    ensure!(is("true")?, "a bad configuration is in force");
    write("false")?;
    signal(&server, Signal::HUP)?;
    wait::until("it can be written again", || is("false"))?;
    server.begin("app")?;
    server.stop()
}
