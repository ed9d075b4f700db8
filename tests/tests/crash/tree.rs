//! What must be in the listings at the end, and in the storage tree after an orderly stop.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use berth_tests::load::{Client, Counts, Model, Presence, REPOSITORIES};
use berth_tests::tree::{blob_files, entries, links, same, tag_links};
use berth_tests::wire::get;

use crate::WORKERS;

/// What the tree held.
#[derive(Debug, Default)]
pub(crate) struct Found {
    blob_files: usize,
    layer_links: usize,
    revision_links: usize,
    tag_links: usize,
    open_sessions: usize,
    session_files: usize,
    orphan_files: usize,
    marks: usize,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:9} blob files, each hashed", self.blob_files)?;
        writeln!(f, "{:9} layer links", self.layer_links)?;
        writeln!(f, "{:9} manifest links", self.revision_links)?;
        writeln!(f, "{:9} tag links", self.tag_links)?;
        writeln!(f, "{:9} sessions open at the end", self.open_sessions)?;
        writeln!(f, "{:9} upload files of these", self.session_files)?;
        writeln!(f, "{:9} upload files that a crash left without a session", self.orphan_files)?;
        writeln!(f, "{:9} marks of blobs that a crash left before they were recorded", self.marks)
    }
}

/// The catalogue and the lists of tags say what the workers know.
pub(crate) fn compare_listings(client: &mut Client, models: &[Model]) -> Result<()> {
    for repository in REPOSITORIES {
        let expected: BTreeSet<String> = tags(models, repository).map(|(tag, _)| tag).collect();
        let path = format!("/v2/{repository}/tags/list?n=1000");
        let answer = client.send(&get(path))?;
        if answer.status == 404 && expected.is_empty() {
            continue;
        }
        let list = answer.expect(200)?.json()?;
        let listed = list["tags"].as_array().context("no tags")?;
        let listed: BTreeSet<String> =
            listed.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
        same(&format!("the tags of {repository}"), &listed, &expected)?;
    }
    Ok(())
}

/// The link files are those of what the workers know, each leads to a blob file, and every blob file has the bytes
/// that its name says.
pub(crate) fn compare_links(
    root: &Path,
    models: &[Model],
    counts: &Counts,
    crashes: u32,
) -> Result<Found> {
    let tree = root.join("docker/registry/v2");
    let blobs = blob_files(&tree.join("blobs"))?;
    let mut found = Found { blob_files: blobs.len(), ..Found::default() };
    for repository in REPOSITORIES {
        let folder = tree.join("repositories").join(repository);
        let layers = links(&folder.join("_layers"))?;
        same(&format!("the layer links of {repository}"), &layers, &layers_of(models, repository))?;
        let revisions = links(&folder.join("_manifests/revisions"))?;
        let known = revisions_of(models, repository);
        same(&format!("the manifest links of {repository}"), &revisions, &known)?;
        let current = tag_links(&folder.join("_manifests/tags"))?;
        let known: BTreeSet<_> = tags(models, repository).collect();
        same(&format!("the tag links of {repository}"), &current, &known)?;
        let linked = layers.iter().chain(&revisions);
        for digest in linked.chain(current.iter().map(|(_, digest)| digest)) {
            ensure!(blobs.contains(digest), "{repository} links {digest}, which has no file");
        }
        found.layer_links += layers.len();
        found.revision_links += revisions.len();
        found.tag_links += current.len();
    }
    count_uploads(&root.join("berth/uploads"), models, &mut found)?;
    // A blob that came by one POST, a cancel that got as far as the database, and the scratch file of the links.
    let explained = counts.cut_posts + counts.cut_cancels + u64::from(crashes);
    ensure!(
        found.orphan_files as u64 <= explained,
        "{} upload files have no session; the crashes explain {explained}",
        found.orphan_files
    );
    // A mark goes after the answer: each worker may have one left.
    let explained = counts.cut_posts + counts.cut_finishes + u64::from(crashes) * WORKERS;
    ensure!(
        found.marks as u64 <= explained,
        "{} marks of unrecorded blobs; the crashes explain {explained}",
        found.marks
    );
    Ok(found)
}

fn layers_of(models: &[Model], repository: &str) -> BTreeSet<String> {
    let blobs = models.iter().flat_map(|model| &model.blobs);
    let here =
        blobs.filter(|blob| blob.repository == repository && blob.presence == Presence::Present);
    here.map(|blob| blob.digest.clone()).collect()
}

fn revisions_of(models: &[Model], repository: &str) -> BTreeSet<String> {
    let images = models.iter().flat_map(|model| &model.images);
    let here = images.filter(|image| image.repository == repository && image.present);
    here.map(|image| image.manifest.digest.clone()).collect()
}

/// The tags of a repository, each with its digest.
fn tags(models: &[Model], repository: &str) -> impl Iterator<Item = (String, String)> {
    models.iter().flat_map(move |model| {
        let here = model.tags.iter().filter(move |((of, _), _)| *of == repository);
        here.filter_map(|((_, tag), at)| {
            Some((tag.clone(), model.images[(*at)?].manifest.digest.clone()))
        })
    })
}

fn count_uploads(folder: &Path, models: &[Model], found: &mut Found) -> Result<()> {
    let sessions: BTreeSet<&str> = models
        .iter()
        .flat_map(|model| &model.sessions)
        .filter_map(|session| session.path.rsplit('/').next())
        .collect();
    found.open_sessions = sessions.len();
    for path in entries(folder)? {
        let name = path.file_name().context("no name")?.to_string_lossy();
        match sessions.contains(&*name) {
            true => found.session_files += 1,
            // A look at the storage's health was cut off.
            false if name.starts_with(".check.") => {}
            false if name.contains('.') => found.marks += 1,
            false => found.orphan_files += 1,
        }
    }
    Ok(())
}
