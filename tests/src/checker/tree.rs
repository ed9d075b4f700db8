use std::path::Path;

use anyhow::{Result, ensure};

use super::Names;
use crate::tree::{blob_files, entries, files, links, same, tag_links};

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
