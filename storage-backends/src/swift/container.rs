use std::ops::Range;
use std::sync::Arc;

use backon::Retryable as _;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use object_store::PutPayload;
use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse};
use serde::Deserialize;
use tokio::sync::OnceCell;
use tracing::{debug, info};

use super::info::Info;
use super::segments::Outcome;
use super::sessions::Sessions;
use crate::objects::{Listed, ObjectError, Rest, failed, pauses, unanswered};
use crate::remote::{self, path_encoded, query_encoded};
use crate::transport::Transport;

/// How many objects are asked for in one page of a listing.
const PAGE: usize = 1000;

const PLAIN: &str = "application/octet-stream";
/// Marks large objects in listings, where Ceph tells the size of the manifest and not the object's.
const LARGE: &str = "application/octet-stream;kind=segments";

const JSON: &str = "application/json";

/// The calls on a container, by keys that are without the folder that everything is in.
#[derive(Debug)]
pub(super) struct Container {
    rest: Rest<Arc<Sessions>>,
    sessions: Arc<Sessions>,
    name: String,
    /// Without slashes at its ends; may be empty.
    root: String,
    info: OnceCell<Info>,
}

/// What is known of an object without reading it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) size: u64,
    /// Whether it is made of segments.
    pub(super) is_large: bool,
    /// Of its content; for an object of segments it is of theirs.
    pub(super) etag: String,
}

/// An entry of a listing.
#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    bytes: u64,
    last_modified: DateTime,
    #[serde(default)]
    content_type: String,
    /// Only Swift itself has it, which counts the bytes of the segments.
    #[serde(default)]
    slo_etag: Option<String>,
}

impl Container {
    pub(super) fn new(
        name: String,
        root: String,
        sessions: Arc<Sessions>,
        transport: &Transport,
    ) -> object_store::Result<Self> {
        let rest = Rest::new(Arc::clone(&sessions), transport)?;
        Ok(Self { rest, sessions, name, root, info: OnceCell::new() })
    }

    /// The account's URL, and the path of an object below it.
    pub(super) async fn place(&self, key: &str) -> Result<(String, String), ObjectError> {
        Ok((self.sessions.store().await?, format!("/{}/{}", self.name, self.whole(key))))
    }

    /// The path of a folder as manifests name it.
    pub(super) fn folder(&self, folder: &str) -> String {
        format!("{}/{}", self.name, self.whole(folder))
    }

    /// What the cluster says of itself. It is asked once.
    pub(super) async fn info(&self) -> Info {
        let known = self.info.get_or_try_init(|| async {
            let url = Info::url(&self.sessions.store().await?);
            match self.rest.text(request(Method::GET, &url, &[], Vec::new())?).await {
                Ok(answer) => Ok(Info::parse(&answer)),
                Err(ObjectError::NotFound(_) | ObjectError::Denied(_)) => Ok(Info::default()),
                Err(error) => Err(error),
            }
        });
        known.await.cloned().unwrap_or_else(|error| {
            debug!(%error, "the cluster says nothing of itself");
            Info::default()
        })
    }

    /// Writes an object and gives its ETag. The container is made when it is missing.
    pub(super) async fn put(&self, key: &str, content: Vec<Bytes>) -> Result<String, ObjectError> {
        self.put_with(&[(CONTENT_TYPE, PLAIN)], key, content).await
    }

    /// Writes an object unless there is one, which is [`ObjectError::Exists`].
    /// Writes an object where there was none when the store began to take it, and gives its tag.
    pub(super) async fn put_new(
        &self,
        key: &str,
        content: Vec<Bytes>,
    ) -> Result<String, ObjectError> {
        self.put_with(&[(CONTENT_TYPE, PLAIN), (IF_NONE_MATCH, "*")], key, content).await
    }

    async fn put_with(
        &self,
        headers: &[(HeaderName, &str)],
        key: &str,
        content: Vec<Bytes>,
    ) -> Result<String, ObjectError> {
        let url = self.url(key, "").await?;
        let request = request(Method::PUT, &url, headers, content)?;
        let answer = match self.rest.send(request.clone()).await {
            Err(ObjectError::NotFound(_)) => {
                self.create().await?;
                self.rest.send(request).await?
            }
            other => other?,
        };
        Ok(etag(&answer))
    }

