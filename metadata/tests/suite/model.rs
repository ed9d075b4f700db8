//! Random operations, against the store and against a few maps. After each operation everything
//! is read from both, so every answer that the store keeps in memory is asked for again and again.
//! The outbox, played back in order, must build the maps too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use berth_metadata::{
    DeleteManifest, FinishedUpload, Keep, MountSource, NewManifest, PutManifest, UploadProgress,
};
use berth_oci::{Digest, LinkChange, Reference, RepositoryName};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::fixtures::*;

const REPOSITORIES: [&str; 3] = ["team/app", "team/app-extra", "b"];
const TAGS: [&str; 3] = ["latest", "1.0", "1-rc"];
const BLOBS: u8 = 4;
const MANIFESTS: u8 = 6;

/// Repositories, sessions, blobs, manifests and tags by their numbers.
#[derive(Clone, Debug)]
enum Operation {
    Create { session: usize, repository: usize },
    Advance { session: usize, from: u64, to: u64 },
    Cancel { session: usize, repository: usize },
    Finish { session: Option<usize>, repository: usize, blob: u8, leased: bool },
    Mount { target: usize, source: Option<usize>, blob: u8 },
    Unlink { repository: usize, blob: u8 },
    Put { repository: usize, manifest: u8, tags: Vec<usize>, immutable: bool },
    DeleteManifest { repository: usize, manifest: u8 },
    DeleteTag { repository: usize, tag: usize },
    DeleteRepository { repository: usize },
    Review,
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let (repository, session, tag) = (0..REPOSITORIES.len(), 0..3usize, 0..TAGS.len());
    let (blob, manifest) = (0..BLOBS, 0..MANIFESTS);
    let tags = proptest::collection::vec(tag.clone(), 0..3);
    prop_oneof![
        2 => (session.clone(), repository.clone())
            .prop_map(|(session, repository)| Create { session, repository }),
        1 => (session.clone(), 0..3u64, 0..3u64)
            .prop_map(|(session, from, to)| Advance { session, from, to }),
        1 => (session.clone(), repository.clone())
            .prop_map(|(session, repository)| Cancel { session, repository }),
        6 => (proptest::option::of(session), repository.clone(), blob.clone(), any::<bool>())
            .prop_map(|(session, repository, blob, leased)| {
                Finish { session, repository, blob, leased }
            }),
        2 => (repository.clone(), proptest::option::of(repository.clone()), blob.clone())
            .prop_map(|(target, source, blob)| Mount { target, source, blob }),
        1 => (repository.clone(), blob)
            .prop_map(|(repository, blob)| Unlink { repository, blob }),
        6 => (repository.clone(), manifest.clone(), tags, proptest::bool::weighted(0.2))
            .prop_map(|(repository, manifest, tags, immutable)| {
                Put { repository, manifest, tags, immutable }
            }),
        2 => (repository.clone(), manifest)
            .prop_map(|(repository, manifest)| DeleteManifest { repository, manifest }),
        2 => (repository.clone(), tag)
            .prop_map(|(repository, tag)| DeleteTag { repository, tag }),
        1 => repository.prop_map(|repository| DeleteRepository { repository }),
        2 => Just(Review),
    ]
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    blobs: BTreeSet<Digest>,
    manifests: BTreeSet<Digest>,
    tags: BTreeMap<String, Digest>,
}

type Tree = BTreeMap<RepositoryName, Content>;

struct Session {
    id: berth_oci::UploadId,
    repository: RepositoryName,
    offset: u64,
}

/// One case: names and digests of its own, so that all cases share one store.
struct Case {
    number: u32,
    store: Store,
    tree: Tree,
    sessions: BTreeMap<usize, Session>,
    leased: BTreeSet<(RepositoryName, Digest)>,
    /// Repositories that were deleted whole.
    deleted: BTreeSet<RepositoryName>,
}

