//! Who may do what is the same on every replica: accounts, tokens, what they may do, and what was done.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_tests::wire::{self, Answer, Request, get};
use berth_tests::{Launch, wait};
use serde_json::{Value, json};

use crate::database;
use crate::group::{Blobs, Replicas};

const ROOT: (&str, &str) = ("root", "of all replicas");
const MIA: (&str, &str) = ("mia", "is on each of them");

fn basic((name, password): (&str, &str)) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

fn ask(address: SocketAddr, by: &str, method: &str, path: &str, body: Value) -> Result<Answer> {
    let request = Request::new(method, path).header("Authorization", by);
    let request = match body {
        Value::Null => request,
        body => {
            request.header("Content-Type", "application/json").body(body.to_string().into_bytes())
        }
    };
    wire::send(address, &request)
}

fn status(address: SocketAddr, by: &str, path: &str) -> Result<u16> {
    Ok(ask(address, by, "GET", path, Value::Null)?.status)
}

/// A token of the token service for the pulls of `acme/app`.
fn log_in(address: SocketAddr) -> Result<String> {
    let path = "/token?service=berth&scope=repository:acme/app:pull";
    let told = ask(address, &basic(MIA), "GET", path, Value::Null)?.expect(200)?.json()?;
    Ok(format!("Bearer {}", told["token"].as_str().context("no token")?))
}

fn create_root(launch: &Launch) -> Result<()> {
    let create = ["user", "create", ROOT.0, "--admin", "--password-stdin"];
    let mut command = launch.command(&create)?;
    let mut child = command.stdin(std::process::Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    std::io::Write::write_all(&mut input, ROOT.1.as_bytes())?;
    drop(input);
    ensure!(child.wait()?.success(), "berth user create failed");
    Ok(())
}

#[test]
#[ignore = "run by cargo xtask replicas"]
fn accounts_tokens_and_grants_are_those_of_all_replicas() -> Result<()> {
    let blobs = Blobs::in_a_folder()?;
    let launch =
        blobs.with(&database::shared()?.database()?).env("REGISTRY_AUTH_ACCOUNTS_ENABLED", "true");
    create_root(&launch)?;
    let replicas = Replicas::start(&launch, 4)?;
    let [first, second, third] = *replicas.addresses() else {
        anyhow::bail!("not three replicas");
    };
    let root = basic(ROOT);

    // An account that one makes is everybody's at once.
    let new = json!({ "name": MIA.0, "password": MIA.1 });
    ask(first, &root, "POST", "/api/v1/users", new)?.expect(201)?;
    for address in [first, second, third] {
        ask(address, &basic(MIA), "GET", "/api/v1/me", Value::Null)?.expect(200)?;
    }
    let keys = |address| -> Result<String> {
        let answer = wire::send(address, &get("/token/keys"))?.expect(200)?;
        Ok(answer.text())
    };
    ensure!(keys(first)? == keys(second)? && keys(second)? == keys(third)?);

    // A token of one is good at the others, and a grant is followed by all.
    let grant = json!({ "subject": "user:mia", "role": "reader", "repositories": "acme/*" });
    let tags = "/v2/acme/app/tags/list";
    let before = log_in(second)?;
    ensure!(status(third, &before, tags)? == 401, "there is no grant yet");
    let made = ask(second, &root, "POST", "/api/v1/grants", grant)?.expect(201)?.json()?;
    for (from, at) in [(first, second), (second, third), (third, first)] {
        wait::until("a grant is followed", || Ok(status(at, &log_in(from)?, tags)? == 404))?;
    }

    // What one takes away is gone everywhere.
    let token = log_in(first)?;
    ensure!(status(third, &token, tags)? == 404);
    ask(third, &root, "POST", "/api/v1/accounts/mia/revoke", json!({}))?.expect(204)?;
    for address in [first, second, third] {
        wait::until("a login has ended", || Ok(status(address, &token, tags)? == 401))?;
    }
    let grant = format!("/api/v1/grants/{}", made["id"]);
    ask(first, &root, "DELETE", &grant, Value::Null)?.expect(204)?;
    for address in [first, second, third] {
        wait::until("a grant has ended", || Ok(status(address, &log_in(address)?, tags)? == 401))?;
    }

    // Each tells of what was done at any of them.
    for address in [first, second, third] {
        for (action, subject) in [("users.create", MIA.0), ("grants.create", "user:mia")] {
            let path = format!("/api/v1/audit?action={action}");
            wait::until("the audit log tells of all", || {
                let audit = ask(address, &root, "GET", &path, Value::Null)?.expect(200)?;
                Ok(audit.text().contains(subject))
            })?;
        }
    }
    replicas.stop()
}
