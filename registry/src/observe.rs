//! What operators see: metrics, and the access log.

mod access_log;
mod collection;
mod event_metrics;
mod metrics;
mod mirror;
mod retention;
mod scrub;
mod tls;

pub use access_log::AccessLog;
pub(crate) use access_log::AccessRecord;
pub(crate) use event_metrics::EventMetrics;
pub(crate) use metrics::Metrics;
