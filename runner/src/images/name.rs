//! Names of images as people write them: `alpine`, `ghcr.io/team/app:v1`, `localhost:5000/app@sha256:…`.

use std::fmt;
use std::str::FromStr;

use berth_oci::{Digest, Reference, RepositoryName, Tag};

use super::error::ImageError;

/// The registry that a name without one means.
pub(super) const HUB: &str = "docker.io";

/// What Docker Hub calls its own images, which are named by one word.
const OFFICIAL: &str = "library/";

/// A name of an image, with all that may be left out filled in: `alpine` is `docker.io/library/alpine`.
///
/// Only the tag stays open, since a name without one can mean all tags. Two names are equal when they mean
/// the same, however they were written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    domain: String,
    path: RepositoryName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// Reads a name whose registry is `domain` where it names none.
    ///
    /// # Errors
    /// [`ImageError::Reference`], in docker's words.
    pub fn parse(text: &str, domain: &str) -> Result<Self, ImageError> {
        let malformed = || ImageError::reference("");
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| malformed())?)),
            None => (text, None),
        };
        let (domain, path) = split_domain(rest, domain);
        let (path, tag) = match path.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag.parse().map_err(|_| malformed())?)),
            None => (path, None),
        };
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let shown = if domain == HUB && !path.contains('/') { OFFICIAL } else { "" };
            let reason = format!(": repository name ({shown}{path}) must be lowercase");
            return Err(ImageError::reference(&reason));
        }
        if tag.is_none() && digest.is_none() && is_whole_id(path) {
            let reason = format!(
                ": invalid repository name ({path}), cannot specify 64-byte hexadecimal strings"
            );
            return Err(ImageError::reference(&reason));
        }
        if !is_domain(domain) {
            return Err(malformed());
        }
        let path = match domain == HUB && !path.contains('/') {
            true => format!("{OFFICIAL}{path}"),
            false => path.to_owned(),
        };
        let path = path.parse().map_err(|_| malformed())?;
        Ok(Self { domain: domain.to_owned(), path, tag, digest })
    }

    /// The registry: a host, with a port where it is not the usual one.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository, as its registry calls it.
    #[must_use]
    pub fn path(&self) -> &RepositoryName {
        &self.path
    }

    /// The tag, if one was named.
    #[must_use]
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if one was named.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Whether neither tag nor digest was named.
    #[must_use]
    pub fn is_name_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// The name alone.
    #[must_use]
    pub fn repository(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// The same repository under this tag.
    #[must_use]
    pub fn with_tag(&self, tag: Tag) -> Self {
        Self { tag: Some(tag), digest: None, ..self.clone() }
    }

    /// The same repository by this digest, whatever tag there was.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// With the tag `latest` where neither tag nor digest was named.
    #[must_use]
    pub fn or_latest(&self) -> Self {
        let mut name = self.clone();
        if name.is_name_only() {
            // `latest` is a tag.
            name.tag = "latest".parse().ok();
        }
        name
    }

    /// What the registry is asked for: a digest counts for more than a tag.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        let digest = self.digest.map(Reference::Digest);
        digest.or_else(|| self.or_latest().tag.map(Reference::Tag))
    }

    /// As people write it: what everybody knows is left out.
    #[must_use]
    pub fn familiar(&self) -> String {
        let name = self.familiar_repository();
        self.with_ending(name)
    }

    /// The repository, as people write it.
    #[must_use]
    pub fn familiar_repository(&self) -> String {
        let whole = format!("{}/{}", self.domain, self.path);
        if self.domain != HUB {
            return whole;
        }
        let path = self.path.as_str();
        let short = path.strip_prefix(OFFICIAL).filter(|name| !name.contains('/'));
        let short = short.unwrap_or(path);
        // `docker.io/a.b/c` without its registry would be one of `a.b`.
        let means_it = |name: Self| name.domain == self.domain && name.path == self.path;
        match short.parse::<Self>().is_ok_and(means_it) {
            true => short.to_owned(),
            false => whole,
        }
    }

    fn with_ending(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag.as_str());
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(&digest.to_string());
        }
        name
    }
}

impl FromStr for ImageReference {
    type Err = ImageError;

    /// Reads a name whose registry is Docker Hub where it names none.
    fn from_str(text: &str) -> Result<Self, ImageError> {
        Self::parse(text, HUB)
    }
}

impl fmt::Display for ImageReference {
    /// Whole, as it is written down.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_ending(format!("{}/{}", self.domain, self.path)))
    }
}

/// What is before the first slash is a registry if it could not be the name of a repository's folder.
fn split_domain<'text>(text: &'text str, default: &'text str) -> (&'text str, &'text str) {
    let (domain, path) = match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (default, text),
    };
    (if domain == "index.docker.io" { HUB } else { domain }, path)
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    is_host && port.is_none_or(is_port)
}

/// Whether it is the whole id of an image, which no repository may be named like.
pub(super) fn is_whole_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_docker_means_by_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, whole, familiar) in [
            ("alpine", "docker.io/library/alpine", "alpine"),
            ("alpine:3", "docker.io/library/alpine:3", "alpine:3"),
            ("team/app", "docker.io/team/app", "team/app"),
            ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
            ("index.docker.io/library/alpine", "docker.io/library/alpine", "alpine"),
            ("localhost/app", "localhost/app", "localhost/app"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b:c"),
            ("docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c"),
            ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000/a"),
            ("Upper/a", "Upper/a", "Upper/a"),
            (
                &format!("alpine:3@{digest}"),
                &format!("docker.io/library/alpine:3@{digest}"),
                &format!("alpine:3@{digest}"),
            ),
        ] {
            let name: ImageReference = text.parse().unwrap();
            assert_eq!((&*name.to_string(), &*name.familiar()), (whole, familiar), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_in_dockers_words() {
        let id = "a".repeat(64);
        for (text, words) in [
            ("", "invalid reference format"),
            (":tag", "invalid reference format"),
            ("a:", "invalid reference format"),
            ("a b", "invalid reference format"),
            ("-a", "invalid reference format"),
            ("../etc", "invalid reference format"),
            ("a@sha256:xyz", "invalid reference format"),
            ("h_h.x/a", "invalid reference format"),
            ("localhost:port/a", "invalid reference format"),
            (
                "Alpine",
                "invalid reference format: repository name (library/Alpine) must be lowercase",
            ),
            (&id, "cannot specify 64-byte hexadecimal strings"),
        ] {
            let error = text.parse::<ImageReference>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn short_names_mean_the_registry_that_was_set() {
        let name = ImageReference::parse("app", "registry.lan:5000").unwrap();
        assert_eq!(name.to_string(), "registry.lan:5000/app");
        assert_eq!(name.or_latest().to_string(), "registry.lan:5000/app:latest");
    }
}
