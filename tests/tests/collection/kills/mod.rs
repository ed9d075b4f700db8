//! A registry is killed at each of its steps while it deletes and collects, and afterwards it is whole.
//!
//! A row of the table is a piece of work on a storage and a database. `berth_tests::strace` kills the process at its Nth call of a
//! system call that changes something, before the call is carried out. Then the registry starts again on what is left,
//! and a [checker](berth_tests::checker) that knows nothing but the storage and the API looks at it, before and
//! after all garbage was collected.
//!
//! `BERTH_KILLS` sets how many points of each row are tried (3 unless told otherwise), evenly among all that there
//! are: those of a run that nobody kills.

mod scene;
mod work;

use anyhow::{Context as _, Result, ensure};
use berth_tests::checker::{Acknowledged, Names};
use berth_tests::load::Client;
use berth_tests::strace::{self, Point, Trace, Tracing, was_killed};
use berth_tests::wait;

use scene::{Collection, Kind, Scene, Untagged};
use work::{Prepared, Step, prepare};

use crate::soak::from_environment;

const KILLS: u64 = 3;
/// So many points behind those of the run that nobody killed are tried in the full form: no two runs are alike.
const BEYOND: u32 = 10;

#[test]
#[ignore = "run by cargo xtask soak"]
fn it_is_killed_at_every_step_on_files_with_sqlite() -> Result<()> {
    killed_at_every_step(Kind { in_bucket: false, on_postgres: false })
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn it_is_killed_at_every_step_on_files_with_postgres() -> Result<()> {
    killed_at_every_step(Kind { in_bucket: false, on_postgres: true })
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn it_is_killed_at_every_step_in_a_bucket_with_sqlite() -> Result<()> {
    killed_at_every_step(Kind { in_bucket: true, on_postgres: false })
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn it_is_killed_at_every_step_in_a_bucket_with_postgres() -> Result<()> {
    killed_at_every_step(Kind { in_bucket: true, on_postgres: true })
}

/// What the process does that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// `berth garbage-collect --delete-untagged`.
    Command,
    /// `berth serve`, where a tag, a manifest and a blob are deleted and collected.
    Deletion,
    /// `berth serve`, where an image is deleted with its blobs and pushed again while these are removed.
    PushAgain,
}

const WORKS: [Work; 3] = [Work::Command, Work::Deletion, Work::PushAgain];

fn killed_at_every_step(kind: Kind) -> Result<()> {
    if let Some(reason) = strace::why_missing() {
        println!("NOT RUN: {reason}");
        return Ok(());
    }
    let limit = from_environment("BERTH_KILLS")?.unwrap_or(KILLS);
    let mut scene = Scene::new(kind)?;
    let server = scene.start(Collection::WhenAsked)?;
    let prepared = prepare(&server)?;
    server.stop()?;
    scene.keep()?;
    let files_left = files_left(&mut scene, &prepared)?;
    for (number, work) in WORKS.into_iter().enumerate() {
        Row { scene: &mut scene, prepared: &prepared, files_left, work }
            .run(limit, number)
            .with_context(|| format!("{work:?} on {kind:?}"))?;
    }
    Ok(())
}

/// How many files stay when all was deleted that is to be, and collected.
fn files_left(scene: &mut Scene, prepared: &Prepared) -> Result<usize> {
    let server = scene.start(Collection::WhenAsked)?;
    let mut client = Client::new(server.address());
    for step in prepared.deletions() {
        ensure!(step.take(&mut client, &mut Acknowledged::default())?, "the registry has died");
    }
    server.stop()?;
    scene.collect_all(Untagged::Stay)?;
    scene.blob_files()
}

struct Row<'a> {
    scene: &'a mut Scene,
    prepared: &'a Prepared,
    /// How many files stay when the deletions are done.
    files_left: usize,
    work: Work,
}

impl Row<'_> {
    /// Tries `limit` of all points.
    fn run(&mut self, limit: u64, number: usize) -> Result<()> {
        let trace = Trace::new()?;
        self.try_out(Tracing::Count(&trace)).context("without being killed")?;
        let counts = trace.counts()?;
        let points: Vec<Point> = counts
            .iter()
            .flat_map(|&(call, most)| (1..=most).map(move |number| Point { call, number }))
            .collect();
        let step = points.len().div_ceil(usize::try_from(limit.max(1))?).max(1);
        let (mut tried, mut kills) = (0, 0);
        for point in points.iter().skip(number % step).step_by(step) {
            kills += u32::from(self.try_at(*point)?);
            tried += 1;
        }
        if step == 1 {
            for &(call, most) in &counts {
                for number in most + 1..=most + BEYOND {
                    tried += 1;
                    if !self.try_at(Point { call, number })? {
                        break;
                    }
                    kills += 1;
                }
            }
        }
        let (kind, work, all) = (self.scene.kind(), self.work, points.len());
        println!(
            "{kind:?} {work:?}: killed {kills} times in {tried} runs; {all} points: {counts:?}"
        );
        Ok(())
    }

    fn try_at(&mut self, point: Point) -> Result<bool> {
        self.try_out(Tracing::Kill(point)).with_context(|| format!("killed at {point}"))
    }

    /// Does the work on the prepared state, and looks what is left of it; false when nobody was killed.
    fn try_out(&mut self, tracing: Tracing<'_>) -> Result<bool> {
        self.scene.put_back()?;
        let mut known = self.prepared.known.clone();
        let was_killed = match self.work {
            Work::Command => self.collect(tracing)?,
            Work::Deletion => self.delete(tracing, &mut known)?,
            Work::PushAgain => self.push_again(tracing, &mut known)?,
        };
        self.check(known)?;
        Ok(was_killed)
    }

    fn collect(&self, tracing: Tracing<'_>) -> Result<bool> {
        let output = tracing.of_command(&self.scene.collection(Untagged::Go)?).output()?;
        was_killed(output.status, || String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn delete(&self, tracing: Tracing<'_>, known: &mut Acknowledged) -> Result<bool> {
        let left = self.files_left;
        self.serve(Collection::Restless, tracing, &self.prepared.deletions(), known, |scene| {
            Ok(scene.blob_files()? <= left)
        })
    }

    fn push_again(&self, tracing: Tracing<'_>, known: &mut Acknowledged) -> Result<bool> {
        let [_, second, third] = &self.prepared.images;
        let mut steps = Vec::new();
        for image in [third, second, third] {
            steps.push(image.delete());
            steps.extend(image.delete_blobs());
            steps.extend(image.push());
        }
        self.serve(Collection::RestlessWithPromises, tracing, &steps, known, |_| Ok(true))
    }

    /// Sends the requests to a registry that is traced, until it dies or all is done.
    fn serve(
        &self,
        collection: Collection,
        tracing: Tracing<'_>,
        steps: &[Step],
        known: &mut Acknowledged,
        is_done: impl Fn(&Scene) -> Result<bool>,
    ) -> Result<bool> {
        let mut server = self.scene.start(collection)?;
        let tracer = tracing.of_process(server.id())?;
        let mut client = Client::new(server.address());
        let mut answers = true;
        for step in steps {
            answers = answers && step.take(&mut client, known)?;
        }
        if answers {
            wait::until("the garbage is collected", || {
                Ok(server.has_ended() || is_done(&*self.scene)?)
            })?;
        }
        let log = server.log_end();
        let status = server.end()?;
        tracer.finish()?;
        was_killed(status, || log)
    }

    /// Everything is as it was told, and when all garbage is gone the storage holds what is named and nothing else.
    fn check(&self, mut known: Acknowledged) -> Result<()> {
        let scene = &self.scene;
        scene.let_holds_run_out()?;
        if self.work == Work::PushAgain {
            self.push_once_more(&mut known)?;
        }
        let server = scene.start(Collection::WhenAskedAndPurged)?;
        known.check(server.address()).context("after the start")?;
        wait::until("a round finds nothing to purge", || {
            Ok(server.log_end().contains("there are no abandoned uploads"))
        })?;
        // Nothing stands for it, and so it goes.
        if self.work == Work::Deletion {
            self.prepared.images[0].forget(&mut known);
        }
        scene.collect_all(Untagged::Go)?;
        known.check(server.address()).context("after the collection")?;
        let names = Names::of(server.registry())?;
        server.stop()?;
        scene.compare(&names)
    }

    /// Pushes what was deleted, and perhaps pushed.
    fn push_once_more(&self, known: &mut Acknowledged) -> Result<()> {
        let server = self.scene.start(Collection::WhenAsked)?;
        known.check(server.address()).context("before the push")?;
        if self.scene.kind().on_postgres {
            // A removal that others may still be at is ended by the next collector alone.
            self.scene.collect_all(Untagged::Stay)?;
        }
        let mut client = Client::new(server.address());
        for image in &self.prepared.images[1..] {
            for step in image.push() {
                ensure!(step.take(&mut client, known)?, "the registry has died");
            }
        }
        known.check(server.address()).context("after the push")?;
        server.stop()
    }
}