    async fn create(&self) -> Result<(), ObjectError> {
        let url = format!("{}/{}", self.sessions.store().await?, path_encoded(&self.name));
        let made = self.rest.send(request(Method::PUT, &url, &[], Vec::new())?).await;
        let why = |text: String| {
            let name = &self.name;
            format!("storage.swift.container: `{name}` is not there and cannot be made: {text}")
        };
        match made {
            Ok(_) => {
                info!(container = self.name, "the container was made");
                Ok(())
            }
            Err(ObjectError::Denied(text)) => Err(ObjectError::Denied(why(text))),
            Err(
                ObjectError::NotFound(text) | ObjectError::Exists(text) | ObjectError::Failed(text),
            ) => Err(ObjectError::Failed(why(text))),
            Err(ObjectError::Down) => Err(ObjectError::Down),
        }
    }

    /// Makes an object of the segments that a manifest names.
    ///
    /// # Errors
    /// [`ObjectError::NotFound`] when one of them is not there.
    pub(super) async fn put_manifest(
        &self,
        key: &str,
        manifest: String,
    ) -> Result<(), ObjectError> {
        // The heartbeat keeps the connection in use while Swift looks at each segment.
        let url = self.url(key, "?multipart-manifest=put&heartbeat=on").await?;
        let headers = [(CONTENT_TYPE, LARGE), (ACCEPT, JSON)];
        self.long_work(request(Method::PUT, &url, &headers, vec![manifest.into()])?).await
    }

    /// Sends a request for work that takes long: Swift says only at the end of its answer what has
    /// come of it, so it may have to be sent again after all.
    async fn long_work(&self, request: HttpRequest) -> Result<(), ObjectError> {
        let attempt = || async {
            let answer = self.rest.text(request.clone()).await.map_err(|error| (error, false))?;
            let Some(outcome) = Outcome::parse(&answer).filter(|one| !one.is_success()) else {
                return Ok(());
            };
            if outcome.is_refused() {
                self.sessions.forget();
            }
            let (method, path) = (request.method(), request.uri().path());
            let text = format!("{method} {path} and its segments: {outcome}");
            Err(match outcome.is_passing() {
                false if outcome.is_missing() => (ObjectError::NotFound(text), false),
                passing => (ObjectError::Failed(text), passing),
            })
        };
        let worked = attempt.retry(pauses()).when(|(_, passing)| *passing).await;
        worked.map_err(|(error, _)| error)
    }

    /// The manifest of a large object, as Swift keeps it.
    pub(super) async fn manifest(&self, key: &str) -> Result<String, ObjectError> {
        let url = self.url(key, "?multipart-manifest=get").await?;
        self.rest.text(request(Method::GET, &url, &[], Vec::new())?).await
    }

    pub(super) async fn get(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        let url = self.url(key, "").await?;
        let wanted = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        let request = request(Method::GET, &url, &[(RANGE, &wanted)], Vec::new())?;
        let answer = self.rest.send(request).await?;
        if answer.status() != StatusCode::PARTIAL_CONTENT && range.start > 0 {
            return Err(ObjectError::Failed(format!("GET {key}: the store ignores ranges")));
        }
        Ok(answer.into_body().bytes_stream().map_err(unanswered).boxed())
    }

