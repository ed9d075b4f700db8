//! The HTTP face of the registry.
//!
//! [`Action`] is what a request asks for, parsed once. [`App`] answers it: checks, one handler,
//! then metrics and the access log. Every error leaves through [`ApiError`] in the
//! specification's JSON.

mod account;
mod action;
pub(crate) mod api;
mod app;
mod arriving;
mod audited;
mod body;
mod chunks;
mod connection_info;
mod content_range;
mod error;
mod face;
mod forwarded;
mod gate;
mod handlers;
mod operations;
mod paced;
mod page;
mod query;
mod range;
mod render;
mod token;

pub use action::{Action, ActionError, StartUpload, UploadWrite};
pub use api::{ApiAnswer, ApiRequest};
pub use app::App;
pub use body::BlobBody;
pub use connection_info::ConnectionInfo;
pub use content_range::ContentRange;
pub use error::ApiError;
pub(crate) use face::{base_url, host, text};
pub use forwarded::claimed as forwarded_addresses;
pub use range::{ByteRange, ResolvedRanges};

#[cfg(test)]
mod action_tests;
