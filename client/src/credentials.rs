use std::fmt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::RegistryUrl;
use crate::cloud::{CloudCredentials, CloudError};

/// How long a helper may take.
const HELPER_TIMEOUT: Duration = Duration::from_secs(30);

/// The name that a helper gives for a token that is to be exchanged (`docker-credential-helpers`).
const IDENTITY_TOKEN: &str = "<token>";

/// Where the credentials for a registry come from.
#[derive(Debug)]
pub enum Credentials {
    /// There are none.
    Anonymous,
    /// A name and a password.
    Password(Password),
    /// A program that gives them, as Docker's credential helpers do (`docker-credential-…`): run with
    /// the argument `get`, told the registry on its input, it answers with `Username` and `Secret`.
    Helper(Helper),
    /// What a machine of a cloud is known as there.
    Cloud(CloudCredentials),
}

impl Credentials {
    /// Credentials that a program gives. They are good for `lifetime`; zero stands for one use.
    pub fn helper(command: String, lifetime: Duration) -> Self {
        Self::Helper(Helper { command, lifetime, known: Mutex::default() })
    }

    /// Whether there are any.
    pub fn are_there(&self) -> bool {
        !matches!(self, Self::Anonymous)
    }

    /// What to show for the registry of this name.
    pub(crate) async fn get(
        &self,
        registry: &RegistryUrl,
    ) -> Result<Option<Password>, CredentialsError> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Password(password) => Ok(Some(password.clone())),
            Self::Helper(helper) => Ok(Some(helper.get(&registry.authority()).await?)),
            // Boxed: it is rare, and would make each request's future as large as it is.
            Self::Cloud(cloud) => Ok(Some(Box::pin(cloud.get(registry)).await?)),
        }
    }
}

/// A name and a password. The password is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl Password {
    /// Whether it is a refresh token, to be exchanged at the token service.
    pub(crate) fn is_identity_token(&self) -> bool {
        self.username == IDENTITY_TOKEN
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A program that gives credentials.
#[derive(Debug)]
pub struct Helper {
    command: String,
    lifetime: Duration,
    /// What it said last. Whoever asks waits for the one who runs it.
    known: Mutex<Option<(Password, Instant)>>,
}

/// What a helper answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl Helper {
    async fn get(&self, registry: &str) -> Result<Password, HelperError> {
        let mut known = self.known.lock().await;
        if let Some((password, since)) = &*known
            && since.elapsed() < self.lifetime
        {
            return Ok(password.clone());
        }
        let run = timeout(HELPER_TIMEOUT, self.run(registry));
        let password = run.await.map_err(|_| self.error("it did not answer in time"))??;
        *known = Some((password.clone(), Instant::now()));
        Ok(password)
    }

    async fn run(&self, registry: &str) -> Result<Password, HelperError> {
        let mut child = Command::new(&self.command)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.error(error))?;
        if let Some(mut input) = child.stdin.take() {
            // A helper that does not read its input is met by what it answers.
            let _ = input.write_all(registry.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(|error| self.error(error))?;
        if !output.status.success() {
            return Err(self.error(format_args!("it ended with {}", output.status)));
        }
        // What it said may be secret, and is not repeated.
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .map_err(|_| self.error("it answered no JSON with Username and Secret"))?;
        Ok(Password { username: answer.username, password: answer.secret })
    }

    fn error(&self, reason: impl fmt::Display) -> HelperError {
        HelperError { command: self.command.clone(), reason: reason.to_string() }
    }
}

/// There are no credentials where there should be some.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error(transparent)]
    Helper(#[from] HelperError),
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

/// A helper gave no credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the credential helper {command} gave no credentials: {reason}")]
pub(crate) struct HelperError {
    command: String,
    reason: String,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A helper that counts how often it runs.
    fn helper(directory: &tempfile::TempDir, body: &str) -> String {
        let path = directory.path().join("helper");
        fs::write(
            &path,
            format!("#!/bin/sh\necho run >> {}/runs\n{body}\n", directory.path().display()),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn registry() -> RegistryUrl {
        "registry.example.org".parse().unwrap()
    }

    #[tokio::test]
    async fn a_helper_is_told_the_registry_and_asked_again_when_its_answer_is_old() {
        let directory = tempfile::tempdir().unwrap();
        let command = helper(
            &directory,
            r#"read -r host; echo "{\"Username\":\"$1\",\"Secret\":\"$host\"}""#,
        );
        let get = async |lifetime, times| {
            let credentials = Credentials::helper(command.clone(), lifetime);
            for _ in 0..times {
                let found = credentials.get(&registry()).await.unwrap().unwrap();
                assert_eq!((&*found.username, &*found.password), ("get", "registry.example.org"));
            }
        };
        get(Duration::from_secs(60), 3).await;
        let runs = || fs::read_to_string(directory.path().join("runs")).unwrap().lines().count();
        assert_eq!(runs(), 1);
        get(Duration::ZERO, 2).await;
        assert_eq!(runs(), 3);
    }

    #[tokio::test]
    async fn what_a_helper_says_in_place_of_credentials_is_not_repeated() {
        let directory = tempfile::tempdir().unwrap();
        for body in ["echo hidden", "exit 1", "echo '{\"Username\":\"hidden\"}'"] {
            let command = helper(&directory, body);
            let credentials = Credentials::helper(command, Duration::ZERO);
            let error = credentials.get(&registry()).await.unwrap_err().to_string();
            assert!(error.contains("helper") && !error.contains("hidden"), "{error}");
        }
        let absent = Credentials::helper("/nowhere/helper".to_owned(), Duration::ZERO);
        assert!(absent.get(&registry()).await.is_err());
    }
}
