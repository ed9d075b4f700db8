use std::fmt;
use std::str::FromStr;

use berth_oci::{Reference, RepositoryName};
use thiserror::Error;

use crate::{RegistryUrl, RegistryUrlError};

/// The name of an image as people write it: `ghcr.io/team/app:v1`, `localhost:5000/app@sha256:…`,
/// `alpine`.
///
/// What is before the first slash is a registry if it has a dot or a colon, or is `localhost`; without
/// one it is Docker Hub. Without a tag and a digest it is `latest`; a digest counts for more than a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// Where it is.
    pub registry: RegistryUrl,
    /// The name by which Docker's configuration knows the registry.
    pub host: String,
    /// The repository, as its registry calls it.
    pub repository: RepositoryName,
    /// The tag or the digest.
    pub reference: Reference,
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, ImageNameError> {
        let malformed =
            |reason: String| ImageNameError::Malformed { text: text.to_owned(), reason };
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (format!("{scheme}://"), rest),
            None => (String::new(), text),
        };
        let (host, path) = match rest.split_once('/') {
            Some((host, path))
                if host.contains(['.', ':']) || host == "localhost" || !scheme.is_empty() =>
            {
                (host, path)
            }
            _ => ("docker.io", rest),
        };
        let (named, digest) = match path.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (path, None),
        };
        let (name, tag) = match named.rsplit_once(':') {
            Some((name, tag)) => (name, Some(tag)),
            None => (named, None),
        };
        let registry: RegistryUrl = format!("{scheme}{host}").parse()?;
        let name: RepositoryName = name.parse().map_err(|error| malformed(format!("{error}")))?;
        let repository =
            registry.repository(&name).map_err(|error| malformed(format!("{error}")))?;
        let reference = digest.or(tag).unwrap_or("latest").parse();
        let reference = reference.map_err(|error| malformed(format!("{error}")))?;
        Ok(Self { registry, host: host.to_owned(), repository, reference })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if matches!(self.reference, Reference::Tag(_)) { ':' } else { '@' };
        write!(f, "{}/{}{separator}{}", self.host, self.repository, self.reference)
    }
}

/// Why a text is no name of an image.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ImageNameError {
    /// The registry in it is none.
    #[error(transparent)]
    Registry(#[from] RegistryUrlError),
    /// The rest of it is wrong.
    #[error("`{text}` is no name of an image ({reason}): write for example `ghcr.io/team/app:v1`")]
    Malformed {
        /// What was written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, registry, shown) in [
            ("alpine", "https://registry-1.docker.io", "docker.io/library/alpine:latest"),
            ("team/app:v1", "https://registry-1.docker.io", "docker.io/team/app:v1"),
            ("ghcr.io/team/app:v1", "https://ghcr.io", "ghcr.io/team/app:v1"),
            ("localhost/app", "http://localhost", "localhost/app:latest"),
            ("localhost:5000/a/b:c", "http://localhost:5000", "localhost:5000/a/b:c"),
            ("http://r.example.org/a:1", "http://r.example.org", "r.example.org/a:1"),
            (
                &format!("ghcr.io/app:v1@{digest}"),
                "https://ghcr.io",
                &format!("ghcr.io/app@{digest}"),
            ),
        ] {
            let name: ImageName = text.parse().unwrap();
            assert_eq!((&*name.registry.to_string(), &*name.to_string()), (registry, shown));
        }
        for text in ["", "ghcr.io/", "ghcr.io/App", "ghcr.io/app:", "ghcr.io/app@sha256:xyz"] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}
