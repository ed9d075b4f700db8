//! Azurite: Azure Blob Storage, emulated by Microsoft.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;

use crate::program::{Program, loopback, on_free_port};
use crate::tls::Certificate;
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
        on_free_port(|port| Self::start_on(port, None))
    }

    /// Starts a server that speaks TLS with this certificate, and takes bearer tokens too: it looks at their issuer,
    /// audience and times, but at no signature.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start.
    pub fn start_tls(certificate: &Certificate) -> Result<Self> {
        on_free_port(|port| Self::start_on(port, Some(certificate)))
    }

    fn start_on(port: u16, certificate: Option<&Certificate>) -> Result<Self> {
        let main = cache::program(path())?;
        let folder = folder::temporary()?;
        let mut program = Program::start("node", folder.path().join("log"), |command| {
            command.arg(main).args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
            command.arg("--location").arg(folder.path().join("data"));
            command.args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"]);
            if let Some(tls) = certificate {
                command.arg("--cert").arg(tls.authority()).arg("--key").arg(tls.key());
                command.args(["--oauth", "basic"]);
            }
        })?;
        program.wait_until(|| match certificate {
            Some(_) => TcpStream::connect(loopback(port)).is_ok(),
            None => http::answers(loopback(port), "/"),
        })?;
        create_container(port, certificate)?;
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://127.0.0.1:{port}/{ACCOUNT}");
        Ok(Self { _program: program, _folder: folder, endpoint })
    }

    /// A shared access signature for the container and an hour from now, as the portal shows it. One of the whole
    /// account would do in Azure; Azurite has forgotten deletions in batches with those.
    ///
    /// <https://learn.microsoft.com/rest/api/storageservices/create-service-sas>
    #[must_use]
    pub fn shared_access_signature(&self) -> String {
        const VERSION: &str = "2021-12-02";
        let until = Timestamp::now() + Duration::from_secs(3600);
        let until = until.strftime("%Y-%m-%dT%H:%M:%SZ");
        let (rights, resource) = ("racwdl", format!("/blob/{ACCOUNT}/{CONTAINER}"));
        let text =
            format!("{rights}\n\n{until}\n{resource}\n\n\nhttps,http\n{VERSION}\nc\n\n\n\n\n\n\n");
        let signature = utf8_percent_encode(&sign(&text), NON_ALPHANUMERIC).to_string();
        format!("sp={rights}&se={until}&spr=https,http&sv={VERSION}&sr=c&sig={signature}")
    }

    /// `http://127.0.0.1:PORT/ACCOUNT`, `https` with TLS: the emulator has the account in the path.
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
fn create_container(port: u16, certificate: Option<&Certificate>) -> Result<()> {
    const VERSION: &str = "2021-12-02";
    let date = httpdate::fmt_http_date(SystemTime::now());
    let path = format!("/{ACCOUNT}/{CONTAINER}");
    let text = format!(
        "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{VERSION}\n/{ACCOUNT}{path}\nrestype:container"
    );
    let signature = sign(&text);
    let authorization = format!("SharedKey {ACCOUNT}:{signature}");
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-ms-date", date.as_str()),
        ("x-ms-version", VERSION),
    ];
    let (server, path) = (loopback(port), format!("{path}?restype=container"));
    let answer = match certificate {
        Some(tls) => http::send_over(tls.connect(server)?, server, "PUT", &path, &headers, b""),
        None => http::send(server, "PUT", &path, &headers, b""),
    };
    answer?.success().context("cannot create a container")?;
    Ok(())
}

fn sign(text: &str) -> String {
    let key = BASE64_STANDARD.decode(KEY).unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    BASE64_STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}
