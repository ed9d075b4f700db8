//! Credentials that were found good a moment ago: verified once, and remembered by a hash.

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::{Caller, seconds};

/// How many are remembered.
const CAPACITY: usize = 50_000;

/// For how many seconds a right password is remembered.
pub(super) const PASSWORD_SECONDS: u64 = 60;

#[derive(Debug)]
pub(super) struct Remembered {
    callers: Cache<[u8; 32], Entry>,
    /// Drawn anew by each process, so that hashes of passwords are worth nothing elsewhere.
    salt: [u8; 32],
}

#[derive(Clone, Debug)]
struct Entry {
    caller: Caller,
    /// Seconds since 1970.
    until: u64,
    epoch: u64,
}

impl Remembered {
    pub(super) fn new() -> Self {
        let mut salt = [0; 32];
        // Without random numbers nothing is lost but the salt.
        let _ = aws_lc_rs::rand::fill(&mut salt);
        Self { callers: Cache::new(CAPACITY), salt }
    }

    /// What an `Authorization` header is remembered by.
    pub(super) fn key(&self, header: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(header).finalize().into()
    }

    /// Whoever has shown this, unless their time is over, or anything has changed since.
    pub(super) fn get(&self, key: &[u8; 32], epoch: u64) -> Option<Caller> {
        let entry = self.callers.get(key)?;
        let now = seconds(std::time::SystemTime::now());
        (entry.epoch == epoch && now < entry.until).then_some(entry.caller)
    }

    pub(super) fn put(&self, key: [u8; 32], caller: Caller, until: u64, epoch: u64) {
        self.callers.insert(key, Entry { caller, until, epoch });
    }
}
