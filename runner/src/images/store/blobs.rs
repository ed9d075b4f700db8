//! Content by its digest: manifests, configurations and layers as registries have them.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use berth_oci::{Digest, Hasher};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::super::error::{Doing as _, ImageError};

/// Files named by their digest. A file that is there is whole.
#[derive(Clone, Debug)]
pub(in super::super) struct Blobs {
    blobs: PathBuf,
    partial: PathBuf,
}

/// What [`Blobs::begin`] found.
#[derive(Debug)]
pub(in super::super) enum Begun {
    /// The blob is there.
    Present,
    /// It is to be written.
    Partial(Partial),
}

/// A blob on its way, which nobody else writes meanwhile. What was written stays when it breaks off.
#[derive(Debug)]
pub(in super::super) struct Partial {
    file: File,
    path: PathBuf,
    target: PathBuf,
    digest: Digest,
}

impl Blobs {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let found = Self { blobs: root.join("blobs"), partial: root.join("partial") };
        private_folder(&found.blobs)?;
        private_folder(&found.partial)?;
        Ok(found)
    }

    /// Where a blob is, or would be.
    pub(in super::super) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.blobs.join(digest.algorithm().as_str()).join(&hex[..2]).join(&hex)
    }

    /// The size of a blob that is there.
    pub(in super::super) fn size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.path(digest)).ok().map(|metadata| metadata.len())
    }

    /// Whether a blob is there, of this size: one that a power cut has shortened is not.
    pub(in super::super) fn has(&self, digest: &Digest, size: u64) -> bool {
        self.size(digest) == Some(size)
    }

    pub(in super::super) fn file(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.path(digest))
    }

    /// A small blob, verified.
    pub(in super::super) fn read(&self, digest: &Digest, most: u64) -> Result<Vec<u8>, ImageError> {
        let doing = || format!("read the blob {digest}");
        let mut bytes = Vec::new();
        self.file(digest).doing(doing)?.take(most + 1).read_to_end(&mut bytes).doing(doing)?;
        let actual = Hasher::digest(digest.algorithm(), &bytes);
        if actual != *digest {
            let what = format!("the stored blob {digest}");
            return Err(ImageError::digest(what, *digest, actual));
        }
        Ok(bytes)
    }

    /// Stores a small blob whose digest was verified.
    pub(in super::super) fn write_as(
        &self,
        digest: Digest,
        bytes: &[u8],
    ) -> Result<(), ImageError> {
        if self.has(&digest, bytes.len() as u64) {
            return Ok(());
        }
        if let Begun::Partial(mut partial) = self.begin(digest)? {
            let write = partial.restart().and_then(|()| partial.file.write_all(bytes));
            write.doing(|| format!("write the blob {digest}"))?;
            partial.finish()?;
        }
        Ok(())
    }

    /// Begins to write a blob, or goes on with it. Waits for whoever else writes it.
    pub(in super::super) fn begin(&self, digest: Digest) -> Result<Begun, ImageError> {
        let doing = || format!("write the blob {digest}");
        let name = format!("{}-{}", digest.algorithm(), digest.hex());
        let (path, target) = (self.partial.join(name), self.path(&digest));
        loop {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(&path).doing(doing)?;
            flock(&file, FlockOperation::LockExclusive).doing(doing)?;
            // Whoever had it before may have finished it, or given it up.
            if !is_at(&file, &path).doing(doing)? {
                if target.exists() {
                    return Ok(Begun::Present);
                }
                continue;
            }
            if target.exists() {
                fs::remove_file(&path).doing(doing)?;
                return Ok(Begun::Present);
            }
            return Ok(Begun::Partial(Partial { file, path, target, digest }));
        }
    }

    /// Takes over a file of somebody else as a blob, without reading it: by a link on the same file system,
    /// by a copy elsewhere. A link keeps the bytes even when the other one lets them go.
    pub(in super::super) fn take_over(
        &self,
        digest: Digest,
        source: &Path,
    ) -> Result<(), ImageError> {
        let doing = || format!("take over the blob {digest}");
        let Begun::Partial(mut partial) = self.begin(digest)? else { return Ok(()) };
        make_parent(&partial.target).doing(doing)?;
        match fs::hard_link(source, &partial.target) {
            Ok(()) => fs::remove_file(&partial.path).doing(doing),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(_) => {
                let copy = partial
                    .restart()
                    .and_then(|()| io::copy(&mut File::open(source)?, &mut partial.file).map(drop));
                copy.doing(doing)?;
                partial.finish()
            }
        }
    }

    /// Removes all that is not kept, and what was never finished. Nobody may be adding anything.
    pub(super) fn sweep(&self, kept: &HashSet<Digest>) -> io::Result<u64> {
        let mut freed = 0;
        for entry in fs::read_dir(&self.partial)? {
            freed += remove(&entry?.path())?;
        }
        for (digest, path) in self.all()? {
            if !digest.is_some_and(|digest| kept.contains(&digest)) {
                freed += remove(&path)?;
            }
        }
        Ok(freed)
    }

    fn all(&self) -> io::Result<Vec<(Option<Digest>, PathBuf)>> {
        let mut found = Vec::new();
        for algorithm in fs::read_dir(&self.blobs)? {
            let algorithm = algorithm?;
            for folder in fs::read_dir(algorithm.path())? {
                for entry in fs::read_dir(folder?.path())? {
                    let entry = entry?;
                    let (name, hex) = (algorithm.file_name(), entry.file_name());
                    let text = format!("{}:{}", name.to_string_lossy(), hex.to_string_lossy());
                    found.push((text.parse().ok(), entry.path()));
                }
            }
        }
        Ok(found)
    }
}

