//! The same over TLS, where only the handshake and the request are the client's work: what comes back is counted and
//! not deciphered, so that the server gets the processor.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use berth_test_stores::Certificate;
use sha2::{Digest as _, Sha256};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::head::{Head, request};
use super::pull::{Limit, Pull, Pulled, take_all};

/// A connection after its handshake.
struct Secured {
    session: ClientConnection,
    stream: TcpStream,
}

/// Whoever trusts a certificate.
pub(crate) struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// One that speaks TLS 1.3 with AES-128-GCM, whatever else a server would like better.
    pub(crate) fn new(certificate: &Certificate) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(certificate.authority())?)?;
        let suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
        let provider = CryptoProvider { cipher_suites: suites, ..aws_lc_rs::default_provider() };
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// The digest of what is at a path, deciphered.
    pub(crate) fn digest(&self, server: SocketAddr, path: &str) -> Result<String> {
        let Secured { session, stream } = self.open(server)?;
        let mut stream = StreamOwned::new(session, stream);
        stream.write_all(request(server, "GET", path, &[]).as_bytes())?;
        let mut buffer = vec![0; 256 * 1024];
        let mut head = Vec::new();
        let (parsed, head_len) = loop {
            let len = stream.read(&mut buffer)?;
            ensure!(len > 0, "closed before the head");
            head.extend_from_slice(&buffer[..len]);
            if let Some(parsed) = Head::parse(&head)? {
                break parsed;
            }
        };
        ensure!(parsed.status == 200, "the answer is {}", parsed.status);
        let mut hash = Sha256::new();
        hash.update(&head[head_len..]);
        let mut left = parsed.body_len()? - (head.len() - head_len) as u64;
        while left > 0 {
            let len = stream.read(&mut buffer)?;
            ensure!(len > 0, "closed before the end");
            hash.update(&buffer[..len]);
            left -= len as u64;
        }
        Ok(format!("sha256:{}", hex::encode(hash.finalize())))
    }

    /// Asks for `path` once on each connection, and takes so many bytes of what comes. Those of TLS are counted, too:
    /// one in seven hundred.
    pub(crate) fn pull(
        &self,
        server: SocketAddr,
        path: &str,
        connections: usize,
        bytes: u64,
    ) -> Result<Pulled> {
        let request = request(server, "GET", path, &[]).into_bytes();
        let secured = (0..connections).map(|_| self.open(server));
        let secured = secured.collect::<Result<Vec<_>>>()?;
        let start = Instant::now();
        let pulls = secured.into_iter().map(|connection| connection.ask(&request));
        let mut pulls = pulls.collect::<Result<Vec<_>>>()?;
        take_all(&mut pulls, Limit::Bytes(bytes), start, None)
    }

    fn open(&self, server: SocketAddr) -> Result<Secured> {
        let mut session = ClientConnection::new(self.0.clone(), server.ip().into())?;
        let mut stream =
            TcpStream::connect(server).with_context(|| format!("cannot connect to {server}"))?;
        stream.set_nodelay(true)?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Secured { session, stream })
    }
}

impl Secured {
    fn ask(mut self, request: &[u8]) -> Result<Pull> {
        self.session.writer().write_all(request)?;
        while self.session.wants_write() {
            self.session.write_tls(&mut self.stream)?;
        }
        Ok(Pull::uncounted(self.stream))
    }
}
