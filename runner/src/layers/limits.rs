//! How much a layer may ask for: what stands in it is somebody else's.

/// What is refused of a layer, so that a small one cannot fill a disk or the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the archive, and apart from that of what its sparse files seem to have.
    pub bytes: u64,
    /// How many times as large as its compressed form an archive may be,
    pub ratio: u64,
    /// once it has this many bytes: a file of zeros is 1000 times as large.
    pub ratio_from: u64,
    /// Entries, and apart from that files and folders that they come to.
    pub entries: u64,
    /// Bytes of a path.
    pub path: usize,
    /// Folders in folders. Each is a descriptor while a layer is unpacked.
    pub depth: usize,
    /// Bytes of an extended header or a long name.
    pub extended_header: u64,
    /// Bytes of all names, link targets, extended attributes and maps of sparse files, which are in
    /// memory while the layer is read.
    pub metadata: u64,
}

impl Limits {
    /// Of what was within limits before.
    pub(super) const NONE: Self = Self {
        bytes: u64::MAX,
        ratio: u64::MAX,
        ratio_from: u64::MAX,
        entries: u64::MAX,
        path: usize::MAX,
        depth: usize::MAX,
        extended_header: u64::MAX,
        metadata: u64::MAX,
    };
}

impl Default for Limits {
    /// 128 GiB, 200 times from 1 GiB on, 1,000,000 entries, paths of 4,095 bytes and 512 folders, 1 MiB of extended
    /// header, 256 MiB of metadata.
    fn default() -> Self {
        Self {
            bytes: 128 << 30,
            ratio: 200,
            ratio_from: 1 << 30,
            entries: 1_000_000,
            path: 4095,
            depth: 512,
            extended_header: 1 << 20,
            metadata: 256 << 20,
        }
    }
}
