//! Requests to a registry: what is shown with them, where their answers lead, and what goes wrong.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::{Body, Client, Response, Url};
use serde::Deserialize;
use tokio::time::timeout;

use crate::challenge::{self, Challenge};
use crate::options::in_words;
use crate::rate_limit::{RateLimit, retry_after};
use crate::token::{self, Token, Tokens, Wanted};
use crate::{ClientError, ClientOptions, OptionsError, RegistryUrl, network, trust};

/// How many answers in a row may lead elsewhere.
const REDIRECTS: usize = 5;

/// How long a body may take to be sent.
const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest error that is read, in bytes.
const LONGEST_ERROR: usize = 64 * 1024;

/// The connections to one registry, and what is known of what it asks for.
#[derive(Debug)]
pub(crate) struct Transport {
    url: RegistryUrl,
    authority: String,
    options: ClientOptions,
    own: Client,
    /// For what belongs to a registry that itself speaks no TLS.
    encrypted: OnceLock<Client>,
    /// For where a registry on the Internet sends us: it keeps out of private networks.
    elsewhere: OnceLock<Client>,
    /// What it asked for last, so that the next request brings it at once.
    asks_for: Mutex<Option<Challenge>>,
    tokens: Tokens,
    rate_limit: Mutex<Option<RateLimit>>,
}

/// A request that can be made again.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// What a token must be for.
    pub(crate) scope: String,
    /// What is asked for, in the words of an error.
    pub(crate) what: String,
    /// What is sent; nothing for most.
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(method: Method, url: Url, scope: String, what: String) -> Self {
        Self { method, url, headers: HeaderMap::new(), scope, what, body: Bytes::new() }
    }
}

/// What is shown with a request.
enum Shown {
    Nothing,
    Password(HeaderValue),
    Token(Wanted, Token),
}

impl Shown {
    fn header(&self) -> Option<&HeaderValue> {
        match self {
            Self::Nothing => None,
            Self::Password(header) => Some(header),
            Self::Token(_, token) => Some(&token.header),
        }
    }
}

impl Transport {
    pub(crate) fn new(url: RegistryUrl, options: ClientOptions) -> Result<Self, OptionsError> {
        let own = options.own(&url)?;
        Ok(Self {
            authority: url.authority(),
            url,
            options,
            own,
            encrypted: OnceLock::new(),
            elsewhere: OnceLock::new(),
            asks_for: Mutex::default(),
            tokens: Tokens::new(),
            rate_limit: Mutex::default(),
        })
    }

    pub(crate) fn url(&self) -> &RegistryUrl {
        &self.url
    }

