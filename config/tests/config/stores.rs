//! The drivers of remote stores.

use std::fs;
use std::path::Path;

use berth_config::{AzureCredentialsType, Config, Driver, Storage};

use crate::{Variables, config, error, parse, with_env};

/// Enough for each driver, without the last brace.
const S3: &str = "storage: {s3: {bucket: b, region: r";
const AZURE: &str = "storage: {azure: {accountname: a, container: c";
const GCS: &str = "storage: {gcs: {bucket: b";
const SWIFT: &str =
    "storage: {swift: {authurl: 'https://k/v3', container: c, username: u, password: p";
const OSS: &str = "storage: {oss: {bucket: b, region: oss-cn-beijing";

fn storage(start: &str, more: &str) -> Storage {
    config(&format!("{start}{more}}}}}")).storage
}

#[test]
fn a_driver_is_chosen_by_its_section_and_by_its_name() {
    for (yaml, name, driver) in [
        ("storage: {filesystem: {}}", "filesystem", Driver::Filesystem),
        ("storage: inmemory", "inmemory", Driver::InMemory),
        (&format!("{S3}}}}}"), "s3", Driver::S3),
        (&format!("{AZURE}}}}}"), "azure", Driver::Azure),
        (&format!("{GCS}}}}}"), "gcs", Driver::Gcs),
        (&format!("{SWIFT}}}}}"), "swift", Driver::Swift),
        (&format!("{OSS}}}}}"), "oss", Driver::Oss),
    ] {
        let config = parse(yaml, &[("REGISTRY_STORAGE", name)]).unwrap().config;
        assert_eq!((config.storage.driver(), driver.name()), (driver, name));
        let is_local = matches!(driver, Driver::Filesystem | Driver::InMemory);
        assert_eq!(config.storage.remote().map(|remote| remote.name), (!is_local).then_some(name));
    }
}

#[test]
fn what_every_store_has_is_the_same_for_each() {
    for (start, chunksize) in [(S3, 10), (AZURE, 10), (GCS, 10), (SWIFT, 20), (OSS, 10)] {
        let default = storage(start, "");
        let remote = default.remote().unwrap();
        assert_eq!(remote.chunksize.bytes(), chunksize << 20, "{start}");
        assert_eq!((remote.parallelparts, remote.timeout.to_string()), (4, "30s".to_owned()));
        assert!(remote.ca.is_none() && remote.proxy.is_none() && !remote.skipverify);

        let set = storage(
            start,
            ", chunksize: 16777216, parallelparts: 9, timeout: 5s, ca: /ca, proxy: 'http://u:p@x:1'",
        );
        let remote = set.remote().unwrap();
        assert_eq!((remote.chunksize.bytes(), remote.parallelparts), (16 << 20, 9), "{start}");
        assert_eq!(
            (remote.timeout.to_string(), remote.ca),
            ("5s".to_owned(), Some(Path::new("/ca")))
        );
        assert_eq!(remote.proxy.unwrap().expose(), "http://u:p@x:1");
    }
}

#[test]
fn what_s3_is_told_follows_from_what_is_set() {
    let cases = [
        ("", None, false),
        (", forcepathstyle: true", None, true),
        (", regionendpoint: 'minio:9000'", Some("https://minio:9000"), true),
        (", regionendpoint: 'minio:9000', secure: false", Some("http://minio:9000"), true),
        (", regionendpoint: 'http://minio:9000/'", Some("http://minio:9000"), true),
        (", regionendpoint: 'https://a/s3', secure: false", Some("https://a/s3"), true),
        (", regionendpoint: a, forcepathstyle: false", Some("https://a"), false),
    ];
    for (more, endpoint, path_style) in cases {
        let s3 = storage(S3, more).s3.unwrap();
        assert_eq!(s3.endpoint().as_deref(), endpoint, "{more}");
        assert_eq!(s3.is_path_style(), path_style, "{more}");
    }
    for (class, named) in [
        ("NONE", None),
        ("none", None),
        ("standard_ia", Some("STANDARD_IA")),
        ("Cold", Some("Cold")),
    ] {
        let s3 = storage(S3, &format!(", storageclass: {class}")).s3.unwrap();
        assert_eq!(s3.storage_class(), named, "{class}");
    }
    let elsewhere = config("storage: {s3: {bucket: b, regionendpoint: a}}");
    assert_eq!(elsewhere.storage.s3.unwrap().region(), "us-east-1");
}

