//! The `proxy` and `mirrors` sections: repositories whose content comes from other registries.

mod proxy;
mod upstream;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use proxy::{Proxy, ProxyExec};
pub use upstream::{Budget, Cloud, Helper, Upstream, UpstreamTimeouts};

use crate::{ByteSize, Glob, GoDuration, Prefix};

/// Repositories whose content comes from other registries: what is not here, or may have changed there, is fetched,
/// kept and served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// Which repositories: `docker.io` for all below it, so that `docker.io/library/alpine` here is `library/alpine`
    /// there; `*` for all that no other mirror names, under the names that they have there.
    pub prefix: Prefix,
    /// The registry that the mirror stands for, as clients say it that add `?ns=HOST` to their requests (containerd's
    /// `hosts.toml`): these find `library/alpine` of `docker.io` without the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where the content comes from, the first one first; another one is asked when those before it cannot be reached or
    /// do not have it.
    pub upstreams: Vec<Upstream>,
    /// How long a tag is served without a look whether it has moved. `0s` is a look at every pull.
    #[serde(default = "default_ttl")]
    pub ttl: GoDuration,
    /// Tags that never move, so that they are never looked at again once they are here.
    #[serde(default)]
    pub immutable: Vec<Glob>,
    /// How long it is remembered that something is not there.
    #[serde(default = "default_negative_ttl")]
    pub negativettl: GoDuration,
    /// Whether nothing is asked of the upstreams: what is here is served, and nothing else.
    #[serde(default)]
    pub offline: bool,
    /// Whether all of an image is fetched with its manifest: every platform, all layers, and what is attached to it.
    #[serde(default)]
    pub prefetch: bool,
    /// How many bytes of blobs the repositories with the prefix may hold, each blob counted once. When it is more, what
    /// was fetched is let go of, what was pulled least lately first; what clients have pushed counts, and stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maxsize: Option<ByteSize>,
    /// Whether a blob that has begun is fetched to its end when all who wanted it have gone.
    #[serde(default = "default_finish")]
    pub finish: bool,
    /// Whether clients may push into the repositories. A tag that was pushed here stands before that of the upstreams.
    #[serde(default)]
    pub push: bool,
}

fn default_ttl() -> GoDuration {
    GoDuration::from_secs(5 * 60)
}

fn default_finish() -> bool {
    true
}

fn default_negative_ttl() -> GoDuration {
    GoDuration::from_secs(30)
}
