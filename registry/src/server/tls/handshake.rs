use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::policy::H2;
use super::{ClientCertificate, Tls};

/// How much is read from the socket at a time. The TLS library by itself asks for 4 KiB.
const READ_BUFFER: usize = 16 * 1024;

/// The first byte of every TLS connection: a record of the handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// What a client that speaks plain HTTP gets to read, as from Go's server.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\nContent-Length: 48\r\n\r\n\
    client sent an HTTP request to an HTTPS server\r\n";

/// The most that is read of a plain request, so that its client gets to read the answer instead
/// of a broken connection.
const PLAIN_LIMIT: u64 = 256 * 1024;

/// A connection after its handshake.
pub(in crate::server) struct Secured<S> {
    pub(in crate::server) stream: TlsStream<BufReader<S>>,
    /// Whether its client chose HTTP/2.
    pub(in crate::server) http2: bool,
    /// The certificate that its client has shown.
    pub(in crate::server) certificate: Option<Arc<ClientCertificate>>,
}

/// Why there was no connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum HandshakeError {
    /// It was plain HTTP, and is answered.
    #[error("a request without TLS")]
    PlainHttp,
    /// The two did not come to terms.
    #[error("{0}")]
    Failed(#[from] io::Error),
    /// A certificate that was verified and does not tell whose it is.
    #[error("the client's certificate: {0}")]
    Certificate(String),
}

impl Tls {
    /// The server's part of a handshake. It has no time limit of its own.
    pub(in crate::server) async fn accept<S>(&self, stream: S) -> Result<Secured<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = BufReader::with_capacity(READ_BUFFER, stream);
        if is_http(stream.fill_buf().await?) {
            // Its client may have gone, which makes it no less a request without TLS.
            let _gone = refuse_plain_http(stream).await;
            return Err(HandshakeError::PlainHttp);
        }
        let acceptor = TlsAcceptor::from(self.current.load().config.clone());
        let stream = acceptor.accept(stream).await?;
        let (_, session) = stream.get_ref();
        let http2 = session.alpn_protocol() == Some(H2);
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(ClientCertificate::read).transpose();
        let certificate = certificate.map_err(HandshakeError::Certificate)?.map(Arc::new);
        Ok(Secured { stream, http2, certificate })
    }
}

/// Whether these are the first bytes of a request: of a method, or of HTTP/2's preface.
fn is_http(first: &[u8]) -> bool {
    first.first().is_some_and(|byte| *byte != HANDSHAKE && byte.is_ascii_uppercase())
}

async fn refuse_plain_http(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.write_all(PLAIN_HTTP).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(PLAIN_LIMIT), &mut tokio::io::sink()).await?;
    Ok(())
}
