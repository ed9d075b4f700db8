use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use http::{Method, Request};
use object_store::client::HttpRequestBody;
use serde::Deserialize;

use super::client::{ObjectError, Unfinished};
use super::cloud::ListUnfinished;
use super::explain::failed;
use super::rest::{Authorize, Rest};
use crate::remote;

/// Lists what was begun in parts and not completed, which the client beneath has no call for:
/// `ListMultipartUploads` of the Amazon S3 API, which Cloud Storage has in its XML API too.
#[derive(Debug)]
pub(crate) struct Uploads<A> {
    rest: Arc<Rest<A>>,
    bucket_url: String,
}

impl<A: Authorize> Uploads<A> {
    /// `bucket_url` is the address of the bucket itself, without a slash at its end.
    pub(crate) fn new(rest: Arc<Rest<A>>, bucket_url: String) -> Self {
        Self { rest, bucket_url }
    }

    async fn page(&self, prefix: &str, after: &Page) -> Result<Page, ObjectError> {
        let encoded = |text: &str| remote::query_encoded(text);
        let mut url = format!("{}/?uploads=&prefix={}", self.bucket_url, encoded(prefix));
        // Not every server knows the second one, or takes an empty one.
        for (name, marker) in [
            ("key-marker", &after.next_key_marker),
            ("upload-id-marker", &after.next_upload_id_marker),
        ] {
            if !marker.is_empty() {
                url.push_str(&format!("&{name}={}", encoded(marker)));
            }
        }
        let request = Request::builder()
            .method(Method::GET)
            .uri(url)
            .body(HttpRequestBody::empty())
            .map_err(failed)?;
        quick_xml::de::from_str(&self.rest.text(request).await?).map_err(failed)
    }
}

#[async_trait]
impl<A: Authorize> ListUnfinished for Uploads<A> {
    async fn list(&self, prefix: &str) -> Result<Vec<Unfinished>, ObjectError> {
        let mut found = Vec::new();
        let mut page = Page::default();
        loop {
            page = self.page(prefix, &page).await?;
            found.extend(page.uploads.drain(..).map(|upload| {
                Unfinished {
                    key: upload.key,
                    id: upload.upload_id,
                    begun: upload
                        .initiated
                        .parse::<jiff::Timestamp>()
                        .map_or(SystemTime::now(), Into::into),
                }
            }));
            if !page.is_truncated {
                return Ok(found);
            }
        }
    }
}

/// A page of the listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Page {
    is_truncated: bool,
    next_key_marker: String,
    next_upload_id_marker: String,
    #[serde(rename = "Upload")]
    uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
    initiated: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_amazon_writes_it() {
        // After the example in the documentation of ListMultipartUploads.
        let page: Page = quick_xml::de::from_str(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
              <Bucket>bucket</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>
              <NextKeyMarker>my-movie.m2ts</NextKeyMarker>
              <NextUploadIdMarker>YW55IGlkZWE</NextUploadIdMarker>
              <MaxUploads>2</MaxUploads><IsTruncated>true</IsTruncated>
              <Upload><Key>a</Key><UploadId>one</UploadId>
                <Initiator><ID>x</ID></Initiator><StorageClass>STANDARD</StorageClass>
                <Initiated>2010-11-10T20:48:33.000Z</Initiated></Upload>
              <Upload><Key>b</Key><UploadId>two</UploadId>
                <Initiated>2010-11-10T20:48:34.000Z</Initiated></Upload>
            </ListMultipartUploadsResult>"#,
        )
        .unwrap();
        assert!(page.is_truncated);
        assert_eq!(page.next_upload_id_marker, "YW55IGlkZWE");
        let ids: Vec<_> = page.uploads.iter().map(|one| one.upload_id.as_str()).collect();
        assert_eq!(ids, ["one", "two"]);
    }
}
