//! The `policy` section: which tags stay as they are, and which go by themselves.

mod immutable;
mod quota;
mod retention;
mod version;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use immutable::{ImmutableTags, NamedRule};
pub use quota::{Prefix, Quota};
pub use retention::{Keep, Retention, RetentionRule};
pub use version::VersionRequirement;

use crate::Opaque;

/// Which tags stay as they are, and which go by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Allowed classes of repository.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "repositories have no classes here: every media type is accepted"))]
    pub repository: Opaque,
    /// Tags that are pushed once: they can neither be pointed elsewhere nor be deleted.
    pub immutabletags: Vec<ImmutableTags>,
    /// Tags and manifests that go by themselves.
    pub retention: Retention,
    /// How much repositories may hold. A push must fit into all that are about its repository.
    pub quotas: Vec<Quota>,
}
