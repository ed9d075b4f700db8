//! Whether the time of an answer tells what its words do not: that a repository is there, or an account.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::USER;
use crate::client::Connection;
use crate::peers::Server;
use crate::results::{Metric, RowRun};

pub(crate) const MANIFEST: &str = "refused manifest GET";
pub(crate) const TAGS: &str = "refused list of tags";
pub(crate) const LOGIN: &str = "refused login";
/// What is there and what is not, as the page has them.
pub(crate) const THERE: &str = "there";
pub(crate) const ABSENT: &str = "absent";

/// Who is there in another way than [`USER`] is, which is asked with a wrong password.
const NOBODY: &str = "nobody";
/// How often each logs in in a round: passwords take long to compare.
const LOGINS: usize = 20;

/// Asks for what is there and for what is not in turn over one connection, `times` times each.
pub(super) fn measure(
    run: &mut RowRun,
    server: &Server,
    token: &str,
    [there, absent]: [&str; 2],
    times: usize,
    round: usize,
) -> Result<()> {
    let authorization = format!("Bearer {token}");
    let headers = [("Authorization", authorization.as_str())];
    for (case, resource) in [(MANIFEST, "manifests/latest"), (TAGS, "tags/list")] {
        let paths = [there, absent].map(|repository| format!("/v2/{repository}/{resource}"));
        let ask = |connection: &mut Connection, which: usize| -> Result<Duration> {
            timed(connection, 401, "GET", &paths[which], &headers, &[])
        };
        record(run, server, case, times, round, ask)?;
    }
    let bodies = [USER, NOBODY].map(|account| {
        format!("grant_type=password&username={account}&password=wrong&client_id=bench")
    });
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let log_in = |connection: &mut Connection, which: usize| -> Result<Duration> {
        timed(connection, 401, "POST", "/token", &form, bodies[which].as_bytes())
    };
    record(run, server, LOGIN, LOGINS, round, log_in)
}

fn record(
    run: &mut RowRun,
    server: &Server,
    case: &str,
    times: usize,
    round: usize,
    ask: impl Fn(&mut Connection, usize) -> Result<Duration>,
) -> Result<()> {
    let mut connection = Connection::open(server.address)?;
    let mut found = [Vec::new(), Vec::new()];
    for turn in 0..2 * times {
        // There, absent, absent, there: neither always follows the other.
        let which = (turn + turn / 2) % 2;
        found[which].push(ask(&mut connection, which)?);
    }
    for (name, mut times) in [THERE, ABSENT].into_iter().zip(found) {
        ensure!(!times.is_empty());
        times.sort_unstable();
        let median = times[times.len() / 2].as_secs_f64() * 1e3;
        run.record(case, name, round, &[(Metric::MedianMilliseconds, median)]);
    }
    Ok(())
}

fn timed(
    connection: &mut Connection,
    status: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Duration> {
    let start = Instant::now();
    let answer = connection.exchange(method, path, headers, body)?;
    let took = start.elapsed();
    answer.expect(status)?;
    Ok(took)
}
