//! Published ports as programs of the host reach them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};
use berth_tests::wait::until;
use rustix::process::{Signal, kill_process, test_kill_process};

use crate::crash::monitor;
use crate::host::{Host, IMAGE};

const PORT: u16 = 18080;

/// Says something to whoever listens at an address, and gives all that comes back.
fn say(address: impl Into<SocketAddr>, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address.into())?;
    let mut from = stream.try_clone()?;
    let heard = thread::spawn(move || -> Result<Vec<u8>> {
        let mut heard = Vec::new();
        from.read_to_end(&mut heard)?;
        Ok(heard)
    });
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    heard.join().ok().context("panicked")?
}

/// Starts a program that listens at the port that is published, and waits until it does.
fn serve(host: &Host, published: &str, program: &[&str]) -> Result<String> {
    let args = ["run", "-d", "--name", "box", "-p", published, IMAGE];
    let id = host.ok(&[&args[..], program].concat())?.trim().to_owned();
    let listens = ["exec", "box", "sh", "-c", "netstat -ltn | grep -q ':80 '"];
    until("it listens", || Ok(host.berth(&listens)?.code == 0))?;
    Ok(id)
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_loopback_of_either_version_is_served() -> Result<()> {
    let host = Host::isolated()?;
    // For all who come.
    let echo = ["nc", "-ll", "-p", "80", "-e", "cat"];
    for published in [format!("{PORT}:80"), format!("[::1]:{PORT}:80")] {
        let id = serve(&host, &published, &echo)?;
        let mut addresses = vec![SocketAddr::from((Ipv6Addr::LOCALHOST, PORT))];
        if !published.starts_with('[') {
            addresses.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        let large: Vec<u8> = (0..4 << 20).map(|number: u32| (number % 251) as u8).collect();
        for address in &addresses {
            assert_eq!(say(*address, b"hello")?, b"hello", "{address}");
            assert!(say(*address, &large)? == large, "{address}");
        }
        let mut open = Vec::new();
        for _ in 0..40 {
            let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, PORT))?;
            stream.write_all(b"many")?;
            stream.read_exact(&mut [0; 4])?;
            open.push(stream);
        }
        for stream in &mut open {
            stream.write_all(b"more")?;
            stream.read_exact(&mut [0; 4])?;
        }
        drop(open);
        // The next monitor does so as well.
        let before = monitor(&host, &id)?;
        kill_process(before, Signal::KILL)?;
        until("it is gone", || Ok(test_kill_process(before).is_err()))?;
        assert_eq!(host.status("box")?, "running");
        until("it is served again", || {
            Ok(say((Ipv6Addr::LOCALHOST, PORT), b"again").is_ok_and(|heard| heard == b"again"))
        })?;
        host.ok(&["rm", "-f", "box"])?;
        assert!(say((Ipv6Addr::LOCALHOST, PORT), b"gone").is_err());
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn who_listens_by_ipv4_alone_is_reached_by_both() -> Result<()> {
    let host = Host::isolated()?;
    serve(&host, &format!("{PORT}:80"), &["httpd", "-f", "-p", "0.0.0.0:80", "-h", "/etc"])?;
    for address in
        [SocketAddr::from((Ipv6Addr::LOCALHOST, PORT)), (Ipv4Addr::LOCALHOST, PORT).into()]
    {
        let answer = say(address, b"GET /passwd HTTP/1.0\r\n\r\n")?;
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{address}: {answer:?}");
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn the_last_words_of_a_program_are_passed_on() -> Result<()> {
    let host = Host::isolated()?;
    let once = ["nc", "-l", "-p", "80", "-e", "seq", "20000"];
    let all: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    for _ in 0..5 {
        serve(&host, &format!("{PORT}:80"), &once)?;
        assert!(say((Ipv6Addr::LOCALHOST, PORT), b"")? == all.as_bytes());
        host.ok(&["wait", "box"])?;
        host.ok(&["rm", "box"])?;
    }
    host.is_clean()
}

#[test]
#[ignore = "run by cargo xtask runner"]
fn a_caller_who_takes_all_there_is_holds_up_nothing_else() -> Result<()> {
    let host = Host::isolated()?;
    let script = "while :; do echo tick; sleep 0.01; done & exec nc -ll -p 80 -e cat /dev/zero";
    serve(&host, &format!("{PORT}:80"), &["sh", "-c", script])?;
    let mut stream = TcpStream::connect((Ipv6Addr::LOCALHOST, PORT))?;
    let caller = stream.try_clone()?;
    let taking = thread::spawn(move || {
        let mut bytes = vec![0; 1 << 20];
        while stream.read(&mut bytes).is_ok_and(|length| length > 0) {}
    });
    let ticks = || -> Result<usize> { Ok(host.ok(&["logs", "box"])?.lines().count()) };
    let before = ticks()?;
    until("the log goes on", || Ok(ticks()? > before + 50))?;
    caller.shutdown(Shutdown::Both)?;
    taking.join().ok().context("panicked")?;
    host.ok(&["rm", "-f", "box"])?;
    host.is_clean()
}
