//! Connections: listening, TLS, timeouts, limits, draining, and sending files.

mod connection;
mod deadline;
mod listener;
mod loopback;
mod repoll;
pub(crate) mod sendfile;
mod streams;
mod tls;

pub use listener::{Listener, Server};
pub use tls::{CertificateName, ClientCertificate, Tls, TlsError, TlsWatch};
