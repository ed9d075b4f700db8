//! Images in files: what `docker save` writes, and OCI image layouts, each in a tar archive.
//!
//! Nothing of an archive is unpacked. Its members lie one behind the other in one file without a name, and
//! are found by the names that the archive gives them, which are never names of files here. So a name cannot
//! lead anywhere, nor can a link, and whatever ends the command takes all of it along.

mod decoder;
mod docker;
mod layout;
mod load;
mod save;
mod spool;

pub use load::{Loaded, load};
pub use save::save;
