use std::net::IpAddr;
use std::sync::Arc;

use crate::server::ClientCertificate;
use crate::server::sendfile::SendfileConnection;

/// What is known of the connection that a request came over.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// The peer's address, for the log.
    pub remote: String,
    /// The address alone, where the peer has one.
    pub ip: Option<IpAddr>,
    /// Whether it is over TLS.
    pub secure: bool,
    /// The certificate that its client has shown, verified.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// How to send files over it, where the kernel can.
    pub(crate) sendfile: Option<SendfileConnection>,
}

impl ConnectionInfo {
    /// The same, over which files go through our hands.
    pub(super) fn without_sendfile(&self) -> Self {
        Self {
            remote: self.remote.clone(),
            ip: self.ip,
            secure: self.secure,
            certificate: self.certificate.clone(),
            sendfile: None,
        }
    }
}
