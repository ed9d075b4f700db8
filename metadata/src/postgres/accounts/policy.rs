use async_trait::async_trait;

use crate::PolicyData;
use crate::accounts::change::Outcome;
use crate::accounts::{rows, sql};
use crate::encoding::size;
use crate::fault::Fault;
use crate::postgres::Session;
use crate::postgres::engine::{Context, Operation};

/// A change that other decisions may follow from. One is made at a time, whichever process makes it,
/// so that none finds gone what it has just seen, and no two wait for each other.
#[async_trait]
pub(super) trait Change: Send + Sync + 'static {
    /// What the caller learns.
    type Answer: Send + 'static;

    /// As [`Operation::apply`].
    async fn apply(&self, session: &mut Session) -> Result<Outcome<Self::Answer>, Fault>;
}

/// Makes a change once no other is under way, and has the generation grow with it.
pub(super) struct Changing<C>(pub(super) C);

#[async_trait]
impl<C: Change> Operation for Changing<C> {
    type Output = C::Answer;

    async fn apply(&self, context: &mut Context<'_>) -> Result<C::Answer, Fault> {
        let session = &mut *context.session;
        session.query(LOCK).execute(session.connection()).await?;
        let Outcome { answer, is_changed } = self.0.apply(session).await?;
        if is_changed {
            session.query(sql::NEXT_GENERATION).execute(session.connection()).await?;
        }
        Ok(answer)
    }
}

const LOCK: &str = "SELECT 1 FROM policy WHERE id = 1 FOR UPDATE";

pub(super) async fn generation(session: &mut Session) -> Result<u64, Fault> {
    size(session.query_scalar(sql::GENERATION).fetch_one(session.connection()).await?)
}

pub(super) async fn policy(session: &mut Session) -> Result<PolicyData, Fault> {
    rows::policy(session.query_as(POLICY).fetch_one(session.connection()).await?)
}

/// One statement, so one moment.
const POLICY: &str = "
    SELECT generation,
        (
            SELECT coalesce(json_agg(
                json_build_array(id, effect, subject, role, pattern, granted_by, created_at)
            ), '[]')::text
            FROM grants
        ),
        (
            SELECT coalesce(json_agg(json_build_array(organisation, member, role)), '[]')::text
            FROM organisation_members
        ),
        (SELECT coalesce(json_agg(json_build_array(team, member)), '[]')::text FROM team_members)
    FROM policy";
