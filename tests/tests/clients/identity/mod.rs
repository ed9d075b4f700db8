//! Clients that log in, and registries that ask who is there.

mod beside;
mod certificates;
mod containerd;
mod containers;
mod docker;
mod go;
mod token_server;
mod workloads;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use berth_tests::authority::Authority;
use berth_tests::fixtures::Layout;
use berth_tests::{Home, Launch, Server};
use tempfile::TempDir;

use crate::{arrived, split};

/// Whoever may write `team/**` and nothing else.
const ALICE: User = User { name: "alice", password: "of-alice-4f1c" };
/// Whoever may do everything: what is checked and prepared is by her.
const CAROL: User = User { name: "carol", password: "of-carol-93d0" };
const WRONG: User = User { name: "alice", password: "no-such-77ab" };

const GRANTS: &str = "['allow user:alice writer team/**', 'allow user:carol maintainer **', 'allow anyone reader public/**']";

#[derive(Clone, Copy)]
struct User {
    name: &'static str,
    password: &'static str,
}

impl User {
    /// `NAME:PASSWORD`
    fn pair(self) -> String {
        format!("{}:{}", self.name, self.password)
    }

    fn basic(self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(self.pair()))
    }
}

/// A password file of all who have a password, in all forms of bcrypt's hashes.
fn password_file(folder: &Path) -> Result<PathBuf> {
    let forms = [(ALICE, bcrypt::Version::TwoY), (CAROL, bcrypt::Version::TwoB)];
    let line = |(user, form): (User, bcrypt::Version)| -> Result<String> {
        let hash = bcrypt::hash_with_result(user.password, 5)?.format_for_version(form);
        Ok(format!("{}:{hash}\n", user.name))
    };
    let path = folder.join("htpasswd");
    fs::write(&path, forms.into_iter().map(line).collect::<Result<String>>()?)?;
    Ok(path)
}

/// A registry over TLS that lets in who has a password, and everybody to what is public.
struct Guarded {
    server: Server,
    folder: TempDir,
}

impl Guarded {
    fn start() -> Result<Self> {
        Self::start_with(&[("REGISTRY_AUTH_GRANTS", GRANTS)])
    }

    fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let (authority, folder) = (Authority::new("registry")?, tempfile::tempdir()?);
        let pair = authority.server()?.write(folder.path(), "server")?;
        fs::create_dir(folder.path().join("trusted"))?;
        fs::write(folder.path().join("trusted/ca.crt"), authority.certificate())?;
        let launch = Launch::temporary()?
            .tls(&pair, authority.trust())
            .showing(CAROL.basic())
            .env("REGISTRY_AUTH_HTPASSWD_PATH", password_file(folder.path())?)
            .env("REGISTRY_LOG_LEVEL", "debug")
            .env("REGISTRY_AUDIT_PULLS", "true")
            .env("REGISTRY_AUDIT_FILE", folder.path().join("audit"));
        let launch = settings.iter().fold(launch, |launch, (name, value)| launch.env(name, value));
        Ok(Self { server: launch.start()?, folder })
    }

    fn host(&self) -> String {
        self.server.host()
    }

    /// A folder with the authority's certificate, as podman and skopeo want it.
    fn trusted(&self) -> String {
        self.folder.path().join("trusted").display().to_string()
    }

    /// The authority's certificate, as everybody else wants it.
    fn authority(&self) -> String {
        format!("{}/ca.crt", self.trusted())
    }

    /// Puts an image there, by somebody who may.
    fn publish(&self, home: &Home, image: &Layout, name: &str) -> Result<()> {
        home.run(&format!(
            "skopeo copy --preserve-digests --dest-cert-dir {} --dest-creds {} {} docker://{}/{name}",
            self.trusted(),
            CAROL.pair(),
            image.oci(),
            self.host()
        ))?;
        self.arrived(name, &image.digest)
    }

    fn arrived(&self, name: &str, digest: &str) -> Result<()> {
        let (repository, tag) = split(name);
        arrived(&self.server, repository, tag, digest)
    }

    /// Stops it. Neither its log nor the audit log may hold any of the passwords, nor these secrets.
    fn stop(self, secrets: &[&str]) -> Result<()> {
        let audit = self.folder.path().join("audit");
        let log = self.server.stop_for_log()?;
        let audit = fs::read_to_string(audit)?;
        ensure!(log.contains(ALICE.name) && audit.contains(ALICE.name), "somebody's name is gone");
        for (what, text) in [("log", &log), ("audit log", &audit)] {
            keeps_secrets(what, text, secrets)?;
        }
        Ok(())
    }
}

/// Checks that a text holds none of the passwords, bare or as clients send them, and none of some other secrets.
fn keeps_secrets(what: &str, text: &str, secrets: &[&str]) -> Result<()> {
    for user in [ALICE, CAROL, WRONG] {
        let sent = BASE64_STANDARD.encode(user.pair());
        ensure!(!text.contains(user.password), "the password {} is in the {what}", user.password);
        ensure!(
            !text.contains(&sent),
            "the password {} is in the {what}, as {sent}",
            user.password
        );
    }
    for secret in secrets {
        ensure!(!text.contains(secret), "the secret {secret} is in the {what}");
    }
    // The claims of any token in the form of a JWT.
    ensure!(!text.contains(".eyJ"), "a token is in the {what}");
    Ok(())
}

/// Checks that what a client says when it is refused tells a person why.
fn says(printed: &str, words: &[&str]) -> Result<()> {
    let told = printed.to_lowercase();
    ensure!(words.iter().any(|word| told.contains(word)), "none of {words:?} is in:\n{printed}");
    Ok(())
}

/// What clients say where a login is missing or wrong.
const UNAUTHORIZED: [&str; 2] = ["unauthorized", "authentication required"];
/// What clients say where somebody may not.
const DENIED: [&str; 4] = ["denied", "unauthorized", "insufficient_scope", "forbidden"];
