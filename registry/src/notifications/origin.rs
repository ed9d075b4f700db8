use std::net::IpAddr;
use std::sync::Arc;

use berth_config::Config;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Notifications;
use super::envelope::{Actor, Request, Source};
use crate::access::Caller;
use crate::http::{ConnectionInfo, base_url, host, text};

/// The request that events come from, as it stands in the database; nothing where nobody wants to
/// know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin(Option<Arc<str>>);

/// What is kept of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Description {
    pub(super) request: Request,
    pub(super) actor: Actor,
    pub(super) source: Source,
    /// What the URLs of content begin with.
    pub(super) base_url: String,
}

impl Origin {
    /// Whether nobody wants to know.
    pub(crate) fn is_nowhere(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn text(&self) -> Option<&Arc<str>> {
        self.0.as_ref()
    }
}

impl Notifications {
    /// Describes a request, if anybody wants to know.
    pub(crate) fn origin(
        &self,
        head: &Parts,
        id: &HeaderValue,
        connection: &ConnectionInfo,
        config: &Config,
        caller: &Caller,
    ) -> Origin {
        if self.is_off() {
            return Origin::default();
        }
        let host = host(head);
        let description = Description {
            request: Request {
                id: id.to_str().unwrap_or_default().to_owned(),
                addr: remote_address(&head.headers, connection),
                host: host.to_owned(),
                method: head.method.as_str().to_owned(),
                useragent: text(&head.headers, USER_AGENT.as_str()).unwrap_or_default().to_owned(),
            },
            actor: Actor { name: Some(caller.name.to_string()).filter(|_| !caller.is_anonymous()) },
            source: self.source.clone(),
            base_url: base_url(&head.headers, host, config),
        };
        Origin(serde_json::to_string(&description).ok().map(Arc::from))
    }
}

impl Notifications {
    /// What events say that no request made but a policy.
    pub(super) fn policy_origin(&self) -> Origin {
        let request = Request {
            id: Uuid::new_v4().to_string(),
            useragent: "berth retention".to_owned(),
            ..Request::default()
        };
        self.without_client(request, String::new)
    }

    /// Describes what the registry does by itself, or at the word of a command.
    pub(crate) fn own_origin(&self, config: &Config) -> Origin {
        self.without_client(Request::default(), || {
            base_url(&HeaderMap::new(), &self.source.addr, config)
        })
    }

    fn without_client(&self, request: Request, base_url: impl FnOnce() -> String) -> Origin {
        if self.is_off() {
            return Origin::default();
        }
        let (actor, source, base_url) = (Actor::default(), self.source.clone(), base_url());
        let description = Description { request, actor, source, base_url };
        Origin(serde_json::to_string(&description).ok().map(Arc::from))
    }
}

/// Whom the request is from: in the words of a proxy before us, where there is one. As in
/// `registry:2`, this is what the headers claim.
fn remote_address(headers: &HeaderMap, connection: &ConnectionInfo) -> String {
    let forwarded = text(headers, "x-forwarded-for").and_then(|list| list.split(',').next());
    let claimed = [forwarded, text(headers, "x-real-ip")].into_iter().flatten().map(str::trim);
    let mut claimed = claimed.filter(|address| address.parse::<IpAddr>().is_ok());
    claimed.next().unwrap_or(&connection.remote).to_owned()
}

/// What this node is called in events: its host name, and the port that it is configured to listen
/// on.
pub(super) fn node_address(listen: &str) -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    match listen.rsplit_once(':') {
        Some((_, port)) => format!("{host}:{port}"),
        None => host.into_owned(),
    }
}
