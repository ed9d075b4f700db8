use sha2::digest::Digest as _;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Sha256, Sha512};

use crate::{Algorithm, Digest};

/// An incremental hash whose state can be stored and taken up again by another process.
///
/// An upload session keeps the state between two chunks, so that no replica has to read back what
/// another one has received.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// Hashing with SHA-256.
    Sha256(Sha256),
    /// Hashing with SHA-512.
    Sha512(Sha512),
}

/// A stored [`Hasher`]: the algorithm, a format tag and the serialised state.
///
/// The tag names the crate generation that wrote it. A state of another generation is not
/// restored; the caller then hashes the bytes received so far again.
pub type HasherState = Vec<u8>;

/// The serialised form is that of sha2 0.11; raise it when that crate changes its own.
const STATE_FORMAT: u8 = 1;

impl Hasher {
    /// Starts a hash of nothing.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    /// The digest of `bytes`.
    pub fn digest(algorithm: Algorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Self::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The algorithm that this hash computes.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        let digest = match self {
            Self::Sha256(hasher) => Digest::from_hash(algorithm, &hasher.finalize()),
            Self::Sha512(hasher) => Digest::from_hash(algorithm, &hasher.finalize()),
        };
        // A finalised hash always has its algorithm's length.
        #[allow(clippy::expect_used)]
        digest.expect("hash length matches its algorithm")
    }

    /// The state to store between two chunks.
    pub fn save(&self) -> HasherState {
        let (algorithm, state) = match self {
            Self::Sha256(hasher) => (0, hasher.serialize().to_vec()),
            Self::Sha512(hasher) => (1, hasher.serialize().to_vec()),
        };
        let mut saved = vec![STATE_FORMAT, algorithm];
        saved.extend(state);
        saved
    }

    /// Takes up a stored state; `None` when this build cannot read it.
    pub fn restore(saved: &[u8]) -> Option<Self> {
        let (&[format, algorithm], state) = saved.split_first_chunk::<2>()?;
        match (format, algorithm) {
            (STATE_FORMAT, 0) => {
                let state = SerializedState::<Sha256>::try_from(state).ok()?;
                Sha256::deserialize(&state).ok().map(Self::Sha256)
            }
            (STATE_FORMAT, 1) => {
                let state = SerializedState::<Sha512>::try_from(state).ok()?;
                Sha512::deserialize(&state).ok().map(Self::Sha512)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_state_goes_on_where_it_stopped() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let bytes: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
            for cut in [0, 1, 63, 64, 65, 127, 128, 4000] {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&bytes[..cut]);
                let mut resumed = Hasher::restore(&hasher.save()).unwrap();
                resumed.update(&bytes[cut..]);
                assert_eq!(resumed.finish(), Hasher::digest(algorithm, &bytes));
            }
        }
    }

    #[test]
    fn a_state_of_another_format_is_not_restored() {
        let mut saved = Hasher::new(Algorithm::Sha256).save();
        assert!(Hasher::restore(&saved[..saved.len() - 1]).is_none());
        saved[0] = STATE_FORMAT + 1;
        assert!(Hasher::restore(&saved).is_none());
        assert!(Hasher::restore(&[]).is_none());
    }
}
