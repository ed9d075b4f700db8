use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use berth_config::Config;
use futures_util::StreamExt;
use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use hyper::body::Incoming;
use tower::ServiceExt;
use tracing::{error, info, warn};

use super::account::{Account, Logged, REQUEST_ID, RequestIds};
use super::action::{Action, ActionError};
use super::api::{self, Api};
use super::audited::{self, Audited};
use super::handlers::{Context, handle};
use super::paced::Paced;
use super::query::Query;
use super::{ApiError, ConnectionInfo, forwarded, gate, operations, render, token};
use crate::access::Caller;
use crate::audit::AuditLog;
use crate::notifications::Origin;
use crate::rates::Pass;
use crate::services::{self, BodyPump, BodyReader};
use crate::{AccessLog, Registry, RegistryError};

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// Which registry an answer of a mirror speaks of.
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

/// How much of a body is read and thrown away after an error, so that the client gets to read the
/// answer instead of a broken connection.
const DISCARD_LIMIT: u64 = 8 << 20;

/// The whole HTTP face: the Distribution API and, beside it, what operators ask.
#[derive(Debug)]
pub struct App {
    registry: Arc<Registry>,
    api: Api,
    operations: Router,
    access_log: Option<AccessLog>,
    request_ids: RequestIds,
}

impl App {
    /// The face of `registry`. Metrics are served at `metrics_path`, or not at all.
    pub fn new(
        registry: Arc<Registry>,
        access_log: Option<AccessLog>,
        metrics_path: Option<&str>,
    ) -> Self {
        let operations = operations::router(registry.clone(), metrics_path);
        let api = Api::new(registry.clone());
        Self { registry, api, operations, access_log, request_ids: RequestIds::new() }
    }

    /// The registry that it shows.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Answers a request, and tells the metrics and the access log.
    pub async fn answer(
        self: Arc<Self>,
        request: http::Request<Incoming>,
        connection: Arc<ConnectionInfo>,
    ) -> Response<Body> {
        let config = self.registry.config();
        let id = self.request_ids.of(request.headers());
        let is_head = request.method() == Method::HEAD;
        let log = self.access_log.as_ref().filter(|_| !config.log.accesslog.disabled);
        let logged = log.map(|log| (log, Logged::of(&request, id.clone(), connection.clone())));
        let mut account = Account::open(&self.registry.metrics, logged);
        let Answered { label, caller, mut response } =
            self.route(request, config.clone(), connection, &id).await;
        response.headers_mut().insert(REQUEST_ID, id);
        add_headers(response.headers_mut(), &config);
        if is_head {
            render::remove_body(&mut response);
        }
        account.close(label, caller, &response);
        response
    }

    async fn route(
        &self,
        request: http::Request<Incoming>,
        config: Arc<Config>,
        connection: Arc<ConnectionInfo>,
        id: &HeaderValue,
    ) -> Answered {
        let (head, body) = request.into_parts();
        let root = path_of(&head, &config).and_then(Root::of);
        let call = Call { head, body, config, connection, id };
        match root {
            Some(Root::Distribution) => self.distribution(call).await,
            Some(Root::Administration) => self.administration(call).await,
            Some(Root::Token) if call.config.auth.issues_tokens() => self.token(call).await,
            // The prefix is that of the API. Operators ask this process, not the world through a proxy.
            _ => {
                let request = Request::from_parts(call.head, Body::new(call.body));
                let response = match self.operations.clone().oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                Answered { label: "operations", caller: None, response }
            }
        }
    }

    async fn administration(&self, call: Call<'_>) -> Answered {
        let path = call.path().to_owned();
        let Call { head, body, config, connection, id } = call;
        let (response, caller) =
            api::answer(&self.api, &config, &path, head, body, &connection, id).await;
        Answered { label: "api", caller: caller.map(|caller| caller.name), response }
    }

    async fn token(&self, call: Call<'_>) -> Answered {
        let wants_keys = call.path() == token::KEYS_PATH;
        let Call { head, body, config, connection, id } = call;
        let Some(access) = &self.registry.access else {
            let error = ActionError::NotFound.into();
            return Answered { label: "token", caller: None, response: render::error(&error) };
        };
        if let Err(error) = gate::count_nameless(&self.registry, &config, &head, &connection) {
            return Answered { label: "token", caller: None, response: render::error(&error) };
        }
        let (answered, caller) = match wants_keys {
            true => (token::keys(access, &head), None),
            false => token::answer(access, &config, &head, body, &connection).await,
        };
        if let (Some(log), Ok(response)) = (self.audit(&config), &answered) {
            let source = forwarded::client(&head.headers, &connection, &config);
            let actor = caller.as_ref().map(|caller| &*caller.name);
            log.record(audited::login(&head, source, id, actor, response.status()));
        }
        let response = answered.unwrap_or_else(|error| {
            log_error("token", id, &error);
            render::error(&error)
        });
        Answered { label: "token", caller: caller.map(|caller| caller.name), response }
    }

