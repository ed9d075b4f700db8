use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ByteSize, GoDuration, Secret};

/// A registry that content comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Its URL, `https://registry-1.docker.io`, or its name in references, `docker.io`. A path after the host is one
    /// before `/v2/`.
    pub url: String,
    /// The name to log in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password, or a token in place of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A program that gives the name and the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<Helper>,
    /// The cloud whose registry it is, and which knows the machine that Berth runs on: what that may pull, Berth may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Cloud>,
    /// A file of certificates in PEM that its own must come from, in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path"))]
    pub ca: Option<PathBuf>,
    /// A file with the certificate, in PEM, that it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path"))]
    pub certificate: Option<PathBuf>,
    /// A file with the key of that certificate, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path"))]
    pub key: Option<PathBuf>,
    /// Servers, as `host` or `host:port`, that may get the password for a token beside those that are known to belong to
    /// the registry: itself, those whose name is above or below its own, and Docker Hub's.
    #[serde(default)]
    pub realms: Vec<String>,
    /// Whether the password may be sent to another machine without TLS.
    #[serde(default)]
    pub allowplainpassword: bool,
    /// How long it may take.
    #[serde(default)]
    pub timeouts: UpstreamTimeouts,
    /// How much may be asked of it.
    #[serde(default)]
    pub budget: Budget,
}

/// A cloud that has a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cloud {
    /// Elastic Container Registry, by the key of the environment, the container or the machine.
    Amazon,
    /// Azure Container Registry, by the managed identity of the app or the machine.
    Azure,
    /// Artifact Registry, by the service account of the machine.
    Google,
}

/// A program that gives a name and a password, as Docker's credential helpers do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Helper {
    /// The program, `docker-credential-ecr-login` for one. It is run with the argument `get` and told the registry on its
    /// input.
    #[schemars(extend("x-berth-type" = "path"))]
    pub command: PathBuf,
    /// How long what it says is good. `0s` is once.
    #[serde(default)]
    pub lifetime: GoDuration,
}

/// How long an upstream may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTimeouts {
    /// Until a connection is made.
    pub connect: GoDuration,
    /// Until an answer begins.
    pub answer: GoDuration,
    /// Without a byte in the middle of an answer.
    pub stall: GoDuration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: GoDuration::from_secs(10),
            answer: GoDuration::from_secs(30),
            stall: GoDuration::from_secs(30),
        }
    }
}

/// How much may be asked of an upstream. What is more is treated as if it could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// How many manifests and blobs in a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// How many bytes of blobs in a window. A blob that has begun is fetched to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteSize>,
    /// How long a window is.
    pub window: GoDuration,
    /// How many bytes of blobs a second, all fetches together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<ByteSize>,
    /// How many blobs at a time; more of them wait.
    pub concurrency: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            requests: None,
            bytes: None,
            window: GoDuration::from_secs(6 * 60 * 60),
            bandwidth: None,
            concurrency: 64,
        }
    }
}
