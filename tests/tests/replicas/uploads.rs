//! Uploads in chunks, each chunk to whichever replica chance picks, while replicas die.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use berth_tests::content::{Blob, Random};
use berth_tests::load::Client;
use berth_tests::wire::{Answer, Request, get, head, patch, post, put};

use crate::database;
use crate::group::{Blobs, REPLICAS, Replicas};
use crate::size::Size;

const CLIENTS: u64 = 24;
const MAX_CHUNKS: u64 = 8;
const MAX_BLOB: u64 = 512 << 10;
/// How long a replica lives between two deaths.
const LIFE: Duration = Duration::from_secs(2);
/// An upload that takes longer has got stuck; the hold of a dead replica lasts 15 s.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

#[test]
#[ignore = "run by cargo xtask replicas"]
fn chunked_uploads_finish_while_replicas_die_where_blobs_are_in_a_bucket() -> Result<()> {
    finish_while_replicas_die(&Blobs::in_a_bucket()?, Size::from_environment())
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn chunked_uploads_finish_while_replicas_die_where_blobs_are_in_a_shared_folder() -> Result<()> {
    finish_while_replicas_die(&Blobs::in_a_folder()?, Size::from_environment())
}

fn finish_while_replicas_die(blobs: &Blobs, size: Size) -> Result<()> {
    let mut replicas = Replicas::start(&blobs.with(&database::shared()?.database()?), 3)?;
    let address = replicas.address();
    let uploads = &Uploads { wanted: size.uploads, ..Uploads::default() };
    let kills = thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(move || uploads.work(address))).collect();
        let kills = kill_in_turn(&mut replicas, size.kills, uploads);
        // Whatever became of the replicas, the clients end.
        uploads.last_kill.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        kills
    })?;
    let count = uploads.begun.load(Ordering::SeqCst);
    for number in 0..count {
        pull(address, &blob(number)).with_context(|| format!("blob {number}"))?;
    }
    println!(
        "{count} uploads in chunks finished and pulled back, {kills} replicas killed\n{uploads:?}"
    );
    ensure!(kills >= size.kills, "only {kills} replicas died while the uploads were under way");
    replicas.stop()
}

/// Kills one replica after the other, and starts each again, until enough have died and all uploads are begun.
fn kill_in_turn(replicas: &mut Replicas, least: u64, uploads: &Uploads) -> Result<u64> {
    let mut kills = 0;
    while !uploads.has_failed() && (kills < least || !uploads.are_all_begun()) {
        // It waits for nothing: this is the moment of the crash.
        thread::sleep(LIFE);
        let replica = kills as usize % REPLICAS;
        replicas.kill(replica)?;
        replicas.restart(replica)?;
        kills += 1;
    }
    Ok(kills)
}

/// What all clients upload, and what they met.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    /// How many there shall be at least.
    pub(crate) wanted: u64,
    begun: AtomicU64,
    /// No replica dies any more, so no more uploads are needed than are wanted.
    last_kill: AtomicBool,
    failed: AtomicBool,
    broken: AtomicU64,
    busy: AtomicU64,
    unavailable: AtomicU64,
    out_of_order: AtomicU64,
    begun_again: AtomicU64,
}

impl Uploads {
    /// As many as are wanted, while nobody dies.
    pub(crate) fn in_peace(wanted: u64) -> Self {
        Self { wanted, last_kill: true.into(), ..Self::default() }
    }

    /// Uploads one blob after the other until there are enough.
    pub(crate) fn work(&self, address: SocketAddr) -> Result<()> {
        let mut client = Client::new(address);
        loop {
            if self.has_failed() || (self.last_kill.load(Ordering::SeqCst) && self.are_all_begun())
            {
                return Ok(());
            }
            let number = self.begun.fetch_add(1, Ordering::SeqCst);
            let uploaded = Upload::new(self, number).run(&mut client);
            if uploaded.is_err() {
                self.failed.store(true, Ordering::SeqCst);
            }
            uploaded.with_context(|| format!("blob {number}"))?;
        }
    }

    fn are_all_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst) >= self.wanted
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }
}

fn blob(number: u64) -> Blob {
    let mut random = Random::new(number);
    Blob::random(number, (2 + random.below(MAX_BLOB)) as usize)
}

/// One upload by a client that goes on after whatever breaks off.
struct Upload<'a> {
    all: &'a Uploads,
    blob: Blob,
    random: Random,
    session: String,
    /// How far it is by the last answer, and how far the requests went.
    acknowledged: usize,
    sent: usize,
    /// A request may have ended the session.
    ending: bool,
    deadline: Instant,
}

impl<'a> Upload<'a> {
    fn new(all: &'a Uploads, number: u64) -> Self {
        Self {
            all,
            blob: blob(number),
            random: Random::new(!number),
            session: String::new(),
            acknowledged: 0,
            sent: 0,
            ending: false,
            deadline: Instant::now() + PATIENCE,
        }
    }

    /// Uploads until there is a blob. A death between the last two steps of an upload may leave neither a session nor a
    /// blob: the bytes have their place, and nobody knows of them.
    fn run(mut self, client: &mut Client) -> Result<()> {
        while !self.run_once(client)? {
            self.all.begun_again.fetch_add(1, Ordering::Relaxed);
            (self.acknowledged, self.sent, self.ending) = (0, 0, false);
        }
        Ok(())
    }

