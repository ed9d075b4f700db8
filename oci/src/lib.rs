//! The vocabulary of the OCI distribution and image specifications.
//!
//! Everything that comes from outside (a digest in a path, a repository name, a manifest body) is
//! parsed here once, at the edge, into a type that cannot hold an invalid value. This crate does
//! no I/O and knows nothing of HTTP, SQL or storage.

pub mod access;
mod attached;
mod descriptor;
mod digest;
mod error_code;
mod hasher;
mod link_change;
mod manifest;
pub mod media_type;
mod name;
mod prefix;
mod reference;
mod strict_json;
mod upload_id;

pub use attached::{attached_tags, is_attached_tag};
pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, DigestError};
pub use error_code::{ErrorCode, ErrorEntry, ErrorList};
pub use hasher::{Hasher, HasherState};
pub use link_change::LinkChange;
pub use manifest::{Child, Manifest, ManifestError, ManifestKind};
pub use name::{NameError, RepositoryName};
pub use prefix::RepositoryPrefix;
pub use reference::{Reference, ReferenceError, Tag, TagError};
pub use upload_id::{UploadId, UploadIdError};
