use std::borrow::Cow;

use berth_oci::{
    Algorithm, Digest, DigestError, NameError, Reference, ReferenceError, RepositoryName, Tag,
    TagError, UploadId, UploadIdError,
};
use http::Method;
use percent_encoding::percent_decode_str;
use thiserror::Error;

use super::page::PageRequest;
use super::query::Query;

/// What a request to `/v2/` asks for, or to `/api/v1/`, which has what the specification has not.
///
/// Repository names hold slashes and words such as `blobs` and `manifests`, so the path is read
/// from its end: the last segments decide, and what is before them is the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Whether this is a registry.
    Ping,
    /// A page of the repositories.
    Catalog(PageRequest),
    /// A page of a repository's tags.
    Tags(RepositoryName, PageRequest),
    /// The manifests that are attached to one.
    Referrers {
        /// The repository.
        repository: RepositoryName,
        /// The manifest that they are attached to.
        subject: Digest,
        /// The only type wanted.
        artifact_type: Option<String>,
        /// The last digest of the page before.
        after: Option<Digest>,
    },
    /// A manifest's bytes (GET) or head (HEAD).
    ReadManifest(RepositoryName, Reference),
    /// A manifest to store, with further tags to point to it.
    PutManifest(RepositoryName, Reference, Vec<Tag>),
    /// A tag or a manifest to delete.
    DeleteManifest(RepositoryName, Reference),
    /// A blob's bytes (GET) or head (HEAD).
    ReadBlob(RepositoryName, Digest),
    /// A blob to take out of the repository.
    DeleteBlob(RepositoryName, Digest),
    /// An upload to begin.
    StartUpload(RepositoryName, StartUpload),
    /// Something to do with an upload session.
    Upload(RepositoryName, UploadId, UploadWrite),
    /// A whole repository to delete.
    DeleteRepository(RepositoryName),
}

/// How an upload begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartUpload {
    /// With a session that later requests fill.
    Session(Algorithm),
    /// With the whole blob in this request.
    Whole(Digest),
    /// With a blob of another repository, or of any when none is named; a session follows when it
    /// cannot be had.
    Mount {
        /// The blob.
        digest: Digest,
        /// The repository to take it from. One whose name is malformed has nothing.
        from: Option<Result<RepositoryName, NameError>>,
    },
}

/// What is done with an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadWrite {
    /// Ask how far it is.
    Status,
    /// Append a chunk.
    Append,
    /// End it with a blob.
    Finish(Digest),
    /// End it without one.
    Cancel,
}

/// Why a request asks for nothing that a registry has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ActionError {
    /// No such path.
    #[error("there is nothing at this path; the registry's API is under /v2/")]
    NotFound,
    /// The path exists, the method does not.
    #[error("this path answers {0} only")]
    MethodNotAllowed(&'static str),
    /// The repository name is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A digest is malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The digest is missing.
    #[error(
        "the query parameter digest is missing; it has the form digest=sha256:<64 hexadecimal digits>"
    )]
    DigestMissing,
    /// A tag is malformed.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// A manifest was asked for by something that no manifest can have.
    #[error("no manifest can have this name: {0}")]
    NoSuchManifest(TagError),
    /// The upload session's identifier is malformed.
    #[error(transparent)]
    UploadId(#[from] UploadIdError),
    /// `n` is malformed.
    #[error("the query parameter n must be a number of entries, 0 or more")]
    PageSize,
}