pub async fn random_operations_agree_with_a_simple_model(store: Store) {
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        let numbers = AtomicU32::new(0);
        let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
        let operations = proptest::collection::vec(operation(), 1..40);
        TestRunner::new_with_rng(
            config,
            proptest::test_runner::TestRng::deterministic_rng(
                proptest::test_runner::RngAlgorithm::ChaCha,
            ),
        )
        .run(&operations, |operations| {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let case = Case {
                number,
                store: store.clone(),
                tree: Tree::new(),
                sessions: BTreeMap::new(),
                leased: BTreeSet::new(),
                deleted: BTreeSet::new(),
            };
            runtime.block_on(case.run(operations))
        })
    };
    let outcome = tokio::task::spawn_blocking(run).await.unwrap();
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

impl Case {
    async fn run(mut self, operations: Vec<Operation>) -> Result<(), TestCaseError> {
        for operation in operations {
            self.apply(&operation).await?;
            self.compare().await?;
        }
        let mut followed = Tree::new();
        let entries = self.store.outbox(10_000).await.unwrap();
        // A second pass from anywhere before changes nothing.
        for entry in entries.iter().chain(&entries) {
            follow(&mut followed, &entry.change);
        }
        followed.retain(|_, content| *content != Content::default());
        self.tree.retain(|_, content| *content != Content::default());
        prop_assert_eq!(&followed, &self.tree);
        let done: Vec<_> = entries.iter().map(|entry| entry.id).collect();
        self.store.outbox_done(&done).await.unwrap();
        Ok(())
    }

    async fn apply(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        let store = self.store.clone();
        match operation {
            Operation::Create { session, repository } => {
                let upload = new_upload(self.repository(*repository).as_str());
                let (id, repository) = (upload.id, upload.repository.clone());
                store.create_upload(upload).await.unwrap();
                self.sessions.insert(*session, Session { id, repository, offset: 0 });
            }
            Operation::Advance { session, from, to } => {
                let Some(session) = self.sessions.get_mut(session) else { return Ok(()) };
                let progress = UploadProgress {
                    id: session.id,
                    from_offset: *from,
                    offset: *to,
                    hash_state: Vec::new(),
                    handle: String::new(),
                };
                let moves = session.offset == *from;
                prop_assert_eq!(store.advance_upload(progress).await.unwrap(), moves);
                if moves {
                    session.offset = *to;
                }
            }
            Operation::Cancel { session, repository } => {
                let name = self.repository(*repository);
                let Some(open) = self.sessions.get(session) else { return Ok(()) };
                let ends = open.repository == name;
                prop_assert_eq!(store.delete_upload(&name, open.id).await.unwrap(), ends);
                if ends {
                    self.sessions.remove(session);
                }
            }
            Operation::Finish { session, repository, blob, leased } => {
                self.finish(*session, *repository, *blob, *leased).await?;
            }
            Operation::Review => self.review().await,
            Operation::Mount { target, source, blob } => {
                let (target, digest) = (self.repository(*target), self.blob(*blob));
                let from = source.map(|source| self.repository(source));
                let links = |content: &Content| content.blobs.contains(&digest);
                let mounts = match &from {
                    Some(from) => self.tree.get(from).is_some_and(links),
                    None => self.tree.values().any(links),
                };
                let source = from.as_ref().map_or(MountSource::Any, MountSource::Repository);
                let mounted = store.mount_blob(&target, source, &digest, LEASE, &[]).await.unwrap();
                prop_assert_eq!(mounted.is_some(), mounts);
                if mounts {
                    self.leased.insert((target.clone(), digest));
                    self.tree.entry(target).or_default().blobs.insert(digest);
                }
            }
            Operation::Unlink { repository, blob } => {
                let (name, digest) = (self.repository(*repository), self.blob(*blob));
                let had = self.tree.get_mut(&name).is_some_and(|c| c.blobs.remove(&digest));
                self.leased.remove(&(name.clone(), digest));
                prop_assert_eq!(store.unlink_blob(&name, &digest, GRACE, &[]).await.unwrap(), had);
            }
            Operation::Put { repository, manifest, tags, immutable } => {
                self.put(*repository, *manifest, tags, *immutable).await?;
            }
            Operation::DeleteManifest { repository, manifest } => {
                self.delete(*repository, *manifest).await?;
            }
            Operation::DeleteRepository { repository } => {
                let name = self.repository(*repository);
                let id = store.delete_repository(&name, Duration::ZERO).await.unwrap();
                prop_assert_eq!(id.is_some(), self.exists(&name));
                let Some(id) = id else { return Ok(()) };
                finish_deletion(&store, id, &[]).await;
                let content = self.tree.entry(name.clone()).or_default();
                content.manifests.clear();
                content.tags.clear();
                self.deleted.insert(name);
            }
            Operation::DeleteTag { repository, tag: number } => {
                let (name, text) = (self.repository(*repository), TAGS[*number]);
                let had = self.tree.get_mut(&name).and_then(|c| c.tags.remove(text)).is_some();
                prop_assert_eq!(
                    store.delete_tag(&name, &tag(text), Duration::ZERO, &[]).await.unwrap(),
                    had
                );
            }
        }
        Ok(())
    }

