use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{Names, entries, files, same};
use crate::registry::sha256_of_file;

/// Compares the tree of `registry:2` under a root directory with what the API named: every blob has its file, every
/// link its file, and there is nothing more. To be done when the registry has stopped, and garbage was collected to
/// its end.
///
/// # Errors
///
/// The tree holds something that nothing names, lacks something, or has other bytes than a name says.
pub fn compare_tree(root: &Path, names: &Names) -> Result<()> {
    let tree = root.join("docker/registry/v2");
    // A tree keeps manifests among the blobs.
    let mut named = names.blobs();
    named.extend(names.manifests());
    same("the blob files", &blob_files(&tree.join("blobs"))?, &named)?;
    for (name, repository) in &names.repositories {
        let folder = tree.join("repositories").join(name);
        let links = |kind: &str| links(&folder.join(kind));
        same(&format!("the layer links of {name}"), &links("_layers")?, &repository.blobs)?;
        let revisions = links("_manifests/revisions")?;
        same(&format!("the revision links of {name}"), &revisions, &repository.manifests)?;
        let tags = tag_links(&folder.join("_manifests/tags"))?;
        same(&format!("the tag links of {name}"), &tags, &repository.tags)?;
    }
    for path in files(&tree.join("repositories"))? {
        let path = path.strip_prefix(tree.join("repositories"))?.to_string_lossy().into_owned();
        let is_named = |name: &String| path.starts_with(&format!("{name}/_"));
        ensure!(names.repositories.keys().any(is_named), "no repository has the link {path}");
    }
    let uploads = entries(&root.join("berth/uploads"))?;
    // A look at the storage's health may have been cut off; it is no upload.
    let left: Vec<_> = uploads
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .filter(|name| !name.starts_with(".check."))
        .collect();
    ensure!(left.is_empty(), "these are left of uploads: {left:?}");
    Ok(())
}

/// The digests of all blob files, each hashed.
fn blob_files(folder: &Path) -> Result<BTreeSet<String>> {
    let mut digests = BTreeSet::new();
    for path in files(folder)? {
        let digest = sha256_of_file(&path)?;
        let hex = digest.trim_start_matches("sha256:");
        ensure!(
            path == folder.join("sha256").join(&hex[..2]).join(hex).join("data"),
            "the bytes of {} are {digest}",
            path.display()
        );
        digests.insert(digest);
    }
    Ok(digests)
}

/// The digests in the link files `sha256/<hex>/link` of a folder, each of which must say what its path says.
fn links(folder: &Path) -> Result<BTreeSet<String>> {
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

fn tag_links(folder: &Path) -> Result<BTreeSet<(String, String)>> {
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
