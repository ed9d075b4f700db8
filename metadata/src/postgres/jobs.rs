use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;

use super::engine::{Context, Operation};
use super::now;
use crate::Job;
use crate::encoding::duration;
use crate::fault::Fault;

fn name(job: &Job) -> Cow<'static, str> {
    match job {
        Job::Links => "links".into(),
        Job::Purge => "purge".into(),
        Job::Deliver(endpoint) => format!("deliver {endpoint}").into(),
        Job::EventLimits => "event limits".into(),
        Job::Collect => "collect".into(),
        Job::Retain => "retain".into(),
        Job::Import => "import".into(),
        Job::Scrub => "scrub".into(),
        Job::Backup => "backup".into(),
        Job::Evict => "evict".into(),
    }
}

/// See [`MetadataStore::take_job`](crate::MetadataStore::take_job).
pub(super) struct Take {
    pub(super) job: Job,
    pub(super) lease: Duration,
    pub(super) pause: Duration,
}

#[async_trait]
impl Operation for Take {
    type Output = bool;
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<bool, Fault> {
        let taken = context
            .session
            .query(TAKE)
            .bind(name(&self.job))
            .bind(context.process.as_bytes().as_slice())
            .bind(duration(self.lease))
            .bind(duration(self.pause))
            .execute(context.session.connection())
            .await?;
        Ok(taken.rows_affected() > 0)
    }
}

const TAKE: &str = concat!(
    "INSERT INTO jobs AS j (name, holder, held_until, done_at)
    VALUES ($1, $2, ",
    now!(),
    " + $3, 0)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
    WHERE (j.holder = $2 OR j.held_until < ",
    now!(),
    ") AND j.done_at + $4 <= ",
    now!()
);

/// See [`MetadataStore::leave_job`](crate::MetadataStore::leave_job).
pub(super) struct Leave {
    pub(super) job: Job,
    pub(super) done: bool,
}

#[async_trait]
impl Operation for Leave {
    type Output = ();
    const RELAXED: bool = true;

    async fn apply(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        context
            .session
            .query(LEAVE)
            .bind(name(&self.job))
            .bind(context.process.as_bytes().as_slice())
            .bind(self.done)
            .execute(context.session.connection())
            .await?;
        Ok(())
    }
}

const LEAVE: &str = concat!(
    "UPDATE jobs SET held_until = 0, done_at = CASE WHEN $3 THEN ",
    now!(),
    " ELSE done_at END WHERE name = $1 AND holder = $2"
);
