use berth_metadata::{AuditFilter, AuditId, AuditOutcome, AuditRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::Filters;
use super::page::Paging;
use super::problem::Refusals;
use super::respond::Answer;
use super::{Administration, Problem, time};

/// A line of the audit log.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditLine {
    id: i64,
    #[schema(format = DateTime)]
    time: String,
    /// Who.
    actor: String,
    /// What.
    #[schema(example = "push")]
    action: String,
    /// The repository, or what else it was done to.
    target: String,
    /// The tag or the digest.
    reference: Option<String>,
    digest: Option<String>,
    /// From where.
    source: Option<String>,
    outcome: Outcome,
    /// Why, where it was not done; or what was changed.
    detail: Option<String>,
    /// The request's id, as in the access log.
    request: Option<String>,
}

/// How something ended.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It was allowed, and done.
    Done,
    /// It was allowed, and failed.
    Failed,
    /// It was not allowed.
    Denied,
}

impl From<AuditOutcome> for Outcome {
    fn from(outcome: AuditOutcome) -> Self {
        match outcome {
            AuditOutcome::Done => Self::Done,
            AuditOutcome::Failed => Self::Failed,
            AuditOutcome::Denied => Self::Denied,
        }
    }
}

impl From<AuditRecord> for AuditLine {
    fn from(record: AuditRecord) -> Self {
        let entry = record.entry;
        Self {
            id: record.id.0,
            time: time::text(entry.time),
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            reference: entry.reference,
            digest: entry.digest,
            source: entry.source,
            outcome: entry.outcome.into(),
            detail: entry.detail,
            request: entry.request,
        }
    }
}

/// Which lines of the audit log are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Whose.
    actor: Option<String>,
    /// What was done.
    action: Option<String>,
    /// To what.
    target: Option<String>,
    /// How it ended: `done`, `failed` or `denied`.
    #[param(value_type = Option<String>)]
    outcome: Option<Outcome>,
    /// Since when, this moment included.
    #[param(example = "2030-01-31T12:00:00Z")]
    since: Option<String>,
    /// Before when.
    #[param(example = "2030-01-31T12:00:00Z")]
    until: Option<String>,
}

impl TryFrom<Filter> for AuditFilter {
    type Error = Problem;

    fn try_from(filter: Filter) -> Result<Self, Problem> {
        Ok(Self {
            actor: filter.actor,
            action: filter.action,
            target: filter.target,
            outcome: filter.outcome.map(|outcome| match outcome {
                Outcome::Done => AuditOutcome::Done,
                Outcome::Failed => AuditOutcome::Failed,
                Outcome::Denied => AuditOutcome::Denied,
            }),
            since: time::read_option("since", filter.since)?,
            until: time::read_option("until", filter.until)?,
        })
    }
}

/// The audit log, the newest lines first. For administrators.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit",
    params(
        Filter,
        ("limit" = Option<u32>, Query, description = "The most lines, 100 unless it is said, 1000 at most."),
        ("before" = Option<i64>, Query, description = "The last line of the page before."),
    ),
    responses((status = 200, description = "A page of lines.", body = [AuditLine]), Refusals)
)]
pub(super) async fn list_audit(
    administration: Administration,
    Filters(filter): Filters<Filter>,
    paging: Paging,
) -> Answer {
    let before = paging.place::<i64>()?.map(AuditId);
    let filter = AuditFilter::try_from(filter)?;
    let page = administration.audit(&filter, before, paging.limit).await?;
    paging.render_by("before", page, |record| record.id.0.to_string(), AuditLine::from)
}
