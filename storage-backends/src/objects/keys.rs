use berth_oci::UploadId;

use super::checksum::Checksum;

/// The folder of blobs and of uploads that become blobs.
pub(super) const BLOBS: &str = "berth/blobs/";

/// The folder of bytes that are too few for a part and wait for more.
pub(super) const TAILS: &str = "berth/tails/";

/// The folder that the check of the store writes to.
pub(super) const CHECKS: &str = "berth/checks/";

/// A new key for a blob that comes of an upload.
///
/// No two writers ever write to the same key: one that comes too late, while the other has finished
/// and its caller has not recorded it yet, changes nothing of it.
pub(super) fn blob(id: UploadId) -> String {
    format!("{BLOBS}{id}.{}", UploadId::random())
}

/// A new key for bytes of an upload that wait for more.
pub(super) fn tail(id: UploadId) -> String {
    format!("{TAILS}{id}.{}", UploadId::random())
}

/// A new key for a check.
pub(super) fn check() -> String {
    format!("{CHECKS}{}", UploadId::random())
}

/// The upload that a key belongs to. What a check has left, whose process has died, is like one that nobody
/// knows.
pub(super) fn upload_of(key: &str) -> Option<UploadId> {
    let name = [BLOBS, TAILS, CHECKS].iter().find_map(|folder| key.strip_prefix(folder))?;
    name.split('.').next()?.parse().ok()
}

/// Where a blob is and what it must be, in the words that callers record.
///
/// Size and key come first because a listing tells them and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location<'a> {
    pub(super) size: u64,
    pub(super) key: &'a str,
    /// Not known of what another registry has put there.
    pub(super) crc: Option<Checksum>,
}

impl<'a> Location<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (size, rest) = text.split_once(':')?;
        let (key, crc) = rest.rsplit_once(':').filter(|(key, _)| !key.is_empty())?;
        let crc = match crc {
            "" => None,
            crc => Some(Checksum(u64::from_str_radix(crc, 16).ok()?)),
        };
        Some(Self { size: size.parse().ok()?, key, crc })
    }

    /// What the location of an object in a listing begins with, should it be a blob.
    pub(super) fn prefix(size: u64, key: &str) -> String {
        format!("{size}:{key}:")
    }
}

impl std::fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&Self::prefix(self.size, self.key))?;
        self.crc.map_or(Ok(()), |crc| write!(f, "{:016x}", crc.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_comes_back_as_it_was_written() {
        for crc in [Some(Checksum(0xab)), None] {
            let location = Location { size: 12, key: "berth/blobs/a:b", crc };
            let text = location.to_string();
            assert_eq!(Location::parse(&text), Some(location));
            assert!(text.starts_with(&Location::prefix(12, "berth/blobs/a:b")), "{text}");
        }
        for text in [
            "", "12", "12:", "12:key", "12::0", ":key:0", "x:key:0", "-1:key:0", "1:key:x",
            "!1:key:0",
        ] {
            assert_eq!(Location::parse(text), None, "{text}");
        }
    }
}
