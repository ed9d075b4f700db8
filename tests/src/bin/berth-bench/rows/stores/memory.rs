//! What a registry holds in memory while many push to an S3 server.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use anyhow::{Result, anyhow};

use super::{Store, registries};
use crate::client::{Connection, commit, send_content};
use crate::content::Content;
use crate::peers::{Peer, Server};
use crate::results::{Metric, RowRun, Series};
use crate::rows::watch::{group, watch};
use crate::rows::{Row, settle};
use crate::settings::{GIB, MIB};
use crate::{Bench, machine};

pub(crate) const CASE: &str = "50 pushes";

/// What Berth's part buffers take together, in MiB: those of a push are `parallelparts` times `chunksize`.
pub(crate) const PART_BUFFERS: u64 = PUSHES as u64 * 4 * 10;

const PUSHES: usize = 50;
/// How many sessions become blobs at the same time. This store copies all parts of an object to its end before it
/// removes them, and distribution has it copy the object besides: more at a time would fill the disk.
const COMMITS: usize = 4;
/// How often a blob is on the disk while distribution commits it: the object, and twice its copy.
const COPIES: u64 = 3;
/// What the disk keeps for others.
const SPARE: u64 = 2 * GIB;

pub(in crate::rows) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    if !super::is_here(run) {
        return Ok(());
    }
    let size = size(bench, run)?;
    run.setting(format!(
        "{PUSHES} clients at the same time, each with {} MiB of content of its own to a repository of its own, as fast as \
         they can; all send at the same time, and {COMMITS} commit at a time (the store copies parts when they become an \
         object, and the disk has no room for {PUSHES} copies); resident set of all processes of the registry at its peak \
         (`VmHWM`)",
        size / MIB,
    ));
    let mut contents = contents(size);
    for peer in registries(bench) {
        measure(bench, run, peer, &mut contents)?;
    }
    Ok(())
}

/// What each client pushes: the large blob, if there is room on the disk.
fn size(bench: &Bench, run: &mut RowRun) -> Result<u64> {
    let wanted = bench.settings.blob;
    let room = machine::free_space(&bench.work)?.saturating_sub(SPARE);
    let blobs = PUSHES as u64 + (COPIES - 1) * COMMITS as u64;
    let size = wanted.min(room / blobs / MIB * MIB);
    if size < wanted {
        let (size, wanted) = (size / MIB, wanted / MIB);
        run.note(format!("the disk has room for {size} MiB of each client, not for {wanted} MiB"));
    }
    Ok(size)
}

fn contents(size: u64) -> Vec<Content> {
    thread::scope(|scope| {
        let made: Vec<_> = (0..PUSHES).map(|_| scope.spawn(|| Content::new(size))).collect();
        made.into_iter().filter_map(|content| content.join().ok()).collect()
    })
}

fn measure(bench: &Bench, run: &mut RowRun, peer: &Peer, contents: &mut [Content]) -> Result<()> {
    let store = Store::start(bench, Row::StoreMemory)?;
    let server = store.registry(bench, peer, true)?;
    settle();
    let watched = watch(group(&server)?, || push_all(&server, contents))?;
    let values =
        [(Metric::PeakMebibytes, watched.peak), (Metric::AnonymousMebibytes, watched.anonymous())];
    run.record(CASE, &peer.name, 0, &values);
    let points = watched.resident();
    let took = points.last().map_or(0.0, |(time, _)| *time);
    run.note(format!("{}: all pushes together took {took:.0} s", peer.name));
    run.series.push(Series { case: CASE.to_owned(), peer: peer.name.clone(), points });
    server.stop()
}

fn push_all(server: &Server, contents: &mut [Content]) -> Result<()> {
    let turns = &Turns::new(COMMITS);
    thread::scope(|scope| {
        let pushes: Vec<_> = contents
            .iter_mut()
            .enumerate()
            .map(|(number, content)| scope.spawn(move || push(server, number, content, turns)))
            .collect();
        pushes
            .into_iter()
            .try_for_each(|push| push.join().unwrap_or_else(|_| Err(anyhow!("a push panicked"))))
    })
}

fn push(server: &Server, number: usize, content: &mut Content, turns: &Turns) -> Result<()> {
    let repository = format!("bench/memory-{number}");
    let session = send_content(&mut Connection::open(server.address)?, &repository, content)?;
    turns.take(|| commit(&mut Connection::open(server.address)?, &session, &content.digest))
}

/// Lets some in at a time.
struct Turns {
    free: Mutex<usize>,
    given_back: Condvar,
}

impl Turns {
    fn new(count: usize) -> Self {
        Self { free: Mutex::new(count), given_back: Condvar::new() }
    }

    fn take<T>(&self, work: impl FnOnce() -> T) -> T {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.given_back.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        let result = work();
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.given_back.notify_one();
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_are_let_in_than_there_are_turns() {
        let (turns, inside, most) = (Turns::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        let enter = || {
            turns.take(|| {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
            });
        };
        thread::scope(|scope| (0..16).for_each(|_| drop(scope.spawn(enter))));
        assert!((1..=2).contains(&most.into_inner()));
    }
}
