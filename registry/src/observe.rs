//! What operators see: metrics, and the access log.

mod access_log;
mod collection;
mod metrics;

pub use access_log::AccessLog;
pub(crate) use access_log::AccessRecord;
pub(crate) use metrics::Metrics;
