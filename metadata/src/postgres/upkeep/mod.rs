//! Keeping the database true to the storage: `adoption` of another registry's tree, known `damage`, and what
//! a `tree` has files for; `store` is the face of all of it.

pub(super) mod adoption;
pub(super) mod damage;
mod store;
mod tree;