    /// What is attached to a manifest goes with it, unless it has a tag or an index names it.
    async fn delete(&mut self, repository: usize, number: u8) -> Result<(), TestCaseError> {
        let (name, digest) = (self.repository(repository), self.manifest(number));
        let content = self.tree.get(&name).cloned().unwrap_or_default();
        let keep = Keep::for_good(Duration::ZERO);
        let outcome = self.store.delete_manifest(&name, &digest, keep, &[]).await.unwrap();
        let unfinished = match outcome {
            DeleteManifest::Unknown => {
                prop_assert!(!content.manifests.contains(&digest));
                return Ok(());
            }
            DeleteManifest::NamedBy(index) => {
                prop_assert!(self.is_named(&content, number));
                prop_assert!(content.manifests.contains(&index));
                return Ok(());
            }
            DeleteManifest::Protected(tag) => unreachable!("nothing protects {tag}"),
            DeleteManifest::Deleted { unfinished } => unfinished,
        };
        prop_assert!(content.manifests.contains(&digest) && !self.is_named(&content, number));
        if let Some(id) = unfinished {
            finish_deletion(&self.store, id, &[]).await;
        }
        let mut content = content;
        content.tags.retain(|_, tagged| *tagged != digest);
        let mut gone = vec![number];
        while let Some(number) = gone.pop() {
            let digest = self.manifest(number);
            content.manifests.remove(&digest);
            gone.extend((0..MANIFESTS).filter(|other| {
                let manifest = self.manifest(*other);
                self.subject(*other) == Some(digest)
                    && content.manifests.contains(&manifest)
                    && !content.tags.values().any(|tagged| *tagged == manifest)
                    && !self.is_named(&content, *other)
            }));
        }
        self.tree.insert(name, content);
        Ok(())
    }

    /// Whether an index that is there names it.
    fn is_named(&self, content: &Content, number: u8) -> bool {
        number == 0 && (4..MANIFESTS).any(|index| content.manifests.contains(&self.manifest(index)))
    }

    /// A repository exists while it has a manifest, or a blob unless it was deleted whole.
    fn exists(&self, name: &RepositoryName) -> bool {
        let content = self.tree.get(name).cloned().unwrap_or_default();
        let has_blobs = !content.blobs.is_empty() && !self.deleted.contains(name);
        !content.manifests.is_empty() || has_blobs
    }

