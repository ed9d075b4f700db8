//! Making names durable: a file is on stable storage only when its directory is, too.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Writes a file whole: afterwards the path holds either what it held before or `bytes`, at any
/// instant and over a crash. Not synced.
pub(super) fn replace(path: &Path, scratch: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(scratch, bytes)?;
    rename_creating_parents(scratch, path)
}

/// How often directories are made that somebody else removes because they are empty.
const TRIES: usize = 16;

/// How often a directory is removed that somebody else puts files into: each time takes one of theirs.
const REMOVALS: usize = 1000;

/// Renames `from` to `to`, making the directories above `to` where they are missing.
pub(super) fn rename_creating_parents(from: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A folder in the place of the file: no registry makes one. If there is anything in it, it stays.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir(to)?,
            other => return other,
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
    }
    fs::rename(from, to)
}

/// Gives a file a second name, unless somebody has it, making the directories above where they are missing.
pub(super) fn link_creating_parents(from: &Path, to: &Path) -> io::Result<()> {
    for _ in 0..TRIES {
        match fs::hard_link(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
    }
    fs::hard_link(from, to)
}

/// Removes a directory with all that is in it, also what others put there meanwhile: another process that writes the
/// same links may be at an earlier one. Nothing when it is not there.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    for _ in 0..REMOVALS {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            other => return other,
        }
    }
    fs::remove_dir_all(path)
}

/// Syncs `count` directories: the one that holds `path`, and those above it.
pub(super) fn sync_directories(path: &Path, count: usize) -> io::Result<()> {
    for directory in path.ancestors().skip(1).take(count) {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Removes a file and then the directories above it that are empty now, up to `keep`, which stays.
/// Nothing when the file is not there.
pub(super) fn remove_with_empty_parents(path: &Path, keep: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for directory in path.ancestors().skip(1).take_while(|directory| *directory != keep) {
        // Not empty, or gone already: either way there is nothing more to tidy.
        if fs::remove_dir(directory).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_directory_goes_although_somebody_puts_files_there_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tag");
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for number in 0..3000 {
                    let scratch = folder.path().join("scratch");
                    let path = tree.join(format!("index/{number}/link"));
                    // Whose folder is taken away each time gives up at last.
                    let _ = replace(&path, &scratch, b"link");
                }
            });
            while !writer.is_finished() {
                remove_tree(&tree).unwrap();
            }
        });
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
