//! What the process writes: the greeting, its log, and the access log.

use anyhow::{Context, Result, ensure};
use berth_tests::wire::get;
use berth_tests::{Launch, wait};
use serde_json::Value;

use crate::client::Client;

#[test]
#[ignore = "run by cargo xtask faults"]
fn the_greeting_says_where_it_listens_where_its_data_is_and_what_to_try() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Launch::filesystem(directory.path())?.start()?;
    let greeting = server.log_end();
    let localhost = format!("localhost:{}", server.address().port());
    for part in [
        format!("http://{}", server.host()),
        directory.path().display().to_string(),
        format!("docker tag busybox {localhost}/busybox"),
        format!("docker push {localhost}/busybox"),
    ] {
        ensure!(greeting.contains(&part), "{part:?} is not in:\n{greeting}");
    }
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask faults"]
fn every_line_is_json_where_that_is_wanted_and_a_failure_has_the_id_of_its_request() -> Result<()> {
    let server = Launch::temporary()?.env("REGISTRY_LOG_FORMATTER", "json").start()?;
    server.send(&get("/v2/none/tags/list").header("X-Request-ID", "absent-1"))?.expect(404)?;
    server.send(&get("/v2/NONE/tags/list").header("X-Request-ID", "malformed-2"))?.expect(400)?;
    wait::until("the requests are logged", || {
        Ok(server.log_end().contains("response completed")
            && server.log_end().contains("malformed-2"))
    })?;
    wait::until("the access log is written", || {
        let lines = json_lines(&server.log_end())?;
        Ok(lines.iter().any(|line| line["http.request.id"] == "malformed-2"))
    })?;
    let lines = json_lines(&server.log_end())?;
    let access = |id: &str| {
        let found = lines.iter().find(|line| line["http.request.id"] == id);
        found.with_context(|| format!("{id} is not in the access log"))
    };
    assert_eq!(access("absent-1")?["http.response.status"], 404);
    assert_eq!(access("absent-1")?["http.request.uri"], "/v2/none/tags/list");
    assert_eq!(access("malformed-2")?["http.response.status"], 400);
    let failure = lines.iter().find(|line| line["request.id"] == "malformed-2");
    let failure = failure.context("the failure is not in the log")?;
    ensure!(failure.to_string().contains("lower case"), "{failure}");
    server.stop()
}

fn json_lines(text: &str) -> Result<Vec<Value>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}")))
        .collect()
}