    pub(super) async fn head(&self, key: &str) -> Result<Head, ObjectError> {
        let url = self.url(key, "").await?;
        // Of its replicas a store asks one alone, unless it is asked for the newest.
        let newest = (HeaderName::from_static("x-newest"), "true");
        let answer = self.rest.send(request(Method::HEAD, &url, &[newest], Vec::new())?).await?;
        let text = |name: &str| answer.headers().get(name)?.to_str().ok();
        let size = text("content-length").and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| ObjectError::Failed(format!("HEAD {key}: no size")))?;
        let is_large = text("x-static-large-object").is_some_and(|text| text != "False");
        Ok(Head { size, is_large, etag: etag(&answer) })
    }

    pub(super) async fn exists(&self, key: &str) -> Result<bool, ObjectError> {
        match self.head(key).await {
            Ok(_) => Ok(true),
            Err(ObjectError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes an object, but not what it may be made of; nothing when it is not there.
    pub(super) async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let url = self.url(key, "").await?;
        match self.rest.send(request(Method::DELETE, &url, &[], Vec::new())?).await {
            Ok(_) | Err(ObjectError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a large object with its segments; they go first, so this can be done again.
    pub(super) async fn delete_large(&self, key: &str) -> Result<(), ObjectError> {
        let url = self.url(key, "?multipart-manifest=delete").await?;
        let request = request(Method::DELETE, &url, &[(ACCEPT, JSON)], Vec::new())?;
        match self.long_work(request).await {
            Ok(()) | Err(ObjectError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// All objects whose keys begin with a folder's name.
    pub(super) fn list(
        self: &Arc<Self>,
        folder: &str,
    ) -> BoxStream<'static, Result<Listed, ObjectError>> {
        let prefix = self.whole(folder);
        let begin = (Arc::clone(self), prefix, String::new());
        let pages = stream::try_unfold(begin, |(this, prefix, marker)| async move {
            let page = this.page(&prefix, &marker).await?;
            // A page may be short of what is there; the last one is empty.
            let Some(last) = page.last().map(|entry| entry.name.clone()) else { return Ok(None) };
            let mut listed = Vec::with_capacity(page.len());
            for entry in page {
                listed.extend(this.listed(entry).await?);
            }
            let listed = stream::iter(listed.into_iter().map(Ok::<_, ObjectError>));
            Ok::<_, ObjectError>(Some((listed, (this, prefix, last))))
        });
        pages.try_flatten().boxed()
    }

    async fn page(&self, prefix: &str, marker: &str) -> Result<Vec<Entry>, ObjectError> {
        let store = self.sessions.store().await?;
        let url = format!(
            "{store}/{}?format=json&limit={PAGE}&prefix={}&marker={}",
            path_encoded(&self.name),
            query_encoded(prefix),
            query_encoded(marker)
        );
        let answer = self.rest.text(request(Method::GET, &url, &[], Vec::new())?).await?;
        match answer.is_empty() {
            true => Ok(Vec::new()),
            false => serde_json::from_str(&answer).map_err(failed),
        }
    }

    /// An entry by its key; `None` when the object has gone since.
    async fn listed(&self, entry: Entry) -> Result<Option<Listed>, ObjectError> {
        let Some(key) = remote::without_root(&self.root, &entry.name).map(str::to_owned) else {
            return Ok(None);
        };
        let mut size = entry.bytes;
        if entry.content_type.contains("kind=segments") && entry.slo_etag.is_none() {
            size = match self.head(&key).await {
                Ok(head) => head.size,
                Err(ObjectError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error),
            };
        }
        let modified = entry.last_modified.to_zoned(TimeZone::UTC).map_err(failed)?;
        Ok(Some(Listed { key, size, modified: modified.timestamp().into() }))
    }

    /// What the account (or the container) says of itself.
    pub(super) async fn metadata(&self, of_container: bool) -> Result<HeaderMap, ObjectError> {
        let url = self.described(of_container).await?;
        let answer = self.rest.send(request(Method::HEAD, &url, &[], Vec::new())?).await?;
        Ok(answer.headers().clone())
    }

    pub(super) async fn set_metadata(
        &self,
        of_container: bool,
        name: HeaderName,
        value: &str,
    ) -> Result<(), ObjectError> {
        let url = self.described(of_container).await?;
        let mut request = request(Method::POST, &url, &[], Vec::new())?;
        let mut value = HeaderValue::try_from(value).map_err(failed)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
        self.rest.send(request).await?;
        Ok(())
    }

    async fn described(&self, of_container: bool) -> Result<String, ObjectError> {
        let store = self.sessions.store().await?;
        Ok(match of_container {
            true => format!("{store}/{}", path_encoded(&self.name)),
            false => store,
        })
    }

    async fn url(&self, key: &str, query: &str) -> Result<String, ObjectError> {
        let (store, path) = self.place(key).await?;
        Ok(format!("{store}{}{query}", path_encoded(&path)))
    }

    fn whole(&self, key: &str) -> String {
        remote::join(&self.root, key)
    }
}

fn request(
    method: Method,
    url: &str,
    headers: &[(HeaderName, &str)],
    content: Vec<Bytes>,
) -> Result<HttpRequest, ObjectError> {
    let mut builder = Request::builder().uri(url);
    for (name, value) in headers {
        builder = builder.header(name, *value);
    }
    let body = match content.is_empty() {
        true => HttpRequestBody::empty(),
        false => HttpRequestBody::from(PutPayload::from_iter(content)),
    };
    builder.method(method).body(body).map_err(failed)
}

fn etag(answer: &HttpResponse) -> String {
    let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
    etag.unwrap_or_default().trim_matches('"').to_owned()
}