    async fn finish(
        &mut self,
        session: Option<usize>,
        repository: usize,
        blob: u8,
        leased: bool,
    ) -> Result<(), TestCaseError> {
        let name = self.repository(repository);
        let record = super::fixtures::blob(&self.blob_content(blob));
        let open = session.map(|session| self.sessions.get(&session));
        let (id, finishes) = match open {
            None => (None, true),
            Some(Some(open)) => (Some(open.id), open.repository == name),
            Some(None) => (Some(berth_oci::UploadId::random()), false),
        };
        let push = finished(name.as_str(), id, record.clone());
        let push = FinishedUpload { lease: if leased { LEASE } else { Duration::ZERO }, ..push };
        prop_assert_eq!(finish(&self.store, push).await, finishes);
        if finishes {
            session.map(|session| self.sessions.remove(&session));
            if leased {
                self.leased.insert((name.clone(), record.digest));
            }
            self.tree.entry(name).or_default().blobs.insert(record.digest);
        }
        Ok(())
    }

    /// Every link goes that has no lease and that no manifest of its repository needs.
    async fn review(&mut self) {
        while review_all(&self.store, GRACE).await.unlinked > 0 {}
        let needed: BTreeMap<Digest, Digest> = (0..MANIFESTS)
            .map(|number| (self.manifest(number), self.blob(number % BLOBS)))
            .collect();
        for (name, content) in &mut self.tree {
            let pinned: BTreeSet<_> =
                content.manifests.iter().map(|manifest| needed[manifest]).collect();
            content.blobs.retain(|blob| {
                pinned.contains(blob) || self.leased.contains(&(name.clone(), *blob))
            });
        }
    }

    /// What a manifest references follows from its number: the same bytes say the same.
    async fn put(
        &mut self,
        repository: usize,
        number: u8,
        tags: &[usize],
        immutable: bool,
    ) -> Result<(), TestCaseError> {
        let name = self.repository(repository);
        let blobs = vec![self.blob(number % BLOBS)];
        let manifests: Vec<Digest> = (number >= 4).then(|| self.manifest(0)).into_iter().collect();
        let manifest = NewManifest {
            blobs: blobs.iter().map(|digest| (*digest, true)).collect(),
            manifests: manifests.iter().map(|digest| (*digest, true)).collect(),
            subject: self.subject(number),
            tags: tags.iter().map(|number| tag(TAGS[*number])).collect(),
            immutable_tags: tags
                .iter()
                .filter(|_| immutable)
                .map(|number| tag(TAGS[*number]))
                .collect(),
            ..manifest(name.as_str(), &self.manifest_content(number))
        };
        let content = self.tree.get(&name).cloned().unwrap_or_default();
        let missing: Vec<Digest> = blobs
            .into_iter()
            .filter(|digest| !content.blobs.contains(digest))
            .chain(manifests.into_iter().filter(|digest| !content.manifests.contains(digest)))
            .collect();
        let outcome = self.store.put_manifest(manifest).await.unwrap();
        if !missing.is_empty() {
            prop_assert_eq!(outcome, PutManifest::Missing(missing));
            return Ok(());
        }
        let digest = self.manifest(number);
        let stays = |tag: &str| content.tags.get(tag).is_some_and(|there| *there != digest);
        if immutable && tags.iter().any(|number| stays(TAGS[*number])) {
            let said = matches!(&outcome, PutManifest::Immutable(tag) if stays(tag.as_str()));
            prop_assert!(said, "{:?}", outcome);
            return Ok(());
        }
        prop_assert_eq!(outcome, PutManifest::Stored);
        let content = self.tree.entry(name).or_default();
        content.manifests.insert(digest);
        content.tags.extend(tags.iter().map(|number| (TAGS[*number].to_owned(), digest)));
        Ok(())
    }

