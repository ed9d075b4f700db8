//! The Distribution API: HTTP on top, services under it.
//!
//! A request is parsed once into an [`http::Action`]; authorization, metrics and dispatch match on
//! it. Handlers parse, call one service and render. Services know nothing of HTTP. What they do is told
//! to others by `notifications`.

mod access;
mod audit;
mod backup;
mod content_name;
pub mod control;
mod error;
mod export;
pub mod http;
mod import;
mod journal;
mod notifications;
mod observe;
mod place;
mod push_observer;
mod rates;
mod registry;
mod retention;
mod scrub;
pub mod server;
mod services;

pub use access::{AccessControl, AccessError, draw_password};
pub use backup::{Backup, BackupError, BackupSource, Backups};
pub use content_name::{ContentName, ContentNameError};
pub use error::{DigestMismatch, NamedManifest, RegistryError, UpkeepError};
pub use export::Exported;
pub use import::{Finding, Imported};
pub use observe::AccessLog;
pub use place::Place;
pub use push_observer::PushObserver;
pub use registry::Registry;
pub use scrub::{Damage, Scrubbed};
pub use services::{BackgroundTasks, Collected, Pace, Retained, RetentionRun};
