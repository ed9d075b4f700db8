//! What a request must fulfil before the API looks at it: who made it, from where, and how long it is.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use berth_config::Config;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use tracing::error;

use super::problem::Cause;
use super::{Api, Call, Origin, Problem};
use crate::access::Caller;
use crate::access::administration::Asker;
use crate::http::gate::{self, Challenger};
use crate::http::{ConnectionInfo, audited, forwarded};

/// The longest body, in bytes.
const LONGEST: usize = 64 * 1024;

/// How much of a longer one is read, so that its client gets to read the answer.
const DISCARDED: usize = 8 << 20;

/// Answers a request to a path of the API, and says who made it.
pub(in crate::http) async fn answer<B>(
    api: &Api,
    config: &Config,
    path: &str,
    head: Parts,
    body: B,
    connection: &Arc<ConnectionInfo>,
    id: &HeaderValue,
) -> (Response<Body>, Option<Caller>)
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let body = collect(body, config.http.limits.bodytimeout.get()).await;
    let (mut response, caller) = match identify(api, config, &head, connection).await {
        Ok(caller) => {
            let response = match admitted(path, head, body) {
                Ok((request, body)) => {
                    let asker = Asker::Caller(caller.clone());
                    let prefix = config.http.path_prefix().to_owned();
                    let origin = Origin {
                        source: forwarded::client(&request.headers, connection, config),
                        request: id.to_str().ok().map(str::to_owned),
                    };
                    api.answer(Call { asker, request, body, prefix, origin }).await
                }
                Err(problem) => problem.into(),
            };
            (response, Some(caller))
        }
        Err(problem) => {
            audit_refusal(api, config, (&head, connection, id), &problem);
            (problem.into(), None)
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(Cause(cause)) = response.extensions_mut().remove() {
        let (id, status) = (id.to_str().unwrap_or_default(), response.status().as_u16());
        error!(request.id = id, action = "api", status, cause, "the request failed");
    }
    (response, caller)
}

/// Whoever made a request, who must not be nobody.
async fn identify(
    api: &Api,
    config: &Config,
    head: &Parts,
    connection: &ConnectionInfo,
) -> Result<Caller, Problem> {
    let Some(access) = &api.registry.access else {
        return Err(Problem::not_found(
            "everybody may do everything here, so there is nothing to administer: set auth.accounts.enabled (REGISTRY_AUTH_ACCOUNTS_ENABLED=true), after `berth user create --admin NAME` has made the first administrator",
        ));
    };
    let challenger = Challenger { config, head };
    let error = match gate::identify(access, config, head, connection).await {
        Ok(caller) if !caller.is_anonymous() => {
            gate::count_administrator(&api.registry, config, &caller)?;
            return Ok(caller);
        }
        Ok(_) => challenger.anonymous(None),
        Err(error) => challenger.unknown(error, None),
    };
    gate::count_nameless(&api.registry, config, head, connection)?;
    let problem = Problem::from(error);
    // A token of the token service is for repositories, and would not do.
    Err(match problem.status() == StatusCode::UNAUTHORIZED {
        true => problem.with_header(WWW_AUTHENTICATE, challenger.password()),
        false => problem,
    })
}

/// Tells the audit log of who was not let in.
fn audit_refusal(
    api: &Api,
    config: &Config,
    (head, connection, id): (&Parts, &ConnectionInfo, &HeaderValue),
    problem: &Problem,
) {
    let shows_something = head.headers.contains_key(AUTHORIZATION);
    if let Some(log) = &api.registry.audit
        && shows_something
        && !config.audit.disabled
    {
        let source = forwarded::client(&head.headers, connection, config);
        log.record(audited::login(head, source, id, None, problem.status()));
    }
}

/// The request as the API sees it.
fn admitted(
    path: &str,
    mut head: Parts,
    body: Result<Bytes, Problem>,
) -> Result<(Parts, Bytes), Problem> {
    let is_change = !matches!(head.method, Method::GET | Method::HEAD);
    if is_change && is_cross_site(&head.headers) {
        return Err(Problem::denied("pages of other sites may change nothing here"));
    }
    let target = match head.uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let target: PathAndQuery =
        target.parse().map_err(|_| Problem::invalid("the address is malformed"))?;
    head.uri = Uri::from(target);
    Ok((head, body?))
}

/// Whether a browser says that a page of another site made the request, with credentials that it
/// remembers of this one.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
}

async fn collect<B>(body: B, limit: Duration) -> Result<Bytes, Problem>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    tokio::time::timeout(limit, read(body)).await.unwrap_or_else(|_| Err(Problem::timeout()))
}

async fn read<B>(mut body: B) -> Result<Bytes, Problem>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let (mut bytes, mut len) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::invalid("the body ended early"))?;
        let Ok(data) = frame.into_data() else { continue };
        len += data.len();
        if len <= LONGEST {
            bytes.extend_from_slice(&data);
        } else if len > DISCARDED {
            break;
        }
    }
    match len > LONGEST {
        true => Err(Problem::too_large()),
        false => Ok(bytes.freeze()),
    }
}
