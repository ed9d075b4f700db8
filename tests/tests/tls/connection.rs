//! A client that chooses what it offers, and shows what it got.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use berth_tests::authority::{Issued, Trust};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A server that says nothing for so long has hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection over TLS, for HTTP/1.1.
pub(crate) struct Connection(StreamOwned<ClientConnection, TcpStream>);

/// What a client trusts and offers.
pub(crate) fn config(trust: &Trust, protocols: &[&str]) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trust.authority.as_bytes())?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match &trust.identity {
        Some(Issued { certificate, key }) => builder.with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(key.as_bytes())?,
        )?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Ok(config)
}

impl Connection {
    pub(crate) fn open(server: SocketAddr, config: &Arc<ClientConfig>) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut session = ClientConnection::new(config.clone(), server.ip().into())?;
        let mut stream = stream;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Self(StreamOwned::new(session, stream)))
    }

    /// Asks for the version of the API, and gives the status of the answer.
    pub(crate) fn ask(&mut self) -> Result<u16> {
        self.0.write_all(b"GET /v2/ HTTP/1.1\r\nHost: registry.test\r\n\r\n")?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"{}") {
            let mut buffer = [0; 1024];
            let len = self.0.read(&mut buffer)?;
            ensure!(len > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..len]);
        }
        let status = answer.get(9..12).context("no status")?;
        Ok(String::from_utf8_lossy(status).parse()?)
    }

    /// The protocol that the server chose.
    pub(crate) fn protocol(&self) -> Option<String> {
        let chosen = self.0.conn.alpn_protocol()?;
        Some(String::from_utf8_lossy(chosen).into_owned())
    }

    /// The server's certificate.
    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        let chain = self.0.conn.peer_certificates()?;
        chain.first().map(|certificate| certificate.to_vec())
    }
}

/// One request over a connection of its own.
pub(crate) fn ask(server: SocketAddr, trust: &Trust) -> Result<u16> {
    Connection::open(server, &Arc::new(config(trust, &[])?))?.ask()
}
