//! The steps.

use berth_metadata::lifecycle::{
    self, Garbage, Place, REMEMBERED, Removal, Verdict, may_forget, may_remove, must_renew,
};
use stateright::{Model, Property};

use super::state::*;

/// A rule that is left out, to see that it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A `HEAD` renews no lease.
    LeaseNotRenewed,
    /// Links are looked at, and judged, without regard to their leases.
    LeaseIgnored,
    /// The links of what was deleted get no lease to the end of the time in which it can be had back.
    WindowNotLeased,
    /// Bytes go at once.
    GraceSkipped,
    /// Bytes go before it is recorded that they do.
    BytesBeforeCommit,
    /// A push does not ask whether its place is under removal.
    PlaceNotAsked,
    /// A push that was in the way of a removal does not look whether its bytes are there.
    NotLookedAfter,
    /// It is forgotten at once that bytes were removed.
    NotRemembered,
    /// A collector that took too long is believed.
    LateReportBelieved,
    /// A collector goes on however long it took.
    NeverStops,
}

impl Bug {
    pub const ALL: [Self; 10] = [
        Self::LeaseNotRenewed,
        Self::LeaseIgnored,
        Self::WindowNotLeased,
        Self::GraceSkipped,
        Self::BytesBeforeCommit,
        Self::PlaceNotAsked,
        Self::NotLookedAfter,
        Self::NotRemembered,
        Self::LateReportBelieved,
        Self::NeverStops,
    ];
}

pub struct Lifecycle {
    pub bug: Option<Bug>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Tick,
    Head(usize),
    Place(usize),
    Record(usize),
    LookAgain(usize),
    PutManifest(usize),
    DeleteManifest,
    Restore,
    Read,
    Review,
    Take(usize),
    Remove(usize),
    Report(usize),
    Die(usize),
    Forget,
}

impl Lifecycle {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn pusher_steps(state: &State, number: usize, steps: &mut Vec<Step>) {
        match state.pushers[number] {
            Pusher::Idle => steps.extend([Step::Head(number), Step::Place(number)]),
            Pusher::Placed { late: false, .. } => steps.push(Step::Record(number)),
            Pusher::Placed { late: true, .. } | Pusher::Unsure => {
                steps.push(Step::LookAgain(number));
            }
            Pusher::Promised { .. } => steps.push(Step::PutManifest(number)),
            Pusher::Done | Pusher::Failed => {}
        }
    }

    fn collector_steps(state: &State, number: usize, steps: &mut Vec<Step>) {
        match state.collectors[number] {
            Collector::Idle => {
                let removable = |row: GarbageRow| may_remove(row.garbage, state.time());
                // The second condition is the guard of the statement.
                if state.garbage.is_some_and(removable) && !state.record {
                    steps.push(Step::Take(number));
                }
            }
            Collector::Taken { .. } => steps.push(Step::Remove(number)),
            Collector::Removed { .. } => steps.push(Step::Report(number)),
        }
        if state.collectors[number] != Collector::Idle && state.deaths == 0 {
            steps.push(Step::Die(number));
        }
    }

    fn head(&self, state: &mut State, number: usize) -> Option<()> {
        let now = state.time();
        let link = state.link.as_mut()?;
        let left = link.leased_until.duration_since(now).unwrap_or_default();
        if must_renew(left, ticks(LEASE)) && !self.has(Bug::LeaseNotRenewed) {
            link.leased_until = link.leased_until.max(now + ticks(LEASE));
            link.review_at = link.review_at.max(link.leased_until);
        }
        state.pushers[number] = Pusher::Promised { until: state.now + LEASE / 2 };
        Some(())
    }

    fn record(&self, state: &mut State, number: usize) -> Option<()> {
        let Pusher::Placed { seen, .. } = state.pushers[number] else { return None };
        let garbage = state.garbage.map(|row| row.garbage);
        let place = match self.has(Bug::PlaceNotAsked) {
            true => Place::Free,
            false => lifecycle::place(garbage, seen),
        };
        match place {
            Place::Free => {}
            Place::Revived => state.garbage = None,
            Place::Unsure => {
                state.pushers[number] = Pusher::Unsure;
                return Some(());
            }
        }
        state.record = true;
        let leased_until = state.time() + ticks(LEASE);
        state.link = Some(match state.link {
            None => LinkRow { leased_until, review_at: leased_until },
            Some(link) => LinkRow {
                leased_until: link.leased_until.max(leased_until),
                review_at: link.review_at.max(leased_until),
            },
        });
        state.pushers[number] = Pusher::Promised { until: state.now + LEASE };
        Some(())
    }

