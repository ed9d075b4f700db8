//! The `storage.swift` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remote::{self, Remote, RemoteDriver};
use crate::{ByteSize, GoDuration, Opaque, Secret};

/// Blobs are in OpenStack Swift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Swift {
    /// The URL that tokens come from: `https://keystone.example.org/v3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "must be set"))]
    pub authurl: Option<String>,
    /// The version of the protocol that tokens come by: `1` (Swift's own), `2` or `3` (Keystone).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "what `authurl` says"))]
    pub authversion: Option<u32>,
    /// The user that berth is to the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The ID of an application credential, in place of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applicationcredentialid: Option<String>,
    /// The secret of the application credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applicationcredentialsecret: Option<Secret>,
    /// The tenant (project), by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The tenant (project), by its ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenantid: Option<String>,
    /// The user's domain, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The user's domain, by its ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainid: Option<String>,
    /// The tenant's domain, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the user's"))]
    pub tenantdomain: Option<String>,
    /// The tenant's domain, by its ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the user's"))]
    pub tenantdomainid: Option<String>,
    /// A Keystone trust, by its ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trustid: Option<String>,
    /// The region of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the first in the catalogue"))]
    pub region: Option<String>,
    /// Which of the catalogue's addresses of the store is used.
    pub endpointtype: EndpointType,
    /// The container. It is made when it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "must be set"))]
    pub container: Option<String>,
    /// A directory in the container that everything is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the whole container"))]
    pub prefix: Option<String>,
    /// The key that temporary URLs are signed with. Without one blobs are never redirected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secretkey: Option<Secret>,
    /// Whether `secretkey` is the container's and not the account's.
    pub tempurlcontainerkey: bool,
    /// The methods that the store's temporary URLs allow.
    #[schemars(extend("x-berth-default" = "what the store says of itself"))]
    pub tempurlmethods: Vec<String>,
    /// Whether the store's certificate is taken without a look at it. `ca` is the safe way to a private authority.
    pub insecureskipverify: bool,
    /// Bytes in a segment of an upload, from 1 MiB to 5 GiB.
    pub chunksize: ByteSize,
    /// Segments of one upload that are on their way at the same time. One upload takes at most `parallelparts` x
    /// `chunksize` of memory.
    pub parallelparts: u32,
    /// How long the store may let a request wait: for its answer to begin, or for the next bytes of a body.
    pub timeout: GoDuration,
    /// A PEM file of certificate authorities to trust beside the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path"))]
    pub ca: Option<PathBuf>,
    /// The URL of a proxy on the way to the store. It may hold a password and is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment"))]
    pub proxy: Option<Secret>,
    /// The access key of HP Cloud's temporary URLs.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "only HP Cloud Object Storage wanted it, which is gone"))]
    pub accesskey: Opaque,
}

impl Default for Swift {
    fn default() -> Self {
        Self {
            authurl: None,
            authversion: None,
            username: None,
            password: None,
            applicationcredentialid: None,
            applicationcredentialsecret: None,
            tenant: None,
            tenantid: None,
            domain: None,
            domainid: None,
            tenantdomain: None,
            tenantdomainid: None,
            trustid: None,
            region: None,
            endpointtype: EndpointType::Public,
            container: None,
            prefix: None,
            secretkey: None,
            tempurlcontainerkey: false,
            tempurlmethods: Vec::new(),
            insecureskipverify: false,
            // As in registry:2, whatever its page says: a large object has at most 1000 segments on most clusters.
            chunksize: ByteSize::from_mib(20),
            parallelparts: remote::PARALLEL_PARTS,
            timeout: remote::TIMEOUT,
            ca: None,
            proxy: None,
            accesskey: Opaque,
        }
    }
}

impl Swift {
    pub(super) fn remote(&self) -> Remote<'_> {
        Remote {
            name: "swift",
            driver: RemoteDriver::Swift(self),
            chunksize: self.chunksize,
            parallelparts: self.parallelparts,
            timeout: self.timeout,
            ca: self.ca.as_deref(),
            proxy: self.proxy.as_ref(),
            skipverify: self.insecureskipverify,
        }
    }
}

/// The addresses that a service has in OpenStack's catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointType {
    /// The address for everybody.
    #[default]
    Public,
    /// For machines in the same cloud.
    Internal,
    /// For administrators.
    Admin,
}
