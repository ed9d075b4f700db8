//! Who goes on next: tasks that stop before each step, and a seed that lets one of them go at a time.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

/// A step that takes longer than this waits for one that cannot come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What takes part, with the name that a report gives it.
pub(crate) type Part = (&'static str, Pin<Box<dyn Future<Output = Result<()>> + Send>>);

/// Lets everything through until [`run`](Schedule::run). Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schedule(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many take part and are not done; each of them works or waits at one gate.
    live: usize,
    waiting: Vec<(&'static str, oneshot::Sender<()>)>,
    /// The steps in their order, for a person.
    steps: Vec<&'static str>,
}

impl Schedule {
    /// Stops here until the schedule says to go on.
    pub(crate) async fn gate(&self, step: &'static str) {
        let turn = {
            let mut state = self.state();
            if state.live == 0 {
                return;
            }
            let (go, turn) = oneshot::channel();
            state.waiting.push((step, go));
            turn
        };
        self.0.changed.notify_one();
        // Nobody drops the other end without having sent.
        let _ = turn.await;
    }

    /// Runs all parts to their ends, one step of one of them at a time, in the order of `random`.
    pub(crate) async fn run(&self, random: &mut Random, parts: Vec<Part>) -> Result<()> {
        *self.state() = State { live: parts.len(), ..State::default() };
        let mut running = Vec::new();
        for (name, part) in parts {
            let schedule = self.clone();
            running.push(tokio::spawn(async move {
                schedule.gate(name).await;
                let outcome = part.await.context(name);
                schedule.state().live -= 1;
                schedule.0.changed.notify_one();
                outcome
            }));
        }
        let outcome = timeout(PATIENCE, self.drive(random)).await;
        // Whatever still waits goes on, so that it can be waited for.
        let State { waiting, steps, .. } = std::mem::take(&mut *self.state());
        for (_, go) in waiting {
            let _ = go.send(());
        }
        let told = || format!("the steps were {}", steps.join(", "));
        outcome.context("a part does not go on").with_context(told)?;
        for part in running {
            part.await?.with_context(told)?;
        }
        Ok(())
    }

    async fn drive(&self, random: &mut Random) {
        loop {
            {
                let mut state = self.state();
                if state.live == 0 {
                    return;
                }
                if state.waiting.len() >= state.live {
                    let next = random.below(state.waiting.len());
                    let (step, go) = state.waiting.remove(next);
                    state.steps.push(step);
                    let _ = go.send(());
                    continue;
                }
            }
            self.0.changed.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers that are the same for the same seed, on every machine (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`, which is more than 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap_or(0)
    }

    /// One or the other.
    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}
