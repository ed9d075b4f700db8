//! The `storage.azure` section.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::remote::{self, Remote, RemoteDriver};
use crate::{ByteSize, GoDuration, Secret};

/// Blobs are in Azure Blob Storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Azure {
    /// The storage account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "must be set"))]
    pub accountname: Option<String>,
    /// A key of the storage account, in base64 as the portal shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accountkey: Option<Secret>,
    /// The container. It must be there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "must be set"))]
    pub container: Option<String>,
    /// The end of the host's name after `blob.`: `core.chinacloudapi.cn` in China, `core.usgovcloudapi.net` for the
    /// government of the US.
    pub realm: String,
    /// How berth proves who it is.
    pub credentials: AzureCredentials,
    /// A directory in the container that everything is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the whole container"))]
    pub rootdirectory: Option<String>,
    /// The whole URL of the blob service, with the account in its path for an emulator:
    /// `http://127.0.0.1:10000/devstoreaccount1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`https://ACCOUNTNAME.blob.REALM`"))]
    pub endpoint: Option<String>,
    /// What distribution 3 calls `endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serviceurl: Option<String>,
    /// How often a request that failed is tried again (`max_retries` of distribution 3).
    pub maxretries: u32,
    /// The wait before the first retry; it doubles with each (`retry_delay` of distribution 3).
    pub retrydelay: GoDuration,
    /// Whether the store's certificate is taken without a look at it. `ca` is the safe way to a private authority.
    pub skipverify: bool,
    /// Bytes in a block of an upload, from 1 MiB to 4000 MiB.
    pub chunksize: ByteSize,
    /// Blocks of one upload that are on their way at the same time. One upload takes at most `parallelparts` x
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

impl Default for Azure {
    fn default() -> Self {
        Self {
            accountname: None,
            accountkey: None,
            container: None,
            realm: "core.windows.net".to_owned(),
            credentials: AzureCredentials::default(),
            rootdirectory: None,
            endpoint: None,
            serviceurl: None,
            maxretries: 5,
            retrydelay: Duration::from_millis(100).into(),
            skipverify: false,
            chunksize: remote::CHUNK_SIZE,
            parallelparts: remote::PARALLEL_PARTS,
            timeout: remote::TIMEOUT,
            ca: None,
            proxy: None,
        }
    }
}

impl Azure {
    /// The URL of the blob service, without the container and without a slash at the end.
    pub fn endpoint(&self) -> String {
        match self.endpoint.as_deref().or(self.serviceurl.as_deref()) {
            Some(endpoint) => remote::with_scheme(endpoint, true),
            None => {
                let account = self.accountname.as_deref().unwrap_or_default();
                format!("https://{account}.blob.{}", self.realm)
            }
        }
    }

    /// How berth proves who it is: as configured, or else with the key of the account, or else with what it finds.
    pub fn credentials_type(&self) -> AzureCredentialsType {
        let guess = match self.accountkey {
            Some(_) => AzureCredentialsType::SharedKey,
            None => AzureCredentialsType::DefaultCredentials,
        };
        self.credentials.r#type.unwrap_or(guess)
    }

    pub(super) fn remote(&self) -> Remote<'_> {
        Remote {
            name: "azure",
            driver: RemoteDriver::Azure(self),
            chunksize: self.chunksize,
            parallelparts: self.parallelparts,
            timeout: self.timeout,
            ca: self.ca.as_deref(),
            proxy: self.proxy.as_ref(),
            skipverify: self.skipverify,
        }
    }
}

/// How berth proves who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AzureCredentials {
    /// The kind of proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`shared_key` with `accountkey`, else `default_credentials`"))]
    pub r#type: Option<AzureCredentialsType>,
    /// The application's (client's) ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`AZURE_CLIENT_ID` of the environment"))]
    pub clientid: Option<String>,
    /// The ID of the tenant (directory).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "`AZURE_TENANT_ID` of the environment"))]
    pub tenantid: Option<String>,
    /// The application's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The token of a shared access signature, `sv=...&sig=...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sastoken: Option<Secret>,
}

/// The kinds of proof that Azure takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AzureCredentialsType {
    /// `accountkey`.
    SharedKey,
    /// `clientid`, `tenantid` and `secret` of an application.
    ClientSecret,
    /// What the environment offers: a secret, a workload identity, a managed identity.
    DefaultCredentials,
    /// The identity of a pod in AKS.
    WorkloadIdentity,
    /// The identity of a machine; `clientid` chooses one of several.
    ManagedIdentity,
    /// `sastoken`.
    Sas,
}