    /// One session, to its end; whether there is a blob then.
    fn run_once(&mut self, client: &mut Client) -> Result<bool> {
        let open = post("/v2/app/blobs/uploads/");
        self.session = loop {
            if let Some(answer) = self.ask(client, &open)? {
                break answer.expect(202)?.location()?;
            }
        };
        loop {
            let (request, to, status) = self.next_request();
            match self.ask(client, &request)? {
                Some(answer) if answer.status == 404 && self.ending => {
                    return self.is_finished(client);
                }
                Some(answer) => {
                    let answer = answer.expect(status)?;
                    if status == 201 {
                        return Ok(true);
                    }
                    self.session = answer.location()?;
                    self.acknowledged = offset(&answer)?;
                    ensure!(self.acknowledged == to, "a chunk was taken in part");
                }
                None if self.find_offset(client)? => {}
                None => return self.is_finished(client),
            }
        }
    }

    /// Another chunk, or the end with what is left; how far it takes the session, and the status of its answer.
    fn next_request(&mut self) -> (Request, usize, u16) {
        let bytes = &self.blob.bytes;
        let (from, left) = (self.acknowledged, bytes.len() - self.acknowledged);
        let longest = (bytes.len() as u64 / MAX_CHUNKS).max(2) as usize * 2;
        if left <= longest {
            self.sent = bytes.len();
            self.ending = true;
            let finish = put(&*self.session).with_query(&format!("digest={}", self.blob.digest));
            let finish = if left == 0 { finish } else { finish.body(&bytes[from..]) };
            return (finish, bytes.len(), 201);
        }
        let to = from + 2 + self.random.below(longest as u64 - 1) as usize;
        self.sent = self.sent.max(to);
        let chunk = patch(&*self.session).header("Content-Range", format!("{from}-{}", to - 1));
        (chunk.body(&bytes[from..to]), to, 202)
    }

    /// Asks until it is told how far the session is; `false` when there is no session any more.
    fn find_offset(&mut self, client: &mut Client) -> Result<bool> {
        let status = get(&*self.session);
        let answer = loop {
            if let Some(answer) = self.ask(client, &status)? {
                break answer;
            }
        };
        if answer.status == 404 {
            ensure!(self.ending, "the session is lost, with {} bytes", self.acknowledged);
            return Ok(false);
        }
        let offset = offset(&answer.expect(204)?)?;
        let possible = self.acknowledged..=self.sent;
        ensure!(possible.contains(&offset), "the session is at {offset}, not in {possible:?}");
        self.acknowledged = offset;
        Ok(true)
    }

    fn is_finished(&self, client: &mut Client) -> Result<bool> {
        let stat = head(format!("/v2/app/blobs/{}", self.blob.digest));
        loop {
            if let Some(answer) = self.ask(client, &stat)? {
                return Ok(answer.status == 200);
            }
        }
    }

    /// The answer; nothing when it was lost, or tells to look again.
    fn ask(&self, client: &mut Client, request: &Request) -> Result<Option<Answer>> {
        ensure!(Instant::now() < self.deadline, "not within {PATIENCE:?}: {}", request.line());
        let counter = match client.send(request) {
            Ok(answer) if answer.status == 409 => &self.all.busy,
            // What a dead replica had told the database may have been done after that was asked.
            Ok(answer) if answer.status == 416 => &self.all.out_of_order,
            Ok(answer) if answer.status == 429 || answer.status >= 500 => &self.all.unavailable,
            Ok(answer) => return Ok(Some(answer)),
            Err(_) => &self.all.broken,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
        Ok(None)
    }
}

/// How many bytes a session has. One with a single byte looks like one with none; no chunk here has one.
fn offset(answer: &Answer) -> Result<usize> {
    let range = answer.header("range")?;
    let last = range.strip_prefix("0-").and_then(|last| last.parse().ok());
    let last: usize = last.with_context(|| format!("Range: {range}"))?;
    Ok(if last == 0 { 0 } else { last + 1 })
}

/// Reads a blob back, all of it and nothing else.
pub(crate) fn pull(address: SocketAddr, blob: &Blob) -> Result<()> {
    let path = format!("/v2/app/blobs/{}", blob.digest);
    let answer = Client::new(address).expect(200, &get(path))?;
    ensure!(answer.body == blob.bytes, "{} came back changed", blob.digest);
    Ok(())
}

/// Uploads that many blobs through a balancer, and pulls all of them back.
pub(crate) fn upload_in_peace(address: SocketAddr, count: u64) -> Result<()> {
    let uploads = &Uploads::in_peace(count);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(move || uploads.work(address))).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })?;
    println!("{uploads:?}");
    let Uploads { broken, busy, unavailable, out_of_order, begun_again, .. } = uploads;
    let met = [broken, busy, unavailable, out_of_order, begun_again];
    let met: u64 = met.iter().map(|counter| counter.load(Ordering::SeqCst)).sum();
    ensure!(met == 0, "{met} requests were not answered at once as they should be");
    (0..uploads.begun.load(Ordering::SeqCst)).try_for_each(|number| pull(address, &blob(number)))
}
