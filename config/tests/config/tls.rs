//! The `http.tls` section.

use std::path::Path;

use berth_config::{CipherSuite, ClientAuth, Config, TlsVersion};

use crate::{config, error, parse};

const PAIR: &str = "certificate: /c, key: /k";

fn with(keys: &str) -> String {
    format!("http: {{tls: {{{PAIR}, {keys}}}}}")
}

#[test]
fn a_certificate_and_its_key_are_tls_of_1_2_and_later_with_every_suite() {
    let tls = config(&with("")).http.tls;
    assert_eq!(tls.pair(), Some((Path::new("/c"), Path::new("/k"))));
    assert_eq!((tls.minimumtls, tls.ciphersuites.len()), (TlsVersion::V1_2, 0));
    assert_eq!(tls.client_auth(), None);
}

#[test]
fn every_key_comes_from_the_environment_too() {
    let env = [
        ("REGISTRY_HTTP_TLS_CERTIFICATE", "/c"),
        ("REGISTRY_HTTP_TLS_KEY", "/k"),
        ("REGISTRY_HTTP_TLS_CLIENTCAS_0", "/a"),
        ("REGISTRY_HTTP_TLS_CLIENTAUTH", "verify-client-cert-if-given"),
        ("REGISTRY_HTTP_TLS_MINIMUMTLS", "tls1.3"),
        ("REGISTRY_HTTP_TLS_CIPHERSUITES", "[TLS_AES_256_GCM_SHA384]"),
    ];
    let tls = parse("", &env).unwrap().config.http.tls;
    assert_eq!(tls.client_auth(), Some(ClientAuth::IfGiven));
    assert_eq!((tls.minimumtls, tls.ciphersuites), (TlsVersion::V1_3, vec![CipherSuite::Aes256]));
}

#[test]
fn clients_of_an_authority_must_show_their_certificate_unless_told_otherwise() {
    let tls = config(&with("clientcas: [/a]")).http.tls;
    assert_eq!(tls.client_auth(), Some(ClientAuth::Required));
}

#[test]
fn tls_is_enough_for_an_address_that_others_reach_and_not_for_the_debug_listener() {
    config(&format!("http: {{addr: ':5000', tls: {{{PAIR}}}}}"));
    let message = error(&format!("http: {{debug: {{addr: ':5001'}}, tls: {{{PAIR}}}}}"), &[]);
    assert!(message.contains("`http.debug.addr`") && !message.contains("http.tls"), "{message}");
}

#[test]
fn what_does_not_go_together_is_told_with_what_to_do() {
    for (yaml, expected) in [
        (
            "http: {tls: {certificate: /c}}".to_owned(),
            "config.yml:1:8: `http.tls.key`: it must be set, because `http.tls.certificate` is: ",
        ),
        (
            "http: {tls: {key: /k}}".to_owned(),
            "config.yml:1:8: `http.tls.certificate`: it must be set, because `http.tls.key` is: ",
        ),
        (
            with("clientauth: require-and-verify-client-cert"),
            "config.yml:1:40: `http.tls.clientauth`: it needs `http.tls.clientcas`",
        ),
        (
            "http: {tls: {clientcas: [/a]}}".to_owned(),
            "config.yml:1:14: `http.tls.clientcas`: it needs `http.tls.certificate` and `http.tls.key`",
        ),
        (
            "http: {tls: {minimumtls: tls1.3}}".to_owned(),
            "config.yml:1:14: `http.tls.minimumtls`: it needs ",
        ),
        (
            with("minimumtls: tls1.0"),
            "config.yml:1:40: `http.tls.minimumtls`: `tls1.0` is refused, it is broken (RFC 8996): write one of `tls1.2`, `tls1.3`",
        ),
        (
            with("clientcas: [/a], clientauth: require-any-client-cert"),
            "config.yml:1:57: `http.tls.clientauth`: `require-any-client-cert` is refused, a certificate that nobody verifies",
        ),
        (
            with("ciphersuites: [TLS_RSA_WITH_AES_128_CBC_SHA]"),
            "config.yml:1:55: `http.tls.ciphersuites[0]`: `TLS_RSA_WITH_AES_128_CBC_SHA` is none of `TLS_AES_128_GCM_SHA256`, ",
        ),
        (
            format!("http: {{h2c: {{enabled: true}}, tls: {{{PAIR}}}}}"),
            "config.yml:1:14: `http.h2c.enabled`: ",
        ),
    ] {
        let message = error(&yaml, &[]);
        assert!(message.starts_with(expected), "{yaml}\n  is {message}\n  not {expected}");
    }
}

#[test]
fn a_change_of_the_files_names_needs_a_restart() {
    let keys = Config::restart_needed(&config(&with("")), &config(""));
    assert_eq!(keys, ["http.tls.certificate", "http.tls.key"]);
}
