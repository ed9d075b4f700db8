//! Azurite: Azure Blob Storage, emulated by Microsoft.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;

use crate::program::{Program, loopback, on_free_port};
use crate::{cache, folder, http};

pub(crate) const VERSION: &str = "3.37.0";

/// The account that every emulator of Azure knows, published by Microsoft for this purpose.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const CONTAINER: &str = "berth";

/// Where it is in the cache; Node runs it.
pub(crate) fn path() -> PathBuf {
    Path::new(&format!("azurite-{VERSION}")).join("node_modules/azurite/dist/src/blob/main.js")
}

/// An Azure Blob server with one container. Shared keys, SAS and conditions are checked.
#[derive(Debug)]
pub struct Azurite {
    _program: Program,
    _folder: TempDir,
    endpoint: String,
}

impl Azurite {
    /// Starts a server.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub fn start() -> Result<Self> {
        on_free_port(Self::start_on)
    }

    fn start_on(port: u16) -> Result<Self> {
        let main = cache::program(path())?;
        let folder = folder::temporary()?;
        let mut program = Program::start("node", folder.path().join("log"), |command| {
            command.arg(main).args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
            command.arg("--location").arg(folder.path().join("data"));
            command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
        })?;
        program.wait_until(|| http::answers(loopback(port), "/"))?;
        create_container(port)?;
        let endpoint = format!("http://127.0.0.1:{port}/{ACCOUNT}");
        Ok(Self { _program: program, _folder: folder, endpoint })
    }

    /// `http://127.0.0.1:PORT/ACCOUNT`: the emulator has the account in the path.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The one account.
    pub fn account(&self) -> &str {
        ACCOUNT
    }

    /// The account's shared key.
    pub fn key(&self) -> &str {
        KEY
    }

    /// The container that exists.
    pub fn container(&self) -> &str {
        CONTAINER
    }
}

/// <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>
fn create_container(port: u16) -> Result<()> {
    const VERSION: &str = "2021-12-02";
    let date = httpdate::fmt_http_date(SystemTime::now());
    let path = format!("/{ACCOUNT}/{CONTAINER}");
    let text = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{VERSION}\n/{ACCOUNT}{path}\nrestype:container"
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(KEY)?);
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let authorization = format!("SharedKey {ACCOUNT}:{signature}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-ms-date", date.as_str()),
        ("x-ms-version", VERSION),
    ];
    http::send(loopback(port), "PUT", &format!("{path}?restype=container"), &headers, b"")?
        .success()
        .context("cannot create a container")?;
    Ok(())
}
