//! What Google's XML API and Alibaba's OSS have in common: objects and multipart uploads of one bucket, in memory.
//!
//! There: put (with `Content-MD5` and the dialect's condition), copy, get with one range, head, `If-Match` and
//! `If-None-Match`, delete, both versions of list, multipart uploads with their lists, OSS's batch delete.
//! Not there: versions, ACLs, CORS, lifecycle, encryption, resumable and form uploads, composing, storage classes.

mod answer;
mod dialect;
mod listing;
mod objects;

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH,
    LAST_MODIFIED, RANGE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;

pub(crate) use self::answer::Refusal;
use self::answer::{empty, escape, pieces, xml};
pub(crate) use self::dialect::Dialect;
use self::objects::Object;
pub(crate) use self::objects::Objects;

/// A decoded query.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode_plus(name), decode_plus(value))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }
}

fn decode_plus(text: &str) -> String {
    decode(&text.replace('+', " "))
}

pub(crate) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The key that a path is for, none for the bucket itself.
pub(crate) fn address(path: &str, bucket: &str) -> Result<Option<String>, Refusal> {
    let path = path.trim_start_matches('/');
    let (first, key) = path.split_once('/').unwrap_or((path, ""));
    if decode(first) != bucket {
        return Err(Refusal::no_bucket());
    }
    Ok(Some(decode(key)).filter(|key| !key.is_empty()))
}

/// Does what a request wants that was let in; `key` is none for the bucket itself.
pub(crate) fn handle(
    dialect: Dialect,
    bucket: &str,
    objects: &mut Objects,
    key: Option<String>,
    head: &Parts,
    body: Bytes,
) -> Response<Body> {
    let call =
        Call { dialect, bucket, objects, query: Query::new(head.uri.query().unwrap_or("")), head };
    let done = match key {
        None => call.on_bucket(&body),
        Some(key) => call.on_object(key, body),
    };
    done.unwrap_or_else(Refusal::answer)
}

struct Call<'a> {
    dialect: Dialect,
    bucket: &'a str,
    objects: &'a mut Objects,
    query: Query,
    head: &'a Parts,
}

type Outcome = Result<Response<Body>, Refusal>;

