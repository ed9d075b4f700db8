//! How far a registry is trusted to say where to go.
//!
//! A challenge names a token service, which gets the password, and an answer may name another address
//! altogether. Whoever has taken over an upstream, or answers in its place, would so get the password
//! sent to them (the lesson of CVE-2026-33540), or a request sent into the network behind us.

use std::net::IpAddr;

use reqwest::Url;

/// Token services that are known to belong to registries of other names.
const KNOWN: [(&str, &str); 2] =
    [("registry-1.docker.io", "auth.docker.io"), ("registry.hub.docker.com", "auth.docker.io")];

/// Whether the token service of a realm may have the registry's credentials. It may where it is the
/// same server; where its name is above or below the registry's, since who has a domain has what is
/// below it; where the two are known to belong together; and where the operator has said so. A
/// registry that speaks TLS has a token service that does.
pub(crate) fn may_have_credentials(registry: &Url, realm: &Url, told: &[String]) -> bool {
    if !matches!(realm.scheme(), "http" | "https")
        || (registry.scheme() == "https" && realm.scheme() != "https")
    {
        return false;
    }
    let (Some(registry_host), Some(realm_host)) = (registry.host_str(), realm.host_str()) else {
        return false;
    };
    let is_same_server = registry_host == realm_host
        && registry.port_or_known_default() == realm.port_or_known_default();
    let authority = match realm.port() {
        Some(port) => format!("{realm_host}:{port}"),
        None => realm_host.to_owned(),
    };
    is_same_server
        || told.contains(&authority)
        || KNOWN.contains(&(registry_host, realm_host))
        || (realm.port().is_none()
            && (is_below(registry_host, realm_host) || is_below(realm_host, registry_host)))
}

/// Whether a name is that of a domain, of two parts at least, or of something in it.
fn is_below(name: &str, domain: &str) -> bool {
    let is_address = |host: &str| host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if is_address(name) || is_address(domain) || !domain.contains('.') {
        return false;
    }
    name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether an answer may lead from one URL to another.
pub(crate) fn may_lead(from: &Url, to: &Url) -> bool {
    match to.scheme() {
        "https" => true,
        "http" => from.scheme() == "http",
        _ => false,
    }
}

/// Whether two URLs are of the same server.
pub(crate) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_service_outside_of_the_registrys_domain_gets_nothing() {
        for (registry, realm, trusted) in [
            ("https://registry-1.docker.io", "https://auth.docker.io/token", true),
            ("https://registry.gitlab.com", "https://gitlab.com/jwt/auth", true),
            ("https://example.org", "https://auth.example.org/token", true),
            ("https://ghcr.io", "https://ghcr.io/token", true),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000/token", true),
            ("https://r.example.org", "https://r.example.org:8443/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", false),
            ("https://r.example.org", "http://r.example.org/token", false),
            ("https://r.example.org", "https://auth.example.org/token", false),
            ("https://a.co.uk", "https://b.co.uk/token", false),
            ("https://example.org", "https://evil-example.org/token", false),
            ("https://example.org", "https://example.org.evil.net/token", false),
            ("https://example.org", "https://org/token", false),
            ("https://10.0.0.1", "https://0.0.1/token", false),
            ("https://example.org", "https://169.254.169.254/latest", false),
            ("https://example.org", "file:///etc/passwd", false),
        ] {
            let found = may_have_credentials(&url(registry), &url(realm), &[]);
            assert_eq!(found, trusted, "{registry} {realm}");
        }
    }

    #[test]
    fn the_operator_may_name_a_token_service_by_host_and_port() {
        let told = ["auth.other.net".to_owned(), "127.0.0.1:5001".to_owned()];
        let may = |registry, realm| may_have_credentials(&url(registry), &url(realm), &told);
        assert!(may("https://r.example.org", "https://auth.other.net/token"));
        assert!(may("http://127.0.0.1:5000", "http://127.0.0.1:5001/token"));
        assert!(!may("https://r.example.org", "http://auth.other.net/token"));
        assert!(!may("https://r.example.org", "https://auth.other.net:8443/token"));
    }

    #[test]
    fn no_answer_leads_from_tls_to_plain_text() {
        for (from, to, may) in [
            ("https://a/", "https://b/", true),
            ("http://a/", "https://b/", true),
            ("http://a/", "http://b/", true),
            ("https://a/", "http://b/", false),
            ("http://a/", "ftp://b/", false),
        ] {
            assert_eq!(may_lead(&url(from), &url(to)), may, "{from} {to}");
        }
    }
}
