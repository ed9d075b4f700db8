use berth_oci::{Digest, RepositoryName};
use bytes::Bytes;
use futures_util::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::{Body, Response, Url};

use crate::transport::Call;
use crate::{ClientError, RegistryClient};

const OCTET_STREAM: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An upload that is under way.
#[derive(Clone, Debug)]
pub struct UploadSession {
    repository: RepositoryName,
    location: Url,
    /// How many bytes the registry has.
    offset: u64,
}

impl UploadSession {
    /// How many bytes the registry has.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

/// How an upload begins.
#[derive(Clone, Debug)]
pub enum BegunUpload {
    /// The registry has linked the blob from the other repository: nothing is to be sent.
    Mounted,
    /// The bytes are wanted.
    Session(UploadSession),
}

impl RegistryClient {
    /// Begins an upload, or has the registry link the blob from another repository of its own.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn begin_upload(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        mount_from: Option<&RepositoryName>,
    ) -> Result<BegunUpload, ClientError> {
        let mut url = self.url().join(&format!("{repository}/blobs/uploads/"));
        let mut scope = push_scope(repository);
        if let Some(from) = mount_from {
            url.query_pairs_mut()
                .append_pair("mount", &digest.to_string())
                .append_pair("from", from.as_str());
            scope.push_str(&format!(" repository:{from}:pull"));
        }
        let mut call = Call::new(Method::POST, url, scope, format!("repository {repository}"));
        call.headers.insert(CONTENT_LENGTH, 0.into());
        let response = self.transport.send(&call).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(BegunUpload::Mounted);
        }
        let location = self.location(&call.url, response.headers())?;
        let repository = repository.clone();
        Ok(BegunUpload::Session(UploadSession { repository, location, offset: 0 }))
    }

    /// Sends bytes behind those that the registry has, as they come.
    ///
    /// # Errors
    /// See [`ClientError`]. How far it came [`upload_status`](Self::upload_status) tells.
    pub async fn append<S>(&self, session: &mut UploadSession, bytes: S) -> Result<(), ClientError>
    where
        S: Stream<Item = Result<Bytes, ClientError>> + Send + 'static,
    {
        let mut call = self.session_call(Method::PATCH, session);
        call.headers.insert(CONTENT_TYPE, OCTET_STREAM);
        let response = self.transport.send_once(&call, Body::wrap_stream(bytes)).await?;
        self.note(session, &call.url, &response)
    }

    /// Asks how far an upload is, after it broke off.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn upload_status(&self, session: &mut UploadSession) -> Result<(), ClientError> {
        let call = self.session_call(Method::GET, session);
        let response = self.transport.send(&call).await?;
        self.note(session, &call.url, &response)
    }

    /// Ends an upload: all bytes are there.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn finish_upload(
        &self,
        session: UploadSession,
        digest: &Digest,
    ) -> Result<(), ClientError> {
        let mut call = self.session_call(Method::PUT, &session);
        call.url.query_pairs_mut().append_pair("digest", &digest.to_string());
        call.headers.insert(CONTENT_LENGTH, 0.into());
        self.transport.send(&call).await.map(drop)
    }

    /// Stores a manifest under a tag or its digest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_manifest(
        &self,
        repository: &RepositoryName,
        reference: &berth_oci::Reference,
        media_type: &str,
        payload: Bytes,
    ) -> Result<(), ClientError> {
        let url = self.url().join(&format!("{repository}/manifests/{reference}"));
        let what = format!("repository {repository}");
        let mut call = Call::new(Method::PUT, url, push_scope(repository), what);
        let media_type = HeaderValue::try_from(media_type)
            .map_err(|_| self.transport.nonsense("a media type that cannot be sent"))?;
        call.headers.insert(CONTENT_TYPE, media_type);
        call.body = payload;
        self.transport.send(&call).await.map(drop)
    }

    fn session_call(&self, method: Method, session: &UploadSession) -> Call {
        let what = "upload session".to_owned();
        Call::new(method, session.location.clone(), push_scope(&session.repository), what)
    }

    /// Notes where the session is now, and how far.
    fn note(
        &self,
        session: &mut UploadSession,
        asked: &Url,
        response: &Response,
    ) -> Result<(), ClientError> {
        let headers = response.headers();
        if headers.contains_key(LOCATION) {
            session.location = self.location(asked, headers)?;
        }
        session.offset = received(headers)
            .ok_or_else(|| self.transport.nonsense("an upload without its `Range`"))?;
        Ok(())
    }

    fn location(&self, asked: &Url, headers: &HeaderMap) -> Result<Url, ClientError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.and_then(|location| asked.join(location).ok());
        location.ok_or_else(|| self.transport.nonsense("an upload without a `Location`"))
    }
}

/// How many bytes a registry has: `0-9` is ten of them. So is none `0-0`, as nobody sends a single one.
fn received(headers: &HeaderMap) -> Option<u64> {
    let range: &HeaderName = &RANGE;
    let text = headers.get(range)?.to_str().ok()?;
    let (_, last) = text.strip_prefix("bytes=").unwrap_or(text).split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    Some(if last == 0 { 0 } else { last + 1 })
}

fn push_scope(repository: &RepositoryName) -> String {
    format!("repository:{repository}:pull,push")
}
