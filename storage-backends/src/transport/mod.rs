//! How requests reach a store.
//!
//! - `direct` reads large pieces over plain HTTP in the task of whoever takes them; `low_water` has
//!   it woken for many bytes at a time.
//! - `ahead` reads everything else that is large in a task of its own.
//!
//! - `patience` is how long a store may let either wait.
//!
//! All requests but large reads, and all that go over TLS or through a proxy, are `reqwest`'s.

mod ahead;
mod direct;
mod low_water;
mod patience;

use std::time::Duration;

use async_trait::async_trait;
use http::header::RANGE;
use http::{HeaderValue, Method, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

use self::direct::Direct;
use self::patience::Patience;

/// What is no larger than this comes in a piece or two.
const LARGE: u64 = 1 << 20;

/// Connects to a store, and to whoever gives out what it takes as proof.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    options: ClientOptions,
    /// `None` where a configured proxy leads everywhere.
    direct: Option<Direct>,
    patience: Patience,
}

/// How a store is connected to, beside what `ClientOptions` tell nobody.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) user_agent: HeaderValue,
    /// How long a connection may take to be made.
    pub(crate) connect_timeout: Duration,
    /// How long an answer, or its next bytes, may take.
    pub(crate) read_timeout: Duration,
    /// Whether everything goes through a proxy that is configured.
    pub(crate) is_proxied: bool,
    /// The bytes in a part of an object.
    pub(crate) part: u64,
}

impl Transport {
    pub(crate) fn new(options: ClientOptions, settings: &Settings) -> Self {
        let direct = (!settings.is_proxied).then(|| Direct::new(settings));
        let patience = Patience { timeout: settings.read_timeout, part: settings.part };
        Self { options, direct, patience }
    }

    /// What the clients of stores take beside the transport.
    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// A client for requests of our own.
    pub(crate) fn client(&self) -> object_store::Result<HttpClient> {
        self.connect(&self.options)
    }
}

impl HttpConnector for Transport {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let general = ReqwestConnector::default().connect(options)?;
        let direct = self.direct.clone();
        // As the general client does, at this moment.
        let proxies = Matcher::from_system();
        let patience = self.patience.clone();
        Ok(HttpClient::new(Service { general, direct, proxies, patience }))
    }
}

/// Sends each request on the way that is best for it.
#[derive(Debug)]
struct Service {
    general: HttpClient,
    direct: Option<Direct>,
    /// The proxies of the environment.
    proxies: Matcher,
    patience: Patience,
}

impl Service {
    /// The client for large reads that neither TLS nor a proxy stands before.
    fn direct(&self, uri: &Uri) -> Option<&Direct> {
        let is_plain = uri.scheme_str() == Some("http") && self.proxies.intercept(uri).is_none();
        self.direct.as_ref().filter(|_| is_plain)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if !is_large_read(&request) {
            return self.general.execute(request).await;
        }
        if let Some(direct) = self.direct(request.uri()) {
            let answer = direct.call(request.clone()).await?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            // Where redirections lead is the general client's matter.
        }
        Ok(self.general.execute(request).await?.map(ahead::read_ahead))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let more = self.patience.more_for(&request);
        self.patience.wait(more, self.send(request)).await
    }
}

fn is_large_read(request: &HttpRequest) -> bool {
    let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
    request.method() == Method::GET && range.and_then(range_len).is_some_and(|len| len > LARGE)
}

/// How many bytes a range of the kind `bytes=0-9` has.
fn range_len(range: &str) -> Option<u64> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Request;
    use object_store::client::HttpRequestBody;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const SIZE: usize = 3 << 20;

    /// A store that gives zeros, and counts its connections.
    struct Zeros {
        address: String,
        connections: Arc<AtomicUsize>,
    }

    impl Zeros {
        /// It closes each connection after so many answers.
        async fn start(answers: usize) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            let connections = Arc::<AtomicUsize>::default();
            let counter = Arc::clone(&connections);
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    counter.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream, answers));
                }
            });
            Self { address, connections }
        }

        async fn read(&self, client: &HttpClient, path: &str) -> usize {
            let request = Request::get(format!("{}{path}", self.address))
                .header(RANGE, format!("bytes=0-{}", SIZE - 1))
                .body(HttpRequestBody::empty());
            let answer = client.execute(request.unwrap()).await.unwrap();
            answer.into_body().bytes().await.unwrap().len()
        }
    }

    async fn serve(mut stream: TcpStream, answers: usize) {
        for _ in 0..answers {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            let answer = match head.starts_with(b"GET /moved ") {
                true => b"HTTP/1.1 307 Moved\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".to_vec(),
                false => {
                    let head = format!("HTTP/1.1 206 Partial\r\ncontent-length: {SIZE}\r\n\r\n");
                    [head.into_bytes(), vec![0; SIZE]].concat()
                }
            };
            stream.write_all(&answer).await.unwrap();
        }
    }

    fn client() -> HttpClient {
        let settings = Settings {
            user_agent: HeaderValue::from_static("berth"),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            is_proxied: false,
            part: 1 << 20,
        };
        Transport::new(ClientOptions::new().with_allow_http(true), &settings).client().unwrap()
    }

    #[tokio::test]
    async fn a_connection_serves_one_large_read_after_another() {
        let (store, client) = (Zeros::start(usize::MAX).await, client());
        for _ in 0..3 {
            assert_eq!(store.read(&client, "/").await, SIZE);
        }
        assert_eq!(store.connections.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_connection_that_the_store_has_closed_meanwhile_is_replaced() {
        let (store, client) = (Zeros::start(1).await, client());
        for _ in 0..3 {
            assert_eq!(store.read(&client, "/").await, SIZE);
        }
        assert_eq!(store.connections.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_large_read_follows_where_it_is_redirected() {
        let (store, client) = (Zeros::start(usize::MAX).await, client());
        assert_eq!(store.read(&client, "/moved").await, SIZE);
    }

    #[test]
    fn ranges_are_measured() {
        assert_eq!(range_len("bytes=0-0"), Some(1));
        assert_eq!(range_len("bytes=10-1048585"), Some(1 << 20));
        for odd in ["bytes=5-", "bytes=-5", "bytes=9-1", "bytes=0-1,3-4", "lines=0-1"] {
            assert_eq!(range_len(odd), None, "{odd}");
        }
    }
}
