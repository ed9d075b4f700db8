//! The names of files in the tree that `registry:2` keeps.
//!
//! ```text
//! docker/registry/v2/
//!   blobs/<algorithm>/<2 hex>/<hex>/data      every blob, manifests among them
//!   repositories/<name>/
//!     _layers/<algorithm>/<hex>/link          a blob that the repository can read
//!     _manifests/
//!       revisions/<algorithm>/<hex>/link      a manifest of the repository
//!       tags/<tag>/current/link               what the tag points to
//!       tags/<tag>/index/<algorithm>/<hex>/link    what it has pointed to
//!     _uploads/<uuid>/…                       an upload that was not finished
//! ```
//!
//! A link file holds the digest that it links.

use berth_oci::{Digest, DigestError, NameError, RepositoryName, Tag, TagError};
use thiserror::Error;

/// The folder of the blobs.
pub const BLOBS: &str = "docker/registry/v2/blobs";

/// The folder of the repositories.
pub const REPOSITORIES: &str = "docker/registry/v2/repositories";

/// What a file in the tree is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeFile {
    /// The bytes of a blob or a manifest.
    Data(Digest),
    /// The link of a repository to a blob.
    Layer(RepositoryName, Digest),
    /// The link of a repository to a manifest.
    Revision(RepositoryName, Digest),
    /// What a tag points to.
    Tag(RepositoryName, Tag),
    /// What a tag has pointed to once, which follows from the past and means nothing now.
    TagHistory,
    /// A part of an upload that was not finished.
    Upload,
}

/// Why a file in the tree means nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Oddity {
    /// Nothing that a registry puts there.
    #[error("no registry puts such a file there")]
    Foreign,
    /// The name of the repository is none by today's rules.
    #[error("the name of the repository is not valid: {0}")]
    Name(NameError),
    /// The tag is none by today's rules.
    #[error("the tag is not valid: {0}")]
    Tag(TagError),
    /// The digest in the path is none.
    #[error("the digest is not valid: {0}")]
    Digest(DigestError),
}

impl TreeFile {
    /// What the file of this name is.
    ///
    /// # Errors
    /// When it is nothing that can be used.
    pub fn of(name: &str) -> Result<Self, Oddity> {
        if let Some(path) = name.strip_prefix(BLOBS).and_then(|path| path.strip_prefix('/')) {
            return Self::of_blob(path);
        }
        let path = name.strip_prefix(REPOSITORIES).and_then(|path| path.strip_prefix('/'));
        let path = path.ok_or(Oddity::Foreign)?;
        // No component of a repository's name begins so.
        let (repository, inner) = path.split_once("/_").ok_or(Oddity::Foreign)?;
        let parts: Vec<&str> = inner.split('/').collect();
        let name = || repository.parse().map_err(Oddity::Name);
        Ok(match parts[..] {
            ["layers", algorithm, hex, "link"] => Self::Layer(name()?, digest(algorithm, hex)?),
            ["manifests", "revisions", algorithm, hex, "link"] => {
                Self::Revision(name()?, digest(algorithm, hex)?)
            }
            ["manifests", "tags", tag, "current", "link"] => {
                Self::Tag(name()?, tag.parse().map_err(Oddity::Tag)?)
            }
            ["manifests", "tags", _, "index", _, _, "link"] => Self::TagHistory,
            ["uploads", ..] => Self::Upload,
            _ => return Err(Oddity::Foreign),
        })
    }

    fn of_blob(path: &str) -> Result<Self, Oddity> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [algorithm, prefix, hex, "data"] if hex.starts_with(prefix) && prefix.len() == 2 => {
                Ok(Self::Data(digest(algorithm, hex)?))
            }
            _ => Err(Oddity::Foreign),
        }
    }
}

fn digest(algorithm: &str, hex: &str) -> Result<Digest, Oddity> {
    format!("{algorithm}:{hex}").parse().map_err(Oddity::Digest)
}

