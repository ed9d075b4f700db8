//! The `validation` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Pattern;

/// What a manifest must fulfil to be accepted, beyond being well formed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Validation {
    /// Whether the rules of this section apply. When it is not set, they apply unless `disabled` says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-default" = "the opposite of `disabled`"))]
    pub enabled: Option<bool>,
    /// Whether the rules of this section are off.
    pub disabled: bool,
    /// Rules for manifests.
    pub manifests: Manifests,
}

impl Validation {
    /// Whether the rules apply.
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(!self.disabled)
    }

    /// Whether a manifest may name this URL as a source of a layer.
    pub fn permits_url(&self, url: &str) -> bool {
        let urls = &self.manifests.urls;
        // As in registry:2, a section that is switched on and names no URL allows none.
        let says_nothing = urls.allow.is_empty() && urls.deny.is_empty();
        !self.is_enabled() || (says_nothing && self.enabled.is_none()) || urls.permit(url)
    }

    /// Whether the configs and layers that an image names must be present.
    pub fn requires_blobs(&self) -> bool {
        self.is_enabled() && self.manifests.blobs == Blobs::Required
    }

    /// Whether the child of an index for this platform must be present.
    ///
    /// `platform` is `None` for a child that names no platform; it is required only when all are.
    pub fn requires_child(&self, platform: Option<&Platform>) -> bool {
        self.is_enabled() && self.manifests.indexes.require(platform)
    }
}

/// Rules for manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Manifests {
    /// URLs in the descriptors of foreign layers. With neither list every URL is allowed, unless `validation.enabled`
    /// is set to true, which then allows none.
    pub urls: Urls,
    /// Whether the configs and layers that an image names must be in the repository when it is pushed.
    pub blobs: Blobs,
    /// The children of an index (a multi-platform image).
    pub indexes: Indexes,
}

/// URLs in the descriptors of foreign layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Urls {
    /// Regular expressions of which a URL must match one. When empty, `deny` alone decides.
    pub allow: Vec<Pattern>,
    /// Regular expressions of which a URL must match none.
    pub deny: Vec<Pattern>,
}

impl Urls {
    fn permit(&self, url: &str) -> bool {
        let matches = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.is_match(url));
        let allowed =
            if self.allow.is_empty() { !self.deny.is_empty() } else { matches(&self.allow) };
        allowed && !matches(&self.deny)
    }
}

/// Whether what an image is made of must be present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Blobs {
    /// Every one; a push that misses some is refused and told which.
    #[default]
    Required,
    /// None: images may be sparse. Pulling one fails where its content is missing.
    Optional,
}

/// The children of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Indexes {
    /// Which children must be in the registry when an index is pushed. Anything but `all` allows sparse indexes.
    pub platforms: Platforms,
    /// The platforms that must be there when `platforms` is `list`.
    pub platformlist: Vec<Platform>,
}

impl Indexes {
    fn require(&self, platform: Option<&Platform>) -> bool {
        match self.platforms {
            Platforms::All => true,
            Platforms::None => false,
            Platforms::List => platform.is_some_and(|platform| {
                self.platformlist.iter().any(|listed| listed.covers(platform))
            }),
        }
    }
}

/// Which children of an index must be present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Platforms {
    /// Every child.
    #[default]
    All,
    /// None: any may be missing.
    None,
    /// Those for the platforms in `platformlist`.
    List,
}

/// A platform as an index names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Platform {
    /// The processor: `amd64`, `arm64`.
    pub architecture: String,
    /// The operating system: `linux`, `windows`.
    pub os: String,
    /// The variant of the processor, `v7` for one; without it every variant is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    fn covers(&self, other: &Self) -> bool {
        self.architecture == other.architecture
            && self.os == other.os
            && (self.variant.is_none() || self.variant == other.variant)
    }
}
