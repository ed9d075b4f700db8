//! Where Google's and Alibaba's protocols differ.

use http::{HeaderMap, StatusCode};

use super::answer::Refusal;

/// A protocol of the family that began with S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// <https://cloud.google.com/storage/docs/xml-api/overview>
    Gcs,
    /// <https://www.alibabacloud.com/help/en/oss/developer-reference/list-of-operations-by-function>
    Oss,
}

impl Dialect {
    /// What the names of its own headers begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Gcs => "x-goog-",
            Self::Oss => "x-oss-",
        }
    }

    /// The smallest part of a multipart upload, unless it is the last.
    pub(crate) fn smallest_part(self) -> u64 {
        match self {
            Self::Gcs => 5 << 20,
            Self::Oss => 100 << 10,
        }
    }

    /// A digest as ETag, without its quotes.
    pub(crate) fn etag(self, md5: &[u8]) -> String {
        match self {
            Self::Gcs => hex::encode(md5),
            Self::Oss => hex::encode_upper(md5),
        }
    }

    /// Whether the end of an object that is none is an error.
    pub(crate) fn misses_deleted(self) -> bool {
        self == Self::Gcs
    }

    /// Checks what a write demands of the object that is there now, given by its generation; 0 is none.
    pub(crate) fn allows_write(self, headers: &HeaderMap, now: u64) -> Result<(), Refusal> {
        let value = |name| headers.get(name).and_then(|value| value.to_str().ok());
        match self {
            Self::Gcs => match value("x-goog-if-generation-match").map(str::parse) {
                Some(Ok(wanted)) if now == wanted => Ok(()),
                Some(Ok::<u64, _>(_)) => Err(Refusal::new(
                    StatusCode::PRECONDITION_FAILED,
                    "PreconditionFailed",
                    "At least one of the pre-conditions you specified did not hold.",
                )),
                Some(Err(_)) => Err(Refusal::invalid("x-goog-if-generation-match is no number")),
                None => Ok(()),
            },
            Self::Oss => match value("x-oss-forbid-overwrite") {
                Some("true") if now != 0 => Err(Refusal::new(
                    StatusCode::CONFLICT,
                    "FileAlreadyExists",
                    "The object you specified already exists and can not be overwritten.",
                )),
                _ => Ok(()),
            },
        }
    }

    /// Checks the headers of a request that is part of a multipart upload: Google's takes no preconditions.
    pub(crate) fn allows_multipart(self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self == Self::Gcs && headers.keys().any(|name| name.as_str().starts_with("x-goog-if-")) {
            return Err(Refusal::invalid("preconditions are not supported in multipart uploads"));
        }
        Ok(())
    }
}
