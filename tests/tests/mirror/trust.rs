//! An upstream on the Internet that would have the mirror go elsewhere: into the network behind it, or to somebody else
//! with its password. Both run in a network of their own, where such addresses are this machine's.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::{env, thread};

use anyhow::{Result, ensure};
use berth_tests::Launch;
use berth_tests::wire::{self, get};

use crate::scene::{Image, mirror_of};

/// Says that a test runs in a network of its own already.
const INSIDE: &str = "BERTH_TEST_NETWORK";

/// Addresses for documentation (RFC 5737), which are no private ones.
const UPSTREAM: &str = "198.51.100.1";
const ELSEWHERE: &str = "198.51.100.2";

/// Runs the test again in a network of its own; true in there.
fn is_inside(test: &str) -> Result<bool> {
    if env::var_os(INSIDE).is_some() {
        for arguments in [
            &["link", "set", "lo", "up"][..],
            &["address", "add", UPSTREAM, "dev", "lo"],
            &["address", "add", ELSEWHERE, "dev", "lo"],
        ] {
            ensure!(Command::new("ip").args(arguments).status()?.success(), "ip {arguments:?}");
        }
        return Ok(true);
    }
    let mut command = Command::new("unshare");
    command.arg("--net").arg(env::current_exe()?);
    command.args(["--ignored", "--exact", "--nocapture", test]).env(INSIDE, "1");
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(false)
}

/// Answers each request by what `answer` makes of its first line: a head without its end.
fn serve(answer: impl Fn(&str) -> String + Send + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind((UPSTREAM, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever has asked may have gone.
            let _ = respond(stream, &answer);
        }
    });
    Ok(address)
}

fn respond(mut stream: TcpStream, answer: &impl Fn(&str) -> String) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let answer = answer(head.lines().next().unwrap_or_default());
    write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// Somewhere that nobody should come to.
fn trap(address: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind((address, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn is_untouched(trap: &TcpListener) -> bool {
    trap.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

fn mirror_with_password(upstream: SocketAddr) -> Result<Launch> {
    let launch = mirror_of(Launch::temporary()?, &format!("http://{upstream}"));
    Ok(launch
        .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_USERNAME", "mirror")
        .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_PASSWORD", "of-the-mirror")
        .env("REGISTRY_MIRRORS_0_UPSTREAMS_0_ALLOWPLAINPASSWORD", "true"))
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn an_upstream_leads_nobody_into_the_network_behind_the_mirror() -> Result<()> {
    if !is_inside("trust::an_upstream_leads_nobody_into_the_network_behind_the_mirror")? {
        return Ok(());
    }
    let trap = trap("127.0.0.1")?;
    let target = format!("http://{}/latest/meta-data", trap.local_addr()?);
    let upstream = serve(move |_| format!("307 Temporary Redirect\r\nLocation: {target}"))?;
    let mirror = mirror_with_password(upstream)?.start()?;
    let digest = Image::new(400).layer.digest;
    for what in [format!("blobs/{digest}"), "manifests/v1".to_owned()] {
        let answer = wire::send(mirror.address(), &get(format!("/v2/hub/team/app/{what}")))?;
        let told = answer.refusal(502, "UNAVAILABLE")?;
        ensure!(told.contains("private network"), "{told}");
    }
    ensure!(is_untouched(&trap), "somebody was led there");
    mirror.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_token_service_of_somebody_else_gets_no_password() -> Result<()> {
    if !is_inside("trust::a_token_service_of_somebody_else_gets_no_password")? {
        return Ok(());
    }
    let trap = trap(ELSEWHERE)?;
    let realm = format!("http://{}/token", trap.local_addr()?);
    let upstream = serve(move |_| {
        format!("401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"{realm}\",service=\"s\"")
    })?;
    let mirror = mirror_with_password(upstream)?.start()?;
    let answer = wire::send(mirror.address(), &get("/v2/hub/team/app/manifests/v1"))?;
    ensure!(answer.status == 502 || answer.status == 403, "{}", answer.status);
    let told = answer.text();
    ensure!(told.contains(ELSEWHERE), "{told}");
    ensure!(is_untouched(&trap), "the password was shown to somebody else");
    mirror.stop()
}
