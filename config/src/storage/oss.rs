//! The `storage.oss` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remote::{self, Remote, RemoteDriver};
use crate::{ByteSize, GoDuration, Secret};

/// Blobs are in Aliyun OSS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Oss {
    /// The access key. Without it credentials come from the environment or the instance's RAM role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accesskeyid: Option<String>,
    /// The secret that goes with `accesskeyid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accesskeysecret: Option<Secret>,
    /// The security token that goes with a temporary `accesskeyid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub securitytoken: Option<Secret>,
    /// The region of the bucket: `oss-cn-beijing`. It must be set unless `endpoint` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "must be set unless `endpoint` is"))]
    pub region: Option<String>,
    /// The host or URL of the store. The bucket may be in front, as in `registry:2`: `BUCKET.REGION.aliyuncs.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`REGION.aliyuncs.com`, or `REGION-internal.aliyuncs.com` with `internal`"))]
    pub endpoint: Option<String>,
    /// Whether the address inside Aliyun's network is used.
    pub internal: bool,
    /// The bucket. It must be there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "must be set"))]
    pub bucket: Option<String>,
    /// A directory in the bucket that everything is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the whole bucket"))]
    pub rootdirectory: Option<String>,
    /// Whether the store encrypts what it keeps: with its own keys, or with `encryptionkeyid`.
    pub encrypt: bool,
    /// The KMS key to encrypt with. It needs `encrypt: true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryptionkeyid: Option<String>,
    /// Whether HTTPS is spoken, where `endpoint` does not say.
    pub secure: bool,
    /// Bytes in a part of an upload, from 5 MiB to 5 GiB.
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
}

impl Default for Oss {
    fn default() -> Self {
        Self {
            accesskeyid: None,
            accesskeysecret: None,
            securitytoken: None,
            region: None,
            endpoint: None,
            internal: false,
            bucket: None,
            rootdirectory: None,
            encrypt: false,
            encryptionkeyid: None,
            secure: true,
            chunksize: remote::CHUNK_SIZE,
            parallelparts: remote::PARALLEL_PARTS,
            timeout: remote::TIMEOUT,
            ca: None,
            proxy: None,
        }
    }
}

impl Oss {
    /// The URL of the store, without the bucket and without a slash at the end.
    pub fn endpoint(&self) -> String {
        let named = self.endpoint.as_deref().map(|endpoint| self.without_bucket(endpoint));
        remote::with_scheme(&named.unwrap_or_else(|| self.regional_host()), self.secure)
    }

    fn without_bucket(&self, endpoint: &str) -> String {
        let (scheme, host) = match endpoint.split_once("://") {
            Some((scheme, host)) => (format!("{scheme}://"), host),
            None => (String::new(), endpoint),
        };
        let bucket = self.bucket.as_deref().unwrap_or_default();
        let bare = host.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('.'));
        format!("{scheme}{}", bare.unwrap_or(host))
    }

    /// The region that requests are signed for, `cn-beijing`; `None` where neither `region` nor `endpoint` tells it.
    pub fn signing_region(&self) -> Option<String> {
        let endpoint = self.endpoint();
        let host = endpoint.split_once("://").map_or(&*endpoint, |(_, host)| host);
        let of_endpoint = host.strip_suffix(".aliyuncs.com").filter(|host| !host.contains('.'));
        let region = self.region.as_deref().or(of_endpoint)?;
        let region = region.strip_prefix("oss-").unwrap_or(region);
        Some(region.strip_suffix("-internal").unwrap_or(region).to_owned())
    }

    /// `cn-beijing`, as newer pages of Aliyun name a region, means `oss-cn-beijing`.
    fn regional_host(&self) -> String {
        let region = self.region.as_deref().unwrap_or_default();
        let prefix = if region.contains("oss-") { "" } else { "oss-" };
        let network = if self.internal { "-internal" } else { "" };
        format!("{prefix}{region}{network}.aliyuncs.com")
    }

    pub(super) fn remote(&self) -> Remote<'_> {
        Remote {
            name: "oss",
            driver: RemoteDriver::Oss(self),
            chunksize: self.chunksize,
            parallelparts: self.parallelparts,
            timeout: self.timeout,
            ca: self.ca.as_deref(),
            proxy: self.proxy.as_ref(),
            skipverify: false,
        }
    }
}
