use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use berth_oci::{NameError, RepositoryName};
use reqwest::Url;
use thiserror::Error;

/// The names of Docker Hub in references, and the host that its registry has.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
const HUB_HOST: &str = "registry-1.docker.io";

/// Where a registry is: a URL below which `/v2/` lies.
///
/// Read from a URL, or from the name that references have for it: `docker.io`, `ghcr.io`,
/// `localhost:5000`. A name alone stands for HTTPS, on this machine for HTTP.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RegistryUrl(Url);

impl RegistryUrl {
    /// The host and, where it is not the usual one, the port.
    pub fn authority(&self) -> String {
        match (self.0.host_str().unwrap_or_default(), self.0.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        }
    }

    /// Whether it is reached by TLS.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it is on this machine, so that nobody listens on the way.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether it is Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        self.0.host_str() == Some(HUB_HOST)
    }

    /// What the registry calls a repository: Docker Hub has its official images, which are named by
    /// one word, below `library/`.
    ///
    /// # Errors
    /// When that makes the name too long.
    pub fn repository(&self, name: &RepositoryName) -> Result<RepositoryName, NameError> {
        match self.is_docker_hub() && !name.as_str().contains('/') {
            true => format!("library/{name}").parse(),
            false => Ok(name.clone()),
        }
    }

    /// The URL of something of its API.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/v2/{path}"));
        url
    }

    pub(crate) fn as_url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for RegistryUrl {
    type Err = RegistryUrlError;

    fn from_str(text: &str) -> Result<Self, RegistryUrlError> {
        let malformed =
            |reason: &'static str| RegistryUrlError::Malformed { text: text.to_owned(), reason };
        let with_scheme = match text.contains("://") {
            true => text.to_owned(),
            false => format!("https://{text}"),
        };
        let url = Url::parse(&with_scheme).map_err(|_| malformed("it is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(malformed("it is neither http nor https"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(malformed("it names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RegistryUrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(malformed("it says more than where"));
        }
        let mut found = Self(url);
        if !text.contains("://") && found.is_loopback() {
            // A URL with a host takes this scheme.
            let _ = found.0.set_scheme("http");
        }
        if found.0.host_str().is_some_and(|host| HUB_NAMES.contains(&host)) {
            // The name of the Hub is a host.
            let _ = found.0.set_host(Some(HUB_HOST));
        }
        Ok(found)
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text does not say where a registry is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistryUrlError {
    /// It is no URL of a registry.
    #[error(
        "`{text}` says not where a registry is ({reason}): write for example `https://registry.example.org`"
    )]
    Malformed {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It holds a password, which would be shown wherever the URL is. It is not repeated here.
    #[error("a URL of a registry must not hold a name or a password: they have keys of their own")]
    Credentials,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_references_and_urls_lead_to_the_same_registry() {
        for (text, url) in [
            ("docker.io", "https://registry-1.docker.io"),
            ("https://index.docker.io/", "https://registry-1.docker.io"),
            ("ghcr.io", "https://ghcr.io"),
            ("localhost:5000", "http://localhost:5000"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("https://localhost:5000", "https://localhost:5000"),
            ("http://mirror.example.org/hub/", "http://mirror.example.org/hub"),
            ("[::1]:5000", "http://[::1]:5000"),
        ] {
            let found: RegistryUrl = text.parse().unwrap();
            assert_eq!(found.to_string(), url, "{text}");
        }
    }

    #[test]
    fn what_says_not_where_is_refused_and_no_password_is_repeated() {
        for text in ["", "ftp://example.org", "https://", "https://h/?a=b", "a b"] {
            assert!(text.parse::<RegistryUrl>().is_err(), "{text}");
        }
        let error = "https://me:hidden@example.org".parse::<RegistryUrl>().unwrap_err();
        assert!(!error.to_string().contains("hidden"));
    }

    #[test]
    fn only_the_hub_has_official_images() {
        let name = |text: &str| text.parse::<RepositoryName>().unwrap();
        let hub: RegistryUrl = "docker.io".parse().unwrap();
        assert_eq!(hub.repository(&name("alpine")), Ok(name("library/alpine")));
        assert_eq!(hub.repository(&name("team/app")), Ok(name("team/app")));
        let other: RegistryUrl = "quay.io".parse().unwrap();
        assert_eq!(other.repository(&name("alpine")), Ok(name("alpine")));
    }

    #[test]
    fn a_path_before_the_api_is_kept() {
        let url: RegistryUrl = "https://example.org/hub/".parse().unwrap();
        assert_eq!(url.join("a/b/tags/list").as_str(), "https://example.org/hub/v2/a/b/tags/list");
    }
}