    async fn distribution(&self, call: Call<'_>) -> Answered {
        let id = call.id.clone();
        let action = Action::parse(&call.head.method, call.path(), call.head.uri.query());
        let namespace = namespace(call.head.uri.query());
        let (action, namespace) = match (action, namespace) {
            (Ok(action), Some(host)) => self.in_namespace(action, host),
            (action, _) => (action, None),
        };
        let label = action.as_ref().map_or("malformed", Action::label);
        let admitted =
            gate::admit(&self.registry, &call.config, &action, &call.head, &call.connection).await;
        let caller = admitted.as_ref().ok().map(|caller| caller.name.clone());
        let is_audited = self.audit(&call.config).is_some();
        let answered = match (admitted, action) {
            (Ok(caller), Ok(action)) => match self.count(&action, &caller, &call) {
                Ok(pass) => {
                    let told = is_audited && Audited::is_told(&action, &call.config);
                    let audited = told.then(|| call.audited(&action));
                    self.act(action, caller, audited, pass, call).await
                }
                Err(error) => {
                    self.discard(call).await;
                    Err(error)
                }
            },
            (Err(error), action) => {
                if let (Some(log), Ok(action)) = (self.audit(&call.config), &action) {
                    log.record(call.audited(action).refused(&call.head, &error));
                }
                self.discard(call).await;
                Err(error)
            }
            (Ok(_), Err(error)) => {
                self.discard(call).await;
                Err(error.into())
            }
        };
        let mut response = answered.unwrap_or_else(|error| {
            log_error(label, &id, &error);
            render::error(&error)
        });
        response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        if let Some(host) = namespace.and_then(|host| HeaderValue::try_from(host).ok()) {
            response.headers_mut().insert(NAMESPACE, host);
        }
        Answered { label, caller, response }
    }

    /// The same of the mirror that stands for another registry, where the client says that it speaks
    /// of that; and that registry, where there is such a mirror.
    fn in_namespace(
        &self,
        action: Action,
        host: String,
    ) -> (Result<Action, ActionError>, Option<String>) {
        match action.renamed(|name| self.registry.mirror.local_name(&host, name)) {
            (action, true) => (Ok(action), Some(host)),
            (action, false) => (Ok(action), None),
        }
    }

    fn count(&self, action: &Action, caller: &Caller, call: &Call<'_>) -> Result<Pass, ApiError> {
        let Call { head, config, connection, .. } = call;
        gate::count(&self.registry, config, action, caller, head, connection)
    }

    /// The audit log, where one is kept.
    fn audit(&self, config: &Config) -> Option<&AuditLog> {
        self.registry.audit.as_ref().filter(|_| !config.audit.disabled)
    }

    /// Reads the body of a request that is refused, so that its client gets to read the answer.
    async fn discard(&self, call: Call<'_>) {
        let pass = Pass::default();
        let (pump, mut body) = self.body(call.body, &call.head.headers, &call.config, &pass);
        tokio::select! {
            () = discard(&mut body, &call.head.headers) => {}
            () = pump.run() => {}
        }
    }

    async fn act(
        &self,
        action: Action,
        caller: Caller,
        audited: Option<Audited>,
        pass: Pass,
        call: Call<'_>,
    ) -> Result<Response<Body>, ApiError> {
        let Call { head, body, config, connection, id } = call;
        // To look at what is there is not to pull it.
        let origin = match action.touches_content() && head.method != Method::HEAD {
            true => self.registry.notifications.origin(&head, id, &connection, &config, &caller),
            false => Origin::default(),
        };
        let (pump, body) = match action.is_write() {
            true => {
                let (pump, body) = self.body(body, &head.headers, &config, &pass);
                (Some(pump), body)
            }
            false => (None, BodyReader::empty()),
        };
        let http = &config.http;
        let base_url = format!("{}{}", http.external_url().unwrap_or_default(), http.path_prefix());
        let mut context = Context {
            registry: self.registry.clone(),
            config,
            caller,
            method: head.method,
            headers: head.headers,
            body,
            // What the kernel sends by itself is sent as fast as it goes.
            connection: match pass.is_paced() {
                true => Arc::new(connection.without_sendfile()),
                false => connection,
            },
            origin,
            base_url,
        };
        let Some(pump) = pump else {
            let result = handle(action, &mut context).await;
            record(&context, audited, &result);
            return result.map(|response| match pass.is_paced() {
                true => response.map(|body| Body::new(Paced::new(body, pass))),
                false => response,
            });
        };
        // What a client began runs to its end, even when the client goes: a task of its own is
        // not dropped with the connection.
        let mut task = self.registry.writes.spawn(async move {
            let _counted = pass;
            let result = handle(action, &mut context).await;
            record(&context, audited, &result);
            if result.is_err() {
                discard(&mut context.body, &context.headers).await;
            }
            result
        });
        let result = tokio::select! {
            biased;
            result = &mut task => result,
            () = pump.run() => task.await,
        };
        result.unwrap_or_else(|error| {
            Err(RegistryError::Internal { cause: error.to_string() }.into())
        })
    }

