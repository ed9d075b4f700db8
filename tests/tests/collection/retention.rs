//! `berth retention`, beside a registry that runs and without one, and the runs that a registry makes by itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use berth_tests::content::{Blob, Manifest};
use berth_tests::load::Client;
use berth_tests::receiver::Receiver;
use berth_tests::wire::{get, post, put};
use berth_tests::{Launch, Server, berth_binary, wait};
use serde_json::Value;

const RULES: &str = "REGISTRY_POLICY_RETENTION_RULES";

/// The two greatest versions stay, and what is immutable.
const KEEP_TWO: &str = "[{repositories: ['team/**'], keep: [{newestsemver: 2}]}]";

const IMMUTABLE: (&str, &str) =
    ("REGISTRY_POLICY_IMMUTABLETAGS", "[{repositories: ['**'], tags: [pinned]}]");

fn start(root: &Path, settings: &[(&str, &str)]) -> Result<Server> {
    let launch = Launch::filesystem(root)?;
    settings.iter().fold(launch, |launch, (name, value)| launch.env(*name, *value)).start()
}

/// What the command tells.
fn retention(root: &Path, rules: &str, options: &[&str]) -> Result<String> {
    let output = Command::new(berth_binary()?)
        .arg("retention")
        .args(options)
        .env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", root)
        .env(RULES, rules)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{text}{error}", output.status);
    Ok(text)
}

fn push(server: &Server, repository: &str, tag: &str) -> Result<Manifest> {
    let mut client = Client::new(server.address());
    let (config, layer) = (Blob::new("{}"), Blob::new(format!("the layer of {tag}")));
    for blob in [&config, &layer] {
        let target = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
        client.expect(201, &post(target).body(&*blob.bytes))?;
    }
    let manifest = Manifest::image(&config, &[&layer]);
    let target = format!("/v2/{repository}/manifests/{tag}");
    let request = put(target).header("Content-Type", &manifest.media_type).body(&*manifest.bytes);
    client.expect(201, &request)?;
    Ok(manifest)
}

fn tags(server: &Server, repository: &str) -> Result<Vec<String>> {
    let request = get(format!("/v2/{repository}/tags/list"));
    let answer = Client::new(server.address()).expect(200, &request)?;
    let list: Value = serde_json::from_slice(&answer.body)?;
    let tags = list["tags"].as_array().context("no tags")?;
    Ok(tags.iter().filter_map(|tag| Some(tag.as_str()?.to_owned())).collect())
}

fn fill(server: &Server) -> Result<()> {
    for tag in ["1.9.0", "1.10.0", "v2.0.0", "latest", "pinned"] {
        push(server, "team/app", tag)?;
    }
    push(server, "other", "1.0.0")?;
    Ok(())
}

const LEFT: [&str; 3] = ["1.10.0", "pinned", "v2.0.0"];

