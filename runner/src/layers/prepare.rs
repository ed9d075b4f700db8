//! What a layer has besides its archive, so that it can be mounted.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::syncfs;

use super::copy::copy_piece;
use super::erofs::{Spread, index};
use super::error::{Doing as _, LayerError};
use super::rung::Rung;
use super::tar::Piece;
use super::tree::Tree;
use super::unpack::{Whiteouts, unpack};

/// The file system of names.
pub(super) const INDEX: &str = "index";
/// The contents of sparse files.
pub(super) const SPREAD: &str = "spread";
/// All files, unpacked.
pub(super) const FILES: &str = "files";

/// The file or folder without which a layer is not ready for `rung`. It is the last one to be made.
pub(super) fn needed(rung: Rung) -> Option<&'static str> {
    match rung {
        Rung::Erofs => Some(INDEX),
        Rung::Directories => Some(FILES),
        Rung::Copy => None,
    }
}

/// Makes in `folder` what `rung` needs of the layer with this tree and archive. It is on disk then.
pub(super) fn prepare(
    rung: Rung,
    tree: &Tree,
    archive: &File,
    folder: &Path,
) -> Result<(), LayerError> {
    match rung {
        Rung::Erofs => prepare_index(tree, archive, folder),
        Rung::Directories => prepare_files(tree, archive, folder),
        Rung::Copy => Ok(()),
    }
}

fn prepare_index(tree: &Tree, archive: &File, folder: &Path) -> Result<(), LayerError> {
    let spread = Spread::new(tree);
    if !spread.is_empty() {
        write(&folder.join(SPREAD), |file| {
            for (offset, sparse) in spread.files(tree) {
                for piece in &sparse.pieces {
                    copy_piece(archive, Piece { at: offset + piece.at, ..*piece }, file)?;
                }
            }
            file.set_len(spread.size())
        })?;
    }
    let size = archive.metadata().doing(|| "look at a layer's archive")?.len();
    let index = index(tree, size, &spread)?;
    write(&folder.join(INDEX), |file| file.write_all(&index))
}

fn write(path: &Path, content: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), LayerError> {
    let written = File::create(path).and_then(|mut file| {
        content(&mut file)?;
        file.sync_all()
    });
    written.doing(|| format!("write {}", path.display()))
}

fn prepare_files(tree: &Tree, archive: &File, folder: &Path) -> Result<(), LayerError> {
    let files = folder.join(FILES);
    fs::create_dir(&files).doing(|| format!("make {}", files.display()))?;
    let target = File::open(&files).doing(|| format!("open {}", files.display()))?;
    let scratch = File::open(folder).doing(|| format!("open {}", folder.display()))?;
    unpack(tree, archive, target.as_fd(), scratch.as_fd(), Whiteouts::Kept)?;
    syncfs(&target).doing(|| format!("write {}", files.display()))
}