    /// It waits while a removal is running.
    fn look_again(&self, state: &mut State, number: usize) -> Option<()> {
        let seen = match state.garbage.map(|row| row.garbage.removal) {
            Some(Removal::Running { .. }) => return None,
            Some(Removal::Failed { round } | Removal::Gone { round }) => Some(round),
            None | Some(Removal::Waiting) => None,
        };
        if !self.has(Bug::NotLookedAfter) {
            state.bytes = true;
        }
        state.pushers[number] = Pusher::Placed { seen, late: false };
        Some(())
    }

    fn delete_manifest(&self, state: &mut State) -> Option<()> {
        let (now, until) = (state.time(), state.now + UNDELETE);
        state.manifest = false;
        state.deleted = Some(until);
        let link = state.link.as_mut()?;
        if !self.has(Bug::WindowNotLeased) {
            link.leased_until = lifecycle::lease_after_deletion(link.leased_until, at(until));
        }
        link.review_at = lifecycle::review_after_deletion(link.leased_until, now, ticks(0));
        Some(())
    }

    fn review(&self, state: &mut State) -> Option<()> {
        let mut link = state.judged()?;
        if self.has(Bug::LeaseIgnored) {
            link.leased_until = at(0);
        }
        match lifecycle::review(link, state.time()) {
            Verdict::Keep(until) => state.link.as_mut()?.review_at = until,
            Verdict::Unlink => {
                state.release(if self.has(Bug::GraceSkipped) { 0 } else { GRACE });
            }
        }
        Some(())
    }

    fn take(&self, state: &mut State, number: usize) -> Option<()> {
        let now = state.now;
        let row = state.garbage.as_mut()?;
        let round = 1 + match row.garbage.removal {
            Removal::Waiting => 0,
            Removal::Running { round, .. }
            | Removal::Failed { round }
            | Removal::Gone { round } => round,
        };
        if self.has(Bug::BytesBeforeCommit) {
            state.bytes = false;
        } else {
            row.garbage.removal = Removal::Running { round, until: at(now + REMOVAL) };
        }
        state.collectors[number] = Collector::Taken { row: row.row, round, at: now };
        Some(())
    }

    fn remove(&self, state: &mut State, number: usize) -> Option<()> {
        let Collector::Taken { row, round, at } = state.collectors[number] else { return None };
        // Whoever took half of its time stops.
        if state.now >= at + REMOVAL / 2 && !self.has(Bug::NeverStops) {
            state.collectors[number] = Collector::Idle;
            return Some(());
        }
        if !self.has(Bug::BytesBeforeCommit) {
            state.bytes = false;
        }
        state.collectors[number] = Collector::Removed { row, round };
        Some(())
    }

    fn report(&self, state: &mut State, number: usize) -> Option<()> {
        let Collector::Removed { row, round } = state.collectors[number] else { return None };
        state.collectors[number] = Collector::Idle;
        let remove_at = state.time() + REMEMBERED;
        let Some(known) = &mut state.garbage else { return Some(()) };
        let present = match known.garbage.removal {
            Removal::Running { round, .. } => Some(round),
            _ => None,
        };
        let counts = present == Some(round) || self.has(Bug::LateReportBelieved);
        if known.row == row && (counts || self.has(Bug::BytesBeforeCommit)) {
            known.garbage =
                Garbage { remove_at, removal: Removal::Gone { round: present.unwrap_or(round) } };
            if self.has(Bug::NotRemembered) {
                state.garbage = None;
            }
        }
        Some(())
    }

    /// Whether nothing is left to do for anybody but clients.
    fn is_swept(state: &State) -> bool {
        let idle = state.collectors.iter().all(|one| *one == Collector::Idle);
        let link_due = state.link.is_some_and(|link| link.review_at <= state.time());
        let garbage_due = state.garbage.is_some_and(|row| may_remove(row.garbage, state.time()));
        idle && !link_due && !garbage_due
    }
}

