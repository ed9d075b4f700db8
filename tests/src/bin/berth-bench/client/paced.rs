//! Many pushes at the same time that go on and on.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Connection;

/// How often each push sends what is due.
const BEAT: Duration = Duration::from_millis(100);
const PIECE: usize = 64 * 1024;

/// Pushes on `connections` connections until `end`, each at `rate` bytes a second and each announced as one blob of
/// `announced` bytes; then all connections break off. Gives what each has sent.
pub(crate) fn push_paced(
    address: SocketAddr,
    connections: usize,
    announced: u64,
    rate: f64,
    end: Instant,
) -> Result<Vec<u64>> {
    let push = move || push_one(address, announced, rate, end);
    let pushes: Vec<_> = (0..connections).map(|_| thread::spawn(push)).collect();
    pushes
        .into_iter()
        .map(|push| push.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a push panicked"))))
        .collect()
}

fn push_one(address: SocketAddr, announced: u64, rate: f64, end: Instant) -> Result<u64> {
    let piece = [0x5a; PIECE];
    let mut connection = Connection::open(address)?;
    let begun = connection.exchange("POST", "/v2/bench/paced/blobs/uploads/", &[], &[])?;
    let location = begun.expect(202)?.head.location()?.to_owned();
    let length = announced.to_string();
    let headers =
        [("Content-Length", length.as_str()), ("Content-Type", "application/octet-stream")];
    connection.send_head("PATCH", &location, &headers)?;
    let start = Instant::now();
    let mut sent: u64 = 0;
    while Instant::now() < end {
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        let due = due.min(announced.saturating_sub(PIECE as u64));
        while sent < due && Instant::now() < end {
            connection.send(&piece)?;
            sent += PIECE as u64;
        }
        thread::sleep(BEAT);
    }
    Ok(sent)
}
