//! Passwords that people choose: hashed slowly, and away from the threads that serve requests.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::{Htpasswd, Password, background};

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
    /// There is nobody to hash it any more.
    #[error("the password cannot be hashed: berth is stopping")]
    Stopped,
}

/// How many passwords wait at most before those who bring more wait themselves.
const WAITING: usize = 256;

/// Whoever hashes and compares: a few threads, away from those that serve requests.
#[derive(Debug)]
pub struct Passwords {
    queue: mpsc::Sender<Work>,
}

struct Work(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl Passwords {
    /// So many threads; what they cannot take waits. They end with it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(threads: usize) -> io::Result<Self> {
        let (queue, waiting) = mpsc::channel::<Work>(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads.max(1) {
            let waiting = waiting.clone();
            std::thread::Builder::new()
                .name("passwords".to_owned())
                .spawn(move || work_off(&waiting))?;
        }
        Ok(Self { queue })
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
        match self.run(move || hash(password.expose())).await {
            Some(hashed) => hashed.map_err(PasswordError::Hash),
            None => Err(PasswordError::Stopped),
        }
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
        .unwrap_or(false)
    }

    /// Whether a name and a password are of a password file.
    pub async fn verify_in_file(
        &self,
        file: Arc<Htpasswd>,
        name: String,
        password: Password,
    ) -> bool {
        self.run(move || file.verify(&name, &password)).await.unwrap_or(false)
    }

    /// Has it done by one of the threads. Nothing where they have gone.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let work = Work(Box::new(move || {
            // Whoever asked may have gone.
            let _ = answer.send(work());
        }));
        self.queue.send(work).await.ok()?;
        answered.await.ok()
    }
}

fn work_off(waiting: &Mutex<mpsc::Receiver<Work>>) {
    background::step_back();
    loop {
        // One thread at a time waits for work; a thread that panics has taken its work before.
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(Work(work)) = next else { return };
        // A panic ends the one login, not the thread: its answer is dropped.
        let _ =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| background::in_turns(work)));
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
        let passwords = Passwords::new(1).unwrap();
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
        let passwords = Passwords::new(1).unwrap();
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