#[test]
#[ignore = "run by cargo xtask soak"]
fn it_tells_of_every_tag_why_and_deletes_what_nothing_keeps() -> Result<()> {
    let root = tempfile::tempdir()?;
    let receiver = Receiver::start()?;
    let endpoint = format!(
        "[{{name: hook, url: 'http://{}/', ignore: {{actions: [push]}}}}]",
        receiver.address()
    );
    let server = start(root.path(), &[IMMUTABLE, ("REGISTRY_NOTIFICATIONS_ENDPOINTS", &endpoint)])?;
    fill(&server)?;
    let before = tags(&server, "team/app")?;

    let told = retention(root.path(), KEEP_TWO, &["--dry-run"])?;
    for line in [
        "keep    team/app:v2.0.0  newest 2 versions\n",
        "keep    team/app:1.10.0  newest 2 versions\n",
        "delete  team/app:1.9.0  no rule keeps it\n",
        "delete  team/app:latest  no rule keeps it\n",
        // By the configuration of the registry that runs.
        "keep    team/app:pinned  immutable by policy.immutabletags[0]\n",
        "2 tags and 0 untagged manifests would be deleted in 1 repositories, 3 tags stay. Nothing was changed\n",
    ] {
        ensure!(told.contains(line), "{line}{told}");
    }
    ensure!(!told.contains("other"), "{told}");
    ensure!(tags(&server, "team/app")? == before, "a dry run changes nothing");
    let json = retention(root.path(), KEEP_TWO, &["--dry-run", "--json"])?;
    let lines: Vec<Value> = json.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines.len() == 6 && lines[5]["retained"]["deleted_tags"] == 2, "{json}");
    ensure!(lines.iter().any(|line| line["verdict"]["name"] == "team/app:latest"), "{json}");

    let told = retention(root.path(), KEEP_TWO, &["--repository", "team/app"])?;
    ensure!(told.contains("delete  team/app:1.9.0") && !told.contains("keep "), "{told}");
    ensure!(
        told.ends_with("2 tags and 0 untagged manifests deleted in 1 repositories, 3 tags kept\n")
    );
    ensure!(tags(&server, "team/app")? == LEFT);
    ensure!(tags(&server, "other")? == ["1.0.0"]);
    let events = receiver.wait_for(2)?;
    let mut gone: Vec<_> = events.iter().map(|event| event["target"]["tag"].to_string()).collect();
    gone.sort();
    ensure!(gone == ["\"1.9.0\"", "\"latest\""], "{events:?}");
    ensure!(
        events[0]["action"] == "delete" && events[0]["request"]["useragent"] == "berth retention"
    );
    ensure!(retention(root.path(), KEEP_TWO, &["--quiet"])?.starts_with("0 tags"));
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn it_works_by_itself_where_none_runs() -> Result<()> {
    let root = tempfile::tempdir()?;
    let server = start(root.path(), &[])?;
    fill(&server)?;
    server.stop()?;

    let told = retention(
        root.path(),
        "[{repositories: ['**'], untagged: 1ns, keep: [{tags: ['v*']}]}]",
        &[],
    )?;

    ensure!(
        told.ends_with("5 tags and 5 untagged manifests deleted in 2 repositories, 1 tags kept\n"),
        "{told}"
    );
    let tree = root.path().join("docker/registry/v2/repositories/team/app/_manifests/tags");
    ensure!(std::fs::read_dir(tree)?.count() == 1, "the links are gone, too");
    let server = start(root.path(), &[])?;
    ensure!(tags(&server, "team/app")? == ["v2.0.0"]);
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn a_registry_does_it_by_itself() -> Result<()> {
    let root = tempfile::tempdir()?;
    let interval = ("REGISTRY_POLICY_RETENTION_INTERVAL", "20ms");
    let server = start(root.path(), &[IMMUTABLE, (RULES, KEEP_TWO), interval])?;
    fill(&server)?;

    wait::until("only what is kept is left", || Ok(tags(&server, "team/app")? == LEFT))?;

    wait::until("what was deleted is counted", || {
        let answer = Client::new(server.address()).expect(200, &get("/metrics"))?;
        let metrics = String::from_utf8(answer.body)?;
        Ok(metrics.contains("berth_retention_deleted_tags_total 2\n"))
    })?;
    server.stop()
}

/// Whoever pulls a tag keeps it, also by its digest, as containerd does.
#[test]
#[ignore = "run by cargo xtask soak"]
fn a_pull_keeps_a_tag() -> Result<()> {
    let root = tempfile::tempdir()?;
    let keep = "[{repositories: ['**'], keep: [{newestpulled: 2}]}]";
    let asking = ("REGISTRY_POLICY_RETENTION_RULES", keep);
    let dry = ("REGISTRY_POLICY_RETENTION_DRYRUN", "true");
    let server = start(root.path(), &[asking, dry])?;
    let by_tag = push(&server, "app", "a")?;
    let by_digest = push(&server, "app", "b")?;
    for tag in ["c", "d"] {
        push(&server, "app", tag)?;
    }
    let mut client = Client::new(server.address());
    for (reference, manifest) in [("a", &by_tag), (by_digest.digest.as_str(), &by_digest)] {
        let request = get(format!("/v2/app/manifests/{reference}"));
        client.expect(200, &request.header("Accept", &manifest.media_type))?;
    }

    retention(root.path(), keep, &[])?;

    ensure!(tags(&server, "app")? == ["a", "b"]);
    server.stop()
}

#[test]
#[ignore = "run by cargo xtask soak"]
fn a_policy_that_cannot_be_meant_is_refused_in_a_line() -> Result<()> {
    let root = tempfile::tempdir()?;
    for (rules, options, says) in [
        ("[]", &[][..], "there is no retention policy"),
        ("[{repositories: ['**']}]", &[], "`policy.retention.rules[0]`: it deletes nothing"),
        (KEEP_TWO, &["--repository", "Team"], "--repository: repository names are lower case"),
        (KEEP_TWO, &["--repository", "team/unknown"], "the repository team/unknown does not exist"),
    ] {
        let error = retention(root.path(), rules, options).err().context("it was accepted")?;
        let error = format!("{error:#}");
        ensure!(error.contains(says), "{error}");
    }
    Ok(())
}
