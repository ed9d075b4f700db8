//! Passwords that people choose: hashed slowly, and away from the threads that serve requests.

use std::sync::{Arc, OnceLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::{Htpasswd, Password};

/// The shortest password, in characters.
pub const SHORTEST: usize = 8;

/// The longest password, in bytes. Hashing takes longer the longer it is.
pub const LONGEST: usize = 256;

/// Memory that one hash takes, in KiB, and how often it goes over it: what OWASP recommends for
/// argon2id.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Too short.
    #[error("a password has at least 8 characters")]
    TooShort,
    /// Too long.
    #[error("a password has at most 256 bytes")]
    TooLong,
    /// It holds a line break or the like.
    #[error("a password holds no control characters")]
    Control,
    /// It could not be hashed.
    #[error("the password cannot be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// Whoever hashes and compares: a few threads at most, so that a crowd that logs in does not take
/// the processors away from those who pull.
#[derive(Debug)]
pub struct Passwords {
    permits: Arc<Semaphore>,
}

impl Passwords {
    /// At most `threads` at a time; others wait for their turn.
    pub fn new(threads: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// The hash of a new password, in the PHC string format.
    ///
    /// # Errors
    /// When it is too short, too long, or holds control characters.
    pub async fn hash(&self, password: Password) -> Result<String, PasswordError> {
        if password.expose().chars().count() < SHORTEST {
            return Err(PasswordError::TooShort);
        }
        if password.expose().len() > LONGEST {
            return Err(PasswordError::TooLong);
        }
        if password.expose().contains(char::is_control) {
            return Err(PasswordError::Control);
        }
        self.run(move || hash(password.expose())).await.map_err(PasswordError::Hash)
    }

    /// Whether a password is that of a hash. Without a hash it takes as long, and is wrong: who
    /// guesses names learns nothing.
    pub async fn verify(&self, password: Password, hash: Option<String>) -> bool {
        if password.expose().len() > LONGEST {
            return false;
        }
        self.run(move || {
            let is_there = hash.is_some();
            let hash = hash.as_deref().unwrap_or(nobody());
            let right = PasswordHash::new(hash).is_ok_and(|hash| {
                argon().verify_password(password.expose().as_bytes(), &hash).is_ok()
            });
            right && is_there
        })
        .await
    }

    /// Whether a name and a password are of a password file.
    pub async fn verify_in_file(
        &self,
        file: Arc<Htpasswd>,
        name: String,
        password: Password,
    ) -> bool {
        self.run(move || file.verify(&name, &password)).await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        // The semaphore is never closed; without a permit the work would only be less bounded.
        let permit = self.permits.clone().acquire_owned().await.ok();
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        match task.await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn argon() -> Argon2<'static> {
    // The parameters are constants within the limits of the algorithm.
    let params = Params::new(MEMORY, PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(argon().hash_password(password.as_bytes())?.to_string())
}

/// A hash of a password that nobody has.
fn nobody() -> &'static str {
    static NOBODY: OnceLock<String> = OnceLock::new();
    // Where even this fails no password is right, which is what it is for.
    NOBODY.get_or_init(|| hash("nobody has this password").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::new(1);
        let hash = passwords.hash("correct horse".to_owned().into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let verify = |text: &str, hash: Option<&str>| {
            passwords.verify(text.to_owned().into(), hash.map(str::to_owned))
        };
        assert!(verify("correct horse", Some(&hash)).await);
        assert!(!verify("correct horses", Some(&hash)).await);
        assert!(!verify("", Some(&hash)).await);
        assert!(!verify("nobody has this password", None).await);
        assert!(!verify("correct horse", Some("not a hash")).await);
    }

    #[tokio::test]
    async fn a_poor_password_is_not_taken() {
        let passwords = Passwords::new(1);
        let long = "x".repeat(257);
        for (text, error) in [
            ("1234567", PasswordError::TooShort),
            (long.as_str(), PasswordError::TooLong),
            ("12345678\n", PasswordError::Control),
        ] {
            assert_eq!(passwords.hash(text.to_owned().into()).await, Err(error));
        }
    }
}
