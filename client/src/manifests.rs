use berth_oci::{Digest, Reference, RepositoryName, media_type};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, IF_NONE_MATCH, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Response;

use crate::transport::{Call, read_bounded};
use crate::{ClientError, RegistryClient};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The head of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestHead {
    /// What the registry says the digest is, if it does.
    pub digest: Option<Digest>,
    /// What the registry says it is, without parameters.
    pub media_type: Option<String>,
    /// The number of bytes, if it is said.
    pub size: Option<u64>,
}

impl ManifestHead {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let media_type = text(&CONTENT_TYPE).and_then(|text| text.split(';').next());
        Self {
            digest: text(&CONTENT_DIGEST).and_then(|text| text.parse().ok()),
            media_type: media_type.map(|text| text.trim().to_owned()),
            size: text(&CONTENT_LENGTH).and_then(|text| text.parse().ok()),
        }
    }
}

/// A manifest as it came. Nothing is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteManifest {
    /// What is said of it.
    pub head: ManifestHead,
    /// Its bytes.
    pub payload: Bytes,
}

/// How a question for a manifest was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestAnswer {
    /// It is the one that is known.
    Unchanged,
    /// This is it.
    Manifest(RemoteManifest),
}

impl RegistryClient {
    /// What the registry says of a manifest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn manifest_head(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<ManifestHead, ClientError> {
        let call = self.manifest_call(Method::HEAD, repository, reference);
        Ok(ManifestHead::of(self.transport.send(&call).await?.headers()))
    }

    /// A manifest of at most `longest` bytes, unless it is the `known` one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        known: Option<&Digest>,
        longest: usize,
    ) -> Result<ManifestAnswer, ClientError> {
        let mut call = self.manifest_call(Method::GET, repository, reference);
        if let Some(value) =
            known.and_then(|known| HeaderValue::try_from(format!("\"{known}\"")).ok())
        {
            call.headers.insert(IF_NONE_MATCH, value);
        }
        let response: Response = self.transport.send(&call).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(ManifestAnswer::Unchanged);
        }
        let head = ManifestHead::of(response.headers());
        let (registry, stall) = (self.transport.authority(), self.transport.stall_timeout());
        let payload = read_bounded(registry, response, longest, stall).await?;
        Ok(ManifestAnswer::Manifest(RemoteManifest { head, payload }))
    }

    fn manifest_call(
        &self,
        method: Method,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Call {
        let mut headers = HeaderMap::new();
        for accepted in [
            media_type::OCI_IMAGE_INDEX,
            media_type::OCI_IMAGE_MANIFEST,
            media_type::DOCKER_MANIFEST_LIST,
            media_type::DOCKER_MANIFEST,
            media_type::OCI_ARTIFACT_MANIFEST,
        ] {
            headers.append(ACCEPT, HeaderValue::from_static(accepted));
        }
        let url = self.url().join(&format!("{repository}/manifests/{reference}"));
        headers.extend(self.via.clone().map(|hops| (VIA, hops)));
        let what = format!("manifest {reference} in {repository}");
        Call { headers, ..Call::new(method, url, pull_scope(repository), what) }
    }
}

/// What a token must be for, to read from a repository.
pub(crate) fn pull_scope(repository: &RepositoryName) -> String {
    format!("repository:{repository}:pull")
}
