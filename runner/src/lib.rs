//! The container runner of Berth.
//!
//! [`oci`] is an OCI runtime, a command line of its own: it makes one process in its namespaces and
//! knows nothing of images and networks. It needs Linux, 5.14 or newer.

#![cfg(target_os = "linux")]

pub mod oci;
