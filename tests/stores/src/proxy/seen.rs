//! What passed the proxy.

use http::HeaderMap;

/// A request that the proxy saw, in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The method, in capitals.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// The query, as it was sent, without its question mark.
    pub query: String,
    /// Whether the store is asked to take the bytes from an object that it has.
    pub copies: bool,
    /// The token of a temporary key of S3's, which goes with each request that the key signs.
    pub session_token: Option<String>,
}

/// What names the object to copy, in S3, Azure, Cloud Storage and Swift.
const COPY_SOURCES: [&str; 4] =
    ["x-amz-copy-source", "x-ms-copy-source", "x-goog-copy-source", "x-copy-from"];

pub(super) fn session_token(headers: &HeaderMap) -> Option<String> {
    let token = headers.get("x-amz-security-token")?;
    token.to_str().ok().map(str::to_owned)
}

/// Whether a request with these headers is about bytes that the store has already.
pub(super) fn copies(headers: &HeaderMap) -> bool {
    COPY_SOURCES.into_iter().any(|name| headers.contains_key(name))
}

/// What a request is for, as far as method and query tell, in the protocols of all the stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Bytes of an object.
    Get,
    /// What is known of an object.
    Head,
    /// A whole object.
    Put,
    /// The end of an object.
    Delete,
    /// The objects of a bucket or container.
    List,
    /// The begin of a multipart upload; Azure and Swift need none.
    Initiate,
    /// A part of a multipart upload, or a block of an Azure blob. A Swift segment is a [`Kind::Put`].
    Part,
    /// The parts become an object: S3's completion, Azure's block list, Swift's manifest.
    Complete,
    /// A multipart upload is given up.
    Abort,
    /// The multipart uploads of a bucket, or the parts of one.
    ListUploads,
    /// Anything else, such as a login or a batch delete.
    Other,
}

impl Seen {
    /// What the request is for.
    pub fn kind(&self) -> Kind {
        let upload = self.has("uploadId");
        match self.method.as_str() {
            "HEAD" => Kind::Head,
            "GET" if self.has("uploads") || upload || self.is("comp", "blocklist") => {
                Kind::ListUploads
            }
            "GET" if self.lists() => Kind::List,
            "GET" => Kind::Get,
            "PUT" if upload || self.is("comp", "block") => Kind::Part,
            "PUT" if self.is("comp", "blocklist") || self.is("multipart-manifest", "put") => {
                Kind::Complete
            }
            "PUT" if self.has("comp") || self.has("restype") => Kind::Other,
            "PUT" => Kind::Put,
            "POST" if self.has("uploads") => Kind::Initiate,
            "POST" if upload => Kind::Complete,
            "DELETE" if upload => Kind::Abort,
            "DELETE" => Kind::Delete,
            _ => Kind::Other,
        }
    }

    fn lists(&self) -> bool {
        let keys = ["list-type", "prefix", "delimiter", "marker", "max-keys"];
        self.is("comp", "list") || keys.iter().any(|key| self.has(key))
    }

    fn has(&self, key: &str) -> bool {
        self.pairs().any(|(name, _)| name == key)
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.pairs().any(|pair| pair == (key, value))
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(method: &str, query: &str) -> Kind {
        let (path, query) = ("/b/k".into(), query.into());
        Seen { method: method.into(), path, query, copies: false, session_token: None }.kind()
    }

    #[test]
    fn requests_are_told_apart_in_every_protocol() {
        assert_eq!(kind("GET", ""), Kind::Get);
        assert_eq!(kind("GET", "X-Amz-Signature=1"), Kind::Get);
        assert_eq!(kind("GET", "list-type=2&prefix=a"), Kind::List);
        assert_eq!(kind("GET", "restype=container&comp=list"), Kind::List);
        assert_eq!(kind("GET", "uploads"), Kind::ListUploads);
        assert_eq!(kind("POST", "uploads="), Kind::Initiate);
        assert_eq!(kind("PUT", "partNumber=1&uploadId=x"), Kind::Part);
        assert_eq!(kind("PUT", "comp=block&blockid=x"), Kind::Part);
        assert_eq!(kind("PUT", "comp=blocklist"), Kind::Complete);
        assert_eq!(kind("POST", "uploadId=x"), Kind::Complete);
        assert_eq!(kind("DELETE", "uploadId=x"), Kind::Abort);
        assert_eq!(kind("POST", "delete"), Kind::Other);
    }
}
