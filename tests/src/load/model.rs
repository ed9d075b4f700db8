//! What a worker knows of the registry from the answers it got.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::iter::Sum;
use std::sync::Arc;

use crate::content::{Blob, Manifest};

/// Whether something is in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It was acknowledged.
    Present,
    /// It never was there, or its removal was acknowledged.
    Absent,
    /// The request that would add or remove it was never answered.
    Unknown,
}

/// A blob in a repository.
#[derive(Clone, Debug)]
pub struct BlobLink {
    /// The repository.
    pub repository: &'static str,
    /// `sha256:…`
    pub digest: String,
    /// How many bytes it has.
    pub len: usize,
    /// The seed of its bytes.
    pub seed: u64,
    /// Whether it is there.
    pub presence: Presence,
    /// Other workers may push the same bytes.
    pub shared: bool,
    /// Manifests need it.
    pub used: bool,
    /// When it was made.
    pub round: u32,
}

/// A manifest in a repository.
#[derive(Clone, Debug)]
pub struct Image {
    /// The repository.
    pub repository: &'static str,
    /// What it is.
    pub manifest: Manifest,
    /// Whether it is there.
    pub present: bool,
    /// When it was made.
    pub round: u32,
}

/// An upload session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where it is.
    pub path: String,
    /// Its place in [`Model::blobs`].
    pub blob: usize,
    /// What is uploaded.
    pub bytes: Arc<Vec<u8>>,
    /// How far it is by the last answer.
    pub acknowledged: usize,
    /// How far the requests went.
    pub sent: usize,
    /// A request that ends it was never answered.
    pub ending: bool,
}

impl Session {
    /// Whether it is known how far it is.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.sent == self.acknowledged && !self.ending
    }
}

/// `(repository, tag)`.
pub type TagKey = (&'static str, String);

/// A change of a manifest and its tags by one request: all of it happens, or nothing.
#[derive(Clone, Debug)]
pub struct Change {
    /// The manifest's place in [`Model::images`].
    pub image: usize,
    /// What it changes.
    pub before: State,
    /// What it makes of that.
    pub after: State,
}

/// Whether a manifest is there, and what some tags point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether the manifest is there.
    pub present: bool,
    /// What the tags point to.
    pub tags: BTreeMap<TagKey, Option<usize>>,
}

/// Everything that a worker has done.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Every blob that ever was in a repository.
    pub blobs: Vec<BlobLink>,
    index: HashMap<(&'static str, String), usize>,
    /// Every manifest that ever was in a repository.
    pub images: Vec<Image>,
    /// Every tag that ever was, with what it points to.
    pub tags: BTreeMap<TagKey, Option<usize>>,
    /// The sessions that are open.
    pub sessions: Vec<Session>,
    /// The paths of sessions that ended in this round.
    pub ended: Vec<String>,
    /// The change that was never answered.
    pub pending: Option<Change>,
    /// What was done and seen.
    pub counts: Counts,
}

impl Model {
    /// The place of a blob, known or new.
    pub fn blob(
        &mut self,
        repository: &'static str,
        blob: &Blob,
        seed: u64,
        shared: bool,
        round: u32,
    ) -> usize {
        self.link(BlobLink {
            repository,
            digest: blob.digest.clone(),
            len: blob.bytes.len(),
            seed,
            presence: Presence::Absent,
            shared,
            used: false,
            round,
        })
    }

    /// The place of a blob of this repository in another one.
    pub fn mounted(&mut self, target: &'static str, blob: usize, round: u32) -> usize {
        let source = self.blobs[blob].clone();
        self.link(BlobLink {
            repository: target,
            presence: Presence::Absent,
            used: false,
            round,
            ..source
        })
    }

    /// A request that adds the blob is under way.
    pub fn may_appear(&mut self, blob: usize) {
        let blob = &mut self.blobs[blob];
        if blob.presence == Presence::Absent {
            blob.presence = Presence::Unknown;
        }
    }

    /// Whether an answer is missing that would tell how things are.
    pub fn is_uncertain(&self) -> bool {
        self.pending.is_some()
            || self.blobs.iter().any(|blob| blob.presence == Presence::Unknown)
            || self.sessions.iter().any(|session| !session.is_certain())
    }

    /// The session ended by an answer.
    pub fn end_session(&mut self, session: usize) {
        let Session { path, .. } = self.sessions.swap_remove(session);
        self.ended.push(path);
    }

    fn link(&mut self, link: BlobLink) -> usize {
        let next = self.blobs.len();
        let place = *self.index.entry((link.repository, link.digest.clone())).or_insert(next);
        if place == next {
            self.blobs.push(link);
        }
        place
    }

    /// Takes the manifest to be there or not, and the tags to point where the state says.
    pub fn settle(&mut self, image: usize, state: State) {
        self.images[image].present = state.present;
        self.tags.extend(state.tags);
    }
}

macro_rules! counts {
    ($($name:ident: $text:literal,)*) => {
        /// What was done and seen.
        #[derive(Clone, Debug, Default)]
        pub struct Counts {
            $(#[doc = $text] pub $name: u64,)*
        }

        impl Sum for Counts {
            fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
                all.fold(Self::default(), |sum, one| Self { $($name: sum.$name + one.$name,)* })
            }
        }

        impl fmt::Display for Counts {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:9} {}", self.$name, $text)?;)*
                Ok(())
            }
        }
    };
}

counts! {
    requests: "requests of the load answered",
    posts: "blobs pushed by one POST",
    puts: "blobs pushed by POST and PUT",
    chunked: "blobs pushed in chunks",
    mounts: "mounts",
    blob_deletes: "blobs deleted",
    image_pushes: "manifests pushed",
    tag_moves: "tags moved",
    tag_deletes: "tags deleted",
    image_deletes: "manifests deleted",
    cancels: "sessions cancelled",
    left_open: "sessions left open",
    reads: "blobs and tags read under load",
    cut_requests: "requests cut off by a crash, or answered with a failure that passes",
    cut_posts: "of these, blobs by one POST",
    cut_cancels: "of these, cancels",
    cut_finishes: "of these, PUTs that end a session",
    cut_changes: "of these, changes of manifests and tags",
    changes_done: "unanswered changes of manifests and tags that had happened, whole",
    changes_undone: "unanswered changes of manifests and tags that had not",
    blobs_verified: "times a blob was read and hashed",
    blobs_absent: "times a deleted or unfinished blob was found absent",
    images_verified: "times a manifest was read and hashed",
    images_absent: "times a deleted manifest was found absent",
    tags_verified: "times a tag was resolved",
    unknown_whole: "unanswered blobs found whole",
    unknown_absent: "unanswered blobs found absent",
    pushed_again: "unanswered blobs pushed again",
    resumed: "sessions resumed after a crash, to a blob",
    cancelled_later: "sessions cancelled after a crash",
    kept: "times a session was left as it was after a crash",
    stayed_ended: "sessions that had ended before a crash, and stayed so",
    ended: "sessions found ended after an unanswered PUT or cancel",
    ended_without_blob: "of these, by a PUT that left no blob (the bytes were placed, not recorded)",
}
