//! The typed configuration of Berth: a superset of `registry:2`'s `config.yml`.
//!
//! [`Config::load`] reads a YAML file, lays the environment over it, checks the result and returns it with the lines
//! an operator should see. Every struct has a `Default` that is a working registry, so no file is needed at all.
//!
//! One source of truth: the structs. Their JSON Schema, generated at first use, names every key, and the
//! environment, the "did you mean" hints, the notices, the reload rules and `docs/reference/configuration.md` are all
//! read from it. Keys that need more than a type say so in schema extensions:
//!
//! | extension | meaning |
//! |---|---|
//! | `x-berth-type` | what the text is, for people: `duration`, `size`, `path`, `pattern`, `glob`, `network` |
//! | `x-berth-default` | the default in words, where it depends on other keys |
//! | `x-berth-reload` | a reload applies a change of this key (or section); without it a restart is needed |
//! | `x-berth-secret` | never shown |
//! | `x-berth-driver` | a storage driver: exactly one is chosen |
//! | `x-berth-named` | its name alone may stand in place of the section that holds it: `auth: htpasswd` |
//! | `x-berth-ignored` | a key of `registry:2` that means nothing here, and why |
//! | `x-berth-refused` | a key of `registry:2` that this build cannot honour, and what to do |
//! | `x-berth-refused-choices` | values of `registry:2` that are refused, each with the reason |
//!
//! Key names hold no underscore, so that `REGISTRY_A_B` can only mean `a.b`; Rust fields are spelled like the keys.

mod audit;
mod auth;
mod catalog;
mod check;
mod cidr;
mod document;
mod driver;
mod duration;
mod engine;
mod environment;
mod error;
mod glob;
mod health;
mod http;
mod load;
mod log;
mod metadata;
mod mirror;
mod notice;
mod notifications;
mod opaque;
mod path;
mod pattern;
mod policy;
mod reference;
mod reload;
mod root;
mod schema;
mod secret;
mod size;
mod storage;
mod validation;

pub use audit::Audit;
pub use auth::{
    Accounts, Auth, CertificateIdentity, CertificateName, DeclaredGrant, HtpasswdFile,
    LoginAttempts, TokenServer, Tokens, WorkloadIssuer, WorkloadRule,
};
pub use catalog::Catalog;
pub use cidr::Cidr;
pub use duration::GoDuration;
pub use engine::Engine;
pub use environment::variables;
pub use error::ConfigError;
pub use glob::Glob;
pub use health::{Health, StorageDriverHealth};
pub use http::{
    CipherSuite, ClientAuth, DebugListener, H2c, Http, Http2, Limits, Listen, Network, Prometheus,
    Rates, Tls, TlsVersion,
};
pub use load::{Loaded, Origin};
pub use log::{AccessLog, Log, LogFormatter, LogLevel};
pub use metadata::{Metadata, Pooling, Postgres, Sqlite};
pub use mirror::{Budget, Cloud, Helper, Mirror, Proxy, ProxyExec, Upstream, UpstreamTimeouts};
pub use notifications::{Events, Ignore, NotificationEndpoint, Notifications, NotifiedAction};
pub use opaque::Opaque;
pub use pattern::Pattern;
pub use policy::{
    ImmutableTags, Keep, NamedRule, Policy, Prefix, Quota, Retention, RetentionRule,
    VersionRequirement,
};
pub use reference::reference_markdown;
pub use root::Config;
pub use secret::Secret;
pub use size::ByteSize;
pub use storage::{
    Azure, AzureCredentials, AzureCredentialsType, Backup, BlobDescriptorCache, Cache, Delete,
    Driver, EndpointType, Filesystem, Gcs, InMemory, Maintenance, ObjectAcl, Oss, ReadOnly,
    Redirect, Remote, RemoteDriver, S3, Scrub, Storage, Swift, Tag, UploadPurging,
};
pub use validation::{Blobs, Indexes, Manifests, Platform, Platforms, Urls, Validation};
