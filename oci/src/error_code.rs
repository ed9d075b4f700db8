use serde::Serialize;
use serde_json::Value;

/// The error codes of the distribution specification, and those beside it that the reference
/// registry answers and clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The blob is not in this repository.
    BlobUnknown,
    /// The upload cannot go on as asked.
    BlobUploadInvalid,
    /// No such upload session.
    BlobUploadUnknown,
    /// The digest is malformed, or not that of the content.
    DigestInvalid,
    /// A manifest names a blob or a manifest that is not in this repository.
    ManifestBlobUnknown,
    /// The manifest is not acceptable.
    ManifestInvalid,
    /// The manifest is not in this repository.
    ManifestUnknown,
    /// The repository name is malformed.
    NameInvalid,
    /// No such repository.
    NameUnknown,
    /// The length announced is not that of the content.
    SizeInvalid,
    /// The tag is malformed.
    TagInvalid,
    /// The content range does not continue the upload, or the range is outside of the blob.
    RangeInvalid,
    /// `n` is not a number of entries.
    PaginationNumberInvalid,
    /// Authentication is needed.
    Unauthorized,
    /// Not allowed to this caller.
    Denied,
    /// The operation is not supported, or switched off.
    Unsupported,
    /// Too many requests.
    #[serde(rename = "TOOMANYREQUESTS")]
    TooManyRequests,
    /// The service cannot do it now; try again.
    Unavailable,
    /// Something that should not happen.
    Unknown,
}

/// One error as it goes over the wire.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorEntry {
    /// The code that clients branch on.
    pub code: ErrorCode,
    /// What happened and what a person can do.
    pub message: String,
    /// Data that helps to find the cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Value>,
}

/// The body of every error answer.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorList {
    /// At least one error.
    pub errors: Vec<ErrorEntry>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_the_specification_writes_them() {
        for (code, text) in [
            (ErrorCode::BlobUploadUnknown, "\"BLOB_UPLOAD_UNKNOWN\""),
            (ErrorCode::TooManyRequests, "\"TOOMANYREQUESTS\""),
            (ErrorCode::ManifestBlobUnknown, "\"MANIFEST_BLOB_UNKNOWN\""),
        ] {
            assert_eq!(serde_json::to_string(&code).unwrap(), text);
        }
    }
}
