use std::time::SystemTime;

use async_trait::async_trait;
use http::{Method, Request};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody, ReqwestConnector};
use serde::Deserialize;

use crate::objects::{ListUnfinished, ObjectError, Unfinished};
use crate::{OpenError, remote};

/// Lists what was begun in parts and not completed (Amazon S3 API, `ListMultipartUploads`), which
/// the client beneath has no call for.
#[derive(Debug)]
pub(super) struct Uploads {
    credentials: AwsCredentialProvider,
    bucket_url: String,
    region: String,
    client: HttpClient,
}

impl Uploads {
    pub(super) fn new(
        credentials: AwsCredentialProvider,
        bucket_url: String,
        region: &str,
        options: &ClientOptions,
    ) -> Result<Self, OpenError> {
        let client = ReqwestConnector::default().connect(options);
        let client = client.map_err(|error| OpenError::settings("storage.s3", error))?;
        Ok(Self { credentials, bucket_url, region: region.to_owned(), client })
    }

    async fn page(&self, prefix: &str, after: &Page) -> Result<Page, ObjectError> {
        let encoded = |text: &str| remote::query_encoded(text);
        let mut url = format!("{}?uploads=&prefix={}", self.bucket_url, encoded(prefix));
        // Not every server knows the second one, or takes an empty one.
        for (name, marker) in [
            ("key-marker", &after.next_key_marker),
            ("upload-id-marker", &after.next_upload_id_marker),
        ] {
            if !marker.is_empty() {
                url.push_str(&format!("&{name}={}", encoded(marker)));
            }
        }
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(url)
            .body(HttpRequestBody::empty())
            .map_err(failed)?;
        let credential = self.credentials.get_credential().await.map_err(failed)?;
        let authorizer = AwsAuthorizer::new(&credential, "s3", &self.region);
        authorizer.try_authorize(&mut request, None).map_err(failed)?;
        let response = self.client.execute(request).await.map_err(failed)?;
        let status = response.status();
        let body = response.into_body().bytes().await.map_err(failed)?;
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(failed(format!("listing uploads: {status}: {text}")));
        }
        quick_xml::de::from_str(&text).map_err(failed)
    }
}

#[async_trait]
impl ListUnfinished for Uploads {
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

fn failed(error: impl std::fmt::Display) -> ObjectError {
    ObjectError::Failed(error.to_string())
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
