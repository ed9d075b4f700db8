//! The credentials that `docker login` and the like have written down.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_oci::RepositoryName;
use serde::Deserialize;
use thiserror::Error;

use crate::{Credentials, Password};

/// The key of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// How long what a helper says is good.
const HELPER_LIFETIME: Duration = Duration::from_secs(600);

/// Docker's `config.json`, as far as it is about logins.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DockerConfig {
    auths: HashMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "lowercase")]
#[derive(Default)]
struct Entry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry")
    }
}

/// A file of logins cannot be used.
#[derive(Debug, Error)]
#[error("the logins in {} cannot be read: {reason}", path.display())]
pub struct DockerConfigError {
    path: PathBuf,
    reason: String,
}

impl DockerConfigError {
    pub(crate) fn new(path: &Path, reason: String) -> Self {
        Self { path: path.to_owned(), reason }
    }
}

impl DockerConfig {
    /// Where the file is: in `$DOCKER_CONFIG`, or `~/.docker`.
    pub fn path() -> Option<PathBuf> {
        let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
        Some(folder.or_else(home)?.join("config.json"))
    }

    /// Where logins may be, those that count for more first: Docker's file, then those of podman, in
    /// `$REGISTRY_AUTH_FILE`, `$XDG_RUNTIME_DIR/containers` and `~/.config/containers`.
    pub fn paths() -> Vec<PathBuf> {
        let variable = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let below = |name: &str, rest: &str| variable(name).map(|folder| folder.join(rest));
        let podmans = [
            variable("REGISTRY_AUTH_FILE"),
            below("XDG_RUNTIME_DIR", "containers/auth.json"),
            below("HOME", ".config/containers/auth.json"),
        ];
        Self::path().into_iter().chain(podmans.into_iter().flatten()).collect()
    }

    /// These logins, and those of another file where this one has none.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (key, entry) in other.auths {
            self.auths.entry(key).or_insert(entry);
        }
        for (key, helper) in other.cred_helpers {
            self.cred_helpers.entry(key).or_insert(helper);
        }
        self.creds_store = self.creds_store.or(other.creds_store);
        self
    }

    /// Reads a file; one that is not there has no logins.
    ///
    /// # Errors
    /// When it is there, and cannot be read.
    pub fn read(path: &Path) -> Result<Self, DockerConfigError> {
        let unreadable = |reason: String| DockerConfigError { path: path.to_owned(), reason };
        match std::fs::read(path) {
            // What is wrong with it is told without what it says.
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| unreadable(format!("line {} is malformed", error.line()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// What to show to the registry that references call `host`.
    pub fn credentials(&self, host: &str) -> Credentials {
        let key = key(host);
        if let Some(helper) = self.helper_for(key) {
            return Credentials::helper(format!("docker-credential-{helper}"), HELPER_LIFETIME);
        }
        let known = |key: &str| self.auths.get(key).and_then(Entry::password);
        let found = known(key).or_else(|| known(&format!("https://{key}")));
        let found = found.or_else(|| known(host));
        found.map_or(Credentials::Anonymous, Credentials::Password)
    }

    /// What to show for a repository: podman has logins for parts of a registry as well, of which the
    /// one that says most counts.
    pub fn credentials_for(&self, host: &str, repository: &RepositoryName) -> Credentials {
        let mut path = format!("{host}/{repository}");
        while path.len() > host.len() {
            if let Some(found) = self.auths.get(&path).and_then(Entry::password) {
                return Credentials::Password(found);
            }
            path.truncate(path.rfind('/').unwrap_or_default());
        }
        self.credentials(host)
    }

    /// The helper that has the login of a key.
    pub(crate) fn helper_for(&self, key: &str) -> Option<String> {
        self.cred_helpers.get(key).or(self.creds_store.as_ref()).cloned()
    }
}

/// The key of a registry that references call `host`.
pub(crate) fn key(host: &str) -> &str {
    let is_hub = matches!(host, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    if is_hub { HUB } else { host }
}

impl Entry {
    fn password(&self) -> Option<Password> {
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Some(Password { username: "<token>".to_owned(), password: token.clone() });
        }
        let text = BASE64_STANDARD.decode(self.auth.as_ref()?).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(Password { username: username.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_found_by_the_names_that_docker_writes() {
        let encoded = BASE64_STANDARD.encode("me:my:password");
        let text = format!(
            r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{encoded}"}},
                "ghcr.io": {{"auth": "{encoded}"}}, "https://old.example.org": {{"auth": "{encoded}"}},
                "t.example.org": {{"identitytoken": "refresh"}}, "bad.example.org": {{"auth": "%"}}}},
                "credHelpers": {{"h.example.org": "ecr-login"}}, "proxies": {{}}}}"#
        );
        let config: DockerConfig = serde_json::from_str(&text).unwrap();
        for host in ["docker.io", "ghcr.io", "old.example.org"] {
            let Credentials::Password(found) = config.credentials(host) else { panic!("{host}") };
            assert_eq!((&*found.username, &*found.password), ("me", "my:password"), "{host}");
        }
        let Credentials::Password(token) = config.credentials("t.example.org") else { panic!() };
        assert!(token.is_identity_token());
        assert!(matches!(config.credentials("h.example.org"), Credentials::Helper(_)));
        for host in ["bad.example.org", "unknown.example.org"] {
            assert!(matches!(config.credentials(host), Credentials::Anonymous), "{host}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_has_no_logins_and_a_broken_one_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        assert!(DockerConfig::read(&path).unwrap().auths.is_empty());
        std::fs::write(&path, r#"{"auths": {"a": "hidden"}}"#).unwrap();
        let error = DockerConfig::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("hidden"), "{error}");
    }
}
