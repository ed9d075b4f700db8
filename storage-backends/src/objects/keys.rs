use berth_oci::UploadId;

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

/// The upload that a key belongs to.
pub(super) fn upload_of(key: &str) -> Option<UploadId> {
    let name = key.strip_prefix(BLOBS).or_else(|| key.strip_prefix(TAILS))?;
    name.split('.').next()?.parse().ok()
}

/// Where a blob is, in the words that callers record: its size and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location<'a> {
    pub(super) size: u64,
    pub(super) key: &'a str,
}

impl<'a> Location<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (size, key) = text.split_once(':')?;
        Some(Self { size: size.parse().ok()?, key }).filter(|location| !location.key.is_empty())
    }
}

impl std::fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.size, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_comes_back_as_it_was_written() {
        let location = Location { size: 12, key: "berth/blobs/a:b" };
        assert_eq!(Location::parse(&location.to_string()), Some(location));
        for text in ["", "12", "12:", ":key", "x:key", "-1:key"] {
            assert_eq!(Location::parse(text), None, "{text}");
        }
    }
}