    /// Reads everything of this case.
    async fn compare(&self) -> Result<(), TestCaseError> {
        let prefix = format!("case{}/", self.number);
        let page = self.store.repositories(Some(&prefix), 10).await.unwrap();
        let listed = page.entries.into_iter().filter(|name| name.as_str().starts_with(&prefix));
        let existing = self.tree.keys().filter(|name| self.exists(name)).cloned();
        prop_assert!(listed.eq(existing));
        for number in 0..REPOSITORIES.len() {
            let name = self.repository(number);
            let content = self.tree.get(&name).cloned().unwrap_or_default();
            let exists = self.exists(&name);
            prop_assert_eq!(self.store.repository_exists(&name).await.unwrap(), exists);
            let tags = self.store.tags(&name, None, 10).await.unwrap();
            prop_assert_eq!(tags.is_some(), exists);
            let tags = tags.into_iter().flat_map(|page| page.entries);
            prop_assert!(tags.map(|tag| tag.to_string()).eq(content.tags.keys().cloned()));
            self.compare_content(&name, &content).await?;
        }
        for session in self.sessions.values() {
            let open = self.store.upload(&session.repository, session.id).await.unwrap();
            prop_assert_eq!(open.map(|open| open.offset), Some(session.offset));
        }
        Ok(())
    }

    async fn compare_content(
        &self,
        name: &RepositoryName,
        content: &Content,
    ) -> Result<(), TestCaseError> {
        for number in 0..BLOBS {
            let digest = self.blob(number);
            let found = find_blob(&self.store, name, &digest).await;
            prop_assert_eq!(found.is_some(), content.blobs.contains(&digest));
        }
        for text in TAGS {
            let found = self.store.manifest(name, &by_tag(text)).await.unwrap();
            prop_assert_eq!(found.map(|m| m.digest), content.tags.get(text).copied());
        }
        for number in 0..MANIFESTS {
            let digest = self.manifest(number);
            let found = self.store.manifest(name, &Reference::Digest(digest)).await.unwrap();
            prop_assert_eq!(found.is_some(), content.manifests.contains(&digest));
            let referrers = self.store.referrers(name, &digest, None, None, 10).await.unwrap();
            let mut expected: Vec<Digest> = (0..MANIFESTS)
                .filter(|other| self.subject(*other) == Some(digest))
                .map(|other| self.manifest(other))
                .filter(|other| content.manifests.contains(other))
                .collect();
            expected.sort_unstable();
            prop_assert!(referrers.entries.iter().map(|r| r.digest).eq(expected));
        }
        Ok(())
    }

    fn repository(&self, number: usize) -> RepositoryName {
        repository(&format!("case{}/{}", self.number, REPOSITORIES[number]))
    }

    fn blob_content(&self, number: u8) -> String {
        format!("blob {number} of case {}", self.number)
    }

    fn blob(&self, number: u8) -> Digest {
        digest(self.blob_content(number))
    }

    fn manifest_content(&self, number: u8) -> String {
        format!("manifest {number} of case {}", self.number)
    }

    fn manifest(&self, number: u8) -> Digest {
        digest(self.manifest_content(number))
    }

    /// The odd ones are attached to the one that follows.
    fn subject(&self, number: u8) -> Option<Digest> {
        (number % 2 == 1).then(|| self.manifest((number + 1) % MANIFESTS))
    }
}

/// What a storage tree does with a change.
fn follow(tree: &mut Tree, change: &LinkChange) {
    match change.clone() {
        LinkChange::LinkBlob { repository, digest } => {
            tree.entry(repository).or_default().blobs.insert(digest);
        }
        LinkChange::UnlinkBlob { repository, digest } => {
            tree.entry(repository).or_default().blobs.remove(&digest);
        }
        LinkChange::PutManifest { repository, digest, payload } => {
            assert_eq!(super::fixtures::digest(&payload), digest);
            tree.entry(repository).or_default().manifests.insert(digest);
        }
        LinkChange::DeleteManifest { repository, digest } => {
            tree.entry(repository).or_default().manifests.remove(&digest);
        }
        LinkChange::SetTag { repository, tag, digest } => {
            tree.entry(repository).or_default().tags.insert(tag.to_string(), digest);
        }
        LinkChange::DeleteTag { repository, tag } => {
            tree.entry(repository).or_default().tags.remove(tag.as_str());
        }
    }
}
