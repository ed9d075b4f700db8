//! The `storage.gcs` section.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remote::{self, Remote, RemoteDriver};
use crate::{ByteSize, GoDuration, Opaque, Secret};

/// Blobs are in Google Cloud Storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gcs {
    /// The bucket. It must be there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "must be set"))]
    pub bucket: Option<String>,
    /// The JSON file of a service account's key, or of an identity of another cloud (`external_account`). Without it
    /// and `credentials` those of the environment are used: `GOOGLE_APPLICATION_CREDENTIALS`, or the metadata server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path", "x-berth-default" = "application default credentials"))]
    pub keyfile: Option<PathBuf>,
    /// What the file holds, in place of `keyfile`: `type`, `client_email`, `private_key` and the others. Members that
    /// are objects are texts in JSON.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub credentials: BTreeMap<String, Secret>,
    /// A directory in the bucket that everything is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the whole bucket"))]
    pub rootdirectory: Option<String>,
    /// The URL of another server that speaks the same protocol, an emulator for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`https://storage.googleapis.com`"))]
    pub endpoint: Option<String>,
    /// Bytes in a part of an upload, from 5 MiB to 5 GiB and a multiple of 256 KiB.
    pub chunksize: ByteSize,
    /// Parts of one upload that are on their way at the same time. One upload takes at most `parallelparts` x
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
    /// Limit of concurrent requests.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "`http.limits.connections` and `storage.gcs.parallelparts` bound the work"))]
    pub maxconcurrency: Opaque,
    /// Whether each request has a connection of its own.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "connections to the store are always used again"))]
    pub disablekeepalives: Opaque,
}

impl Default for Gcs {
    fn default() -> Self {
        Self {
            bucket: None,
            keyfile: None,
            credentials: BTreeMap::new(),
            rootdirectory: None,
            endpoint: None,
            chunksize: remote::CHUNK_SIZE,
            parallelparts: remote::PARALLEL_PARTS,
            timeout: remote::TIMEOUT,
            ca: None,
            proxy: None,
            maxconcurrency: Opaque,
            disablekeepalives: Opaque,
        }
    }
}

impl Gcs {
    /// The URL of another server, with its scheme and without a slash at the end; `None` for Google's.
    pub fn endpoint(&self) -> Option<String> {
        self.endpoint.as_deref().map(|endpoint| remote::with_scheme(endpoint, true))
    }

    /// `credentials` as the text of a key file; `None` when there are none.
    pub fn inline_key(&self) -> Option<Secret> {
        if self.credentials.is_empty() {
            return None;
        }
        let fields =
            self.credentials.iter().map(|(name, value)| (name.clone(), value.expose().into()));
        Some(Secret::from(serde_json::Value::Object(fields.collect()).to_string()))
    }

    pub(super) fn remote(&self) -> Remote<'_> {
        Remote {
            name: "gcs",
            driver: RemoteDriver::Gcs(self),
            chunksize: self.chunksize,
            parallelparts: self.parallelparts,
            timeout: self.timeout,
            ca: self.ca.as_deref(),
            proxy: self.proxy.as_ref(),
            skipverify: false,
        }
    }
}
