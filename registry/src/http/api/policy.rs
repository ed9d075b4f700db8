use berth_auth::Who;
use berth_oci::access::Access;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Filters, parse};
use super::problem::Refusals;
use super::respond::{self, Answer};
use super::{Administration, Problem};
use crate::access::administration::Question;

/// Whether somebody may do something.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Who: the name of a user or a robot, `anonymous`, or `workload:RULE`.
    #[param(example = "alice")]
    subject: String,
    /// What: `pull`, `push`, `delete` or `manage`.
    #[param(example = "push")]
    action: String,
    /// With which repository. It need not be there.
    #[param(example = "acme/web")]
    repository: String,
}

/// Whether it is allowed, and why.
#[derive(Serialize, ToSchema)]
pub(super) struct Explanation {
    allowed: bool,
    /// The rule that says so, for a person.
    #[schema(example = "allowed: grant 3, `allow team:acme/developers writer acme/**`")]
    reason: String,
}

/// Says whether somebody may do something with a repository, and why. For administrators; for others about
/// themselves, the robots that they decide over, and who has not logged in.
#[utoipa::path(
    get, path = "/api/v1/policy/explain", tag = "grants",
    params(Asked),
    responses((status = 200, description = "The answer.", body = Explanation), Refusals)
)]
pub(super) async fn explain_policy(
    administration: Administration,
    Filters(asked): Filters<Asked>,
) -> Answer {
    let question = Question {
        who: who(&asked.subject)?,
        access: Access::named(&asked.action)
            .ok_or_else(|| Problem::invalid("action: an action is pull, push, delete or manage"))?,
        repository: parse("repository", &asked.repository)?,
    };
    let explained = administration.explain(question).await?;
    respond::ok(&Explanation { allowed: explained.is_allowed, reason: explained.reason })
}

fn who(text: &str) -> Result<Who, Problem> {
    if text == "anonymous" {
        return Ok(Who::Anonymous);
    }
    match text.split_once(':') {
        None => Ok(Who::Account(parse("subject", text)?)),
        Some(("workload", rule)) => Ok(Who::Workload(parse("subject", rule)?)),
        // As grants have it.
        Some(("user" | "robot", name)) => Ok(Who::Account(parse("subject", name)?)),
        Some(_) => Err(Problem::invalid(
            "subject: name a user or a robot, or write anonymous or workload:RULE",
        )),
    }
}
