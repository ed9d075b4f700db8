//! `wrk`, and `hey` to see whether it agrees.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::content::MANIFEST_TYPE;

/// Prints what was measured as JSON. With arguments it also asks for another path each time: those are the template,
/// how many tags there are, how many of them a repository has, and how many are asked for.
const SCRIPT: &str = r#"
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end
function init(args)
  if #args < 4 then return end
  local template, count, each, asked = args[1], tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local step = math.floor(count / asked)
  math.randomseed(os.time() + number * 7919)
  request = function()
    local tag = math.random(0, asked - 1) * step
    return wrk.format("GET", string.format(template, math.floor(tag / each), tag))
  end
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "seconds": %.6f, "p50": %.4f, "p99": %.4f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"#;

/// Threads of the load generator.
pub(crate) const THREADS: usize = 2;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Target<'a> {
    /// Always the same.
    Path(&'a str),
    /// The same, with one more header.
    With {
        /// The path.
        path: &'a str,
        /// The header, `Name: value`.
        header: &'a str,
    },
    /// Tags at random.
    Tags {
        /// A path with two `%d`, for the repository and the tag.
        template: &'a str,
        /// How many tags there are.
        count: u32,
        /// How many of them a repository has.
        each: u32,
        /// From how many, spread over all, one is chosen.
        asked: u32,
    },
}

/// What `wrk` found.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    /// Milliseconds.
    pub(crate) p50: f64,
    /// Milliseconds.
    pub(crate) p99: f64,
    /// Answers that are no success, and connections that broke.
    pub(crate) failed: u64,
}

/// Asks for `target` on `connections` connections for some time. Fails when an answer is no success.
pub(crate) fn wrk(
    folder: &Path,
    base: &str,
    target: &Target<'_>,
    connections: usize,
    time: Duration,
) -> Result<Load> {
    let script = folder.join("wrk.lua");
    fs::write(&script, SCRIPT)?;
    let mut command = Command::new("wrk");
    command
        .args(["--threads", &THREADS.min(connections).to_string()])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs().max(1))])
        .args(["--timeout", "20s", "--header", &accept()])
        .arg("--script")
        .arg(script);
    match target {
        Target::Path(path) => command.arg(format!("{base}{path}")),
        Target::With { path, header } => {
            command.args(["--header", header]).arg(format!("{base}{path}"))
        }
        Target::Tags { template, count, each, asked } => command
            .arg(base)
            .args(["--", template])
            .args([count, each, asked].map(|number| number.to_string())),
    };
    let output = command.output().context("cannot start wrk: install it (apt install wrk)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let load = parse(&text)
        .with_context(|| format!("wrk: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    ensure!(load.failed == 0, "{} of {} answers are no success", load.failed, load.requests);
    Ok(load)
}

/// As clients ask for a manifest; distribution 2 gives it to nobody else.
fn accept() -> String {
    format!("Accept: {MANIFEST_TYPE}")
}

fn parse(text: &str) -> Option<Load> {
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "))?;
    serde_json::from_str(line).ok()
}

/// The requests a second that `hey` finds, where it is installed.
pub(crate) fn hey(url: &str, connections: usize, time: Duration) -> Option<f64> {
    let output = Command::new("hey")
        .args(["-c", &connections.to_string(), "-z", &format!("{}s", time.as_secs().max(1))])
        .args(["-H", &accept(), url])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_found_behind_what_wrk_prints_for_people() {
        let text = "Running 1s test\n\nRESULT {\"requests\": 10, \"seconds\": 1.5, \"p50\": 0.1, \"p99\": 2.5, \"failed\": 0}\n";
        let load = Load { requests: 10, seconds: 1.5, p50: 0.1, p99: 2.5, failed: 0 };
        assert_eq!(parse(text), Some(load));
    }
}
