//! A request of a worker, and what its answer means while the registry may fail.

use anyhow::{Context as _, Error, Result};

use super::client::{Client, first_line};
use super::{Health, Watch};
use crate::wire::{Answer, Request};

/// Why a step of a worker stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// The registry was killed, or says that it cannot serve now.
    Cut,
    /// The registry did what it may not.
    Wrong(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Wrong(error)
    }
}

/// A worker's connection, and how the registry is at the other end.
pub(super) struct Line<'a> {
    pub(super) client: Client,
    pub(super) watch: &'a Watch,
}

impl Line<'_> {
    /// The answer, which has this status unless the registry fails.
    pub(super) fn expect(&mut self, status: u16, request: &Request) -> Result<Answer, Stop> {
        let before = self.watch.health();
        let answer = self.client.send(request);
        let health = [before, self.watch.health()];
        match answer {
            Ok(answer) if answer.status == status => Ok(answer),
            Ok(answer) if health.contains(&Health::Failing) && passes(&answer) => Err(Stop::Cut),
            Ok(answer) => Ok(answer.expect(status).with_context(|| first_line(request))?),
            Err(_) if health != [Health::Well; 2] => Err(Stop::Cut),
            Err(error) => Err(Stop::Wrong(error.context(first_line(request)))),
        }
    }
}

/// Whether an answer tells of a failure that passes: a client may come back.
fn passes(answer: &Answer) -> bool {
    match answer.status {
        503 => answer.find("retry-after").is_some(),
        status => matches!(status, 409 | 429 | 500..=599),
    }
}
