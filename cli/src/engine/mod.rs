//! The commands of the engine: images, containers, volumes.

// Before all that print.
#[cfg(target_os = "linux")]
#[macro_use]
pub(crate) mod say;

#[cfg(target_os = "linux")]
pub(crate) mod containers;
pub(crate) mod elsewhere;
#[cfg(target_os = "linux")]
mod failure;
#[cfg(target_os = "linux")]
pub(crate) mod images;
#[cfg(target_os = "linux")]
mod inspected;
#[cfg(target_os = "linux")]
pub(crate) mod options;
#[cfg(target_os = "linux")]
pub(crate) mod usage;
#[cfg(target_os = "linux")]
pub(crate) mod volumes;

#[cfg(target_os = "linux")]
pub(crate) use failure::told;
