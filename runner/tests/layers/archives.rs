//! Archives, made by GNU tar or block by block.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use berth_oci::{Algorithm, Digest, Hasher};

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

/// What GNU tar makes of a folder.
pub(crate) fn of_folder(folder: &Path, options: &[&str]) -> Vec<u8> {
    let scratch = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new("tar")
        .args(["--create", "--numeric-owner", "--sort=name"])
        .args(options)
        .arg("--file")
        .arg(scratch.path())
        .arg("--directory")
        .arg(folder)
        .arg(".")
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(scratch.path()).unwrap()
}

/// What GNU tar unpacks.
pub(crate) fn unpack(archive: &[u8], to: &Path) {
    let mut scratch = tempfile::NamedTempFile::new().unwrap();
    scratch.write_all(archive).unwrap();
    let status = Command::new("tar")
        .args(["--extract", "--numeric-owner", "--same-permissions", "--same-owner"])
        .args(["--xattrs", "--xattrs-include=*", "--acls", "--sparse"])
        .arg("--file")
        .arg(scratch.path())
        .arg("--directory")
        .arg(to)
        .status()
        .unwrap();
    assert!(status.success());
}

/// An archive that is written entry by entry.
#[derive(Default)]
pub(crate) struct Archive(pub(crate) Vec<u8>);

impl Archive {
    /// One header, with a right checksum, and content.
    pub(crate) fn entry(mut self, flag: u8, path: &str, target: &str, content: &[u8]) -> Self {
        self.0.extend(header(flag, path, target, content.len()));
        self.content(content)
    }

    fn content(mut self, content: &[u8]) -> Self {
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        self.entry(b'0', path, "", content.as_bytes())
    }

    pub(crate) fn directory(self, path: &str) -> Self {
        self.entry(b'5', path, "", b"")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(b'2', path, target, b"")
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(b'1', path, target, b"")
    }

    /// Records for the entry that follows.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut text = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let digits = (1..).find(|digits| (rest + digits).to_string().len() == *digits);
            write!(text, "{} {key}=", rest + digits.unwrap()).unwrap();
            text.extend_from_slice(value);
            text.push(b'\n');
        }
        self.entry(b'x', "pax", "", &text)
    }

    /// The end that an archive has.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

pub(crate) fn header(flag: u8, path: &str, target: &str, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, path.as_bytes());
    put(100, if flag == b'5' { b"0000755\0" } else { b"0000644\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"14524770000\0");
    put(156, &[flag]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    checked(block)
}

/// The block with a checksum that is right.
pub(crate) fn checked(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}
