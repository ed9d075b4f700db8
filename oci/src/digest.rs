use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A hash algorithm that content may be addressed by.
///
/// The image specification registers `sha256` and `sha512`; a registry must support the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Algorithm {
    /// SHA-256, the algorithm of nearly all content.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon of a digest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of a hash in bytes.
    pub fn hash_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(DigestError::UnsupportedAlgorithm),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of content: an algorithm and the hash of the bytes, `sha256:6c3c…`.
///
/// Parsing accepts exactly what the image specification's grammar allows for the two registered
/// algorithms: lower-case hexadecimal of the algorithm's own length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// Bytes past `algorithm.hash_len()` are zero.
    hash: [u8; 64],
}

impl Digest {
    /// Builds a digest from the raw hash; `None` when the length is not the algorithm's.
    pub fn from_hash(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != algorithm.hash_len() {
            return None;
        }
        let mut hash = [0; 64];
        hash[..bytes.len()].copy_from_slice(bytes);
        Some(Self { algorithm, hash })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw hash, 32 or 64 bytes.
    pub fn hash(&self) -> &[u8] {
        &self.hash[..self.algorithm.hash_len()]
    }

    /// The hash in lower-case hexadecimal, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.hash())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, encoded) = text.split_once(':').ok_or(DigestError::NoAlgorithm)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let expected = algorithm.hash_len() * 2;
        if encoded.len() != expected {
            return Err(DigestError::WrongLength {
                algorithm,
                expected,
                found: encoded.chars().count(),
            });
        }
        if encoded.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(DigestError::NotLowerHex);
        }
        let mut hash = [0; 64];
        hex::decode_to_slice(encoded, &mut hash[..algorithm.hash_len()])
            .map_err(|_| DigestError::NotLowerHex)?;
        Ok(Self { algorithm, hash })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 128];
        let text = &mut text[..self.algorithm.hash_len() * 2];
        // The buffer has exactly twice the hash's length, so encoding cannot fail.
        if hex::encode_to_slice(self.hash(), text).is_err() {
            return Err(fmt::Error);
        }
        let text = std::str::from_utf8(text).map_err(|_| fmt::Error)?;
        write!(f, "{}:{}", self.algorithm, text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DigestError {
    /// No colon.
    #[error("a digest has the form sha256:<64 hexadecimal digits>")]
    NoAlgorithm,
    /// Not one of the registered algorithms.
    #[error("the digest algorithm is not supported; use sha256 or sha512")]
    UnsupportedAlgorithm,
    /// Too short or too long for the algorithm.
    #[error("a {algorithm} digest has {expected} hexadecimal digits, this one has {found}")]
    WrongLength {
        /// The algorithm named.
        algorithm: Algorithm,
        /// The number of digits it wants.
        expected: usize,
        /// The number of characters found.
        found: usize,
    },
    /// Something other than `0-9a-f`.
    #[error("a digest is written in lower-case hexadecimal digits")]
    NotLowerHex,
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_is_written_as_it_was_read() {
        assert_eq!(EMPTY.parse::<Digest>().unwrap().to_string(), EMPTY);
        let long = format!("sha512:{}", "0f".repeat(64));
        assert_eq!(long.parse::<Digest>().unwrap().to_string(), long);
    }

    #[test]
    fn what_is_not_a_digest_is_refused_with_its_reason() {
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        let cases = [
            ("", DigestError::NoAlgorithm),
            ("e3b0c442", DigestError::NoAlgorithm),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", DigestError::UnsupportedAlgorithm),
            ("SHA256:00", DigestError::UnsupportedAlgorithm),
            (upper.as_str(), DigestError::NotLowerHex),
            (&EMPTY.replace('e', "g"), DigestError::NotLowerHex),
            (
                "sha256:00",
                DigestError::WrongLength { algorithm: Algorithm::Sha256, expected: 64, found: 2 },
            ),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }
}
