//! Reading a `registry:2` tree as it lies in its folder, and comparing what was found with what is known.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::registry::sha256_of_file;

/// Where the bytes of a blob lie, in a registry whose folder is `root`.
#[must_use]
pub fn blob_data(root: &Path, digest: &str) -> PathBuf {
    root.join("docker/registry/v2/blobs").join(path_of(digest)).join("data")
}

/// The path of a digest below a folder of them.
fn path_of(digest: &str) -> PathBuf {
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("sha256", digest));
    [algorithm, &hex[..2], hex].iter().collect()
}

/// The digests of all files below `…/blobs`, each hashed.
///
/// # Errors
///
/// The bytes of one are not what its path says.
pub fn blob_files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut digests = BTreeSet::new();
    for path in files(folder)? {
        let digest = sha256_of_file(&path)?;
        ensure!(
            path == folder.join(path_of(&digest)).join("data"),
            "the bytes of {} are {digest}",
            path.display()
        );
        digests.insert(digest);
    }
    Ok(digests)
}

/// The digests in the link files `sha256/<hex>/link` of a folder.
///
/// # Errors
///
/// One does not say what its path says.
pub fn links(folder: &Path) -> Result<BTreeSet<String>> {
    let mut digests = BTreeSet::new();
    for path in files(folder)? {
        let digest = fs::read_to_string(&path)?;
        let hex = digest.trim_start_matches("sha256:");
        ensure!(
            path == folder.join("sha256").join(hex).join("link"),
            "{} says {digest:?}",
            path.display()
        );
        digests.insert(digest);
    }
    Ok(digests)
}

/// The tags of a repository's `_manifests/tags`, each with what it points to.
///
/// # Errors
///
/// One points to something that its index does not have.
pub fn tag_links(folder: &Path) -> Result<BTreeSet<(String, String)>> {
    let mut tags = BTreeSet::new();
    for path in entries(folder)? {
        let tag = path.file_name().context("no name")?.to_string_lossy().into_owned();
        let digest = fs::read_to_string(path.join("current/link"))
            .with_context(|| format!("the current link of {tag}"))?;
        ensure!(links(&path.join("index"))?.contains(&digest), "{tag} has no index of {digest}");
        tags.insert((tag, digest));
    }
    Ok(tags)
}

/// Fails unless what was found is what is known, and tells the difference.
///
/// # Errors
///
/// They differ.
pub fn same<T: Ord + fmt::Debug>(
    what: &str,
    found: &BTreeSet<T>,
    known: &BTreeSet<T>,
) -> Result<()> {
    let excess: Vec<_> = found.difference(known).collect();
    let missing: Vec<_> = known.difference(found).collect();
    ensure!(
        excess.is_empty() && missing.is_empty(),
        "{what}: nothing names {excess:?}, and {missing:?} are missing"
    );
    Ok(())
}

/// All files below a folder; none where it is not there, as when a running registry has just removed it.
///
/// # Errors
///
/// A folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        match path.is_dir() {
            true => files.extend(self::files(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

/// The files of a bucket, which its server keeps in a folder, but for the journal of names and the backups.
///
/// # Errors
///
/// A folder cannot be read.
pub fn objects(bucket: &Path) -> Result<Vec<PathBuf>> {
    let mut found = files(bucket)?;
    let kept = ["berth/journal", "berth/backups"].map(|folder| bucket.join(folder));
    found.retain(|path| !kept.iter().any(|folder| path.starts_with(folder)));
    Ok(found)
}

/// Removes the embedded database in a folder, whatever there is of it.
///
/// # Errors
///
/// A file of it cannot be removed.
pub fn lose_database(root: &Path) -> Result<()> {
    for file in ["berth.db", "berth.db-wal", "berth.db-shm"] {
        match fs::remove_file(root.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// What is in a folder; nothing where it is not there.
///
/// # Errors
///
/// It cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", folder.display())),
    }
}
