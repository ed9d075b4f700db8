//! Peers that do not shake hands as they should.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use berth_tests::wait;

use crate::Tls;
use crate::connection::ask;

const SHORT: (&str, &str) = ("REGISTRY_HTTP_LIMITS_HANDSHAKETIMEOUT", "1s");

/// What an open socket gives until it is closed. One that is reset is closed.
fn until_closed(stream: &mut TcpStream) -> Result<Vec<u8>> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => Err(error.into()),
        _ => Ok(all),
    }
}

/// Waits until the metrics tell of so many handshakes that ended like this: they are counted when the connection is
/// given up, of which its client may learn before.
fn are_counted(tls: &Tls, outcome: &str, number: &str) -> Result<()> {
    let line = format!("berth_tls_handshakes_total{{outcome=\"{outcome}\"}} {number}");
    wait::until(&line, || {
        let metrics = tls.server.registry().text("/metrics")?;
        Ok(metrics.lines().any(|it| it == line))
    })
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_handshake_that_does_not_come_to_its_end_is_given_up() -> Result<()> {
    let tls = Tls::start(&[SHORT])?;
    // Nothing, and the beginning of a record that says it is longer.
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(tls.server.address())?;
        stream.write_all(beginning)?;
        let began = Instant::now();
        ensure!(until_closed(&mut stream)?.is_empty(), "an answer to no handshake");
        ensure!(began.elapsed() < Duration::from_secs(20), "{beginning:?} was waited for");
    }
    are_counted(&tls, "timeout", "2")?;
    ensure!(ask(tls.server.address(), &tls.authority.trust())? == 200);
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn slow_handshakes_keep_nobody_waiting_who_is_not_slow() -> Result<()> {
    let tls = Tls::start(&[("REGISTRY_HTTP_LIMITS_HANDSHAKETIMEOUT", "1h")])?;
    let slow = (0..200).map(|_| TcpStream::connect(tls.server.address()));
    let slow = slow.collect::<Result<Vec<_>, _>>()?;
    ensure!(ask(tls.server.address(), &tls.authority.trust())? == 200);
    drop(slow);
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn plain_http_is_told_that_this_is_https() -> Result<()> {
    let tls = Tls::start(&[])?;
    for request in ["GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = TcpStream::connect(tls.server.address())?;
        stream.write_all(request.as_bytes())?;
        let answer = String::from_utf8(until_closed(&mut stream)?)?;
        ensure!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        ensure!(answer.contains("client sent an HTTP request to an HTTPS server"), "{answer}");
    }
    are_counted(&tls, "plain-http", "2")?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn noise_is_hung_up_on() -> Result<()> {
    let tls = Tls::start(&[])?;
    for noise in [&b"\x00\x01\x02\x03\x04\x05\x06\x07"[..], b"\x16\xff\xff\xff\xff\xff\xff"] {
        let mut stream = TcpStream::connect(tls.server.address())?;
        stream.write_all(noise)?;
        // An alert at most.
        ensure!(until_closed(&mut stream)?.len() < 16, "an answer to noise");
    }
    ensure!(ask(tls.server.address(), &tls.authority.trust())? == 200);
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_stop_does_not_wait_for_handshakes() -> Result<()> {
    let tls = Tls::start(&[("REGISTRY_HTTP_LIMITS_HANDSHAKETIMEOUT", "1h")])?;
    let slow = TcpStream::connect(tls.server.address())?;
    ensure!(ask(tls.server.address(), &tls.authority.trust())? == 200);
    let began = Instant::now();
    tls.server.stop()?;
    ensure!(began.elapsed() < Duration::from_secs(30), "the stop took {:?}", began.elapsed());
    drop(slow);
    Ok(())
}
