//! An OpenID provider: panva's oidc-provider, which the OpenID Foundation has certified.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::program::{Program, loopback, on_free_port};
use crate::{cache, folder, http};

/// The last one for the Node that Debian and GitHub's machines have; 9 wants Node 22.
pub(crate) const VERSION: &str = "8.8.1";

const SCRIPT: &str = include_str!("provider.mjs");
const SECRET: &str = "berth-openid-client-secret";

/// Where its packages are in the cache.
fn packages() -> PathBuf {
    Path::new(&format!("oidc-provider-{VERSION}")).join("node_modules")
}

/// Where it is in the cache; Node runs a script of ours with it.
pub(crate) fn path() -> PathBuf {
    packages().join("oidc-provider/lib/index.js")
}

/// A provider that can be found by discovery. Its clients get tokens in the form of a JWT for themselves.
#[derive(Debug)]
pub struct OpenIdProvider {
    program: Option<Program>,
    folder: TempDir,
    port: u16,
    /// How many keys it has had.
    keys: u32,
}

impl OpenIdProvider {
    /// Starts a provider.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self> {
        let provider = cache::program(path())?;
        let packages = provider.ancestors().nth(3).context("the provider is in no folder")?;
        let folder = folder::temporary()?;
        fs::write(folder.path().join("provider.mjs"), SCRIPT)?;
        symlink(packages, folder.path().join("node_modules"))?;
        let (program, port) = on_free_port(|port| Ok((run(folder.path(), port, 1)?, port)))?;
        Ok(Self { program: Some(program), folder, port, keys: 1 })
    }

    /// Starts it anew, with another key in place of the one before.
    ///
    /// # Errors
    ///
    /// It does not start again.
    pub fn change_key(&mut self) -> Result<()> {
        self.stop()?;
        self.keys += 1;
        self.program = Some(run(self.folder.path(), self.port, self.keys)?);
        Ok(())
    }

    /// Stops it; nobody can ask for its keys then.
    ///
    /// # Errors
    ///
    /// It cannot be told to stop.
    pub fn stop(&mut self) -> Result<()> {
        self.program.take().map_or(Ok(()), |program| program.end(Signal::TERM))
    }

    /// What it calls itself.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A token for an audience. The client `builder` has the claim `repository: acme/web`, and `visitor`
    /// `repository: other/web`; those of `late`, which has the same as the first, expired two minutes ago.
    ///
    /// # Errors
    ///
    /// It gives out none.
    pub fn token(&self, client: &str, audience: &str) -> Result<String> {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{client}:{SECRET}")));
        let headers = [
            ("authorization", basic.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let form = format!("grant_type=client_credentials&scope=push&resource=urn:{audience}");
        let answer = http::send(loopback(self.port), "POST", "/token", &headers, form.as_bytes())?;
        let answer: serde_json::Value = serde_json::from_slice(&answer.success()?.body)?;
        Ok(answer["access_token"].as_str().context("there is no token in the answer")?.to_owned())
    }
}

fn run(folder: &Path, port: u16, key: u32) -> Result<Program> {
    let mut program = Program::start("node", folder.join("log"), |command| {
        command.arg(folder.join("provider.mjs"));
        command.args([&port.to_string(), &format!("key-{key}"), SECRET]);
    })?;
    program.wait_until(|| http::answers(loopback(port), "/.well-known/openid-configuration"))?;
    Ok(program)
}
