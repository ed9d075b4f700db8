//! Certificates that are replaced while clients push and pull.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use berth_tests::authority::{Authority, Issued, Pair};
use berth_tests::{Launch, wait};
use rustix::process::{Pid, Signal, kill_process};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use crate::Tls;
use crate::connection::{Connection, config};

fn der(issued: &Issued) -> Result<Vec<u8>> {
    Ok(CertificateDer::from_pem_slice(issued.certificate.as_bytes())?.to_vec())
}

/// The certificate that a new connection is shown.
fn shown(tls: &Tls) -> Result<Vec<u8>> {
    let config = Arc::new(config(&tls.authority.trust(), &[])?);
    let connection = Connection::open(tls.server.address(), &config)?;
    connection.certificate().context("no certificate")
}

/// As it is done by those who do it well: each file in one step.
fn replace(issued: &Issued, tls: &Tls) -> Result<()> {
    let new = issued.write(tls.folder.path(), "new")?;
    fs::rename(new.certificate, &tls.pair.certificate)?;
    Ok(fs::rename(new.key, &tls.pair.key)?)
}

fn until_shown(issued: &Issued, tls: &Tls) -> Result<()> {
    let expected = der(issued)?;
    wait::until("the new certificate is shown", || Ok(shown(tls)? == expected))
}

fn metric(tls: &Tls, name: &str) -> Result<Option<String>> {
    let metrics = tls.server.registry().text("/metrics")?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.map(str::to_owned))
}

const REFUSED: &str = "berth_tls_reloads_total{outcome=\"refused\"}";
const EXPIRY: &str = "berth_tls_certificate_expiry_timestamp_seconds{}";
const KEPT: &str = "the new certificate is not used, the one before stays in service";

/// Clients that ask again and again, half of them over one connection, until they are told to stop; none may fail.
struct Clients {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Result<()>>>,
}

impl Clients {
    fn start(tls: &Tls, number: usize) -> Result<Self> {
        let config = Arc::new(config(&tls.authority.trust(), &[])?);
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..number).map(|index| {
            let (config, stop, asked) = (config.clone(), stop.clone(), asked.clone());
            let server = tls.server.address();
            std::thread::spawn(move || ask_on(server, &config, index % 2 == 0, &stop, &asked))
        });
        let threads = threads.collect();
        Ok(Self { stop, asked, threads })
    }

    /// Waits until so many more requests were answered.
    fn go_on(&self, requests: usize) -> Result<()> {
        let enough = self.asked.load(Ordering::Relaxed) + requests;
        wait::until("clients are served", || {
            let failed = self.threads.iter().any(std::thread::JoinHandle::is_finished);
            ensure!(!failed, "a client failed");
            Ok(self.asked.load(Ordering::Relaxed) >= enough)
        })
    }

    fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().ok().context("a client panicked")??;
        }
        Ok(())
    }
}

fn ask_on(
    server: std::net::SocketAddr,
    config: &Arc<ClientConfig>,
    keep: bool,
    stop: &AtomicBool,
    asked: &AtomicUsize,
) -> Result<()> {
    let mut connection = Connection::open(server, config)?;
    while !stop.load(Ordering::Relaxed) {
        if !keep {
            connection = Connection::open(server, config)?;
        }
        let status = connection.ask()?;
        ensure!(status == 200, "{status}");
        asked.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn no_request_fails_while_certificates_are_replaced() -> Result<()> {
    let tls = Tls::start(&[])?;
    let clients = Clients::start(&tls, 8)?;
    clients.go_on(200)?;
    for _ in 0..3 {
        let next = tls.authority.server()?;
        replace(&next, &tls)?;
        until_shown(&next, &tls)?;
        clients.go_on(200)?;
    }
    clients.stop()?;
    ensure!(metric(&tls, REFUSED)?.is_none(), "{:?}", metric(&tls, REFUSED)?);
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_link_that_is_set_anew_is_a_replacement() -> Result<()> {
    // As Kubernetes writes secrets: `server.crt` -> `..data/server.crt`, `..data` -> a folder of its own.
    let (authority, folder) = (Authority::new("tests")?, tempfile::tempdir()?);
    let version = |name: &str, issued: &Issued| -> Result<()> {
        let at = folder.path().join(name);
        fs::create_dir(&at)?;
        issued.write(&at, "server")?;
        symlink(name, folder.path().join("..next"))?;
        Ok(fs::rename(folder.path().join("..next"), folder.path().join("..data"))?)
    };
    version("..1", &authority.server()?)?;
    let link = |name: &str| -> Result<std::path::PathBuf> {
        let link = folder.path().join(name);
        symlink(Path::new("..data").join(name), &link)?;
        Ok(link)
    };
    let pair = Pair { certificate: link("server.crt")?, key: link("server.key")? };
    let server = Launch::temporary()?.tls(&pair, authority.trust()).start()?;
    let next = authority.server()?;
    version("..2", &next)?;
    let tls = Tls { authority, pair, server, folder };
    until_shown(&next, &tls)?;
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_hangup_has_the_files_read_at_once_and_what_is_broken_changes_nothing() -> Result<()> {
    let tls = Tls::start(&[])?;
    let (before, expiry) = (shown(&tls)?, metric(&tls, EXPIRY)?);
    ensure!(expiry.is_some(), "the metrics do not tell when the certificate expires");
    fs::write(&tls.pair.certificate, "nothing that is a certificate")?;
    kill_process(Pid::from_raw(tls.server.id().cast_signed()).context("no pid")?, Signal::HUP)?;
    wait::until("the refusal is counted", || Ok(metric(&tls, REFUSED)?.as_deref() == Some("1")))?;
    let log = tls.server.log_end();
    ensure!(log.contains(KEPT) && log.contains("no certificate in PEM"), "{log}");
    ensure!(shown(&tls)? == before, "the broken certificate is shown");
    ensure!(metric(&tls, EXPIRY)? == expiry);

    // Not to wait for anything: it is looked at every two seconds meanwhile, and not told again.
    std::thread::sleep(std::time::Duration::from_secs(5));
    ensure!(tls.server.log_end().matches(KEPT).count() == 1, "{}", tls.server.log_end());

    let next = tls.authority.expired_server()?;
    replace(&next, &tls)?;
    wait::until("the expired certificate is in service", || {
        Ok(tls.server.log_end().contains("has expired"))
    })?;
    // No client trusts that one.
    let good = tls.authority.server()?;
    replace(&good, &tls)?;
    wait::until("a good one is in service", || Ok(shown(&tls).is_ok()))?;
    ensure!(shown(&tls)? == der(&good)?);
    ensure!(metric(&tls, REFUSED)?.as_deref() == Some("1"));
    tls.server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn a_pair_that_is_replaced_half_is_waited_for() -> Result<()> {
    let tls = Tls::start(&[])?;
    let (before, next) = (shown(&tls)?, tls.authority.server()?);
    fs::write(&tls.pair.certificate, &next.certificate)?;
    wait::until("the refusal is told", || Ok(tls.server.log_end().contains(KEPT)))?;
    let log = tls.server.log_end();
    ensure!(log.contains("does not belong to the certificate"), "{log}");
    ensure!(shown(&tls)? == before, "half of a pair is served");
    replace(&next, &tls)?;
    until_shown(&next, &tls)?;
    tls.server.stop()
}
