//! Connections: listening, TLS, timeouts, limits, draining, and sending files.

mod connection;
mod deadline;
mod listener;
mod loopback;
pub(crate) mod page_cache;
mod repoll;
#[cfg(target_os = "linux")]
pub(crate) mod sendfile;
#[cfg(not(target_os = "linux"))]
#[path = "sendfile_elsewhere.rs"]
pub(crate) mod sendfile;
mod streams;
mod tls;

pub use listener::{Listener, Server};
pub use tls::{CertificateName, ClientCertificate, Tls, TlsError, TlsWatch};
