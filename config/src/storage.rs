//! The `storage` section.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GoDuration, Opaque};

/// Where blobs are kept. Exactly one driver is named; without any it is `filesystem`.
///
/// `storage: NAME` is short for `storage: {NAME: {}}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Blobs are files in a directory, in the same tree as `registry:2`'s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-driver" = true))]
    pub filesystem: Option<Filesystem>,
    /// Blobs and metadata are in memory and gone with the process: for tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-driver" = true))]
    pub inmemory: Option<InMemory>,
    /// Blobs are in Amazon S3 or a compatible store.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-driver" = true, "x-berth-refused" = "this build of berth does not have the s3 driver yet: use `filesystem` or `inmemory`"))]
    pub s3: Opaque,
    /// Blobs are in Azure Blob Storage.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-driver" = true, "x-berth-refused" = "this build of berth does not have the azure driver yet: use `filesystem` or `inmemory`"))]
    pub azure: Opaque,
    /// Blobs are in Google Cloud Storage.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-driver" = true, "x-berth-refused" = "this build of berth does not have the gcs driver yet: use `filesystem` or `inmemory`"))]
    pub gcs: Opaque,
    /// Blobs are in OpenStack Swift.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-driver" = true, "x-berth-refused" = "this build of berth does not have the swift driver yet: use `filesystem` or `inmemory`"))]
    pub swift: Opaque,
    /// Blobs are in Aliyun OSS.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-driver" = true, "x-berth-refused" = "this build of berth does not have the oss driver yet: use `filesystem` or `inmemory`"))]
    pub oss: Opaque,
    /// Deletion of blobs and manifests.
    pub delete: Delete,
    /// Redirects of blob reads to the store.
    pub redirect: Redirect,
    /// Caches of blob descriptors.
    pub cache: Cache,
    /// Upkeep of the store.
    pub maintenance: Maintenance,
    /// Work on tags.
    pub tag: Tag,
}

impl Storage {
    /// The driver that was chosen.
    pub fn driver(&self) -> Driver {
        if self.inmemory.is_some() { Driver::InMemory } else { Driver::Filesystem }
    }
}

/// The storage drivers of this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Files in a directory. Ask [`Config::root_directory`](crate::Config::root_directory) which.
    Filesystem,
    /// Memory.
    InMemory,
}

/// Parameters of the filesystem driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filesystem {
    /// The directory; it is made when it is missing. A relative path starts at the working directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-type" = "path", "x-berth-default" = "`/var/lib/registry` with a configuration file, `./berth-data` without one"))]
    pub rootdirectory: Option<PathBuf>,
    /// Limit of concurrent file operations.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "berth bounds its own threads; `http.limits.connections` bounds the work"))]
    pub maxthreads: Opaque,
}

/// The in-memory driver has no parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InMemory {}

/// Deletion of blobs and manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Delete {
    /// Whether clients may delete tags, manifests and blobs. When not, a delete is answered with 405.
    #[schemars(extend("x-berth-reload" = true))]
    pub enabled: bool,
}

/// Redirects of blob reads to the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redirect {
    /// Whether blobs always pass through the registry. The drivers of this build never redirect.
    pub disable: bool,
}

/// Caches of blob descriptors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// The kind of cache.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "descriptors are always in SQL and cached in memory: see `metadata.sqlite.cachesize`"))]
    pub blobdescriptor: Option<BlobDescriptorCache>,
    /// The number of descriptors in an in-memory cache.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "descriptors are always in SQL and cached in memory: see `metadata.sqlite.cachesize`"))]
    pub blobdescriptorsize: Opaque,
    /// The old name of `blobdescriptor`.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "descriptors are always in SQL and cached in memory: see `metadata.sqlite.cachesize`"))]
    pub layerinfo: Option<BlobDescriptorCache>,
}

/// The kinds of cache that `registry:2` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BlobDescriptorCache {
    /// In the registry's memory.
    InMemory,
    /// In Redis.
    Redis,
}

/// Upkeep of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Maintenance {
    /// Removal of uploads that nobody finished.
    pub uploadpurging: UploadPurging,
    /// Read-only service.
    #[schemars(extend("x-berth-reload" = true))]
    pub readonly: ReadOnly,
}

/// Removal of uploads that nobody finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UploadPurging {
    /// Whether abandoned uploads are removed.
    pub enabled: bool,
    /// How long after its last byte an upload counts as abandoned.
    pub age: GoDuration,
    /// Time between two rounds.
    pub interval: GoDuration,
    /// Whether a round only logs what it would remove.
    pub dryrun: bool,
}

impl Default for UploadPurging {
    fn default() -> Self {
        Self {
            enabled: true,
            age: GoDuration::from_secs(168 * 3600),
            interval: GoDuration::from_secs(24 * 3600),
            dryrun: false,
        }
    }
}

/// Read-only service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOnly {
    /// Whether pushes and deletes are refused.
    pub enabled: bool,
}

/// Work on tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tag {
    /// Limit of concurrent tag look-ups when a manifest is deleted.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "tags are found by an index in SQL, not one by one"))]
    pub concurrencylimit: Opaque,
}
