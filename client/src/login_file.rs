//! Writing down logins where Docker has them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::Password;
use crate::docker_config::{DockerConfig, DockerConfigError, key};

/// Docker's `config.json`, to be changed. What else it says stays as it is.
#[derive(Clone, Debug)]
pub struct LoginFile {
    path: PathBuf,
}

impl LoginFile {
    /// The file at `path`, which need not be there.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down a login for the registry that references call `host`: with the helper that the file
    /// names, or else in the file. Tells whether a helper has it.
    ///
    /// # Errors
    /// When the file or the helper cannot be used.
    pub async fn set(&self, host: &str, login: &Password) -> Result<bool, DockerConfigError> {
        let key = key(host);
        if let Some(helper) = DockerConfig::read(&self.path)?.helper_for(key) {
            let Password { username, password } = login;
            let told = json!({"ServerURL": key, "Username": username, "Secret": password});
            self.tell(&helper, "store", &told.to_string()).await?;
            self.change(|auths| auths.insert(key.to_owned(), json!({})).is_none())?;
            return Ok(true);
        }
        let text = BASE64_STANDARD.encode(format!("{}:{}", login.username, login.password));
        self.change(|auths| {
            auths.insert(key.to_owned(), json!({"auth": text}));
            true
        })?;
        Ok(false)
    }

    /// Forgets the login for a registry; tells whether there was one.
    ///
    /// # Errors
    /// When the file or the helper cannot be used.
    pub async fn forget(&self, host: &str) -> Result<bool, DockerConfigError> {
        let key = key(host);
        if let Some(helper) = DockerConfig::read(&self.path)?.helper_for(key) {
            self.tell(&helper, "erase", key).await?;
        }
        let with_scheme = format!("https://{key}");
        self.change(|auths| {
            let known = [key, with_scheme.as_str()].map(|key| auths.remove(key).is_some());
            known.contains(&true)
        })
    }

    /// Changes the logins; a change that says that it is none is not written.
    fn change(
        &self,
        change: impl FnOnce(&mut Map<String, Value>) -> bool,
    ) -> Result<bool, DockerConfigError> {
        let mut whole = match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| self.error(format!("line {} is malformed", error.line())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(self.error(error.to_string())),
        };
        let auths = whole.entry("auths").or_insert_with(|| json!({}));
        let Some(auths) = auths.as_object_mut() else {
            return Err(self.error("`auths` is no object".to_owned()));
        };
        let is_changed = change(auths);
        if is_changed {
            self.write(&Value::Object(whole)).map_err(|error| self.error(error.to_string()))?;
        }
        Ok(is_changed)
    }

    fn write(&self, whole: &Value) -> io::Result<()> {
        // Others may have it elsewhere, and lead there by a link.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let unfinished = path.with_extension(format!("json.{}", std::process::id()));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = serde_json::to_vec_pretty(whole).map_err(io::Error::from);
        let written = written.and_then(|text| file.write_all(&text)).and_then(|()| file.sync_all());
        let renamed = written.and_then(|()| fs::rename(&unfinished, &path));
        if renamed.is_err() {
            // The error before says more.
            let _ = fs::remove_file(&unfinished);
        }
        renamed
    }

    async fn tell(&self, helper: &str, verb: &str, input: &str) -> Result<(), DockerConfigError> {
        let program = format!("docker-credential-{helper}");
        let failed = |reason: String| self.error(format!("{program} {verb}: {reason}"));
        let mut child = Command::new(&program)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        if let Some(mut pipe) = child.stdin.take() {
            // A helper that does not read its input is met by how it ends.
            let _ = pipe.write_all(input.as_bytes()).await;
        }
        let status = child.wait().await.map_err(|error| failed(error.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(format!("it ended with {status}"))) }
    }

    fn error(&self, reason: String) -> DockerConfigError {
        DockerConfigError::new(&self.path, reason)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::Credentials;

    fn login() -> Password {
        Password { username: "me".to_owned(), password: "my:password".to_owned() }
    }

    #[tokio::test]
    async fn a_login_is_found_again_and_what_else_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = LoginFile::new(folder.path().join("new/config.json"));
        for host in ["docker.io", "r.example.org:5000"] {
            assert!(!file.set(host, &login()).await.unwrap());
            let read = DockerConfig::read(file.path()).unwrap();
            let Credentials::Password(found) = read.credentials(host) else { panic!("{host}") };
            assert_eq!(found, login());
        }
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("https://index.docker.io/v1/"), "{text}");
        let mut whole: Value = serde_json::from_str(&text).unwrap();
        whole["proxies"] = json!({"default": 1});
        fs::write(file.path(), whole.to_string()).unwrap();
        assert!(file.forget("docker.io").await.unwrap());
        assert!(!file.forget("docker.io").await.unwrap());
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.contains("proxies") && !text.contains("docker.io"), "{text}");
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }
}
