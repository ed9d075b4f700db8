//! The OCI's own conformance suites against a running registry, on every storage.
//!
//! The suites are programs that `cargo xtask setup` builds, so these tests are ignored unless
//! `cargo xtask conformance` asks for them by name. What they report is kept under `target/tmp/conformance`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use berth_tests::Launch;
use berth_tests::authority::Authority;
use berth_tests::conformance::{
    current, current_with_login, released, released_over_tls, released_with_login, sparse,
};
use berth_tests::stores::Stored;

#[test]
#[ignore = "run by cargo xtask conformance"]
fn the_current_suite_passes_whole_on_every_storage() -> Result<()> {
    passes("current", current)
}

#[test]
#[ignore = "run by cargo xtask conformance"]
fn the_suite_of_release_1_1_1_passes() -> Result<()> {
    passes("v1.1.1", |storage, host, results| released("v1.1.1", storage, host, results))
}

#[test]
#[ignore = "run by cargo xtask conformance"]
fn the_suite_of_release_1_1_1_passes_over_tls() -> Result<()> {
    let (authority, folder) = (Authority::new("registry")?, tempfile::tempdir()?);
    let pair = authority.server()?.write(folder.path(), "server")?;
    let file = folder.path().join("authority.crt");
    fs::write(&file, authority.certificate())?;
    let server = sparse(Launch::temporary()?.tls(&pair, authority.trust())).start()?;
    let results = results("v1.1.1", "tls")?;
    let complaints = released_over_tls("v1.1.1", "tls", &server.host(), &file, &results)?;
    server.stop()?;
    ensure!(complaints.is_empty(), "the suite does not pass:\n{}", complaints.join("\n"));
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask conformance"]
fn the_suite_of_release_1_1_1_passes_with_a_login() -> Result<()> {
    passes_with_a_login("v1.1.1", |host, trusted, login, results| {
        released_with_login("v1.1.1", "login", host, trusted, login, results)
    })
}

#[test]
#[ignore = "run by cargo xtask conformance"]
fn the_current_suite_passes_over_tls_with_a_login() -> Result<()> {
    passes_with_a_login("current", |host, trusted, login, results| {
        current_with_login("login", host, trusted, login, results)
    })
}

#[test]
#[ignore = "run by cargo xtask conformance"]
fn the_suite_of_release_1_0_1_passes() -> Result<()> {
    passes("v1.0.1", |storage, host, results| released("v1.0.1", storage, host, results))
}

fn passes(suite: &str, run: impl Fn(&str, &str, &Path) -> Result<Vec<String>>) -> Result<()> {
    let mut complaints = Vec::new();
    for (storage, launch, _server) in storages()? {
        let server = launch.start()?;
        complaints.extend(run(storage, &server.host(), &results(suite, storage)?)?);
        server.stop()?;
    }
    ensure!(complaints.is_empty(), "the {suite} suite does not pass:\n{}", complaints.join("\n"));
    Ok(())
}

/// A suite with a name and a password, over TLS. What it is given is the host, the file of the authority, both words,
/// and where its report goes.
fn passes_with_a_login(
    suite: &str,
    run: impl Fn(&str, &Path, (&str, &str), &Path) -> Result<Vec<String>>,
) -> Result<()> {
    let (authority, folder) = (Authority::new("registry")?, tempfile::tempdir()?);
    let pair = authority.server()?.write(folder.path(), "server")?;
    let (trusted, users) = (folder.path().join("authority.crt"), folder.path().join("htpasswd"));
    fs::write(&trusted, authority.certificate())?;
    let login = ("alice", "of-alice-4f1c");
    fs::write(&users, format!("{}:{}\n", login.0, bcrypt::hash(login.1, 5)?))?;
    let launch = Launch::temporary()?
        .tls(&pair, authority.trust())
        .env("REGISTRY_AUTH_HTPASSWD_PATH", &users)
        .env("REGISTRY_AUTH_GRANTS", "['allow user:alice maintainer conformance/**']");
    let (server, results) = (sparse(launch).start()?, results(suite, "login")?);
    let complaints = run(&server.host(), &trusted, login, &results)?;
    let log = server.stop_for_log()?;
    ensure!(complaints.is_empty(), "the suite does not pass:\n{}", complaints.join("\n"));
    ensure!(!log.contains(login.1), "the password is in the log");
    Ok(())
}

/// The embedded storage drivers, and those of object stores, each with its server.
fn storages() -> Result<Vec<(&'static str, Launch, Option<Stored>)>> {
    let mut storages = vec![
        ("filesystem", sparse(Launch::temporary()?), None),
        ("inmemory", sparse(Launch::in_memory()?), None),
    ];
    for stored in Stored::each()? {
        storages.push((stored.name, sparse(stored.launch.clone()), Some(stored)));
    }
    Ok(storages)
}

/// An empty directory for what one run reports.
fn results(suite: &str, storage: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("conformance")
        .join(format!("{suite}-{storage}"));
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(&path)?;
    Ok(path)
}
