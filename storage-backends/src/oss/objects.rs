use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::header::{CONTENT_LENGTH, ETAG, HeaderName, RANGE};
use http::{Method, Request};
use object_store::PutPayload;
use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse};

use super::signature::Signature;
use super::xml::{Complete, Initiated, Page, Part};
use crate::objects::{
    ListUnfinished, Listed, ObjectError, Objects, Rest, Unfinished, Uploads, failed, unanswered,
};
use crate::remote;

/// The calls of OSS, each a request of its own:
/// <https://www.alibabacloud.com/help/en/oss/developer-reference/list-of-operations-by-function>
#[derive(Debug)]
pub(super) struct OssObjects {
    pub(super) rest: Arc<Rest<Arc<Signature>>>,
    pub(super) signature: Arc<Signature>,
    pub(super) unfinished: Uploads<Arc<Signature>>,
    /// The address of the bucket, without a slash at its end.
    pub(super) url: String,
    /// The folder that everything is in, without slashes at its ends; may be empty.
    pub(super) root: String,
    /// What encrypts each new object.
    pub(super) encryption: Vec<(&'static str, String)>,
}

impl OssObjects {
    fn whole_key(&self, key: &str) -> String {
        remote::join(&self.root, key)
    }

    fn url(&self, key: &str) -> String {
        format!("{}/{}", self.url, remote::path_encoded(&self.whole_key(key)))
    }

    async fn write(
        &self,
        url: &str,
        method: Method,
        headers: &[(&'static str, String)],
        body: HttpRequestBody,
    ) -> Result<HttpResponse, ObjectError> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(HeaderName::from_static(name), value);
        }
        self.rest.send(request.body(body).map_err(failed)?).await
    }

    /// Deletes what an address names; nothing when it is not there.
    async fn remove(&self, url: &str) -> Result<(), ObjectError> {
        match self.rest.send(empty(Method::DELETE, url)?).await {
            Ok(_) | Err(ObjectError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn empty(method: Method, url: &str) -> Result<HttpRequest, ObjectError> {
    Request::builder().method(method).uri(url).body(HttpRequestBody::empty()).map_err(failed)
}

fn payload(content: Vec<Bytes>) -> HttpRequestBody {
    PutPayload::from_iter(content).into()
}

fn upload_url(object: &str, id: &str) -> String {
    format!("{object}?uploadId={}", remote::query_encoded(id))
}

#[async_trait]
impl Objects for OssObjects {
    async fn put(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError> {
        self.write(&self.url(key), Method::PUT, &self.encryption, payload(content)).await?;
        Ok(())
    }

    async fn put_new(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError> {
        let mut headers = self.encryption.clone();
        headers.push(("x-oss-forbid-overwrite", "true".to_owned()));
        self.write(&self.url(key), Method::PUT, &headers, payload(content)).await?;
        Ok(())
    }

    async fn get(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let request = Request::builder()
            .uri(self.url(key))
            .header(RANGE, format!("bytes={}-{}", range.start, range.end - 1))
            // Without this OSS sends the whole object for a range that it does not have.
            .header("x-oss-range-behavior", "standard")
            .body(HttpRequestBody::empty())
            .map_err(failed)?;
        let answer = self.rest.send(request).await?;
        Ok(answer.into_body().bytes_stream().map_err(unanswered).boxed())
    }

    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        let answer = self.rest.send(empty(Method::HEAD, &self.url(key))?).await?;
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        length
            .and_then(|length| length.parse().ok())
            .ok_or_else(|| failed(format!("HEAD {key}: the answer has no Content-Length")))
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.remove(&self.url(key)).await
    }

    fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ObjectError>> {
        let prefix = remote::query_encoded(&self.whole_key(folder));
        let first = format!("{}/?list-type=2&max-keys=1000&prefix={prefix}", self.url);
        let (rest, root) = (Arc::clone(&self.rest), self.root.clone());
        let pages = stream::try_unfold(Some(first.clone()), move |next| {
            let (rest, root, first) = (Arc::clone(&rest), root.clone(), first.clone());
            async move {
                let Some(url) = next else { return Ok(None) };
                let text = rest.text(empty(Method::GET, &url)?).await?;
                let page: Page = quick_xml::de::from_str(&text).map_err(failed)?;
                let token = remote::query_encoded(&page.next_continuation_token);
                let next = page.is_truncated.then(|| format!("{first}&continuation-token={token}"));
                let listed = page.contents.into_iter().filter_map(move |object| {
                    let key = remote::without_root(&root, &object.key)?.to_owned();
                    let modified = SystemTime::from(object.last_modified);
                    Some(Ok(Listed { key, size: object.size, modified }))
                });
                Ok::<_, ObjectError>(Some((stream::iter(listed), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn begin_parts(&self, key: &str) -> Result<String, ObjectError> {
        let url = format!("{}?uploads", self.url(key));
        let body = HttpRequestBody::empty();
        let answer = self.write(&url, Method::POST, &self.encryption, body).await?;
        let text = answer.into_body().bytes().await.map_err(unanswered)?;
        let initiated: Initiated = quick_xml::de::from_reader(&*text).map_err(failed)?;
        Ok(initiated.upload_id)
    }

    async fn put_part(
        &self,
        key: &str,
        id: &str,
        index: usize,
        content: Vec<Bytes>,
    ) -> Result<String, ObjectError> {
        let url = upload_url(&self.url(key), id);
        let url = format!("{url}&partNumber={}", index + 1);
        let answer = self.write(&url, Method::PUT, &[], payload(content)).await?;
        let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.ok_or_else(|| failed(format!("PUT {key}: the answer has no ETag")))?;
        Ok(etag.to_owned())
    }

    async fn complete_parts(
        &self,
        key: &str,
        id: &str,
        parts: Vec<String>,
    ) -> Result<(), ObjectError> {
        let part = parts.into_iter().enumerate();
        let part = part.map(|(index, etag)| Part { part_number: index + 1, etag }).collect();
        let body = quick_xml::se::to_string(&Complete { part }).map_err(failed)?;
        self.write(&upload_url(&self.url(key), id), Method::POST, &[], body.into()).await?;
        Ok(())
    }

    async fn abort_parts(&self, key: &str, id: &str) -> Result<(), ObjectError> {
        self.remove(&upload_url(&self.url(key), id)).await
    }

    async fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, ObjectError> {
        let found = self.unfinished.list(&self.whole_key(folder)).await?;
        Ok(found.into_iter().filter_map(|one| one.without_root(&self.root)).collect())
    }

    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, ObjectError> {
        Ok(Some(self.signature.presign(&self.url(key), valid).await?))
    }
}
