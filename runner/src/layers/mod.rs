//! Layers of images: kept ready to be mounted, and mounted as the root of a container.
//!
//! A layer is the archive that its diff id is the digest of. It is kept as it is, byte for byte, and
//! nothing of it is unpacked where the kernel can do without: an index beside it, in the form of an
//! EROFS file system, says where in the archive the content of each file is, and the kernel mounts the
//! two as one. A container's root is an overlay of its layers' mounts and a folder of its own.
//!
//! ```text
//! <data>/layers/sha256-<hex>/      a layer, by its diff id
//!   tar                            its archive, uncompressed
//!   index                          the file system, made by us and never received
//!   spread                         contents of its sparse files, where it has any
//!   files/                         instead of an index, where the kernel does not take one
//! <data>/layers/ingest/sha256-<hex>/   a layer on its way in or out, held by a lock on the folder
//! <run>/layers/sha256-<hex>/mount/     where the layer is mounted, once for all
//! <run>/layers/sha256-<hex>/users/     a file for each root that it is a part of
//! <run>/layers/roots/<key>             what a root is made of
//! ```
//!
//! In order of what happens: [`LayerStore::ingest`] uncompresses and hashes, `tar` reads the entries,
//! `tree` has the rules of what they mean together, `erofs` writes the tree as an index, or `unpack` as
//! files, and `mount` makes roots.

mod copy;
mod erofs;
mod error;
mod ingest;
mod limits;
mod mount;
mod prepare;
mod rung;
mod store;
mod tar;
mod tree;
mod unpack;

pub use error::LayerError;
pub use limits::Limits;
pub use mount::MountedRoot;
pub use rung::Rung;
pub use store::LayerStore;

/// Reads an archive as that of a layer, up to the index that would be mounted: how many bytes that has.
///
/// # Errors
///
/// Why it would be refused.
pub fn check_tar(archive: &[u8]) -> Result<usize, LayerError> {
    let tree = ingest::tree(archive, &Limits::default())?;
    let spread = erofs::Spread::new(&tree);
    erofs::index(&tree, archive.len() as u64, &spread).map(|index| index.len())
}
