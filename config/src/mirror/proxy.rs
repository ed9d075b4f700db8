use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mirror;
use super::upstream::{Budget, Helper, Upstream, UpstreamTimeouts};
use crate::{ByteSize, GoDuration, Secret};

/// Pull-through cache of one other registry, as with `registry:2`: the whole of this one, which nobody can push to then.
/// `mirrors` can do more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Proxy {
    /// The URL of the other registry; without it this one is no cache.
    pub remoteurl: String,
    /// The name to log in with there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password to log in with there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// How long `registry:2` keeps what it has fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-ignored" = "nothing goes by its age here, since that broke images in use: a retention policy with `pulledwithin` deletes what nobody pulls"))]
    pub ttl: Option<GoDuration>,
    /// How many bytes of blobs are kept. When it is more, what was pulled least lately goes. Not in `registry:2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxsize: Option<ByteSize>,
    /// A program that gives the name and the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ProxyExec>,
}

/// A program that gives a name and a password, as Docker's credential helpers do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyExec {
    /// The program. It is run with the argument `get`.
    #[schemars(extend("x-berth-type" = "path"))]
    pub command: PathBuf,
    /// How long what it says is good. Without it the program is asked each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<GoDuration>,
}

impl Proxy {
    /// The same as a mirror of all repositories; `None` where nothing is configured.
    pub fn as_mirror(&self) -> Option<Mirror> {
        if self.remoteurl.is_empty() {
            return None;
        }
        // A star is a prefix.
        let prefix = "*".parse().ok()?;
        let helper = self.exec.as_ref().map(|exec| Helper {
            command: exec.command.clone(),
            lifetime: exec.lifetime.unwrap_or_default(),
        });
        let upstream = Upstream {
            url: self.remoteurl.clone(),
            username: self.username.clone().filter(|name| !name.is_empty()),
            password: self.password.clone().filter(|password| !password.expose().is_empty()),
            helper,
            identity: None,
            ca: None,
            certificate: None,
            key: None,
            realms: Vec::new(),
            allowplainpassword: false,
            timeouts: UpstreamTimeouts::default(),
            budget: Budget::default(),
        };
        Some(Mirror {
            prefix,
            host: None,
            upstreams: vec![upstream],
            // As there: the upstream is asked at every pull of a tag.
            ttl: GoDuration::default(),
            immutable: Vec::new(),
            negativettl: GoDuration::default(),
            offline: false,
            prefetch: false,
            maxsize: self.maxsize,
            finish: true,
            push: false,
        })
    }
}
