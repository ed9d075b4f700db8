//! Parts of a run: announced beforehand, timed, and accounted for in a table at the end.

use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::context::Context;

/// One thing to do.
pub(crate) struct Part {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// What it does, for the plan.
    pub(crate) what: &'static str,
    /// Does it. An error is a failure with that reason.
    pub(crate) run: fn(&Context) -> Result<Outcome>,
}

/// What became of a part.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All is well.
    Passed { tests: Tests, note: String },
    /// Something is wrong with Berth.
    Failed { tests: Tests, reason: String },
    /// The machine lacks something, so nothing, or not everything, was proved.
    NotRun { tests: Tests, reason: String, accepted: bool },
}

/// How many tests a runner counted; a part without a runner counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Outcome {
    /// A single check that passed.
    pub(crate) fn passed(note: impl Into<String>) -> Result<Self> {
        Ok(Self::Passed { tests: Tests { passed: 1, failed: 0 }, note: note.into() })
    }

    /// A single check that failed.
    pub(crate) fn failed(reason: impl Into<String>) -> Result<Self> {
        Ok(Self::Failed { tests: Tests { passed: 0, failed: 1 }, reason: reason.into() })
    }

    /// A part that this machine cannot run.
    pub(crate) fn not_run(reason: impl Into<String>) -> Result<Self> {
        Ok(Self::NotRun { tests: Tests::default(), reason: reason.into(), accepted: false })
    }

    fn tests(&self) -> Tests {
        let counted = match self {
            Self::Passed { tests, .. }
            | Self::Failed { tests, .. }
            | Self::NotRun { tests, .. } => *tests,
        };
        let failed = match self {
            // A runner that could not start its tests counts none of them.
            Self::Failed { .. } => counted.failed.max(1),
            Self::NotRun { accepted: false, .. } => counted.failed + 1,
            _ => counted.failed,
        };
        Tests { failed, ..counted }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "FAILED",
            Self::NotRun { .. } => "NOT RUN",
        }
    }

    fn remark(&self) -> &str {
        match self {
            Self::Passed { note, .. } => note,
            Self::Failed { reason, .. } | Self::NotRun { reason, .. } => reason,
        }
    }
}

impl AddAssign for Tests {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs all parts, whatever becomes of those before, and reports.
pub(crate) fn run_all(context: &Context, parts: &[Part]) -> Result<ExitCode> {
    println!("The plan:");
    for (number, part) in parts.iter().enumerate() {
        println!("{:4}. {:<14} {}", number + 1, part.name, part.what);
    }
    let rows: Vec<Row> = parts.iter().map(|part| run(context, part)).collect();
    Ok(report(&rows))
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

fn run(context: &Context, part: &Part) -> Row {
    println!("\n=== {}: {}", part.name, part.what);
    let start = Instant::now();
    let mut outcome = (part.run)(context).unwrap_or_else(|error| Outcome::Failed {
        tests: Tests::default(),
        reason: format!("{error:#}"),
    });
    if let Outcome::NotRun { accepted, .. } = &mut outcome {
        *accepted |= context.allow_missing;
    }
    let took = start.elapsed();
    println!("=== {} {} after {}", part.name, outcome.word(), seconds(took));
    Row { name: part.name, outcome, took }
}

fn report(rows: &[Row]) -> ExitCode {
    println!("\n{:<14} {:<8} {:>9}", "part", "result", "time");
    let mut total = Tests::default();
    for Row { name, outcome, took } in rows {
        let mut remark = outcome.remark().lines();
        println!(
            "{name:<14} {:<8} {:>9}  {}",
            outcome.word(),
            seconds(*took),
            remark.next().unwrap_or_default()
        );
        for line in remark {
            println!("{:34} {line}", "");
        }
        total += outcome.tests();
    }
    let not_run: Vec<&str> = rows
        .iter()
        .filter(|row| matches!(row.outcome, Outcome::NotRun { .. }))
        .map(|row| row.name)
        .collect();
    if !not_run.is_empty() {
        println!(
            "\nNOT RUN, or not whole: {}. What they would prove is not proved.",
            not_run.join(", ")
        );
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_could_not_run_fails_the_run_unless_that_is_accepted() {
        let tests = Tests { passed: 3, failed: 0 };
        let not_run = |accepted| Outcome::NotRun { tests, reason: String::new(), accepted };
        assert_eq!(not_run(false).tests(), Tests { passed: 3, failed: 1 });
        assert_eq!(not_run(true).tests(), tests);
    }

    #[test]
    fn a_runner_that_never_came_to_its_tests_counts_as_a_failure() {
        let outcome = Outcome::Failed { tests: Tests::default(), reason: String::new() };
        assert_eq!(outcome.tests(), Tests { passed: 0, failed: 1 });
    }
}
