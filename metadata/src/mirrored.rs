use std::fmt;
use std::time::Duration;

use berth_oci::{Digest, Reference, RepositoryName};

/// What is known of a tag that came from an upstream registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirroredTag {
    /// What it pointed to there. A tag that points elsewhere here was pushed here.
    pub digest: Digest,
    /// How long ago that was looked at.
    pub age: Duration,
    /// The upstream, as the operator knows it.
    pub upstream: String,
}

/// How a manifest comes into a repository that mirrors others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirrored {
    /// It was fetched.
    Fetched {
        /// The upstream that it came from, as the operator knows it.
        upstream: String,
        /// The prefix of the mirror, which may let go of it.
        prefix: String,
    },
    /// It was pushed, and stays.
    Pushed,
}

/// Something that one process at a time fetches from an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchKey {
    /// The repository here that wants it.
    pub repository: RepositoryName,
    /// The tag, or the digest of a manifest or a blob.
    pub reference: Reference,
}

impl fmt::Display for FetchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Reference::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Reference::Digest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}
