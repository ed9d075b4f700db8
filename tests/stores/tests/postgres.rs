//! PostgreSQL, its standby and its pooler, as tests use them.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use berth_test_stores::{PgBouncer, Postgres};

/// What `psql` prints for a statement through a URL, or what it complains about.
fn psql(url: &str, statement: &str) -> Result<String, String> {
    let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command"];
    let mut psql = Command::new("psql");
    let output = psql.args(arguments).args([statement, url]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

fn table(url: &str) {
    psql(url, "CREATE TABLE letters (letter text); INSERT INTO letters VALUES ('b'), ('B'), ('a')")
        .unwrap();
}

const LETTERS: &str = "SELECT string_agg(letter, '' ORDER BY letter) FROM letters";

#[test]
fn databases_are_apart_and_sort_as_people_do() {
    let server = Postgres::options().fsync(false).start().unwrap();
    let (first, second) = (server.database().unwrap(), server.database().unwrap());
    table(&first);
    assert_eq!(psql(&first, LETTERS).unwrap(), "abB");
    assert!(psql(&second, LETTERS).unwrap_err().contains("does not exist"));
    assert!(psql(&server.url("absent"), "SELECT 1").unwrap_err().contains("does not exist"));
    let wrong = first.replace(server.password(), "wrong");
    assert!(psql(&wrong, "SELECT 1").unwrap_err().contains("password authentication failed"));
}

#[test]
fn what_was_acknowledged_is_there_after_a_stop_and_after_a_kill() {
    let mut server = Postgres::start().unwrap();
    let url = server.database().unwrap();
    table(&url);
    server.stop().unwrap();
    assert!(psql(&url, LETTERS).unwrap_err().contains("refused"));
    server.start_again().unwrap();
    psql(&url, "INSERT INTO letters VALUES ('c')").unwrap();
    server.kill().unwrap();
    assert!(psql(&url, LETTERS).unwrap_err().contains("refused"));
    server.start_again().unwrap();
    assert_eq!(psql(&url, LETTERS).unwrap(), "abBc");
    assert!(server.start_again().unwrap_err().to_string().contains("runs"));
}

#[test]
fn clients_are_disconnected() {
    let server = Postgres::options().fsync(false).start().unwrap();
    let url = server.database().unwrap();
    let client = std::thread::spawn(move || psql(&url, "SELECT pg_sleep(60)"));
    while server.disconnect_clients().unwrap() == 0 {}
    assert!(client.join().unwrap().unwrap_err().contains("terminating connection"));
}

#[test]
fn only_encrypted_connections_are_taken_where_tls_is_wanted() {
    let server = Postgres::options().fsync(false).tls().start().unwrap();
    let url = server.database().unwrap();
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(psql(&url, encrypted).unwrap(), "t");
    let plain = format!("{}?sslmode=disable", url.split('?').next().unwrap());
    assert!(psql(&plain, "SELECT 1").unwrap_err().contains("no encryption"));
}

#[test]
fn a_standby_has_all_that_was_acknowledged_and_takes_over() {
    let mut primary = Postgres::options().fsync(false).start().unwrap();
    let url = primary.database().unwrap();
    let database = url.rsplit('/').next().unwrap().to_owned();
    let standby = primary.standby().unwrap();
    table(&url);
    primary.kill().unwrap();
    let on_standby = standby.url(&database);
    let refusal = psql(&on_standby, "CREATE TABLE more ()").unwrap_err();
    assert!(refusal.contains("read-only"), "{refusal}");
    standby.promote().unwrap();
    assert_eq!(psql(&on_standby, LETTERS).unwrap(), "abB");
    let either = Postgres::url_of(&[&primary, &standby], &database);
    psql(&either, "INSERT INTO letters VALUES ('c')").unwrap();
}

#[test]
fn tables_can_be_in_a_folder_of_their_own() {
    let server = Postgres::options().fsync(false).start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = server.database_in(folder.path()).unwrap();
    table(&url);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    drop(server);
}

#[test]
fn a_pooler_gives_every_transaction_whichever_connection_is_free() {
    let server = Postgres::options().fsync(false).start().unwrap();
    let url = server.database().unwrap();
    let pooler = PgBouncer::start(&server).unwrap();
    table(&pooler.url(&url));
    assert_eq!(psql(&url, LETTERS).unwrap(), "abB");
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let url = pooler.url(&url);
            std::thread::spawn(move || psql(&url, "SELECT pg_backend_pid() FROM pg_sleep(0.1)"))
        })
        .collect();
    let mut backends: Vec<_> =
        clients.into_iter().map(|client| client.join().unwrap().unwrap()).collect();
    backends.sort();
    backends.dedup();
    assert!(backends.len() <= 10, "{backends:?}");
}
