//! The members of an archive, to be read in any order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path};

use berth_oci::{Algorithm, Digest, Hasher};
use rustix::fs::{Mode, OFlags, openat};
use tar::EntryType;

use super::super::error::{Doing as _, ImageError};
use super::decoder::decompressed;

/// The most members that an archive of images has.
const MOST_MEMBERS: usize = 100_000;

/// How many links lead to a member at most.
const MOST_LINKS: usize = 40;

/// How much is moved at a time.
const PIECE: usize = 256 << 10;

/// An archive that was read.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    members: BTreeMap<String, Member>,
}

#[derive(Clone, Debug)]
enum Member {
    Bytes(Span),
    /// The name that it leads to.
    Link(String),
}

/// A member's place in the file, and its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    offset: u64,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

impl Spool {
    /// Reads an archive to its end. `folder` is on the file system where its bytes shall lie.
    pub(super) fn read(input: impl Read, folder: &Path) -> Result<Self, ImageError> {
        let mode = Mode::RUSR | Mode::WUSR;
        let file =
            openat(rustix::fs::CWD, folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode);
        let file = file.doing(|| format!("make a file in {}", folder.display()))?;
        let mut spool = Self { file: file.into(), members: BTreeMap::new() };
        let malformed = |error: io::Error| ImageError::archive(error.to_string());
        let mut archive = tar::Archive::new(decompressed(input).map_err(malformed)?);
        let mut offset = 0;
        for entry in archive.entries().map_err(malformed)? {
            let entry = entry.map_err(malformed)?;
            if spool.members.len() == MOST_MEMBERS {
                let (size, most) = (MOST_MEMBERS as u64 + 1, MOST_MEMBERS as u64);
                return Err(ImageError::TooLarge { what: "the archive".into(), size, most });
            }
            spool.take(entry, &mut offset)?;
        }
        Ok(spool)
    }

    fn take<R: Read>(
        &mut self,
        mut entry: tar::Entry<'_, R>,
        offset: &mut u64,
    ) -> Result<(), ImageError> {
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = inside(Path::new(&path))?;
        let member = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let span = self.append(&mut entry, *offset)?;
                *offset += span.size;
                Member::Bytes(span)
            }
            EntryType::Symlink => {
                let target = link_target(&entry)?;
                let folder = Path::new(&name).parent().unwrap_or(Path::new(""));
                Member::Link(inside(&folder.join(target))?)
            }
            EntryType::Link => Member::Link(inside(Path::new(&link_target(&entry)?))?),
            EntryType::Directory | EntryType::XGlobalHeader => return Ok(()),
            _ => return Err(ImageError::archive(format!("{path:?} is no file"))),
        };
        self.members.insert(name, member);
        Ok(())
    }

    fn append(&mut self, input: &mut impl Read, offset: u64) -> Result<Span, ImageError> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let (mut piece, mut size) = (vec![0; PIECE], 0);
        loop {
            let count = match input.read(&mut piece) {
                Ok(0) => return Ok(Span { offset, size, digest: hasher.finish() }),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ImageError::archive(error.to_string())),
            };
            hasher.update(&piece[..count]);
            self.file.write_all(&piece[..count]).doing(|| "keep what is in the archive")?;
            size += count as u64;
        }
    }

    /// The member of this name, wherever its links lead.
    pub(super) fn find(&self, name: &str) -> Result<Option<Span>, ImageError> {
        let mut name = inside(Path::new(name))?;
        for _ in 0..MOST_LINKS {
            match self.members.get(&name) {
                None => return Ok(None),
                Some(Member::Bytes(span)) => return Ok(Some(*span)),
                Some(Member::Link(target)) => name.clone_from(target),
            }
        }
        Err(ImageError::archive(format!("{name:?} is a link without an end")))
    }

    /// The blob of an OCI image layout that has this digest, verified.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<Span>, ImageError> {
        let name = format!("blobs/{}/{}", digest.algorithm(), digest.hex());
        let Some(span) = self.find(&name)? else { return Ok(None) };
        let actual = match digest.algorithm() {
            Algorithm::Sha256 => span.digest,
            algorithm => self.digest(&span, algorithm)?,
        };
        match actual == *digest {
            true => Ok(Some(span)),
            false => Err(ImageError::digest(name, *digest, actual)),
        }
    }

    fn digest(&self, span: &Span, algorithm: Algorithm) -> Result<Digest, ImageError> {
        let (mut hasher, mut reader) = (Hasher::new(algorithm), self.reader(span));
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece).doing(|| "read what is in the archive")? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&piece[..count]),
            }
        }
    }

    /// A small member, whole.
    pub(super) fn bytes(&self, span: &Span, what: &str, most: u64) -> Result<Vec<u8>, ImageError> {
        if span.size > most {
            return Err(ImageError::TooLarge { what: what.to_owned(), size: span.size, most });
        }
        let mut bytes = Vec::new();
        let read = self.reader(span).read_to_end(&mut bytes);
        read.doing(|| "read what is in the archive")?;
        Ok(bytes)
    }

    pub(super) fn reader(&self, span: &Span) -> SpanReader<'_> {
        SpanReader { file: &self.file, offset: span.offset, end: span.offset + span.size }
    }
}

