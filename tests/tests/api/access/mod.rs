//! Who may use the registry, and how they show who they are.

mod audit;
mod foreign_tokens;
mod htpasswd;
mod listing;
mod matrix;
mod own_tokens;
mod refresh_tokens;
mod workloads;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_tests::wire::{Answer, Request, get, post};
use serde_json::Value;
use tempfile::TempDir;

use crate::api::Api;

/// A password file of these names; each has itself for a password.
struct PasswordFile {
    folder: TempDir,
}

impl PasswordFile {
    fn of(names: &[&str]) -> Result<Self> {
        let file = Self { folder: tempfile::tempdir()? };
        file.write(names)?;
        Ok(file)
    }

    fn write(&self, names: &[&str]) -> Result<()> {
        let lines = names.iter().map(|name| Ok(format!("{name}:{}\n", bcrypt::hash(name, 4)?)));
        std::fs::write(self.path(), lines.collect::<Result<String>>()?)?;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("htpasswd")
    }

    fn setting(&self) -> String {
        self.path().display().to_string()
    }
}

const HTPASSWD: &str = "REGISTRY_AUTH_HTPASSWD_PATH";
const GRANTS: &str = "REGISTRY_AUTH_GRANTS";

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
}

/// The request of somebody of the password file; of nobody in particular where there is no name.
fn by(name: &str, request: Request) -> Request {
    match name {
        "anonymous" => request,
        name => request.header("Authorization", basic(name, name)),
    }
}

fn with_token(token: &str, request: Request) -> Request {
    request.header("Authorization", format!("Bearer {token}"))
}

/// Asks the token service as somebody of the password file.
fn ask_token(api: &Api, name: &str, query: &str) -> Result<Answer> {
    api.send(&by(name, get(format!("/token?{query}"))))
}

fn token_of(answer: Answer) -> Result<String> {
    text(&answer.expect(200)?.json()?, "token")
}

fn text(json: &Value, key: &str) -> Result<String> {
    Ok(json[key].as_str().with_context(|| format!("no {key} in {json}"))?.to_owned())
}

/// Sends a form to the token service.
fn form(api: &Api, fields: &[(&str, &str)]) -> Result<Answer> {
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = post("/token").header("Content-Type", "application/x-www-form-urlencoded");
    api.send(&request.body(pairs.join("&")))
}

/// Checks that a request is refused with a challenge, and gives the challenge.
fn challenged(answer: Answer) -> Result<String> {
    ensure!(answer.status == 401, "{answer:?}");
    Ok(answer.header("www-authenticate")?.to_owned())
}