#[test]
fn azure_s_endpoint_and_proof_follow_from_what_is_set() {
    let cases = [
        ("", "https://a.blob.core.windows.net", AzureCredentialsType::DefaultCredentials),
        (
            ", realm: core.chinacloudapi.cn, accountkey: a2V5",
            "https://a.blob.core.chinacloudapi.cn",
            AzureCredentialsType::SharedKey,
        ),
        (
            ", endpoint: 'http://127.0.0.1:10000/a/', credentials: {type: managed_identity}",
            "http://127.0.0.1:10000/a",
            AzureCredentialsType::ManagedIdentity,
        ),
        (
            ", serviceurl: 'https://x', credentials: {type: sas, sastoken: t}",
            "https://x",
            AzureCredentialsType::Sas,
        ),
    ];
    for (more, endpoint, proof) in cases {
        let azure = storage(AZURE, more).azure.unwrap();
        assert_eq!(
            (azure.endpoint().as_str(), azure.credentials_type()),
            (endpoint, proof),
            "{more}"
        );
    }
}

#[test]
fn the_endpoint_of_oss_is_without_the_bucket() {
    let cases = [
        ("", "https://oss-cn-beijing.aliyuncs.com"),
        (", internal: true, secure: false", "http://oss-cn-beijing-internal.aliyuncs.com"),
        (", endpoint: b.oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com"),
        (", endpoint: 'http://127.0.0.1:9000'", "http://127.0.0.1:9000"),
        (", endpoint: 'http://b.localhost:9000'", "http://localhost:9000"),
        (", endpoint: bb.example.org", "https://bb.example.org"),
    ];
    for (more, endpoint) in cases {
        assert_eq!(storage(OSS, more).oss.unwrap().endpoint(), endpoint, "{more}");
    }
    let short = config("storage: {oss: {bucket: b, region: cn-shanghai}}").storage.oss.unwrap();
    assert_eq!(short.endpoint(), "https://oss-cn-shanghai.aliyuncs.com");
}

