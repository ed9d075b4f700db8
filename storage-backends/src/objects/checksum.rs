use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use serde::{Deserialize, Serialize};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

/// CRC-64/NVME of some bytes: what they must be when the store gives them back.
///
/// It finds what goes wrong by itself, in a small part of the time that SHA-256 takes, and that of
/// a whole follows from those of its pieces. Against one who may write to the bucket it is no
/// help: that is what the digest is for, which every client checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Checksum(pub(super) u64);

impl Checksum {
    pub(super) fn of(chunks: &[Bytes]) -> Self {
        let mut running = Running::new();
        chunks.iter().for_each(|chunk| running.update(chunk));
        running.finish()
    }

    /// The checksum of these bytes and `len` more behind them, whose own is `next`.
    pub(super) fn then(self, next: Self, len: u64) -> Self {
        Self(crc_fast::checksum_combine(ALGORITHM, self.0, next.0, len))
    }
}

/// A checksum in the making.
pub(super) struct Running(Digest);

impl Running {
    pub(super) fn new() -> Self {
        Self(Digest::new(ALGORITHM))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(&self) -> Checksum {
        Checksum(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_whole_follows_from_those_of_its_pieces() {
        let whole = Bytes::from_static(b"123456789");
        // The check value of CRC-64/NVME in the catalogue of such algorithms.
        let expected = Checksum(0xae8b_1486_0a79_9888);
        assert_eq!(Checksum::of(std::slice::from_ref(&whole)), expected);
        for middle in 0..=whole.len() {
            let (first, second) = (whole.slice(..middle), whole.slice(middle..));
            let combined = Checksum::of(std::slice::from_ref(&first))
                .then(Checksum::of(std::slice::from_ref(&second)), second.len() as u64);
            assert_eq!(combined, expected, "{middle}");
            assert_eq!(Checksum::of(&[first, second]), expected, "{middle}");
        }
    }
}
