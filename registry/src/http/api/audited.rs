//! What of a request to the API goes into the audit log: every change, and every change that was refused.

use std::net::IpAddr;
use std::time::SystemTime;

use axum::body::Body;
use berth_metadata::{AuditOutcome, NewAudit};
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use tracing::warn;

use super::problem::Detail;
use crate::Registry;

/// What nobody may read in a log.
const SECRET: &str = "password";

/// The line of a change, as far as it is known before it is made.
#[derive(Debug)]
pub(super) struct Audited(NewAudit);

impl Audited {
    /// What is to be told of a request; nothing of one that changes nothing.
    pub(super) fn of(
        actor: &str,
        method: &Method,
        path: &str,
        body: &[u8],
        origin: &Origin,
    ) -> Option<Self> {
        if matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        // Kinds of things and their names take turns.
        let path = percent_decode_str(path).decode_utf8_lossy();
        let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).skip(2).collect();
        let mut kinds: Vec<&str> = steps.iter().copied().step_by(2).collect();
        let mut names: Vec<&str> = steps.iter().copied().skip(1).step_by(2).collect();
        match (method, kinds.last()) {
            (&Method::POST, Some(&("rotate" | "revoke"))) => {}
            (&Method::POST, _) => kinds.push("create"),
            (&Method::PATCH, _) => kinds.push("change"),
            (&Method::PUT, _) => kinds.push("add"),
            _ => kinds.push("delete"),
        }
        let new = ["name", "repositories"].into_iter().find_map(|name| members.get(name)?.as_str());
        names.extend(new.filter(|_| *method == Method::POST));
        Some(Self(NewAudit {
            time: SystemTime::now(),
            actor: actor.to_owned(),
            action: kinds.join("."),
            target: names.join("/"),
            reference: None,
            digest: None,
            source: origin.source.map(|source| source.to_string()),
            outcome: AuditOutcome::Done,
            detail: Some(described(&members)).filter(|text| !text.is_empty()),
            request: origin.request.clone(),
        }))
    }

    /// The line with what came of it.
    pub(super) fn answered(self, response: &Response<Body>) -> NewAudit {
        let Self(mut line) = self;
        let status = response.status();
        if !status.is_success() {
            line.outcome = match status {
                StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => AuditOutcome::Denied,
                _ => AuditOutcome::Failed,
            };
            // What is malformed may be a password that is no text, and would be quoted.
            let detail = response.extensions().get().map(|Detail(detail)| detail.clone());
            line.detail = detail.filter(|_| status != StatusCode::BAD_REQUEST);
        }
        line
    }
}

/// Writes a line.
pub(super) async fn tell(registry: &Registry, line: NewAudit) {
    if registry.config().audit.disabled {
        return;
    }
    if let Some(log) = &registry.audit {
        log.record(Some(line));
        return;
    }
    // Nobody gathers lines where callers are not told apart, or where only a command runs.
    let Some(store) = &registry.accounts else { return };
    if let Err(error) = store.record_audit(&[line]).await {
        warn!(%error, "the audit log lacks a line");
    }
}

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) source: Option<IpAddr>,
    /// Its id.
    pub(crate) request: Option<String>,
}

/// What was asked for, without what is secret and what the target says.
fn described(members: &Map<String, Value>) -> String {
    let told = members.iter().filter(|(name, _)| *name != "name").map(|(name, value)| {
        match (name.as_str(), value) {
            (SECRET, _) => SECRET.to_owned(),
            (name, Value::String(text)) => format!("{name}={text}"),
            (name, value) => format!("{name}={value}"),
        }
    });
    told.collect::<Vec<_>>().join(" ")
}