#[test]
fn a_key_of_gcs_can_be_inline_and_comes_out_as_a_key_file() {
    let key = r#"{"type": "service_account", "client_email": "a@b", "private_key": "-----BEGIN\nx\n-----END\n"}"#;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.json");
    fs::write(&file, key).unwrap();
    let loaded = [
        config(&format!("{GCS}, credentials: {key}}}}}")),
        with_env(&[
            ("REGISTRY_STORAGE_GCS_BUCKET", "b"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS", key),
        ]),
        with_env(&[
            ("REGISTRY_STORAGE_GCS_BUCKET", "b"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_FILE", file.to_str().unwrap()),
        ]),
        with_env(&[
            ("REGISTRY_STORAGE_GCS_BUCKET", "b"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_TYPE", "service_account"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_CLIENT_EMAIL", "a@b"),
            ("REGISTRY_STORAGE_GCS_CREDENTIALS_PRIVATE_KEY", "-----BEGIN\nx\n-----END\n"),
        ]),
    ];
    for config in loaded {
        let inline = config.storage.gcs.unwrap().inline_key().unwrap();
        let fields: serde_json::Value = serde_json::from_str(inline.expose()).unwrap();
        assert_eq!(fields["client_email"], "a@b");
        assert_eq!(fields["private_key"], "-----BEGIN\nx\n-----END");
    }
    assert_eq!(storage(GCS, "").gcs.unwrap().inline_key(), None);
}

#[test]
fn keys_are_set_by_variables_named_after_them() {
    let cases: &[(Variables<'_>, &str, &str)] = &[
        (
            &[
                ("REGISTRY_STORAGE_S3_BUCKET", "b"),
                ("REGISTRY_STORAGE_S3_REGION", "r"),
                ("REGISTRY_STORAGE_S3_ACCESSKEY", "a"),
                ("REGISTRY_STORAGE_S3_SECRETKEY", "s\n"),
                ("REGISTRY_STORAGE_S3_FORCEPATHSTYLE", "true"),
                ("REGISTRY_STORAGE_S3_PARALLELPARTS", "2"),
                ("REGISTRY_STORAGE_S3_OBJECTACL", "public-read"),
            ],
            S3,
            ", accesskey: a, secretkey: s, forcepathstyle: true, parallelparts: 2, objectacl: public-read",
        ),
        (
            &[
                ("REGISTRY_STORAGE_AZURE", "{accountname: a, container: c}"),
                ("REGISTRY_STORAGE_AZURE_CREDENTIALS_TYPE", "workload_identity"),
                ("REGISTRY_STORAGE_AZURE_RETRYDELAY", "1s"),
            ],
            AZURE,
            ", credentials: {type: workload_identity}, retrydelay: 1s",
        ),
        (
            &[
                ("REGISTRY_STORAGE_SWIFT_AUTHURL", "https://k/v3"),
                ("REGISTRY_STORAGE_SWIFT_CONTAINER", "c"),
                ("REGISTRY_STORAGE_SWIFT_USERNAME", "u"),
                ("REGISTRY_STORAGE_SWIFT_PASSWORD", "p"),
                ("REGISTRY_STORAGE_SWIFT_TEMPURLMETHODS", "[GET]"),
                ("REGISTRY_STORAGE_SWIFT_AUTHVERSION", "3"),
                ("REGISTRY_STORAGE_SWIFT_ENDPOINTTYPE", "internal"),
            ],
            SWIFT,
            ", tempurlmethods: [GET], authversion: 3, endpointtype: internal",
        ),
        (
            &[
                ("REGISTRY_STORAGE", "oss"),
                ("REGISTRY_STORAGE_OSS_BUCKET", "b"),
                ("REGISTRY_STORAGE_OSS_REGION", "oss-cn-beijing"),
                ("REGISTRY_STORAGE_OSS_ACCESSKEYID", ""),
                ("REGISTRY_STORAGE_REDIRECT_EXCEPT", "[10.0.0.0/8, 'fd00::/8']"),
            ],
            OSS,
            "}, redirect: {except: [10.0.0.0/8, 'fd00::/8']",
        ),
    ];
    for (variables, start, more) in cases {
        assert_eq!(with_env(variables).storage, storage(start, more), "{variables:?}");
    }
}

#[test]
fn an_empty_text_counts_as_not_set() {
    assert_eq!(storage(S3, ", accesskey: '', secretkey: '', regionendpoint: ''"), storage(S3, ""));
    assert_eq!(storage(AZURE, ", credentials: {secret: ''}, ca: ''"), storage(AZURE, ""));
}

#[test]
fn what_is_missing_or_wrong_is_told_with_its_key() {
    let cases = [
        ("storage: s3", "s3.bucket", "it must be set"),
        ("storage: {s3: {bucket: b}}", "s3.region", "write the region of the bucket"),
        ("storage: {s3: {bucket: b/c, region: r}}", "s3.bucket", "goes into `rootdirectory`"),
        (&format!("{S3}, accesskey: a}}}}"), "s3.secretkey", "because `accesskey` is"),
        (&format!("{S3}, secretkey: a}}}}"), "s3.accesskey", "because `secretkey` is"),
        (&format!("{S3}, sessiontoken: a}}}}"), "s3.sessiontoken", "it needs `accesskey`"),
        (&format!("{S3}, keyid: a}}}}"), "s3.keyid", "it needs `encrypt: true`"),
        (
            &format!("{S3}, chunksize: 5242879}}}}"),
            "s3.chunksize",
            "`5242879` is not from `5MiB` to `5GiB`",
        ),
        (&format!("{S3}, chunksize: 6GiB}}}}"), "s3.chunksize", "`6GiB` is not from"),
        (&format!("{S3}, chunksize: big}}}}"), "s3.chunksize", "`big` is not a size"),
        (&format!("{S3}, parallelparts: 0}}}}"), "s3.parallelparts", "more than 0"),
        (&format!("{S3}, timeout: 0s}}}}"), "s3.timeout", "more than 0"),
        (&format!("{S3}, proxy: 'proxy:3128'}}}}"), "s3.proxy", "is not the URL of a proxy"),
        (
            &format!("{S3}, regionendpoint: 'ftp://a'}}}}"),
            "s3.regionendpoint",
            "`ftp://a` is not a URL",
        ),
        (&format!("{S3}, regionendpoint: 'https://'}}}}"), "s3.regionendpoint", "is not a URL"),
        (&format!("{S3}, storageclass: glacier}}}}"), "s3.storageclass", "cannot be read at once"),
        (&format!("{S3}, objectacl: open}}}}"), "s3.objectacl", "`open` is none of `private`"),
        (&format!("{S3}, useragent: \"a\\nb\"}}}}"), "s3.useragent", "line break"),
        ("storage: azure", "azure.accountname", "it must be set"),
        ("storage: {azure: {accountname: a}}", "azure.container", "it must be set"),
        (&format!("{AZURE}, accountkey: abc}}}}"), "azure.accountkey", "is not base64"),
        (&format!("{AZURE}, endpoint: a, serviceurl: b}}}}"), "azure.serviceurl", "keep one"),
        (
            &format!("{AZURE}, credentials: {{type: shared_key}}}}}}"),
            "azure.accountkey",
            "`storage.azure.credentials.type: shared_key` needs it",
        ),
        (
            &format!("{AZURE}, credentials: {{type: client_secret, clientid: a}}}}}}"),
            "azure.credentials.tenantid",
            "client_secret` needs it",
        ),
        (
            &format!("{AZURE}, credentials: {{type: sas}}}}}}"),
            "azure.credentials.sastoken",
            "needs it",
        ),
        (
            &format!("{AZURE}, credentials: {{type: key}}}}}}"),
            "azure.credentials.type",
            "`key` is none of",
        ),
        (
            &format!("{AZURE}, max_retries: 3}}}}"),
            "azure.max_retries",
            "did you mean `storage.azure.maxretries`",
        ),
        (
            &format!("{AZURE}, retry_delay: 1s}}}}"),
            "azure.retry_delay",
            "did you mean `storage.azure.retrydelay`",
        ),
        ("storage: gcs", "gcs.bucket", "it must be set"),
        (&format!("{GCS}, chunksize: 1MiB}}}}"), "gcs.chunksize", "`1MiB` is not from `5MiB`"),
        (&format!("{GCS}, chunksize: 10000000}}}}"), "gcs.chunksize", "not a multiple of `256KiB`"),
        (
            &format!("{GCS}, keyfile: /k, credentials: {{type: a}}}}}}"),
            "gcs.credentials",
            "keep one",
        ),
        (
            &format!("{GCS}, credentials: {{type: a}}}}}}"),
            "gcs.credentials",
            "must be `service_account`",
        ),
        (
            &format!("{GCS}, credentials: {{type: service_account, client_email: a}}}}}}"),
            "gcs.credentials",
            "`private_key` is missing",
        ),
        ("storage: swift", "swift.container", "it must be set"),
        ("storage: {swift: {container: c}}", "swift.authurl", "it must be set"),
        ("storage: {swift: {container: c, authurl: a}}", "swift.username", "it must be set"),
        (
            "storage: {swift: {container: c, authurl: a, username: u}}",
            "swift.password",
            "because `username` is",
        ),
        (
            "storage: {swift: {container: c, authurl: a, applicationcredentialid: u}}",
            "swift.applicationcredentialsecret",
            "because `applicationcredentialid` is",
        ),
        (&format!("{SWIFT}, authversion: 4}}}}"), "swift.authversion", "`1`, `2` or `3`"),
        (&format!("{SWIFT}, chunksize: 1000}}}}"), "swift.chunksize", "`1000` is not from `1MiB`"),
        ("storage: oss", "oss.bucket", "it must be set"),
        ("storage: {oss: {bucket: b}}", "oss.region", "it must be set"),
        (&format!("{OSS}, accesskeyid: a}}}}"), "oss.accesskeysecret", "because `accesskeyid` is"),
        (
            &format!("{OSS}, encryptionkeyid: a}}}}"),
            "oss.encryptionkeyid",
            "it needs `encrypt: true`",
        ),
        (&format!("{OSS}, chunksize: 1MiB}}}}"), "oss.chunksize", "`1MiB` is not from `5MiB`"),
        ("storage: {redirect: {expiry: 0s}}", "redirect.expiry", "at most `168h`"),
        ("storage: {redirect: {expiry: 169h}}", "redirect.expiry", "at most `168h`"),
        ("storage: {redirect: {except: [10.0.0.0/40]}}", "redirect.except[0]", "is not a network"),
    ];
    for (yaml, key, words) in cases {
        let message = error(yaml, &[]);
        assert!(message.contains(&format!("`storage.{key}`")), "{yaml}: {message}");
        assert!(message.contains(words), "{yaml}: {message}");
        assert!(message.starts_with("config.yml:1:"), "{yaml}: {message}");
    }
}

#[test]
fn line_breaks_at_the_end_of_a_secret_are_dropped_and_white_space_in_a_key_is_refused_unshown() {
    let base = [
        ("REGISTRY_STORAGE_S3_BUCKET", "b"),
        ("REGISTRY_STORAGE_S3_REGION", "r"),
        ("REGISTRY_STORAGE_S3_ACCESSKEY", "a"),
    ];
    let with = |name: &'static str, value: &'static str| {
        let mut variables = base.to_vec();
        variables.retain(|(other, _)| *other != name);
        variables.push((name, value));
        if name != "REGISTRY_STORAGE_S3_SECRETKEY" {
            variables.push(("REGISTRY_STORAGE_S3_SECRETKEY", "s"));
        }
        variables
    };
    for text in ["hunter2", "hunter2\n", "hunter2\r\n", "hunter2\n\n"] {
        let config = with_env(&with("REGISTRY_STORAGE_S3_SECRETKEY", text));
        let secret = config.storage.s3.as_ref().unwrap().secretkey.as_ref().unwrap();
        assert_eq!(secret.expose(), "hunter2", "{text:?}");
        assert!(!format!("{config:?}{}", config.show()).contains("hunter2"));
    }
    for name in ["REGISTRY_STORAGE_S3_SECRETKEY", "REGISTRY_STORAGE_S3_ACCESSKEY"] {
        for text in ["hunter2 hunter2", " hunter2", "hunter2\nhunter2", "hunter2\t", "hunter2 \n"] {
            let message = error("", &with(name, text));
            assert!(message.starts_with(&format!("{name}: `storage.s3.")), "{text:?}: {message}");
            assert!(message.contains("copy it again"), "{text:?}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
    assert_eq!(
        storage("storage: {swift: {authurl: a, container: c, username: u", ", password: 'a b'")
            .swift
            .and_then(|swift| swift.password)
            .map(|password| password.expose().to_owned())
            .as_deref(),
        Some("a b")
    );
}

#[test]
fn the_database_of_a_remote_store_is_where_the_root_directory_would_be() {
    let with_file = config(&format!("{S3}}}}}"));
    assert_eq!(with_file.database_path().as_deref(), Some(Path::new("/var/lib/registry/berth.db")));
    assert!(with_file.show().contains("path: /var/lib/registry/berth.db"));
    assert!(with_file.storage.filesystem.is_none());
    let variables = [("REGISTRY_STORAGE_GCS_BUCKET", "b")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let without = Config::load(None, variables).unwrap().config;
    assert_eq!(without.database_path().as_deref(), Some(Path::new("./berth-data/berth.db")));
    let set = config(&format!("{S3}}}}}\nmetadata: {{sqlite: {{path: /a/b.db}}}}"));
    assert_eq!(set.database_path().as_deref(), Some(Path::new("/a/b.db")));
}

#[test]
fn clients_in_the_excepted_networks_are_not_redirected() {
    let cases = [
        ("", "192.0.2.1", true),
        ("redirect: {disable: true}", "192.0.2.1", false),
        ("redirect: {except: [192.0.2.0/24]}", "192.0.2.1", false),
        ("redirect: {except: [192.0.2.0/24]}", "::ffff:192.0.2.1", false),
        ("redirect: {except: [192.0.2.0/24, 'fd00::/8']}", "fd00::1", false),
        ("redirect: {except: [192.0.2.0/24]}", "198.51.100.1", true),
    ];
    for (yaml, client, expected) in cases {
        let redirect = config(&format!("storage: {{{yaml}}}")).storage.redirect;
        assert_eq!(redirect.permits(client.parse().unwrap()), expected, "{yaml} {client}");
    }
}

#[test]
fn certificates_that_nobody_looks_at_are_a_notice() {
    for (start, key) in [(S3, "skipverify"), (AZURE, "skipverify"), (SWIFT, "insecureskipverify")] {
        let notices = parse(&format!("{start}, {key}: true}}}}"), &[]).unwrap().notices;
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains(&format!(".{key}` is set: ")), "{notices:?}");
    }
}

#[test]
fn keys_of_a_driver_without_meaning_are_one_line_each() {
    for (start, key) in [
        (S3, "v4auth: true"),
        (S3, "multipartcopychunksize: 33554432"),
        (S3, "multipartcopymaxconcurrency: 100"),
        (S3, "multipartcopythresholdsize: 33554432"),
        (S3, "loglevel: debug"),
        (GCS, "maxconcurrency: 50"),
        (GCS, "disablekeepalives: true"),
        (SWIFT, "accesskey: a"),
    ] {
        let notices = parse(&format!("{start}, {key}}}}}"), &[]).unwrap().notices;
        assert_eq!(notices.len(), 1, "{key}: {notices:?}");
        assert!(notices[0].contains("` has no effect: "), "{key}: {notices:?}");
    }
}