impl Action {
    /// Reads a method, a path (still percent-encoded) and a query.
    ///
    /// # Errors
    /// When the path is none of the specification's, does not know the method, or holds a
    /// malformed name, digest, tag or session.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, ActionError> {
        let path = decode(path)?;
        if let Some(name) = path.strip_prefix("/api/v1/repositories/") {
            return Self::whole_repository(method, name);
        }
        let rest = path.strip_prefix("/v2").ok_or(ActionError::NotFound)?;
        let query = Query::new(query);
        match rest {
            "" | "/" => return only_read(method, || Ok(Self::Ping)),
            "/_catalog" => {
                return only_read(method, || Ok(Self::Catalog(PageRequest::parse(query)?)));
            }
            _ => {}
        }
        let rest = rest.strip_prefix('/').ok_or(ActionError::NotFound)?;
        let (before, last) = rest.rsplit_once('/').ok_or(ActionError::NotFound)?;
        let (name, kind) = before.rsplit_once('/').unwrap_or(("", before));
        match (kind, last) {
            ("manifests", reference) => Self::manifest(method, name, reference, query),
            ("blobs", "uploads") => Self::start_upload(method, name, query),
            ("blobs", digest) => Self::blob(method, name, digest),
            ("tags", "list") => {
                only_read(method, || Ok(Self::Tags(name.parse()?, PageRequest::parse(query)?)))
            }
            ("referrers", digest) => only_read(method, || Self::referrers(name, digest, query)),
            ("uploads", session) => match name.rsplit_once('/').unwrap_or(("", name)) {
                (name, "blobs") if session.is_empty() => Self::start_upload(method, name, query),
                (name, "blobs") => Self::upload(method, name, session, query),
                _ => Err(ActionError::NotFound),
            },
            _ => Err(ActionError::NotFound),
        }
    }

    /// A short name for metrics and logs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Catalog(_) => "catalog",
            Self::Tags(..) => "tags",
            Self::Referrers { .. } => "referrers",
            Self::ReadManifest(..) => "manifest_read",
            Self::PutManifest(..) => "manifest_put",
            Self::DeleteManifest(..) => "manifest_delete",
            Self::ReadBlob(..) => "blob_read",
            Self::DeleteBlob(..) => "blob_delete",
            Self::StartUpload(..) => "upload_start",
            Self::Upload(_, _, UploadWrite::Status) => "upload_status",
            Self::Upload(_, _, UploadWrite::Append) => "upload_append",
            Self::Upload(_, _, UploadWrite::Finish(_)) => "upload_finish",
            Self::Upload(_, _, UploadWrite::Cancel) => "upload_cancel",
            Self::DeleteRepository(_) => "repository_delete",
        }
    }

    /// The same about another repository, for reads of one whose name `rename` knows; and whether it
    /// does.
    pub(super) fn renamed(
        mut self,
        rename: impl FnOnce(&RepositoryName) -> Option<RepositoryName>,
    ) -> (Self, bool) {
        let name = match &mut self {
            Self::Tags(name, _)
            | Self::Referrers { repository: name, .. }
            | Self::ReadManifest(name, _)
            | Self::ReadBlob(name, _) => name,
            _ => return (self, false),
        };
        let other = rename(name);
        let is_renamed = other.is_some();
        if let Some(other) = other {
            *name = other;
        }
        (self, is_renamed)
    }

    /// The repository that it is about.
    pub(super) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Ping | Self::Catalog(_) => None,
            Self::Tags(repository, _)
            | Self::Referrers { repository, .. }
            | Self::ReadManifest(repository, _)
            | Self::PutManifest(repository, ..)
            | Self::DeleteManifest(repository, _)
            | Self::ReadBlob(repository, _)
            | Self::DeleteBlob(repository, _)
            | Self::StartUpload(repository, _)
            | Self::Upload(repository, ..)
            | Self::DeleteRepository(repository) => Some(repository),
        }
    }

    /// Whether it brings the bytes of a blob.
    pub(super) fn is_upload(&self) -> bool {
        matches!(
            self,
            Self::StartUpload(_, StartUpload::Whole(_))
                | Self::Upload(_, _, UploadWrite::Append | UploadWrite::Finish(_))
        )
    }

    /// Whether it changes anything. Such a request runs to its end even when its client goes.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Ping
            | Self::Catalog(_)
            | Self::Tags(..)
            | Self::Referrers { .. }
            | Self::ReadManifest(..)
            | Self::ReadBlob(..)
            | Self::Upload(_, _, UploadWrite::Status) => false,
            Self::PutManifest(..)
            | Self::DeleteManifest(..)
            | Self::DeleteBlob(..)
            | Self::StartUpload(..)
            | Self::Upload(..)
            | Self::DeleteRepository(_) => true,
        }
    }

    /// Whether it reads, stores or deletes content, or may: what others are told of.
    pub(super) fn touches_content(&self) -> bool {
        match self {
            Self::Ping
            | Self::Catalog(_)
            | Self::Tags(..)
            | Self::Referrers { .. }
            | Self::Upload(_, _, UploadWrite::Status | UploadWrite::Append | UploadWrite::Cancel) => {
                false
            }
            Self::ReadManifest(..)
            | Self::PutManifest(..)
            | Self::DeleteManifest(..)
            | Self::ReadBlob(..)
            | Self::DeleteBlob(..)
            | Self::StartUpload(..)
            | Self::Upload(_, _, UploadWrite::Finish(_))
            | Self::DeleteRepository(_) => true,
        }
    }

    fn whole_repository(method: &Method, name: &str) -> Result<Self, ActionError> {
        match *method {
            Method::DELETE => Ok(Self::DeleteRepository(name.parse()?)),
            _ => Err(ActionError::MethodNotAllowed("DELETE")),
        }
    }

    fn manifest(
        method: &Method,
        name: &str,
        reference: &str,
        query: Query<'_>,
    ) -> Result<Self, ActionError> {
        let repository = name.parse()?;
        let reference = reference.parse();
        match *method {
            Method::PUT => {
                let tags = query.all("tag").map(|tag| tag.parse()).collect::<Result<_, _>>()?;
                Ok(Self::PutManifest(repository, reference.map_err(put_error)?, tags))
            }
            Method::GET | Method::HEAD => {
                Ok(Self::ReadManifest(repository, reference.map_err(read_error)?))
            }
            Method::DELETE => Ok(Self::DeleteManifest(repository, reference.map_err(read_error)?)),
            _ => Err(ActionError::MethodNotAllowed("GET, HEAD, PUT, DELETE")),
        }
    }

    fn blob(method: &Method, name: &str, digest: &str) -> Result<Self, ActionError> {
        let repository = name.parse()?;
        let digest = digest.parse()?;
        match *method {
            Method::GET | Method::HEAD => Ok(Self::ReadBlob(repository, digest)),
            Method::DELETE => Ok(Self::DeleteBlob(repository, digest)),
            _ => Err(ActionError::MethodNotAllowed("GET, HEAD, DELETE")),
        }
    }

    fn referrers(name: &str, digest: &str, query: Query<'_>) -> Result<Self, ActionError> {
        Ok(Self::Referrers {
            repository: name.parse()?,
            subject: digest.parse()?,
            artifact_type: query
                .first("artifactType")
                .filter(|text| !text.is_empty())
                .map(Cow::into_owned),
            after: query.first("last").map(|digest| digest.parse()).transpose()?,
        })
    }

    fn start_upload(method: &Method, name: &str, query: Query<'_>) -> Result<Self, ActionError> {
        if method != Method::POST {
            return Err(ActionError::MethodNotAllowed("POST"));
        }
        let repository = name.parse()?;
        let start = if let Some(digest) = query.first("mount") {
            let from = query.first("from").filter(|from| !from.is_empty());
            StartUpload::Mount { digest: digest.parse()?, from: from.map(|from| from.parse()) }
        } else if let Some(digest) = query.first("digest") {
            StartUpload::Whole(digest.parse()?)
        } else {
            let algorithm = query.first("digest-algorithm").filter(|text| !text.is_empty());
            StartUpload::Session(match algorithm {
                Some(algorithm) => algorithm.parse()?,
                None => Algorithm::default(),
            })
        };
        Ok(Self::StartUpload(repository, start))
    }

    fn upload(
        method: &Method,
        name: &str,
        session: &str,
        query: Query<'_>,
    ) -> Result<Self, ActionError> {
        let repository = name.parse()?;
        let write = match *method {
            Method::GET | Method::HEAD => UploadWrite::Status,
            Method::PATCH => UploadWrite::Append,
            Method::PUT => {
                let digest = query.first("digest").ok_or(ActionError::DigestMissing)?;
                UploadWrite::Finish(digest.parse()?)
            }
            Method::DELETE => UploadWrite::Cancel,
            _ => return Err(ActionError::MethodNotAllowed("GET, PATCH, PUT, DELETE")),
        };
        Ok(Self::Upload(repository, session.parse()?, write))
    }
}

/// Decodes the path once, as every client and proxy expects; names are checked after that, so no
/// encoding of `..` gets through.
fn decode(path: &str) -> Result<Cow<'_, str>, ActionError> {
    if !path.contains('%') {
        return Ok(Cow::Borrowed(path));
    }
    percent_decode_str(path).decode_utf8().map_err(|_| ActionError::NotFound)
}

fn only_read(
    method: &Method,
    action: impl FnOnce() -> Result<Action, ActionError>,
) -> Result<Action, ActionError> {
    match *method {
        Method::GET | Method::HEAD => action(),
        _ => Err(ActionError::MethodNotAllowed("GET, HEAD")),
    }
}

fn put_error(error: ReferenceError) -> ActionError {
    match error {
        ReferenceError::Tag(error) => ActionError::Tag(error),
        ReferenceError::Digest(error) => ActionError::Digest(error),
    }
}

/// A malformed tag is a manifest that is not there: clients probe with what they were given.
fn read_error(error: ReferenceError) -> ActionError {
    match error {
        ReferenceError::Tag(error) => ActionError::NoSuchManifest(error),
        ReferenceError::Digest(error) => ActionError::Digest(error),
    }
}
