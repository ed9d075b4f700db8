//! What stores and clients say of their failures, made short.

use std::error::Error;
use std::fmt;

use super::client::ObjectError;

/// The error of the client beneath, in our terms.
pub(crate) fn explain(error: object_store::Error) -> ObjectError {
    use object_store::Error::{
        AlreadyExists, NotFound, PermissionDenied, Precondition, Unauthenticated,
    };
    let text = causes(&error);
    match error {
        NotFound { .. } => ObjectError::NotFound(text),
        AlreadyExists { .. } | Precondition { .. } => ObjectError::Exists(text),
        PermissionDenied { .. } | Unauthenticated { .. } => ObjectError::Denied(text),
        _ => ObjectError::Failed(text),
    }
}

/// A failure that nothing more is known of than its words.
pub(crate) fn failed(error: impl fmt::Display) -> ObjectError {
    ObjectError::Failed(error.to_string())
}

/// The error with all that lies beneath it: the store's own words come last.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    shorten(&text)
}

/// Puts the code and the message in place of an error document, which in S3, Azure and Cloud
/// Storage is XML and may hold pages of what was signed.
pub(super) fn shorten(text: &str) -> String {
    let Some(start) = text.find("<?xml").or_else(|| text.find("<Error>")) else {
        return text.to_owned();
    };
    let (before, document) = text.split_at(start);
    let element = |name: &str| {
        let (_, rest) = document.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.trim())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{before}{code}: {message}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_is_told_in_two_words() {
        let text = "403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code>\
                    <Message>No.</Message><StringToSign>long</StringToSign></Error>";
        assert_eq!(shorten(text), "403 Forbidden: AccessDenied: No.");
        assert_eq!(shorten("404: <html>"), "404: <html>");
        assert_eq!(shorten("<?xml version=\"1.0\"?><Other/>"), "<?xml version=\"1.0\"?><Other/>");
    }
}
