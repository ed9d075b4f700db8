//! Secrets that are drawn at random, and so are kept as a plain hash: nobody can guess them.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::Password;

/// What access tokens begin with. Scanners of leaked secrets look for such words.
pub const ACCESS_TOKEN: &str = "berth_pat_";

/// What refresh tokens begin with.
pub const REFRESH_TOKEN: &str = "berth_rt_";

/// How many random bytes a secret has.
const BYTES: usize = 32;

/// The system has no random numbers to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandom;

/// Draws a secret that begins with a word.
///
/// # Errors
/// When the system has no random numbers to give.
pub fn draw(prefix: &str) -> Result<Password, NoRandom> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)).into())
}

/// What is kept of a secret.
pub fn hash(secret: &Password) -> [u8; 32] {
    Sha256::digest(secret.expose().as_bytes()).into()
}
