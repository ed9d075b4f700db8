//! A registry with accounts: an administrator, an owner, a member, a stranger and robots.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_tests::wire::{self, Answer, Request};
use berth_tests::{Launch, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A registry, where its data is, and how it is started.
pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) launch: Launch,
    root: TempDir,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum As {
    Nobody,
    /// A name, and a password or a token.
    Basic(&'static str, String),
    Bearer(String),
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Everybody's password is their name, twice.
pub(crate) fn password(name: &str) -> String {
    format!("{name} {name} 1")
}

/// Somebody with a password.
pub(crate) fn user(name: &'static str) -> As {
    As::Basic(name, password(name))
}

/// A launch on a folder, with accounts.
pub(crate) fn launch(root: &Path) -> Result<Launch> {
    Ok(Launch::filesystem(root)?
        .env("REGISTRY_AUTH_ACCOUNTS_ENABLED", "true")
        .env("REGISTRY_AUTH_ATTEMPTS_ACCOUNT", "1000")
        .env("REGISTRY_AUTH_ATTEMPTS_SOURCE", "1000"))
}

impl House {
    /// With `root`, who is the administrator, and nobody else.
    pub(crate) fn empty() -> Result<Self> {
        let root = tempfile::tempdir()?;
        let launch = launch(root.path())?;
        let create = ["user", "create", "root", "--admin", "--password-stdin"];
        run(&launch, &create, &password("root"))?.expect(0)?;
        let server = launch.start()?;
        Ok(Self { server, launch, root })
    }

    /// With an organisation, `acme`: `olga` owns it, `mia` belongs to it, `stan` does not; a team and two robots.
    pub(crate) fn full() -> Result<Self> {
        let house = Self::empty()?;
        for name in ["olga", "mia", "stan"] {
            let new = json!({ "name": name, "password": password(name) });
            house.send("POST", "/users", Some(new), &user("root"))?.expect(201)?;
        }
        let acme = json!({ "name": "acme", "owners": ["olga"] });
        house.send("POST", "/organisations", Some(acme), &user("root"))?.expect(201)?;
        let owner = user("olga");
        let team = json!({ "name": "dev" });
        house.send("POST", "/organisations/acme/teams", Some(team), &owner)?.expect(201)?;
        let member = "/organisations/acme/teams/dev/members/mia";
        house.send("PUT", member, None, &owner)?.expect(204)?;
        Ok(house)
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        by: &As,
    ) -> Result<Answer> {
        let mut request = Request::new(method, format!("/api/v1{path}"));
        if let Some(body) = body {
            let json = request.header("Content-Type", "application/json");
            request = json.body(body.to_string().into_bytes());
        }
        self.ask(&authorized(request, by))
    }

    pub(crate) fn get(&self, path: &str, by: &As) -> Result<Answer> {
        self.send("GET", path, None, by)
    }

    pub(crate) fn ask(&self, request: &Request) -> Result<Answer> {
        wire::send(self.server.address(), request)
    }

    /// Whether somebody is let in.
    pub(crate) fn lets_in(&self, by: &As) -> Result<bool> {
        let answer = self.ask(&authorized(Request::new("GET", "/v2/"), by))?;
        ensure!(matches!(answer.status, 200 | 401), "{}", answer.text());
        Ok(answer.status == 200)
    }

    /// Makes a robot of `acme`, and gives its token.
    pub(crate) fn robot(&self, name: &str) -> Result<String> {
        let made = self.send("POST", "/robots", Some(json!({ "name": name })), &user("olga"))?;
        text(&made.expect(201)?.json()?["token"]["secret"])
    }

    /// Makes an access token, and gives its secret.
    pub(crate) fn token(&self, account: &'static str, new: Value) -> Result<String> {
        let path = format!("/accounts/{account}/tokens");
        let made = self.send("POST", &path, Some(new), &user("root"))?;
        text(&made.expect(201)?.json()?["secret"])
    }

    /// A command beside it, which must succeed, and what it prints.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        Ok(run(&self.launch, arguments, "")?.expect(0)?.out)
    }

    /// Stops it, and gives the launch to start it again with, and its data.
    pub(crate) fn stop(self) -> Result<(Launch, TempDir)> {
        self.server.stop()?;
        Ok((self.launch, self.root))
    }
}

impl Told {
    pub(crate) fn expect(self, code: i32) -> Result<Self> {
        ensure!(self.code == code, "in place of {code}: {self:?}");
        Ok(self)
    }
}

/// Runs a command of berth's with something on its standard input.
pub(crate) fn run(launch: &Launch, arguments: &[&str], input: &str) -> Result<Told> {
    let mut command = launch.command(arguments)?;
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(Told {
        code: output.status.code().context("it was killed")?,
        out: String::from_utf8(output.stdout)?,
        err: String::from_utf8(output.stderr)?,
    })
}

pub(crate) fn authorized(request: Request, by: &As) -> Request {
    match by {
        As::Nobody => request,
        As::Basic(name, password) => {
            let pair = BASE64_STANDARD.encode(format!("{name}:{password}"));
            request.header("Authorization", format!("Basic {pair}"))
        }
        As::Bearer(token) => request.header("Authorization", format!("Bearer {token}")),
    }
}

pub(crate) fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("no text: {value}"))
}

/// The detail of a problem, which must be one as RFC 9457 has it.
pub(crate) fn problem(answer: &Answer, status: u16) -> Result<String> {
    ensure!(answer.status == status, "in place of {status}: {}", answer.text());
    ensure!(answer.header("content-type")? == "application/problem+json", "{}", answer.text());
    let body = answer.json()?;
    ensure!(body["status"] == status && body["title"].is_string(), "{body}");
    ensure!(text(&body["type"])?.starts_with("urn:berth:problem:"), "{body}");
    text(&body["detail"])
}
