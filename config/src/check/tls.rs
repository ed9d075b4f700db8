//! Checks of the `http.tls` section.

use super::Invalid;
use crate::Http;
use crate::error::ConfigError;

pub(super) fn tls(http: &Http, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let tls = &http.tls;
    for (set, missing) in [
        ((tls.certificate.is_some(), "certificate"), (tls.key.is_none(), "key")),
        ((tls.key.is_some(), "key"), (tls.certificate.is_none(), "certificate")),
    ] {
        if set.0 && missing.0 {
            let message = format!(
                "it must be set, because `http.tls.{}` is: a certificate and its key serve only together",
                set.1
            );
            return invalid(&format!("http.tls.{}", missing.1), message);
        }
    }
    if tls.clientauth.is_some() && tls.clientcas.is_empty() {
        return invalid(
            "http.tls.clientauth",
            "it needs `http.tls.clientcas`, the authorities whose clients are let in: set that too, or remove this key"
                .to_owned(),
        );
    }
    if tls.pair().is_none() {
        // Who restricts TLS would believe to have it.
        for (key, set) in [
            ("http.tls.clientcas", !tls.clientcas.is_empty()),
            ("http.tls.ciphersuites", !tls.ciphersuites.is_empty()),
            ("http.tls.minimumtls", tls.minimumtls != Default::default()),
        ] {
            if set {
                let message = "it needs `http.tls.certificate` and `http.tls.key`, without which TLS is not spoken: set them too, or remove this key";
                return invalid(key, message.to_owned());
            }
        }
        return Ok(());
    }
    if http.h2c.enabled {
        return invalid(
            "http.h2c.enabled",
            "HTTP/2 without TLS is not spoken where `http.tls` is set: remove this key, HTTP/2 is offered over TLS"
                .to_owned(),
        );
    }
    Ok(())
}
