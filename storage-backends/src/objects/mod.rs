//! Blobs in an object store.
//!
//! - `client` is what the rest needs of a store, and `cloud` is that over the `object_store` crate.
//! - `rest` sends the requests that such a crate has no call for, and `explain` tells what failed.
//! - `upload` cuts what clients send into parts and sends them side by side; `handle` is what is
//!   kept of an upload between two requests; `holds` lets one request at a time write to it.
//! - `unfinished` finds what was begun in parts and never completed.
//! - `read` streams a blob, and takes up a stream that broke; `checksum` is what it verifies with.
//! - `files` reads and writes objects by their names.
//! - `probe` tries out what a store really does.
//! - `breaker` answers for a store that is down.
//!
//! An object keeps the key that it was uploaded under, so nothing is copied when an upload becomes
//! a blob, and a push can never meet the deletion of the same content from before. The location
//! that callers record holds the size, the key and the checksum, so reading asks the store for
//! nothing but the bytes.

mod breaker;
mod checksum;
mod client;
mod cloud;
mod explain;
mod files;
mod handle;
mod holds;
mod keys;
mod probe;
mod read;
mod rest;
mod store;
mod unfinished;
mod upload;

pub(crate) use client::{Listed, ObjectError, Objects, Unfinished};
pub(crate) use cloud::{CloudObjects, ListUnfinished};
pub(crate) use explain::failed;
pub(crate) use rest::{Anonymous, Authorize, Rest, pauses, unanswered};
pub(crate) use store::ObjectBlobStore;
pub(crate) use unfinished::Uploads;
pub(crate) use upload::Parts;
