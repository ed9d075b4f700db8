use berth_client::ClientError;
use berth_mirror::MirrorError;
use berth_oci::{ErrorCode, ErrorEntry, ErrorList, Reference};
use http::header::{ALLOW, CONTENT_RANGE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use super::ActionError;
use crate::RegistryError;
use crate::error::ExceededQuota;

/// An error as it goes to the client: a status, the specification's JSON, and headers.
#[derive(Debug)]
pub struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: ErrorList,
    /// Headers beside the usual ones.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What the log should hold and the client should not.
    pub cause: Option<String>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl ToString) -> Self {
        let entry = ErrorEntry { code, message: message.to_string(), detail: None };
        Self { status, body: ErrorList { errors: vec![entry] }, headers: Vec::new(), cause: None }
    }

    fn with_detail(mut self, detail: serde_json::Value) -> Self {
        if let Some(entry) = self.body.errors.first_mut() {
            entry.detail = Some(detail);
        }
        self
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The range that was asked for lies outside of the content.
    pub(super) fn range_not_satisfiable(size: u64) -> Self {
        let message = format!("the content has {size} bytes; the range lies outside of it");
        let error = Self::new(StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid, message);
        match HeaderValue::try_from(format!("bytes */{size}")) {
            Ok(value) => error.with_header(CONTENT_RANGE, value),
            Err(_) => error,
        }
    }
}

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> Self {
        let (status, code) = match &error {
            ActionError::NotFound => (StatusCode::NOT_FOUND, ErrorCode::Unsupported),
            ActionError::MethodNotAllowed(methods) => {
                return Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported, &error)
                    .with_header(ALLOW, HeaderValue::from_static(methods));
            }
            ActionError::Name(_) => (StatusCode::BAD_REQUEST, ErrorCode::NameInvalid),
            ActionError::Digest(_) | ActionError::DigestMissing => {
                (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid)
            }
            ActionError::Tag(_) => (StatusCode::BAD_REQUEST, ErrorCode::TagInvalid),
            ActionError::NoSuchManifest(_) => (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown),
            ActionError::UploadId(_) => (StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown),
            ActionError::PageSize => (StatusCode::BAD_REQUEST, ErrorCode::PaginationNumberInvalid),
        };
        Self::new(status, code, error)
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        use RegistryError as E;
        let (status, code) = match &error {
            E::NameUnknown(_) => (StatusCode::NOT_FOUND, ErrorCode::NameUnknown),
            E::BlobUnknown(_) => (StatusCode::NOT_FOUND, ErrorCode::BlobUnknown),
            E::ManifestUnknown(_) | E::NothingDeleted(_) | E::NothingRestored(_) => {
                (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
            }
            E::ManifestNamed(_) => (StatusCode::CONFLICT, ErrorCode::Denied),
            E::ManifestBlobUnknown(_) => (StatusCode::BAD_REQUEST, ErrorCode::ManifestBlobUnknown),
            E::ManifestInvalid(_) | E::UrlDenied(_) => {
                (StatusCode::BAD_REQUEST, ErrorCode::ManifestInvalid)
            }
            E::DigestMismatch(_) => (StatusCode::BAD_REQUEST, ErrorCode::DigestInvalid),
            E::UploadUnknown => (StatusCode::NOT_FOUND, ErrorCode::BlobUploadUnknown),
            E::UploadBusy => (StatusCode::CONFLICT, ErrorCode::BlobUploadInvalid),
            E::UploadOutOfOrder { .. } => {
                (StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::RangeInvalid)
            }
            E::SizeMismatch { .. } => (StatusCode::BAD_REQUEST, ErrorCode::SizeInvalid),
            E::BlobTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::SizeInvalid),
            E::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, ErrorCode::BlobUploadInvalid),
            E::BodyBroken(_) => (StatusCode::BAD_REQUEST, ErrorCode::BlobUploadInvalid),
            E::TagImmutable { .. } => (StatusCode::CONFLICT, ErrorCode::Denied),
            E::QuotaExceeded(_) => (StatusCode::FORBIDDEN, ErrorCode::Denied),
            E::Upstream(error) => upstream(error),
            E::Upkeep(_) => (StatusCode::CONFLICT, ErrorCode::Unsupported),
            E::DeleteDisabled | E::ReadOnlyMode | E::Mirrored(_) => {
                (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::Unsupported)
            }
            E::NoSpace => (StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Unavailable),
            E::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
            E::Damaged(_) | E::Internal { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Unknown)
            }
        };
        let mut api = Self::new(status, code, &error);
        api.cause = error.cause().map(str::to_owned);
        match error {
            E::QuotaExceeded(quota) => {
                let ExceededQuota { prefix, of, limit, used, more } = *quota;
                api.with_detail(json!({
                    "repositories": prefix.to_string(),
                    "quota": of.to_string(),
                    "limit": limit,
                    "used": used,
                    "requested": more,
                }))
            }
            E::NameUnknown(name) => api.with_detail(json!({ "name": name })),
            E::BlobUnknown(digest) => api.with_detail(json!({ "digest": digest })),
            E::TagImmutable { tag, rule } => {
                api.with_detail(json!({ "tag": tag, "rule": rule.to_string() }))
            }
            E::ManifestUnknown(Reference::Tag(tag)) => api.with_detail(json!({ "tag": tag })),
            E::ManifestUnknown(Reference::Digest(digest)) => {
                api.with_detail(json!({ "digest": digest }))
            }
            E::ManifestNamed(named) => {
                api.with_detail(json!({ "digest": named.manifest, "index": named.index }))
            }
            E::ManifestBlobUnknown(missing) => {
                // One entry for each missing digest, as the reference registry answers.
                api.body.errors = missing
                    .into_iter()
                    .map(|digest| ErrorEntry {
                        code: ErrorCode::ManifestBlobUnknown,
                        message: format!(
                            "the manifest references {digest}, which is not in this repository; push it first"
                        ),
                        detail: Some(json!({ "digest": digest })),
                    })
                    .collect();
                api
            }
            E::DigestMismatch(mismatch) => {
                api.with_detail(json!({ "expected": mismatch.expected, "actual": mismatch.actual }))
            }
            E::UploadOutOfOrder { offset } => api.with_detail(json!({ "offset": offset })),
            E::SizeMismatch { announced, received } => {
                api.with_detail(json!({ "announced": announced, "received": received }))
            }
            E::Upstream(MirrorError::Upstream(ClientError::TooManyRequests {
                retry_after: Some(wait),
                ..
            })) => api.with_header(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1))),
            E::Unavailable { .. } => api.with_header(RETRY_AFTER, HeaderValue::from_static("5")),
            _ => api,
        }
    }
}

/// What a failure of an upstream is for our own client. It is never asked to log in: what it shows to us
/// is not what the upstream wants.
fn upstream(error: &MirrorError) -> (StatusCode, ErrorCode) {
    use ClientError as C;
    match error {
        MirrorError::Upstream(C::NotFound { .. }) | MirrorError::KnownAbsent { .. } => {
            (StatusCode::NOT_FOUND, ErrorCode::ManifestUnknown)
        }
        MirrorError::Upstream(C::Unauthorized { .. } | C::Denied { .. })
        | MirrorError::OverQuota { .. } => (StatusCode::FORBIDDEN, ErrorCode::Denied),
        MirrorError::Upstream(C::TooManyRequests { .. }) | MirrorError::OverBudget { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests)
        }
        MirrorError::Loop => (StatusCode::LOOP_DETECTED, ErrorCode::Unavailable),
        MirrorError::Offline { .. } => (StatusCode::GATEWAY_TIMEOUT, ErrorCode::Unavailable),
        _ => (StatusCode::BAD_GATEWAY, ErrorCode::Unavailable),
    }
}