/// The name of the file with the bytes of a blob or a manifest.
pub fn data(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{BLOBS}/{}/{}/{hex}/data", digest.algorithm(), &hex[..2])
}

/// The name of the file that links a blob into a repository.
pub fn layer(repository: &RepositoryName, digest: &Digest) -> String {
    format!("{REPOSITORIES}/{repository}/_layers/{}/{}/link", digest.algorithm(), digest.hex())
}

/// The name of the file that makes a manifest one of the repository.
pub fn revision(repository: &RepositoryName, digest: &Digest) -> String {
    let (algorithm, hex) = (digest.algorithm(), digest.hex());
    format!("{REPOSITORIES}/{repository}/_manifests/revisions/{algorithm}/{hex}/link")
}

/// The name of the file that tells what a tag points to.
pub fn tag(repository: &RepositoryName, tag: &Tag) -> String {
    format!("{REPOSITORIES}/{repository}/_manifests/tags/{tag}/current/link")
}

/// The name of the file that tells what a tag has pointed to.
pub fn tag_history(repository: &RepositoryName, tag: &Tag, digest: &Digest) -> String {
    let (algorithm, hex) = (digest.algorithm(), digest.hex());
    format!("{REPOSITORIES}/{repository}/_manifests/tags/{tag}/index/{algorithm}/{hex}/link")
}

/// The digest that a link file holds, if it holds one. Other programs end it with a newline.
pub fn linked(content: &[u8]) -> Option<Digest> {
    std::str::from_utf8(content).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_read_as_it_was_made() {
        let name: RepositoryName = "team/app".parse().unwrap();
        let release: Tag = "v1.0".parse().unwrap();
        for text in [format!("sha256:{}", "a1".repeat(32)), format!("sha512:{}", "b2".repeat(64))] {
            let digest: Digest = text.parse().unwrap();
            let (repository, tag) = (name.clone(), release.clone());
            for (path, file) in [
                (data(&digest), TreeFile::Data(digest)),
                (layer(&name, &digest), TreeFile::Layer(repository.clone(), digest)),
                (revision(&name, &digest), TreeFile::Revision(repository.clone(), digest)),
                (super::tag(&name, &release), TreeFile::Tag(repository, tag)),
                (tag_history(&name, &release, &digest), TreeFile::TagHistory),
            ] {
                assert_eq!(TreeFile::of(&path), Ok(file), "{path}");
            }
            assert_eq!(linked(format!("{text}\n").as_bytes()), Some(digest));
        }
    }

    #[test]
    fn what_no_registry_puts_there_is_told() {
        let hex = "a1".repeat(32);
        for (path, oddity) in [
            (format!("{BLOBS}/sha256/ff/{hex}/data"), Oddity::Foreign),
            (format!("{BLOBS}/sha256/a1/{hex}/data.bak"), Oddity::Foreign),
            (
                format!("{BLOBS}/md5/a1/{hex}/data"),
                Oddity::Digest(DigestError::UnsupportedAlgorithm),
            ),
            (format!("{REPOSITORIES}/lost+found"), Oddity::Foreign),
            (format!("{REPOSITORIES}/app/_layers/sha256/{hex}"), Oddity::Foreign),
            (
                format!("{REPOSITORIES}/App/_layers/sha256/{hex}/link"),
                Oddity::Name(NameError::UpperCase),
            ),
            (
                format!("{REPOSITORIES}/app/_manifests/tags/-x/current/link"),
                Oddity::Tag(TagError::Malformed),
            ),
            ("docker/registry/v2/other".to_owned(), Oddity::Foreign),
        ] {
            assert_eq!(TreeFile::of(&path), Err(oddity), "{path}");
        }
        let upload = format!("{REPOSITORIES}/app/_uploads/1/hashstates/sha256/0");
        assert_eq!(TreeFile::of(&upload), Ok(TreeFile::Upload));
        for content in ["", "sha256:", "garbage", "\u{0}\u{0}"] {
            assert_eq!(linked(content.as_bytes()), None, "{content}");
        }
    }
}