    fn body(
        &self,
        body: Incoming,
        headers: &HeaderMap,
        config: &Config,
        pass: &Pass,
    ) -> (BodyPump, BodyReader) {
        let received = self.registry.metrics.received_bytes.clone();
        let pass = pass.is_paced().then(|| pass.clone());
        let frames = http_body_util::BodyDataStream::new(body).then(move |frame| {
            if let Ok(bytes) = &frame {
                received.inc_by(bytes.len() as u64);
            }
            let pass = pass.clone();
            async move {
                if let (Some(pass), Ok(bytes)) = (pass, &frame) {
                    pass.take(bytes.len()).await;
                }
                frame.map_err(|error| error.to_string())
            }
        });
        let idle_limit = config.http.limits.bodytimeout.get();
        let memory = self.registry.upload_memory.clone();
        services::body(frames, awaits_continue(headers), idle_limit, memory)
    }
}

/// A request to one of the APIs.
struct Call<'a> {
    head: Parts,
    body: Incoming,
    config: Arc<Config>,
    connection: Arc<ConnectionInfo>,
    id: &'a HeaderValue,
}

impl Call<'_> {
    /// Its path, below the prefix of the configuration.
    fn path(&self) -> &str {
        path_of(&self.head, &self.config).unwrap_or_default()
    }

    /// What the audit log says of it.
    fn audited(&self, action: &Action) -> Audited {
        Audited::of(action, &self.head, &self.connection, &self.config, self.id)
    }
}

/// An answer, and what is told of it.
struct Answered {
    label: &'static str,
    /// Who has asked, where that is known.
    caller: Option<Arc<str>>,
    response: Response<Body>,
}

/// Puts what was done into the audit log, whether or not its client is still there.
fn record(context: &Context, audited: Option<Audited>, result: &Result<Response<Body>, ApiError>) {
    if let (Some(log), Some(audited)) = (&context.registry.audit, audited) {
        log.record(audited.answered(&context.caller.name, result));
    }
}

/// Reads the rest of a refused body, unless its client waits to be asked for it.
async fn discard(body: &mut BodyReader, headers: &HeaderMap) {
    if !awaits_continue(headers) {
        body.discard(DISCARD_LIMIT).await;
    }
}

/// Whether a client waits to be told to send its body. The one expectation that there is is the
/// one that this header names (RFC 9110 section 10.1.1).
fn awaits_continue(headers: &HeaderMap) -> bool {
    headers.contains_key(EXPECT)
}

/// The registry that a client speaks of, where it asks this one in its place.
fn namespace(query: Option<&str>) -> Option<String> {
    let host = Query::new(query).first("ns")?.into_owned();
    Some(host).filter(|host| !host.is_empty())
}

/// The path of a request, below the prefix of the configuration; `None` where it is not below it.
fn path_of<'h>(head: &'h Parts, config: &Config) -> Option<&'h str> {
    head.uri.path().strip_prefix(config.http.path_prefix())
}

/// What a path is of.
#[derive(Clone, Copy, Debug)]
enum Root {
    /// The Distribution API, or what we have beside it for content.
    Distribution,
    /// Accounts and grants.
    Administration,
    /// The token service.
    Token,
}

impl Root {
    fn of(path: &str) -> Option<Self> {
        let is_below = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if is_below("/v2") || is_below("/api/v1/repositories") {
            return Some(Self::Distribution);
        }
        if is_below(api::ROOT) {
            return Some(Self::Administration);
        }
        is_below(gate::TOKEN_PATH).then_some(Self::Token)
    }
}

/// Adds the headers that the configuration wants on every answer.
fn add_headers(headers: &mut HeaderMap, config: &Config) {
    for (name, values) in &config.http.headers {
        // The configuration was checked; what cannot be a header never got here.
        let Ok(name) = HeaderName::try_from(name) else { continue };
        for value in values.iter().filter_map(|value| HeaderValue::try_from(value).ok()) {
            headers.append(name.clone(), value);
        }
    }
}

fn log_error(action: &'static str, id: &HeaderValue, error: &ApiError) {
    let id = id.to_str().unwrap_or_default();
    let first = error.body.errors.first();
    let message = first.map_or("", |entry| entry.message.as_str());
    let status = error.status.as_u16();
    match (&error.cause, status) {
        (cause, 500..) => {
            error!(request.id = id, action, status, cause, "{message}");
        }
        (Some(cause), _) => warn!(request.id = id, action, status, cause, "{message}"),
        // Clients ask for what is not there all the time.
        (None, 404) => {}
        (None, _) => info!(request.id = id, action, status, "{message}"),
    }
}
