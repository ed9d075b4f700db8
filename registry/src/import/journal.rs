//! Reading the journal again, the last object first: of all that it says on a name the first that is met counts.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use berth_metadata::{BlobLocation, FoundBlob, FoundLink, FoundManifest, FoundTag};
use berth_oci::{Digest, RepositoryName};
use berth_storage_backends::StoreError;
use futures_util::stream::{self, StreamExt};

use super::Finding;
use super::manifests::{self, Revision};
use super::names::Pass;
use crate::RegistryError;
use crate::journal::{self, Line, Subject, time};

/// How many objects are read at the same time.
const READS: usize = 16;

/// Names that are gone. Only of these the journal's whole length is remembered, as 16 bytes each.
struct Gone {
    names: HashSet<(u64, u64)>,
    hashers: (RandomState, RandomState),
}

impl Gone {
    fn new() -> Self {
        Self { names: HashSet::new(), hashers: (RandomState::new(), RandomState::new()) }
    }

    fn key(&self, subject: &Subject) -> (u64, u64) {
        (self.hashers.0.hash_one(subject), self.hashers.1.hash_one(subject))
    }

    fn add(&mut self, subject: &Subject) {
        self.names.insert(self.key(subject));
    }

    fn has(&self, subject: &Subject) -> bool {
        self.names.contains(&self.key(subject))
    }
}

/// What the lines of one object put.
#[derive(Default)]
struct Found {
    blobs: Vec<FoundBlob>,
    links: Vec<FoundLink>,
    manifests: Vec<FoundManifest>,
    tags: Vec<FoundTag>,
}

impl Pass<'_> {
    /// Takes over what the journal tells and the database does not know.
    pub(super) async fn replay_journal(&mut self) -> Result<(), RegistryError> {
        let mut numbers = journal::numbers(self.files).await?;
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        let files = self.files;
        let mut reading = stream::iter(numbers)
            .map(|number| async move {
                let name = journal::name(number);
                let read = files.read(&name, journal::LARGEST).await;
                (name, read)
            })
            .buffered(READS);
        let (mut gone, mut seen) = (Gone::new(), HashSet::new());
        while let Some((path, read)) = reading.next().await {
            let content = match read {
                Ok(content) => content,
                // Cut since it was listed: a backup has it.
                Err(StoreError::NotFound) => continue,
                Err(StoreError::Io(error)) => {
                    let reason = error.to_string();
                    self.tell(Finding::Unreadable { path, reason }).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let mut found = Found::default();
            for text in content.split(|byte| *byte == b'\n').rev().filter(|text| !text.is_empty()) {
                self.imported.files += 1;
                match serde_json::from_slice::<Line>(text) {
                    Ok(line) => {
                        let subject = line.subject();
                        if !gone.has(&subject) && seen.insert(subject.clone()) {
                            self.read_line(line, subject, &mut gone, &mut found).await;
                        }
                    }
                    Err(error) => {
                        let (path, reason) = (path.clone(), error.to_string());
                        self.tell(Finding::Foreign { path, reason }).await;
                    }
                }
            }
            // What was seen in one object only saves work; what came first has been put first.
            seen.clear();
            self.adopt(found).await?;
            self.progress().await;
        }
        Ok(())
    }

    async fn read_line(
        &mut self,
        line: Line,
        subject: Subject,
        gone: &mut Gone,
        found: &mut Found,
    ) {
        match line {
            Line::LinkBlob { repository, digest, size, location, at } => {
                let written_at = time(at);
                let location = BlobLocation(location);
                found.blobs.push(FoundBlob { digest, size, written_at, location });
                found.links.push(FoundLink { repository, digest, written_at, in_tree: true });
            }
            Line::PutManifest { repository, digest, media_type, payload, at } => {
                let revision = Revision { repository, digest, written_at: time(at) };
                match manifests::parse(&revision, Some(&media_type), payload.into()) {
                    Ok(mut one) => {
                        one.manifest.mirrored = self.origins.of(&one.manifest.repository);
                        found.manifests.push(one);
                    }
                    Err(reason) => {
                        let Revision { repository, digest, .. } = revision;
                        self.tell(Finding::ManifestUnusable { repository, digest, reason }).await;
                    }
                }
            }
            Line::SetTag { repository, tag, digest, at } => {
                found.tags.push(FoundTag { repository, tag, digest, written_at: time(at) });
            }
            Line::UnlinkBlob { .. } | Line::DeleteManifest { .. } | Line::DeleteTag { .. } => {
                gone.add(&subject);
            }
        }
    }

    async fn adopt(&mut self, found: Found) -> Result<(), RegistryError> {
        let Found { blobs, links, mut manifests, tags } = found;
        self.imported.blobs += blobs.len() as u64;
        self.imported.bytes += blobs.iter().map(|blob| blob.size).sum::<u64>();
        self.upkeep.found_blobs(blobs).await?;
        self.imported.links += self.upkeep.adopt_links(links, self.lease).await?.new;
        let names = manifests.iter().map(name).collect();
        let unknown: HashSet<_> = self.upkeep.unknown_manifests(names).await?.into_iter().collect();
        manifests.retain(|found| unknown.contains(&name(found)));
        self.imported.manifests += manifests.len() as u64;
        self.upkeep.adopt_manifests(manifests).await?;
        Ok(self.upkeep.found_tags(tags).await?)
    }
}

fn name(found: &FoundManifest) -> (RepositoryName, Digest) {
    (found.manifest.repository.clone(), found.manifest.digest)
}