/// Reads a member. Several may be read at the same time.
#[derive(Debug)]
pub(super) struct SpanReader<'a> {
    file: &'a File,
    offset: u64,
    end: u64,
}

impl Read for SpanReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

fn link_target<R: Read>(entry: &tar::Entry<'_, R>) -> Result<String, ImageError> {
    let target = entry.link_name_bytes().unwrap_or_default();
    Ok(String::from_utf8_lossy(&target).into_owned())
}

/// A name without anything that leads up or anywhere else; what would leave the archive is refused.
fn inside(path: &Path) -> Result<String, ImageError> {
    let leaves = || ImageError::archive(format!("{path:?} leads out of the archive"));
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop().ok_or_else(leaves)?;
            }
            Component::RootDir | Component::Prefix(_) => return Err(leaves()),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(members: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in members {
            let mut header = tar::Header::new_gnu();
            // Written as it is: the crate itself would refuse `..`.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            let bytes = match kind {
                EntryType::Regular => content.as_bytes(),
                _ => {
                    header.as_old_mut().linkname[..content.len()]
                        .copy_from_slice(content.as_bytes());
                    &[]
                }
            };
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn spool(members: &[(&str, EntryType, &str)]) -> Result<Spool, ImageError> {
        Spool::read(&*archive(members), tempfile::tempdir().unwrap().path())
    }

    #[test]
    fn members_are_found_through_links_that_stay_inside() {
        let spool = spool(&[
            ("abc.tar", EntryType::Regular, "layer"),
            ("id/layer.tar", EntryType::Symlink, "../abc.tar"),
            ("./id/other", EntryType::Link, "id/layer.tar"),
            ("round", EntryType::Symlink, "round"),
        ])
        .unwrap();
        for name in ["abc.tar", "id/layer.tar", "./id/other", "id/../abc.tar"] {
            let span = spool.find(name).unwrap().unwrap();
            assert_eq!(spool.bytes(&span, name, 10).unwrap(), b"layer", "{name}");
            assert_eq!(span.digest, Hasher::digest(Algorithm::Sha256, b"layer"));
        }
        assert_eq!(spool.find("absent").unwrap(), None);
        assert!(spool.find("round").is_err());
    }

    #[test]
    fn names_and_links_that_lead_out_are_refused() {
        for member in [
            ("../evil", EntryType::Regular, "x"),
            ("a/../../evil", EntryType::Regular, "x"),
            ("/etc/evil", EntryType::Regular, "x"),
            ("a", EntryType::Symlink, "../evil"),
            ("a", EntryType::Symlink, "/etc/passwd"),
            ("a", EntryType::Link, "/etc/passwd"),
            ("a", EntryType::Char, ""),
            ("a", EntryType::Fifo, ""),
        ] {
            let error = spool(&[member]).unwrap_err();
            assert!(matches!(error, ImageError::Archive(_)), "{member:?}: {error}");
        }
    }

    #[test]
    fn a_blob_that_is_not_what_its_name_says_is_refused() {
        let name = format!("blobs/sha256/{}", "0".repeat(64));
        let spool = spool(&[(&name, EntryType::Regular, "x")]).unwrap();
        let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        assert!(matches!(spool.blob(&digest), Err(ImageError::Digest { .. })));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        for bytes in [&b"not an archive, but a text that is long enough"[..], &[0x1f, 0x8b, 1, 2]] {
            assert!(Spool::read(bytes, tempfile::tempdir().unwrap().path()).is_err());
        }
    }
}
