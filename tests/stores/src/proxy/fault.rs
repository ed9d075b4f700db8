//! What can go wrong between a client and a store.

use std::time::Duration;

/// A fault of one request. Bytes are counted in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store does not get the request; the answer is this status, with the error document that S3 sends: 500
    /// `InternalError`, 503 `SlowDown`.
    Status(u16),
    /// The store does not get the request; the answer is this status with this body.
    Answer(u16, String),
    /// The connection is closed before the store gets the request.
    Refuse,
    /// The store gets this many bytes of the request's body; then both connections are closed.
    CutUpload(u64),
    /// The store does what was asked; the connection is closed instead of the answer.
    LoseAnswer,
    /// The store does what was asked; the answer comes so much later.
    Late(Duration),
    /// The connection is closed after this many bytes of the answer.
    Cut(u64),
    /// Nothing comes after this many bytes of the answer, and the connection stays open.
    Stall(u64),
    /// The answer ends after this many bytes as if it were complete.
    Truncate(u64),
    /// A bit of the byte at this offset of the answer is wrong.
    Flip(u64),
}

/// What happens to an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    Cut(u64),
    Stall(u64),
    Truncate(u64),
    Flip(u64),
}

impl Fault {
    /// The fault of the answer's body, if it is one of these.
    pub(crate) fn of_body(&self) -> Option<BodyFault> {
        match self {
            Self::Cut(at) => Some(BodyFault::Cut(*at)),
            Self::Stall(at) => Some(BodyFault::Stall(*at)),
            Self::Truncate(at) => Some(BodyFault::Truncate(*at)),
            Self::Flip(at) => Some(BodyFault::Flip(*at)),
            _ => None,
        }
    }
}

/// An error as S3 words it.
pub(crate) fn document(status: u16) -> String {
    let (code, message) = match status {
        400 => ("BadRequest", "Bad request."),
        403 => ("AccessDenied", "Access Denied"),
        404 => ("NoSuchKey", "The specified key does not exist."),
        409 => ("OperationAborted", "A conflicting operation is in progress. Try again."),
        429 => ("TooManyRequests", "Please reduce your request rate."),
        500 => ("InternalError", "We encountered an internal error. Please try again."),
        503 => ("SlowDown", "Please reduce your request rate."),
        _ => ("Error", "An injected error."),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
}
