//! The registry of an image: where it is, what is shown to it, and who is asked before it.

use std::path::PathBuf;

use berth_client::{ClientOptions, DockerConfig, RegistryClient, RegistryUrl};
use berth_oci::RepositoryName;

use super::error::{Doing as _, ImageError};
use super::name::ImageReference;
use super::settings::{RegistrySettings, Settings};

/// Where docker looks for the authorities of a registry, in a folder of the registry's name.
const DOCKER_CERTIFICATES: &str = "/etc/docker/certs.d";

/// A repository that can be asked.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) client: RegistryClient,
    pub(super) repository: RepositoryName,
}

/// Those that have the images of a repository, in the order in which they are asked: mirrors, then the
/// registry itself.
pub(super) fn sources(
    name: &ImageReference,
    settings: &Settings,
) -> Result<Vec<Source>, ImageError> {
    let mut found = Vec::new();
    for url in settings.registry(name.domain()).mirrors {
        let authority = url.authority();
        let own = settings.registry(&authority);
        let insecure = !url.is_encrypted();
        let own = RegistrySettings { insecure: own.insecure || insecure, ..own };
        found.push(source(url, &authority, name.path(), &own)?);
    }
    found.push(registry(name, settings)?);
    Ok(found)
}

/// The registry itself.
pub(super) fn registry(name: &ImageReference, settings: &Settings) -> Result<Source, ImageError> {
    let own = settings.registry(name.domain());
    let url = url(name.domain(), &own)?;
    source(url, name.domain(), name.path(), &own)
}

/// A client of a registry that no image is asked of, for a login.
pub(super) fn client(
    domain: &str,
    settings: &Settings,
    credentials: berth_client::Credentials,
) -> Result<RegistryClient, ImageError> {
    let own = settings.registry(domain);
    let options = ClientOptions { credentials, ..options(domain, &own)? };
    Ok(RegistryClient::new(url(domain, &own)?, options)?)
}

fn source(
    url: RegistryUrl,
    domain: &str,
    path: &RepositoryName,
    settings: &RegistrySettings,
) -> Result<Source, ImageError> {
    let credentials = logins()?.credentials_for(domain, path);
    let options = ClientOptions { credentials, ..options(domain, settings)? };
    let repository = url.repository(path).map_err(|_| ImageError::reference(""))?;
    Ok(Source { client: RegistryClient::new(url, options)?, repository })
}

fn url(domain: &str, settings: &RegistrySettings) -> Result<RegistryUrl, ImageError> {
    let text = match (authority(domain, settings), settings.insecure) {
        (Some(_), _) => format!("https://{domain}"),
        (None, true) => format!("http://{domain}"),
        (None, false) => domain.to_owned(),
    };
    text.parse().map_err(|error| ImageError::reference(&format!(": {error}")))
}

fn options(domain: &str, settings: &RegistrySettings) -> Result<ClientOptions, ImageError> {
    let read = |path: PathBuf| {
        std::fs::read(&path).doing(|| format!("read the authorities in {}", path.display()))
    };
    Ok(ClientOptions {
        authorities: authority(domain, settings).map(read).transpose()?,
        plain_credentials: settings.insecure,
        ..ClientOptions::default()
    })
}

/// The file of the authorities of a registry: as set, or where docker has it.
fn authority(domain: &str, settings: &RegistrySettings) -> Option<PathBuf> {
    let dockers = || {
        let path = PathBuf::from(DOCKER_CERTIFICATES).join(domain).join("ca.crt");
        path.is_file().then_some(path)
    };
    settings.ca.clone().or_else(dockers)
}

/// What `docker login` has written down, and what podman has, where docker has nothing.
fn logins() -> Result<DockerConfig, ImageError> {
    let mut logins = DockerConfig::default();
    for path in DockerConfig::paths() {
        let read = DockerConfig::read(&path).map_err(|error| ImageError::File {
            path: path.display().to_string(),
            reason: error.to_string(),
        })?;
        logins = logins.or(read);
    }
    Ok(logins)
}
