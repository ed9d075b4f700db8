//! OpenStack Swift: the real servers, all in one process, behind a small Keystone of ours.

mod keystone;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use self::keystone::Keystone;
use crate::program::{Program, loopback, on_free_port};
use crate::{cache, folder, http};

pub(crate) const VERSION: &str = "2.38.3";
/// What Swift asks Keystone with.
pub(crate) const MIDDLEWARE: &str = "keystonemiddleware==13.0.1";

const SERVER: &str = include_str!("server.py");
const CONTAINER: &str = "berth";
const TEMP_URL_KEY: &str = "berth-temp-url-key";

/// Where its Python is in the cache.
pub(crate) fn path() -> PathBuf {
    Path::new(&format!("swift-{VERSION}")).join("bin/python")
}

/// A Swift with one container, on one device.
///
/// Large objects (SLO, DLO), bulk deletes, copies and temporary URLs work. Tokens come from a Keystone v3 that knows
/// one user with a password and an application credential, and Swift asks it about each token each time.
#[derive(Debug)]
pub struct Swift {
    _program: Program,
    _folder: TempDir,
    keystone: Keystone,
    endpoint: String,
}

/// Who may use a [`Swift`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwiftUser {
    /// `http://127.0.0.1:PORT/v3` of Keystone.
    pub auth_url: String,
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The name of the domain of user and project; its id is `default`.
    pub domain: String,
    /// The project's name.
    pub project: String,
    /// The project's id.
    pub project_id: String,
    /// The region that the catalog has the store in.
    pub region: String,
    /// The id of an application credential of the user.
    pub credential_id: String,
    /// Its name.
    pub credential_name: String,
    /// Its secret.
    pub credential_secret: String,
}

impl Swift {
    /// Starts Swift and Keystone.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not start; the temporary folder needs extended attributes.
    pub fn start() -> Result<Self> {
        on_free_port(Self::start_on)
    }

    fn start_on(port: u16) -> Result<Self> {
        let python = cache::program(path())?;
        let folder = folder::temporary()?;
        let store = format!("http://127.0.0.1:{port}");
        let keystone = Keystone::start(store.clone())?;
        let mut program = Program::start(python, folder.path().join("log"), |command| {
            command.args(["-W", "ignore", "-c", SERVER]).arg(folder.path());
            command.args([port.to_string(), keystone.endpoint()]);
        })?;
        program.wait_until(|| {
            http::answers_as(loopback(port), "/healthcheck", |answer| answer.status == 200)
        })?;
        let path = format!("/v1/AUTH_{}", keystone::PROJECT_ID);
        let token = keystone.token();
        let ask = |method, path: &str, headers: &[(&str, &str)]| {
            let headers = [headers, &[("x-auth-token", &token)]].concat();
            http::send(loopback(port), method, path, &headers, b"")?.success()
        };
        let key = [("x-account-meta-temp-url-key", TEMP_URL_KEY)];
        ask("PUT", &format!("{path}/{CONTAINER}"), &[]).context("cannot create a container")?;
        ask("POST", &path, &key).context("cannot set the key of temporary URLs")?;
        let endpoint = format!("{store}{path}");
        Ok(Self { _program: program, _folder: folder, keystone, endpoint })
    }

    /// `http://127.0.0.1:PORT/v1/ACCOUNT`, as the catalog has it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The container that exists.
    pub fn container(&self) -> &str {
        CONTAINER
    }

    /// The key that temporary URLs are signed with (SHA-256 or SHA-512).
    pub fn temp_url_key(&self) -> &str {
        TEMP_URL_KEY
    }

    /// Who may use it.
    pub fn user(&self) -> SwiftUser {
        SwiftUser {
            auth_url: format!("{}/v3", self.keystone.endpoint()),
            user: keystone::USER.to_owned(),
            password: keystone::PASSWORD.to_owned(),
            domain: keystone::DOMAIN.to_owned(),
            project: keystone::PROJECT.to_owned(),
            project_id: keystone::PROJECT_ID.to_owned(),
            region: keystone::REGION.to_owned(),
            credential_id: keystone::CREDENTIAL_ID.to_owned(),
            credential_name: keystone::CREDENTIAL_NAME.to_owned(),
            credential_secret: keystone::CREDENTIAL_SECRET.to_owned(),
        }
    }

    /// A token of the user, without a login.
    pub fn token(&self) -> String {
        self.keystone.token()
    }

    /// How often the user has logged in.
    pub fn logins(&self) -> usize {
        self.keystone.logins()
    }

    /// Tokens that are given out from now on expire after this time; it is an hour at first.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.keystone.set_lifetime(lifetime);
    }

    /// Makes all tokens of the user invalid at once.
    pub fn revoke_tokens(&self) {
        self.keystone.revoke();
    }
}