impl Call<'_> {
    fn on_bucket(self, body: &Bytes) -> Outcome {
        match self.head.method {
            Method::GET if self.query.get("uploads").is_some() => {
                Ok(xml(&listing::uploads(self.bucket, self.objects, &self.query)?))
            }
            Method::GET => {
                Ok(xml(&listing::objects(self.bucket, self.objects, self.dialect, &self.query)?))
            }
            Method::HEAD => Ok(empty(StatusCode::OK, HeaderMap::new())),
            Method::POST if self.dialect == Dialect::Oss && self.query.get("delete").is_some() => {
                self.delete_many(body)
            }
            _ => Err(unknown()),
        }
    }

    fn on_object(self, key: String, body: Bytes) -> Outcome {
        let upload = self.query.get("uploadId").map(str::to_owned);
        match (self.head.method.clone(), upload) {
            (Method::GET | Method::HEAD, None) => self.get(&key),
            (Method::GET, Some(id)) => {
                let text = listing::parts(self.bucket, &id, self.objects.upload(&id, &key)?);
                Ok(xml(&text))
            }
            (Method::PUT, None) => self.put(key, body),
            (Method::PUT, Some(id)) => self.put_part(&id, &key, body),
            (Method::POST, None) if self.query.get("uploads").is_some() => self.initiate(key),
            (Method::POST, Some(id)) => self.complete(&id, &key, &body),
            (Method::DELETE, None) => self.delete(&key),
            (Method::DELETE, Some(id)) => {
                self.objects.upload(&id, &key)?;
                self.objects.uploads.remove(&id);
                Ok(empty(StatusCode::NO_CONTENT, HeaderMap::new()))
            }
            _ => Err(unknown()),
        }
    }

    fn get(self, key: &str) -> Outcome {
        let object = self.objects.objects.get(key).ok_or_else(Refusal::no_key)?;
        let mut headers = object_headers(self.dialect, object);
        let etag = format!("\"{}\"", object.etag);
        let condition = |name: HeaderName| {
            let value = self.head.headers.get(name)?.to_str().ok()?;
            Some(value.split(',').any(|one| one.trim() == etag || one.trim() == "*"))
        };
        if condition(IF_MATCH) == Some(false) {
            let message = "At least one of the pre-conditions you specified did not hold.";
            let status = StatusCode::PRECONDITION_FAILED;
            return Err(Refusal::new(status, "PreconditionFailed", message));
        }
        if condition(IF_NONE_MATCH) == Some(true) {
            return Ok(empty(StatusCode::NOT_MODIFIED, headers));
        }
        let range = self.head.headers.get(RANGE).and_then(|range| range.to_str().ok());
        let (start, end, status) = match range.and_then(|range| parse_range(range, object.size)) {
            None => (0, object.size, StatusCode::OK),
            Some(Some((start, end))) => (start, end, StatusCode::PARTIAL_CONTENT),
            Some(None) => {
                let message = "The requested range cannot be satisfied.";
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return Err(Refusal::new(status, "InvalidRange", message));
            }
        };
        headers.insert(CONTENT_LENGTH, (end - start).into());
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {start}-{}/{}", end - 1, object.size);
            headers.insert(CONTENT_RANGE, value(&range));
        }
        let mut answer = empty(status, headers);
        if self.head.method == Method::GET {
            *answer.body_mut() = pieces(object.range(start, end));
        }
        Ok(answer)
    }

    fn put(self, key: String, body: Bytes) -> Outcome {
        self.dialect.allows_write(&self.head.headers, self.objects.generation(&key))?;
        check_md5(&self.head.headers, &body)?;
        let source = format!("{}copy-source", self.dialect.prefix());
        if let Some(source) = self.head.headers.get(source).and_then(|source| source.to_str().ok())
        {
            return self.copy(&decode(source), key);
        }
        let headers = metadata(self.dialect, &self.head.headers);
        let object = self.objects.put(self.dialect, key, body, headers);
        Ok(empty(StatusCode::OK, object_headers(self.dialect, object)))
    }

    fn copy(self, source: &str, key: String) -> Outcome {
        let source = source.trim_start_matches('/');
        let from = source.strip_prefix(self.bucket).and_then(|rest| rest.strip_prefix('/'));
        let from = from.ok_or_else(Refusal::no_bucket)?;
        let object = self.objects.objects.get(from).cloned().ok_or_else(Refusal::no_key)?;
        let data = Bytes::from(object.pieces.concat());
        let object = self.objects.put(self.dialect, key, data, object.headers);
        let mut answer = xml(&format!(
            "<CopyObjectResult><ETag>&quot;{}&quot;</ETag></CopyObjectResult>",
            object.etag
        ));
        let headers = object_headers(self.dialect, object);
        answer
            .headers_mut()
            .extend(headers.into_iter().filter(|(name, _)| name.as_ref() != Some(&CONTENT_TYPE)));
        Ok(answer)
    }

    fn delete(self, key: &str) -> Outcome {
        let gone = self.objects.objects.remove(key);
        if gone.is_none() && self.dialect.misses_deleted() {
            return Err(Refusal::no_key());
        }
        Ok(empty(StatusCode::NO_CONTENT, HeaderMap::new()))
    }

    fn delete_many(self, body: &Bytes) -> Outcome {
        // OSS demands the digest here.
        if !self.head.headers.contains_key("content-md5") {
            return Err(Refusal::invalid("Content-MD5 is missing"));
        }
        check_md5(&self.head.headers, body)?;
        let keys = document(body, |document| {
            let keys = document.descendants().filter(|node| node.has_tag_name("Key"));
            Some(keys.filter_map(|node| node.text().map(str::to_owned)).collect::<Vec<_>>())
        })?;
        let mut deleted = String::new();
        for key in keys {
            self.objects.objects.remove(&key);
            deleted.push_str(&format!("<Deleted><Key>{}</Key></Deleted>", escape(&key)));
        }
        Ok(xml(&format!("<DeleteResult>{deleted}</DeleteResult>")))
    }

    fn initiate(self, key: String) -> Outcome {
        self.dialect.allows_multipart(&self.head.headers)?;
        let name = escape(&key);
        let id = self.objects.initiate(key, metadata(self.dialect, &self.head.headers));
        let bucket = self.bucket;
        Ok(xml(&format!(
            "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{name}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        )))
    }

    fn put_part(self, id: &str, key: &str, body: Bytes) -> Outcome {
        self.dialect.allows_multipart(&self.head.headers)?;
        check_md5(&self.head.headers, &body)?;
        let number = self.query.text("partNumber").parse().ok();
        let number = number.filter(|number| (1..=10_000).contains(number));
        let number = number.ok_or_else(|| Refusal::invalid("partNumber is not 1 to 10000"))?;
        let etag = self.objects.upload(id, key)?.put(self.dialect, number, body);
        let etag = (ETAG, value(&format!("\"{etag}\"")));
        Ok(empty(StatusCode::OK, HeaderMap::from_iter([etag])))
    }

    fn complete(self, id: &str, key: &str, body: &Bytes) -> Outcome {
        self.dialect.allows_multipart(&self.head.headers)?;
        if self.dialect == Dialect::Oss {
            self.dialect.allows_write(&self.head.headers, self.objects.generation(key))?;
        }
        let parts = document(body, |document| {
            let parts = document.descendants().filter(|node| node.has_tag_name("Part"));
            parts.map(|part| part_of(part)).collect::<Option<Vec<_>>>()
        })?;
        let object = self.objects.complete(self.dialect, id, key, &parts)?;
        let (bucket, key) = (self.bucket, escape(key));
        let mut answer = xml(&format!(
            "<CompleteMultipartUploadResult><Location>/{bucket}/{key}</Location><Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>&quot;{}&quot;</ETag></CompleteMultipartUploadResult>",
            object.etag
        ));
        if self.dialect == Dialect::Gcs {
            answer.headers_mut().insert("x-goog-generation", object.generation.into());
        }
        Ok(answer)
    }
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", "this test server has no such call")
}

/// Number and ETag of a `Part`.
fn part_of(part: roxmltree::Node<'_, '_>) -> Option<(u32, String)> {
    let text = |name| part.children().find(|child| child.has_tag_name(name))?.text();
    Some((text("PartNumber")?.trim().parse().ok()?, text("ETag")?.trim().to_owned()))
}

/// Reads a document; namespaces are ignored, as the stores do.
fn document<T>(
    body: &Bytes,
    read: impl FnOnce(&roxmltree::Document<'_>) -> Option<T>,
) -> Result<T, Refusal> {
    let bad = || Refusal::new(StatusCode::BAD_REQUEST, "MalformedXML", "not the document expected");
    let text = std::str::from_utf8(body).map_err(|_| bad())?;
    read(&roxmltree::Document::parse(text).map_err(|_| bad())?).ok_or_else(bad)
}

fn check_md5(headers: &HeaderMap, body: &Bytes) -> Result<(), Refusal> {
    let Some(wanted) = headers.get("content-md5") else { return Ok(()) };
    if wanted.as_bytes() == BASE64_STANDARD.encode(Md5::digest(body)).as_bytes() {
        return Ok(());
    }
    let message = "The Content-MD5 you specified did not match what we received.";
    Err(Refusal::new(StatusCode::BAD_REQUEST, "BadDigest", message))
}

/// What of a request's headers stays with the object.
fn metadata(dialect: Dialect, headers: &HeaderMap) -> HeaderMap {
    const KEPT: [&str; 5] = [
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
    ];
    let own = format!("{}meta-", dialect.prefix());
    let kept = headers
        .iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()) || name.as_str().starts_with(&own));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn object_headers(dialect: Dialect, object: &Object) -> HeaderMap {
    let mut headers = object.headers.clone();
    headers.insert(ETAG, value(&format!("\"{}\"", object.etag)));
    headers.insert(LAST_MODIFIED, value(&httpdate::fmt_http_date(object.modified)));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/octet-stream"));
    match dialect {
        Dialect::Gcs => {
            headers.insert("x-goog-generation", object.generation.into());
            headers.insert("x-goog-metageneration", 1.into());
            headers.insert("x-goog-stored-content-length", object.size.into());
        }
        Dialect::Oss => {
            let kind = if object.pieces.len() == 1 { "Normal" } else { "Multipart" };
            headers.insert("x-oss-object-type", HeaderValue::from_static(kind));
        }
    }
    headers
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// One range: none if the header is to be ignored, `Some(None)` if nothing of it is there.
fn parse_range(range: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(start), Ok(last)) if start <= last => (start, size.min(last.saturating_add(1))),
        (Ok(start), Err(_)) if last.is_empty() => (start, size),
        (Err(_), Ok(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
        _ => return None,
    };
    Some((start < end).then_some((start, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_has_them() {
        assert_eq!(parse_range("bytes=2-4", 10), Some(Some((2, 5))));
        assert_eq!(parse_range("bytes=2-", 10), Some(Some((2, 10))));
        assert_eq!(parse_range("bytes=-3", 10), Some(Some((7, 10))));
        assert_eq!(parse_range("bytes=5-99", 10), Some(Some((5, 10))));
        assert_eq!(parse_range("bytes=10-", 10), Some(None));
        assert_eq!(parse_range("lines=1-2", 10), None);
        assert_eq!(parse_range("bytes=1-2,4-5", 10), None);
    }
}
