//! The database's section.

use berth_config::Pooling;

use crate::parse;

#[test]
fn a_database_in_postgres_is_named_by_its_url_alone() {
    let config = parse("", &[("REGISTRY_METADATA_URL", "postgres://me:pw@db:5432/berth")]);
    let metadata = config.unwrap().config.metadata;
    assert_eq!(metadata.url.unwrap().expose(), "postgres://me:pw@db:5432/berth");
    assert_eq!(metadata.postgres.connections, 16);
    assert_eq!(metadata.postgres.pooling, Pooling::Session);
}

#[test]
fn neither_url_nor_password_is_shown() {
    let text = "
metadata:
  url: postgres://me:hush@db/berth
  postgres:
    password: secret-word
    standbys: [postgres://me:hush@standby/berth]
    pooling: transaction
";
    let shown = parse(text, &[]).unwrap().config.show();
    assert!(!shown.contains("hush") && !shown.contains("secret-word"), "{shown}");
    assert!(shown.contains("pooling: transaction"), "{shown}");
}

#[test]
fn blobs_in_a_bucket_leave_no_file_when_the_database_is_elsewhere() {
    let text = "
storage:
  s3: {bucket: b, region: r}
metadata:
  url: postgres://db/berth
";
    assert_eq!(parse(text, &[]).unwrap().config.metadata.sqlite.path, None);
}

#[test]
fn a_change_of_the_database_takes_a_restart() {
    let config = |url| parse("", &[("REGISTRY_METADATA_URL", url)]).unwrap().config;
    let (old, new) = (config("postgres://a/b"), config("postgres://a/c"));
    assert_eq!(berth_config::Config::restart_needed(&old, &new), ["metadata"]);
}

#[test]
fn what_does_not_go_together_is_told() {
    for (text, key, part) in [
        ("metadata: {url: 'mysql://db/berth'}", "metadata.url", "postgres://user:password@host"),
        ("metadata: {url: berth}", "metadata.url", "postgres://user:password@host"),
        (
            "metadata: {url: 'postgres://db/b', postgres: {standbys: ['db2']}}",
            "metadata.postgres.standbys",
            "postgres://user:password@host",
        ),
        (
            "metadata: {postgres: {standbys: ['postgres://db2/b']}}",
            "metadata.postgres.standbys",
            "`metadata.url`",
        ),
        (
            "metadata: {url: 'postgres://db/b', postgres: {connections: 1}}",
            "metadata.postgres.connections",
            "at least 2",
        ),
        (
            "metadata: {postgres: {pooling: statement}}",
            "metadata.postgres.pooling",
            "`transaction`",
        ),
        ("{storage: inmemory, metadata: {url: 'postgres://db/b'}}", "metadata.url", "in memory"),
    ] {
        let error = parse(text, &[]).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(part), "{text}: {error}");
    }
}
