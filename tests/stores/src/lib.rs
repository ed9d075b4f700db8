//! Real object-store servers for the tests, one struct each, and a proxy that misbehaves in front of them.
//!
//! | struct | protocol | server |
//! |---|---|---|
//! | [`VersityGateway`] | S3 | Versity's gateway, a production server, on a folder |
//! | [`Moto`] | S3 | moto, a second implementation that shares no code with the first |
//! | [`Azurite`] | Azure Blob | Microsoft's own emulator |
//! | [`Swift`] | OpenStack Swift, Keystone v3 | Swift itself, behind a Keystone of ours |
//! | [`Gcs`] | Google Cloud Storage, XML API | ours, in this process |
//! | [`Oss`] | Alibaba Cloud OSS | ours, in this process |
//!
//! [`identity`] has the services that hand out temporary credentials for them.
//!
//! A server starts on a free loopback port with its data in a temporary folder, answers when `start` returns, holds
//! one bucket, and ends with its value, or at the latest with the process that started it. [`install`] puts the
//! programs into the cache of the development tools, which `cargo xtask setup` does.

mod azurite;
mod cache;
mod folder;
mod gcs;
mod host;
mod http;
pub mod identity;
pub mod install;
mod moto;
mod oss;
mod program;
pub mod proxy;
mod s3;
mod swift;
mod tls;
mod versity;
mod xml;

pub use azurite::Azurite;
pub use gcs::Gcs;
pub use moto::Moto;
pub use oss::Oss;
pub use proxy::{Fault, FaultProxy};
pub use s3::S3Access;
pub use swift::{Swift, SwiftUser};
pub use tls::Certificate;
pub use versity::VersityGateway;
