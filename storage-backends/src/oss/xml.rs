//! The documents of OSS that the listing of uploads does not share with S3.

use serde::{Deserialize, Serialize};

/// A page of `ListObjectsV2`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Page {
    pub(super) is_truncated: bool,
    pub(super) next_continuation_token: String,
    pub(super) contents: Vec<Object>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) last_modified: jiff::Timestamp,
}

/// The answer to `InitiateMultipartUpload`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Initiated {
    pub(super) upload_id: String,
}

/// The body of `CompleteMultipartUpload`.
#[derive(Debug, Serialize)]
#[serde(rename = "CompleteMultipartUpload", rename_all = "PascalCase")]
pub(super) struct Complete {
    pub(super) part: Vec<Part>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Part {
    pub(super) part_number: usize,
    #[serde(rename = "ETag")]
    pub(super) etag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_aliyun_writes_it() {
        // After the example in the documentation of ListObjectsV2.
        let page: Page = quick_xml::de::from_str(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult>
              <Name>examplebucket</Name><Prefix>a</Prefix><MaxKeys>2</MaxKeys>
              <EncodingType></EncodingType><IsTruncated>true</IsTruncated>
              <NextContinuationToken>CgJiYw--</NextContinuationToken>
              <Contents><Key>a/b</Key><LastModified>2020-05-18T05:45:43.000Z</LastModified>
                <ETag>"35A27C2B9EAEEB6F48FD7FB5861D****"</ETag><Size>25</Size>
                <StorageClass>STANDARD</StorageClass></Contents>
              <Contents><Key>a/b/c</Key><LastModified>2020-05-18T05:45:47.000Z</LastModified>
                <ETag>"35A27C2B9EAEEB6F48FD7FB5861D****"</ETag><Size>26</Size></Contents>
              <KeyCount>2</KeyCount>
            </ListBucketResult>"#,
        )
        .unwrap();
        assert!(page.is_truncated);
        assert_eq!(page.next_continuation_token, "CgJiYw--");
        let sizes: Vec<_> = page.contents.iter().map(|one| (&*one.key, one.size)).collect();
        assert_eq!(sizes, [("a/b", 25), ("a/b/c", 26)]);
    }

    #[test]
    fn parts_are_written_as_aliyun_reads_them() {
        let parts = Complete { part: vec![Part { part_number: 1, etag: "\"AB\"".to_owned() }] };
        assert_eq!(
            quick_xml::se::to_string(&parts).unwrap(),
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"AB\"</ETag></Part>\
             </CompleteMultipartUpload>"
        );
    }
}
