//! Logins: whether a registry accepts them, and where they are written down.

use berth_client::{Credentials, DockerConfig, LoginFile, Password};

use super::error::ImageError;
use super::name::HUB;
use super::pull::runtime;
use super::registry::client;
use super::settings::Settings;

/// How a login was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In the file of this path, for everybody to read who can read that.
    Plain(std::path::PathBuf),
    /// By a helper.
    Helper,
}

/// The registry that a person means who names none, or names one by a URL.
#[must_use]
pub fn server(text: Option<&str>) -> String {
    let text = text.unwrap_or(HUB);
    let text =
        text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = text.split('/').next().unwrap_or(text);
    match host {
        "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    }
}

/// Shows a login to a registry, and writes it down where docker does when that accepts it.
///
/// # Errors
/// When the registry does not accept it, or it cannot be written down.
pub fn login(settings: &Settings, server: &str, login: Password) -> Result<Kept, ImageError> {
    let client = client(server, settings, Credentials::Password(login.clone()))?;
    let runtime = runtime()?;
    runtime.block_on(client.check_login())?;
    let file = file()?;
    let kept =
        runtime.block_on(file.set(server, &login)).map_err(|error| unusable(&file, &error))?;
    Ok(if kept { Kept::Helper } else { Kept::Plain(file.path().to_owned()) })
}

/// Forgets a login; tells whether there was one.
///
/// # Errors
/// When the file cannot be changed.
pub fn logout(server: &str) -> Result<bool, ImageError> {
    let file = file()?;
    runtime()?.block_on(file.forget(server)).map_err(|error| unusable(&file, &error))
}

fn file() -> Result<LoginFile, ImageError> {
    let path = DockerConfig::path().ok_or_else(|| {
        ImageError::Refused("no file for logins: set HOME or DOCKER_CONFIG".to_owned())
    })?;
    Ok(LoginFile::new(path))
}

fn unusable(file: &LoginFile, error: &berth_client::DockerConfigError) -> ImageError {
    ImageError::File { path: file.path().display().to_string(), reason: error.to_string() }
}
