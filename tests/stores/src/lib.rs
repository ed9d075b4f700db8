//! Real servers for the tests, one struct each, and proxies that misbehave in front of them.
//!
//! | struct | protocol | server |
//! |---|---|---|
//! | [`VersityGateway`] | S3 | Versity's gateway, a production server, on a folder |
//! | [`Moto`] | S3 | moto, a second implementation that shares no code with the first |
//! | [`Azurite`] | Azure Blob | Microsoft's own emulator |
//! | [`Swift`] | OpenStack Swift, Keystone v3 | Swift itself, behind a Keystone of ours |
//! | [`Gcs`] | Google Cloud Storage, XML API | ours, in this process |
//! | [`Oss`] | Alibaba Cloud OSS | ours, in this process |
//! | [`Postgres`] | PostgreSQL | Debian's, with a standby where one is wanted |
//! | [`PgBouncer`] | PostgreSQL | Debian's, a pooler in transaction mode before the other |
//! | [`OpenIdProvider`] | OpenID Connect | oidc-provider, a certified one |
//! | [`TokenServer`] | tokens for `registry:2` | ours, in this process |
//!
//! Between them and their clients stand [`FaultProxy`], which knows HTTP, [`TcpProxy`], which knows nothing, and
//! [`Balancer`], which has several replicas behind it.
//!
//! [`identity`] has the services that hand out temporary credentials for them.
//!
//! A server starts on a free loopback port with its data in a temporary folder, answers when `start` returns, holds
//! one bucket or as many databases as are asked for, and ends with its value, or at the latest with the process that
//! started it. [`install`] puts the programs that Debian need not have into the cache of the development tools;
//! `cargo xtask setup` brings both.

mod account;
mod azurite;
mod balancer;
mod cache;
mod folder;
mod gcs;
mod host;
mod http;
pub mod identity;
pub mod install;
mod moto;
mod openid;
mod oss;
mod pgbouncer;
mod port;
mod postgres;
mod program;
pub mod proxy;
mod s3;
mod swift;
mod tcp_proxy;
mod tls;
mod token_server;
mod versity;
mod wait;
mod xml;

pub use azurite::Azurite;
pub use balancer::Balancer;
pub use gcs::Gcs;
pub use moto::Moto;
pub use openid::OpenIdProvider;
pub use oss::Oss;
pub use pgbouncer::PgBouncer;
pub use port::free_port;
pub use postgres::{Postgres, PostgresOptions};
pub use proxy::{Fault, FaultProxy};
pub use s3::S3Access;
pub use swift::{Swift, SwiftUser};
pub use tcp_proxy::TcpProxy;
pub use tls::Certificate;
pub use token_server::{KeyKind, SignedBy, TokenServer};
pub use versity::VersityGateway;
