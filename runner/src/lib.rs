//! The container runner of Berth.
//!
//! [`oci`] is an OCI runtime, a command line of its own: it makes one process in its namespaces and
//! knows nothing of images and networks. The engine stands on it, and starts it as a program, as it
//! would start another runtime; the command `exec` alone becomes the runtime. [`images`] come from
//! registries, [`layers`] make roots of them, [`network`] connects, [`containers`] keeps them and
//! watches over each by a monitor. Nothing of the engine is a daemon; what it knows is in files
//! under [`Roots`].
//!
//! It needs Linux, 5.14 or newer.

#![cfg(target_os = "linux")]

pub mod containers;
mod engine_file;
pub mod images;
pub mod layers;
pub mod network;
pub mod oci;
mod roots;
pub mod spec;
pub mod templates;
pub mod volumes;

pub use roots::Roots;