    /// What the registry is called in messages.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn rate_limit(&self) -> Option<RateLimit> {
        *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        self.options.stall_timeout
    }

    /// Makes a request, with what the registry asks for, and gives its answer if that is one of
    /// success, or says that nothing changed.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, ClientError> {
        let shown = self.show(self.asks_for().as_ref(), &call.scope).await?;
        let answered = self.follow(call, shown.header()).await?;
        if answered.response.status() != StatusCode::UNAUTHORIZED || !answered.is_own {
            return answered.accept(&call.what).await;
        }
        let Some(asked) = challenge::choose(answered.response.headers()) else {
            return answered.accept(&call.what).await;
        };
        if let Shown::Token(wanted, token) = &shown {
            self.tokens.forget(wanted, token);
        }
        let again = self.show(Some(&asked), &call.scope).await?;
        *self.asks_for.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        match again.header() {
            // The same as before would be refused again.
            header if header == shown.header() => answered.accept(&call.what).await,
            header => self.follow(call, header).await?.accept(&call.what).await,
        }
    }

    /// Makes a request with a body that cannot be sent again, after others that have shown what the
    /// registry asks for. Where it leads elsewhere it is not followed.
    pub(crate) async fn send_once(&self, call: &Call, body: Body) -> Result<Response, ClientError> {
        let is_own = trust::is_same_origin(self.url.as_url(), &call.url);
        let client = self.client_for(&call.url, is_own).await?;
        let mut request = client.request(call.method.clone(), call.url.clone());
        request = request.headers(call.headers.clone()).body(body);
        if is_own {
            let shown = self.show(self.asks_for().as_ref(), &call.scope).await?;
            if let Some(header) = shown.header() {
                request = request.header(AUTHORIZATION, header);
            }
        }
        // The answer begins when the body has ended, which may take long.
        let answered = Answered::of(&self.authority, NO_LIMIT, request.send()).await?;
        answered.accept(&call.what).await
    }

    fn asks_for(&self) -> Option<Challenge> {
        self.asks_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What to show when the registry asks for this.
    async fn show(&self, asked: Option<&Challenge>, scope: &str) -> Result<Shown, ClientError> {
        match asked {
            None => Ok(Shown::Nothing),
            Some(Challenge::Basic) => match self.password().await? {
                Some(password) => Ok(Shown::Password(basic(&password))),
                None => Ok(Shown::Nothing),
            },
            Some(Challenge::Bearer { realm, service, .. }) => {
                let untrusted = || ClientError::UntrustedRealm {
                    registry: self.authority.clone(),
                    realm: without_query(realm),
                };
                let realm = Url::parse(realm).map_err(|_| untrusted())?;
                // Not even a token for nobody is asked for there: the realm may be inside our network.
                if !trust::may_have_credentials(self.url.as_url(), &realm, &self.options.realms) {
                    return Err(untrusted());
                }
                let service = service.clone();
                let wanted = Wanted { realm, service, scope: Some(scope.to_owned()) };
                let fetch = async {
                    let password = self.password().await?;
                    let limit = self.options.answer_timeout;
                    let (registry, password) = (&self.authority, password.as_ref());
                    let client = self.client_of_its_own(&wanted.realm)?;
                    token::fetch(client, registry, &wanted, password, limit).await
                };
                let token = self.tokens.get(&wanted, fetch).await?;
                Ok(Shown::Token(wanted, token))
            }
        }
    }

    async fn password(&self) -> Result<Option<crate::Password>, ClientError> {
        self.options.credentials.get(&self.url).await.map_err(|error| ClientError::Unauthorized {
            registry: self.authority.clone(),
            reason: error.to_string(),
        })
    }

    /// Makes a request, and follows where its answers lead. What is shown to the registry is shown to
    /// nobody else.
    async fn follow(
        &self,
        call: &Call,
        shown: Option<&HeaderValue>,
    ) -> Result<Answered, ClientError> {
        let mut url = call.url.clone();
        for _ in 0..=REDIRECTS {
            let is_own = trust::is_same_origin(self.url.as_url(), &url);
            let client = self.client_for(&url, is_own).await?;
            let mut request =
                client.request(call.method.clone(), url.clone()).headers(call.headers.clone());
            if !call.body.is_empty() {
                request = request.body(call.body.clone());
            }
            if let Some(header) = shown.filter(|_| is_own) {
                request = request.header(AUTHORIZATION, header);
            }
            let sent = request.send();
            let mut answered =
                Answered::of(&self.authority, self.options.answer_timeout, sent).await?;
            answered.is_own = is_own;
            if is_own {
                self.note_rate_limit(answered.response.headers());
            }
            let Some(target) = answered.target() else { return Ok(answered) };
            let target = url.join(target).map_err(|_| self.nonsense("a malformed `Location`"))?;
            if !trust::may_lead(&url, &target) {
                return Err(self.untrusted(&target, "it would leave TLS"));
            }
            url = target;
        }
        Err(self.nonsense("it leads from one address to the next without an end"))
    }

    /// The way to a URL that the registry has sent us to, if it may.
    async fn client_for(&self, url: &Url, is_own: bool) -> Result<&Client, ClientError> {
        if is_own {
            return Ok(&self.own);
        }
        // Who is in a private network may name others there.
        if network::is_in_private_network(self.url.as_url()).await {
            return self.client_of_its_own(url);
        }
        match network::is_in_private_network(url).await {
            true => Err(self.untrusted(url, "it is in a private network")),
            false => self.made(&self.elsewhere, || self.options.elsewhere(&self.url)),
        }
    }

    /// The way to what belongs to the registry.
    fn client_of_its_own(&self, url: &Url) -> Result<&Client, ClientError> {
        match url.scheme() == "https" && !self.url.is_encrypted() {
            true => self.made(&self.encrypted, || self.options.encrypted(&self.url)),
            false => Ok(&self.own),
        }
    }

    /// A way that is made when it is first gone.
    fn made<'a>(
        &self,
        way: &'a OnceLock<Client>,
        make: impl FnOnce() -> Result<Client, OptionsError>,
    ) -> Result<&'a Client, ClientError> {
        if let Some(client) = way.get() {
            return Ok(client);
        }
        let made = make().map_err(|error| ClientError::Unavailable {
            registry: self.authority.clone(),
            reason: error.to_string(),
        })?;
        Ok(way.get_or_init(|| made))
    }

    fn note_rate_limit(&self, headers: &HeaderMap) {
        if let Some(limit) = RateLimit::of(headers) {
            *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner) = Some(limit);
        }
    }

    fn untrusted(&self, target: &Url, reason: &'static str) -> ClientError {
        let target = without_query(target.as_str());
        ClientError::UntrustedRedirect { registry: self.authority.clone(), target, reason }
    }

    pub(crate) fn nonsense(&self, reason: &str) -> ClientError {
        ClientError::Nonsense { registry: self.authority.clone(), reason: reason.to_owned() }
    }
}

