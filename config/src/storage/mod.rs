//! The `storage` section.

mod azure;
mod gcs;
mod oss;
mod remote;
mod s3;
mod swift;
mod upkeep;

use std::net::IpAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use azure::{Azure, AzureCredentials, AzureCredentialsType};
pub use gcs::Gcs;
pub use oss::Oss;
pub use remote::{Remote, RemoteDriver};
pub use s3::{ObjectAcl, S3};
pub use swift::{EndpointType, Swift};
pub use upkeep::{Backup, Scrub};

use crate::{Cidr, GoDuration, Opaque};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-driver" = true))]
    pub s3: Option<S3>,
    /// Blobs are in Azure Blob Storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-driver" = true))]
    pub azure: Option<Azure>,
    /// Blobs are in Google Cloud Storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-driver" = true))]
    pub gcs: Option<Gcs>,
    /// Blobs are in OpenStack Swift.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-driver" = true))]
    pub swift: Option<Swift>,
    /// Blobs are in Aliyun OSS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-driver" = true))]
    pub oss: Option<Oss>,
    /// Deletion of blobs and manifests.
    pub delete: Delete,
    /// Redirects of blob reads to the store.
    pub redirect: Redirect,
    /// Caches of blob descriptors.
    pub cache: Cache,
    /// Upkeep of the store.
    pub maintenance: Maintenance,
    /// Re-verification of stored blobs.
    pub scrub: Scrub,
    /// Backups of the database.
    pub backup: Backup,
    /// Whether `berth serve` adopts a tree of `registry:2` that it finds in the storage, as `berth import` does, when the
    /// database knows nothing yet. It answers when that is done.
    pub adopt: bool,
    /// Work on tags.
    pub tag: Tag,
}

impl Storage {
    /// The driver that was chosen.
    pub fn driver(&self) -> Driver {
        let named = [
            (self.inmemory.is_some(), Driver::InMemory),
            (self.s3.is_some(), Driver::S3),
            (self.azure.is_some(), Driver::Azure),
            (self.gcs.is_some(), Driver::Gcs),
            (self.swift.is_some(), Driver::Swift),
            (self.oss.is_some(), Driver::Oss),
        ];
        let chosen = named.into_iter().find(|(is_named, _)| *is_named);
        chosen.map_or(Driver::Filesystem, |(_, driver)| driver)
    }

    /// What all drivers of remote stores have, from the one that was chosen; `None` when blobs are on this machine.
    pub fn remote(&self) -> Option<Remote<'_>> {
        let s3 = self.s3.as_ref().map(S3::remote);
        let azure = || self.azure.as_ref().map(Azure::remote);
        let gcs = || self.gcs.as_ref().map(Gcs::remote);
        let swift = || self.swift.as_ref().map(Swift::remote);
        let oss = || self.oss.as_ref().map(Oss::remote);
        s3.or_else(azure).or_else(gcs).or_else(swift).or_else(oss)
    }
}

/// The storage drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Files in a directory. Ask [`Config::root_directory`](crate::Config::root_directory) which.
    Filesystem,
    /// Memory.
    InMemory,
    /// Amazon S3 or a compatible store: [`Storage::s3`].
    S3,
    /// Azure Blob Storage: [`Storage::azure`].
    Azure,
    /// Google Cloud Storage: [`Storage::gcs`].
    Gcs,
    /// OpenStack Swift: [`Storage::swift`].
    Swift,
    /// Aliyun OSS: [`Storage::oss`].
    Oss,
}

impl Driver {
    /// The key of the driver in `storage`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::InMemory => "inmemory",
            Self::S3 => "s3",
            Self::Azure => "azure",
            Self::Gcs => "gcs",
            Self::Swift => "swift",
            Self::Oss => "oss",
        }
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Delete {
    /// Whether tags, manifests, blobs and repositories may be deleted. When not, a delete is answered with 405, and
    /// `berth delete` refuses.
    #[schemars(extend("x-berth-reload" = true))]
    pub enabled: bool,
    /// How long deleted tags, manifests and repositories can be had back with `berth restore`; their blobs stay so long,
    /// too. `0s`: what is deleted is gone at once.
    #[schemars(extend("x-berth-reload" = true))]
    pub undelete: GoDuration,
}

impl Default for Delete {
    fn default() -> Self {
        Self { enabled: false, undelete: GoDuration::from_secs(24 * 3600) }
    }
}

/// Redirects of blob reads to the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Redirect {
    /// Whether blobs always pass through the registry. Those of `filesystem` and `inmemory` always do.
    pub disable: bool,
    /// Networks of clients that cannot reach the store, `10.0.0.0/8` or a single address: they are never redirected.
    pub except: Vec<Cidr>,
    /// How long the URL that a client is redirected to can be used, up to 7 days.
    pub expiry: GoDuration,
}

impl Default for Redirect {
    fn default() -> Self {
        Self { disable: false, except: Vec::new(), expiry: GoDuration::from_secs(20 * 60) }
    }
}

impl Redirect {
    /// Whether a client may be sent to the store.
    pub fn permits(&self, client: IpAddr) -> bool {
        !self.disable && !self.except.iter().any(|network| network.contains(client))
    }
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
    /// Removal of blobs that no manifest needs any longer.
    #[schemars(extend("x-berth-reload" = true))]
    pub garbagecollection: GarbageCollection,
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
    /// How old bytes in the store must be to be removed when neither an upload nor a blob names them. A crash leaves such
    /// bytes.
    pub graceperiod: GoDuration,
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
            graceperiod: GoDuration::from_secs(3600),
            interval: GoDuration::from_secs(24 * 3600),
            dryrun: false,
        }
    }
}

/// Removal of blobs that no manifest needs any longer. It goes on beside pushes and pulls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GarbageCollection {
    /// Whether garbage is collected. Without, `berth garbage-collect` still does it.
    pub enabled: bool,
    /// Time between two cycles. A cycle that finds nothing costs nothing.
    pub interval: GoDuration,
    /// How long a blob without a manifest is kept after a push, a mount, or a `HEAD` that told a client that it need not
    /// push it. Longer than the slowest client takes to push an image.
    pub lease: GoDuration,
    /// How long the bytes of a blob are kept after the last repository has let go of it: longer than a pull takes that
    /// has begun by then, and than `storage.redirect.expiry`.
    pub graceperiod: GoDuration,
}

impl Default for GarbageCollection {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: GoDuration::from_secs(5 * 60),
            lease: GoDuration::from_secs(24 * 3600),
            graceperiod: GoDuration::from_secs(3600),
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
