//! What of a request goes into the audit log: everything that changes something, whatever was
//! refused, and pulls where they are wanted.

use std::net::IpAddr;
use std::time::SystemTime;

use axum::body::Body;
use berth_auth::Credentials;
use berth_config::Config;
use berth_metadata::{AuditOutcome, NewAudit};
use berth_oci::Reference;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::action::{Action, StartUpload, UploadWrite};
use super::{ApiError, ConnectionInfo, forwarded, render};

/// A line of the audit log, as far as it is known before the request is answered.
pub(super) struct Audited {
    line: NewAudit,
}

impl Audited {
    /// Whether an action is told of where it is allowed, not only where it is refused.
    pub(super) fn is_told(action: &Action, config: &Config) -> bool {
        match action {
            Action::ReadManifest(..) | Action::ReadBlob(..) => config.audit.pulls,
            Action::Ping | Action::Catalog(_) | Action::Tags(..) | Action::Referrers { .. } => {
                false
            }
            // Until it is finished nothing is stored.
            Action::Upload(_, _, UploadWrite::Finish(_)) => true,
            Action::Upload(..) => false,
            Action::PutManifest(..)
            | Action::StartUpload(..)
            | Action::DeleteManifest(..)
            | Action::DeleteBlob(..)
            | Action::DeleteRepository(_) => true,
        }
    }

    /// What is to be told of a request.
    pub(super) fn of(
        action: &Action,
        head: &Parts,
        connection: &ConnectionInfo,
        config: &Config,
        id: &HeaderValue,
    ) -> Self {
        let word = match action {
            Action::Ping => "login",
            Action::Catalog(_) => "list",
            Action::Tags(..)
            | Action::Referrers { .. }
            | Action::ReadManifest(..)
            | Action::ReadBlob(..) => "pull",
            Action::StartUpload(_, StartUpload::Mount { .. }) => "mount",
            Action::PutManifest(..) | Action::StartUpload(..) | Action::Upload(..) => "push",
            Action::DeleteManifest(..) | Action::DeleteBlob(..) | Action::DeleteRepository(_) => {
                "delete"
            }
        };
        let (digest, reference) = match reference(action) {
            Some(Reference::Digest(digest)) => (Some(digest.to_string()), None),
            Some(Reference::Tag(tag)) => (None, Some(tag.to_string())),
            None => (None, None),
        };
        let mut line = line(word, forwarded::client(&head.headers, connection, config), id);
        line.target = action.repository().map(ToString::to_string).unwrap_or_default();
        line.reference = reference;
        line.digest = digest;
        Self { line }
    }

    /// The line of a request that was let in.
    pub(super) fn answered(
        self,
        actor: &str,
        answer: &Result<Response<Body>, ApiError>,
    ) -> Option<NewAudit> {
        let mut line = self.line;
        actor.clone_into(&mut line.actor);
        match answer {
            // A session that was only opened has stored nothing yet.
            Ok(response)
                if response.status() == StatusCode::ACCEPTED && line.action != "delete" =>
            {
                return None;
            }
            Ok(response) => {
                let digest = response.headers().get(render::CONTENT_DIGEST);
                let digest = digest.and_then(|digest| digest.to_str().ok()).map(str::to_owned);
                line.digest = digest.or(line.digest);
            }
            Err(error) => {
                line.outcome = AuditOutcome::Failed;
                line.detail = message(error);
            }
        }
        Some(line)
    }

    /// The line of a request that was refused. One that shows nothing of who made it is how every
    /// client begins.
    pub(super) fn refused(self, head: &Parts, error: &ApiError) -> Option<NewAudit> {
        let mut line = self.line;
        let header = head.headers.get(AUTHORIZATION)?;
        line.actor = claimed(header);
        line.outcome = match error.status.as_u16() {
            500.. => AuditOutcome::Failed,
            _ => AuditOutcome::Denied,
        };
        line.detail = message(error);
        Some(line)
    }
}

/// The line of a login at the token service.
pub(super) fn login(
    head: &Parts,
    source: Option<IpAddr>,
    id: &HeaderValue,
    actor: Option<&str>,
    status: StatusCode,
) -> Option<NewAudit> {
    let mut line = line("login", source, id);
    match (actor, status) {
        (Some("anonymous"), _) => return None,
        (Some(actor), _) => actor.clone_into(&mut line.actor),
        (None, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) => {
            line.actor = head.headers.get(AUTHORIZATION).map_or_else(unknown, claimed);
            line.outcome = AuditOutcome::Denied;
        }
        (None, _) => return None,
    }
    Some(line)
}

fn line(action: &str, source: Option<IpAddr>, id: &HeaderValue) -> NewAudit {
    NewAudit {
        time: SystemTime::now(),
        actor: String::new(),
        action: action.to_owned(),
        target: String::new(),
        reference: None,
        digest: None,
        source: source.map(|source| source.to_string()),
        outcome: AuditOutcome::Done,
        detail: None,
        request: id.to_str().ok().map(str::to_owned),
    }
}

/// Who a request says it is from, though it could not show it. Never what it has shown.
fn claimed(header: &HeaderValue) -> String {
    match Credentials::parse(header.as_bytes()) {
        Ok(Credentials::Basic { name, .. }) => name.chars().take(100).collect(),
        _ => unknown(),
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn message(error: &ApiError) -> Option<String> {
    error.body.errors.first().map(|entry| entry.message.clone())
}

/// The tag or the digest that an action names.
fn reference(action: &Action) -> Option<Reference> {
    match action {
        Action::ReadManifest(_, reference)
        | Action::PutManifest(_, reference, _)
        | Action::DeleteManifest(_, reference) => Some(reference.clone()),
        Action::Referrers { subject: digest, .. }
        | Action::ReadBlob(_, digest)
        | Action::DeleteBlob(_, digest)
        | Action::StartUpload(_, StartUpload::Whole(digest) | StartUpload::Mount { digest, .. })
        | Action::Upload(_, _, UploadWrite::Finish(digest)) => Some(Reference::Digest(*digest)),
        _ => None,
    }
}