impl Partial {
    /// The file, to be read to its end and then written behind it.
    pub(in super::super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Begins anew.
    pub(in super::super) fn restart(&mut self) -> io::Result<()> {
        use io::Seek as _;
        self.file.set_len(0)?;
        self.file.rewind()
    }

    /// Gives it its name. Its bytes were verified, and outlast a power cut from now on.
    pub(in super::super) fn finish(self) -> Result<(), ImageError> {
        let Self { file, path, target, digest } = self;
        let finish = || {
            file.sync_data()?;
            make_parent(&target)?;
            fs::rename(&path, &target)
        };
        finish().doing(|| format!("keep the blob {digest}"))
    }

    /// Gives it up, with what was written.
    pub(in super::super) fn discard(self) -> io::Result<()> {
        remove(&self.path).map(drop)
    }
}

/// A folder of ours, made where it is missing.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), private_folder)
}

/// Whether `path` still leads to this file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let mine = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (mine.dev(), mine.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a file; tells how many bytes that gives back.
fn remove(path: &Path) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path);
    match metadata.and_then(|metadata| fs::remove_file(path).map(|()| metadata)) {
        // What has another name still is where it was.
        Ok(metadata) => Ok(if metadata.nlink() > 1 { 0 } else { metadata.len() }),
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use berth_oci::Algorithm;

    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        (folder, blobs)
    }

    #[test]
    fn a_blob_goes_on_where_its_writer_was_killed() {
        let (_folder, blobs) = blobs();
        let digest = Hasher::digest(Algorithm::Sha256, b"whole");
        let Begun::Partial(mut partial) = blobs.begin(digest).unwrap() else { panic!() };
        partial.file().write_all(b"wh").unwrap();
        drop(partial);
        assert_eq!(blobs.size(&digest), None);
        let Begun::Partial(mut partial) = blobs.begin(digest).unwrap() else { panic!() };
        let mut known = Vec::new();
        partial.file().read_to_end(&mut known).unwrap();
        assert_eq!(known, b"wh");
        partial.file().write_all(b"ole").unwrap();
        partial.finish().unwrap();
        assert_eq!(blobs.read(&digest, 10).unwrap(), b"whole");
        assert!(matches!(blobs.begin(digest).unwrap(), Begun::Present));
        assert_eq!(fs::read_dir(&blobs.partial).unwrap().count(), 0);
    }

    #[test]
    fn whoever_waits_for_a_blob_finds_it_there() {
        let (_folder, blobs) = blobs();
        let digest = Hasher::digest(Algorithm::Sha256, b"once");
        let Begun::Partial(mut partial) = blobs.begin(digest).unwrap() else { panic!() };
        std::thread::scope(|scope| {
            let second = scope.spawn(|| blobs.begin(digest).unwrap());
            partial.file().write_all(b"once").unwrap();
            partial.finish().unwrap();
            assert!(matches!(second.join().unwrap(), Begun::Present));
        });
    }

    #[test]
    fn a_blob_that_is_taken_over_outlives_its_owner() {
        let (folder, blobs) = blobs();
        let source = folder.path().join("data");
        fs::write(&source, b"bytes").unwrap();
        let digest = Hasher::digest(Algorithm::Sha256, b"bytes");
        blobs.take_over(digest, &source).unwrap();
        fs::remove_file(&source).unwrap();
        assert_eq!(blobs.read(&digest, 10).unwrap(), b"bytes");
    }

    fn write(blobs: &Blobs, bytes: &[u8]) -> Digest {
        let digest = Hasher::digest(Algorithm::Sha256, bytes);
        blobs.write_as(digest, bytes).unwrap();
        digest
    }

    #[test]
    fn a_damaged_blob_is_not_read_and_what_is_not_kept_is_swept() {
        let (_folder, blobs) = blobs();
        let (one, other) = (write(&blobs, b"one"), write(&blobs, b"other"));
        fs::write(blobs.path(&one), b"two").unwrap();
        assert!(matches!(blobs.read(&one, 10), Err(ImageError::Digest { .. })));
        assert_eq!(blobs.sweep(&HashSet::from([other])).unwrap(), 3);
        assert_eq!((blobs.size(&one), blobs.size(&other)), (None, Some(5)));
    }
}
