use async_trait::async_trait;
use sqlx::SqliteConnection;

use crate::PolicyData;
use crate::accounts::change::Outcome;
use crate::accounts::{rows, sql};
use crate::encoding::size;
use crate::fault::Fault;
use crate::sqlite::writer::{Context, Operation};

/// A change that other decisions may follow from.
#[async_trait]
pub(super) trait Change: Send + Sync + 'static {
    /// What the caller learns.
    type Answer: Send + Sync + 'static;

    /// As [`Operation::apply`].
    async fn apply(&self, context: &mut Context<'_>) -> Result<Outcome<Self::Answer>, Fault>;
}

/// Makes a change, and has the generation grow with it.
pub(super) struct Changing<C>(pub(super) C);

#[async_trait]
impl<C: Change> Operation for Changing<C> {
    type Output = C::Answer;

    async fn apply(&self, context: &mut Context<'_>) -> Result<C::Answer, Fault> {
        let Outcome { answer, is_changed } = self.0.apply(context).await?;
        if is_changed {
            sqlx::query(sql::NEXT_GENERATION).execute(&mut *context.connection).await?;
        }
        Ok(answer)
    }
}

pub(super) async fn generation(connection: &mut SqliteConnection) -> Result<u64, Fault> {
    size(sqlx::query_scalar(sql::GENERATION).fetch_one(connection).await?)
}

pub(super) async fn policy(connection: &mut SqliteConnection) -> Result<PolicyData, Fault> {
    rows::policy(sqlx::query_as(POLICY).fetch_one(connection).await?)
}

/// One statement, so one moment.
const POLICY: &str = "
    SELECT generation,
        (
            SELECT json_group_array(
                json_array(id, effect, subject, role, pattern, granted_by, created_at)
            )
            FROM grants
        ),
        (SELECT json_group_array(json_array(organisation, member, role)) FROM organisation_members),
        (SELECT json_group_array(json_array(team, member)) FROM team_members)
    FROM policy";