impl Model for Lifecycle {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State::new()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for number in 0..2 {
            Self::pusher_steps(state, number, steps);
            Self::collector_steps(state, number, steps);
        }
        if state.manifest {
            steps.push(Step::DeleteManifest);
        }
        if state.can_be_restored() && !state.manifest && state.link.is_some() {
            steps.push(Step::Restore);
        }
        if state.link.is_some() && state.reader.is_none() {
            steps.push(Step::Read);
        }
        let is_due = |link: LinkRow| link.review_at <= state.time() || self.has(Bug::LeaseIgnored);
        if state.link.is_some_and(is_due) {
            steps.push(Step::Review);
        }
        if state.garbage.is_some_and(|row| may_forget(row.garbage, state.time())) {
            steps.push(Step::Forget);
        }
        if state.now < END {
            steps.push(Step::Tick);
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Tick => {
                state.now += 1;
                if !state.can_be_restored() {
                    state.deleted = None;
                }
                for pusher in &mut state.pushers {
                    if let Pusher::Placed { late, .. } = pusher {
                        *late = true;
                    }
                }
                state.reader = state.reader.filter(|since| state.now < since + GRACE);
                Some(())
            }
            Step::Head(number) => self.head(&mut state, number),
            Step::Place(number) => {
                state.bytes = true;
                state.pushers[number] = Pusher::Placed { seen: None, late: false };
                Some(())
            }
            Step::Record(number) => self.record(&mut state, number),
            Step::LookAgain(number) => self.look_again(&mut state, number),
            Step::PutManifest(number) => {
                state.manifest |= state.link.is_some();
                let is_late =
                    matches!(last.pushers[number], Pusher::Promised { until } if until <= last.now);
                state.pushers[number] = match state.link {
                    Some(_) => Pusher::Done,
                    // It came later than it was promised: it begins anew.
                    None if is_late => Pusher::Idle,
                    None => Pusher::Failed,
                };
                Some(())
            }
            Step::DeleteManifest => self.delete_manifest(&mut state),
            Step::Restore => {
                state.manifest = true;
                state.deleted = None;
                Some(())
            }
            Step::Read => {
                state.reader = Some(state.now);
                Some(())
            }
            Step::Review => self.review(&mut state),
            Step::Take(number) => self.take(&mut state, number),
            Step::Remove(number) => self.remove(&mut state, number),
            Step::Report(number) => self.report(&mut state, number),
            Step::Die(number) => {
                state.deaths += 1;
                state.collectors[number] = Collector::Idle;
                Some(())
            }
            Step::Forget => {
                state.garbage = None;
                Some(())
            }
        }?;
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what is recorded has its bytes", |_, state: &State| {
                !state.record || state.bytes
            }),
            Property::always("what is pinned is linked", |_, state: &State| {
                !state.manifest || (state.link.is_some() && state.record)
            }),
            Property::always("what was deleted can be had back in its time", |_, state: &State| {
                !state.can_be_restored() || (state.link.is_some() && state.record && state.bytes)
            }),
            Property::always("a promise is kept", |_, state: &State| {
                !state.pushers.contains(&Pusher::Failed)
            }),
            Property::always("a reader gets what it looked up", |_, state: &State| {
                state.reader.is_none() || state.bytes
            }),
            Property::always("what nothing needs is removed", |_, state: &State| {
                // With all leases and graces over, and everybody at rest.
                let at_rest = state
                    .pushers
                    .iter()
                    .all(|pusher| matches!(pusher, Pusher::Done | Pusher::Failed | Pusher::Idle));
                let over = state.now == END && Self::is_swept(state) && state.deaths == 0;
                let wanted = state.link.is_some();
                let waits = state
                    .garbage
                    .is_some_and(|row| !matches!(row.garbage.removal, Removal::Gone { .. }));
                !(over && at_rest) || wanted || waits || !state.bytes
            }),
            Property::sometimes("garbage is removed at all", |_, state: &State| {
                state.garbage.is_some_and(|row| {
                    matches!(row.garbage.removal, Removal::Gone { .. }) && !state.bytes
                })
            }),
        ]
    }
}
