//! What keeps the database true to the storage: taking over what another registry stored, and what is
//! known of damage.

mod adoption;
mod damage;
mod tree;

pub use adoption::{
    AdoptedLinks, AdoptedTags, AdoptionStore, FoundBlob, FoundLink, FoundManifest, FoundTag,
    Misfit, Origins, Orphans, UnlinkedReference, UnlinkedReferences,
};
pub use damage::{BlobCursor, DamageStore, DamagedBlob, NamedBlob};
pub use tree::{TreeCursor, TreeEntry, TreeStore};

/// A store that can do all of it.
pub trait UpkeepStore: AdoptionStore + DamageStore + TreeStore {}

impl<S: AdoptionStore + DamageStore + TreeStore> UpkeepStore for S {}
