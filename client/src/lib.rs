//! A client of the Distribution API.
//!
//! It speaks to one registry, answers its challenges, and keeps to what that registry may be trusted
//! with: credentials go to the registry and to its token service, and to nobody that either of them
//! names; a registry on the Internet sends nobody into a private network. What comes is streamed, and a
//! stream can begin anywhere, so that a broken one is taken up again. Nothing is verified here: whoever
//! asks knows the digest, and hashes what it stores.

mod address;
mod blobs;
mod challenge;
mod cloud;
mod copy;
mod credentials;
mod docker_config;
mod error;
mod image_name;
mod listings;
mod login_file;
mod manifests;
mod network;
mod options;
mod ping;
mod rate_limit;
mod resuming;
mod token;
mod transport;
mod trust;
mod uploads;

pub use address::{RegistryUrl, RegistryUrlError};
pub use blobs::BlobStream;
pub use cloud::{Cloud, CloudCredentials};
pub use copy::{CopyError, CopyStep, ImageCopy, Place};
pub use credentials::{Credentials, Password};
pub use docker_config::{DockerConfig, DockerConfigError};
pub use error::ClientError;
pub use image_name::{ImageName, ImageNameError};
pub use login_file::LoginFile;
pub use manifests::{ManifestAnswer, ManifestHead, RemoteManifest};
pub use options::{ClientOptions, Identity, OptionsError};
pub use rate_limit::RateLimit;
pub use resuming::ResumingBlob;
pub use uploads::{BegunUpload, UploadSession};

use std::sync::Arc;

use http::HeaderValue;
use transport::Transport;

/// A client of one registry. Clones share its connections and tokens.
#[derive(Clone, Debug)]
pub struct RegistryClient {
    transport: Arc<Transport>,
    /// Who passes its requests on.
    via: Option<HeaderValue>,
}

impl RegistryClient {
    /// A client of the registry at `url`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When the options cannot be used for it.
    pub fn new(url: RegistryUrl, options: ClientOptions) -> Result<Self, OptionsError> {
        Ok(Self { transport: Arc::new(Transport::new(url, options)?), via: None })
    }

    /// The same client, which says with its reads by whom they were passed on (RFC 9110, `Via`).
    #[must_use]
    pub fn via(&self, hops: HeaderValue) -> Self {
        Self { transport: self.transport.clone(), via: Some(hops) }
    }

    /// Where the registry is.
    pub fn url(&self) -> &RegistryUrl {
        self.transport.url()
    }

    /// What the registry last said of how much may be asked of it.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.transport.rate_limit()
    }
}
