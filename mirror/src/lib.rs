//! Repositories whose content comes from other registries.
//!
//! This crate knows which upstreams a repository has ([`Mirrors`], [`Source`]), how much may be asked of
//! them, how a blob goes on from the next one when the first breaks off ([`Fetch`]), and how many that
//! want the same thing wait for one request ([`Flights`]) and follow the bytes that it brings
//! ([`Arriving`]). Storing what comes is the registry's matter.

mod arriving;
mod budget;
mod error;
mod fetch;
mod flights;
mod mirrors;
mod pace;
mod source;
mod upstream;
mod via;

pub use arriving::{Arrival, Arriving, Progress};
pub use error::{MirrorError, MirrorsError, WrongDigest};
pub use fetch::Fetch;
pub use flights::{Flights, Landing};
pub use mirrors::Mirrors;
pub use source::{FetchedManifest, MirrorBound, MirrorStatus, Source};
pub use upstream::UpstreamStatus;
pub use via::Via;