/// An answer, of whom.
pub(crate) struct Answered {
    registry: String,
    response: Response,
    /// Whether it is the registry's own.
    is_own: bool,
}

impl Answered {
    /// Waits for an answer's head.
    pub(crate) async fn of(
        registry: &str,
        limit: Duration,
        sent: impl Future<Output = reqwest::Result<Response>>,
    ) -> Result<Self, ClientError> {
        let unavailable =
            |reason: String| ClientError::Unavailable { registry: registry.to_owned(), reason };
        match timeout(limit, sent).await {
            Err(_) => Err(unavailable(format!("it did not answer within {limit:?}"))),
            Ok(Err(error)) => Err(unavailable(in_words(&error.without_url()))),
            Ok(Ok(response)) => Ok(Self { registry: registry.to_owned(), response, is_own: true }),
        }
    }

    /// Where it leads, if it leads elsewhere.
    fn target(&self) -> Option<&str> {
        let leads = matches!(self.response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let location = self.response.headers().get(LOCATION).filter(|_| leads)?;
        location.to_str().ok()
    }

    /// Gives it if it is one of success, or says that nothing changed; else what is wrong.
    pub(crate) async fn accept(self, what: &str) -> Result<Response, ClientError> {
        let Self { registry, response, is_own } = self;
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers());
        let reason = reason(&registry, response).await;
        Err(match status.as_u16() {
            404 => ClientError::NotFound { registry, what: what.to_owned() },
            // What another server asks for, to which the registry has sent us, is not for it to have.
            401 | 403 if !is_own => ClientError::Unavailable { registry, reason },
            401 => ClientError::Unauthorized { registry, reason },
            403 => ClientError::Denied { registry, reason },
            429 => ClientError::TooManyRequests { registry, retry_after },
            408 | 500.. => ClientError::Unavailable { registry, reason },
            _ => ClientError::Nonsense { registry, reason },
        })
    }
}

/// The error of the specification, as far as a person reads it.
#[derive(Deserialize)]
struct Said {
    errors: Vec<SaidError>,
}

#[derive(Deserialize)]
struct SaidError {
    #[serde(default)]
    message: String,
}

/// What an answer of failure says.
async fn reason(registry: &str, response: Response) -> String {
    let status = response.status();
    let limit = Duration::from_secs(5);
    let body = read_bounded(registry, response, LONGEST_ERROR, limit).await.unwrap_or_default();
    let said: Option<Said> = serde_json::from_slice(&body).ok();
    let first = said.and_then(|said| said.errors.into_iter().next());
    match first.filter(|first| !first.message.is_empty()) {
        Some(first) => format!("{} ({status})", first.message),
        None => status.to_string(),
    }
}

/// Reads an answer whole, as far as it is not longer than that.
pub(crate) async fn read_bounded(
    registry: &str,
    mut response: Response,
    longest: usize,
    stall: Duration,
) -> Result<Bytes, ClientError> {
    let registry = || registry.to_owned();
    let mut body = BytesMut::new();
    loop {
        let chunk = match timeout(stall, response.chunk()).await {
            Err(_) => {
                let reason = format!("nothing came for {stall:?}");
                return Err(ClientError::Unavailable { registry: registry(), reason });
            }
            Ok(Err(error)) => {
                let reason = in_words(&error.without_url());
                return Err(ClientError::Unavailable { registry: registry(), reason });
            }
            Ok(Ok(None)) => return Ok(body.freeze()),
            Ok(Ok(Some(chunk))) => chunk,
        };
        if body.len() + chunk.len() > longest {
            let reason = format!("an answer longer than {longest} bytes");
            return Err(ClientError::Nonsense { registry: registry(), reason });
        }
        body.extend_from_slice(&chunk);
    }
}

fn basic(password: &crate::Password) -> HeaderValue {
    use base64::Engine as _;
    let text = format!("{}:{}", password.username, password.password);
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    // Base64 is visible ASCII, so this cannot fail.
    let mut header = HeaderValue::try_from(format!("Basic {text}"))
        .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    header.set_sensitive(true);
    header
}

/// A URL without what may be secret in it.
fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}
