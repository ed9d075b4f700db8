use std::fmt;

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// The folder of the segments of large objects.
const SEGMENTS: &str = "berth/segments/";

/// The folder of a mark for each large object that was begun and is not complete.
const UNFINISHED: &str = "berth/unfinished/";

/// A segment: what names a part at the end.
///
/// Its file is a new one each time that an index is written, so that no request that comes late can
/// change what a complete object is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) file: String,
    pub(super) size: usize,
    pub(super) etag: String,
}

impl Segment {
    pub(super) fn new_file(index: usize) -> String {
        let (random, ..) = Uuid::new_v4().as_fields();
        format!("{index:08}.{random:08x}")
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut words = name.splitn(3, ':');
        let (file, size, etag) = (words.next()?, words.next()?, words.next()?);
        Some(Self { file: file.to_owned(), size: size.parse().ok()?, etag: etag.to_owned() })
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.size, self.etag)
    }
}

/// The folder of all segments that were ever written for an object.
pub(super) fn folder_of(key: &str) -> String {
    format!("{SEGMENTS}{key}/")
}

/// The folder of the segments of one try to make the object.
pub(super) fn folder(key: &str, id: &str) -> String {
    format!("{SEGMENTS}{key}/{id}/")
}

pub(super) fn mark(key: &str, id: &str) -> String {
    format!("{UNFINISHED}{key}/{id}")
}

/// The folder of the marks of objects in a folder.
pub(super) fn marks(folder: &str) -> String {
    format!("{UNFINISHED}{folder}")
}

/// The key and the identifier that a mark stands for.
pub(super) fn marked(mark: &str) -> Option<(&str, &str)> {
    mark.strip_prefix(UNFINISHED)?.rsplit_once('/')
}

/// The manifest of an object whose segments are in `folder`, which begins with the container.
pub(super) fn manifest(folder: &str, segments: &[Segment]) -> String {
    let entry = |segment: &Segment| {
        let path = format!("/{folder}{}", segment.file);
        json!({"path": path, "etag": segment.etag, "size_bytes": segment.size})
    };
    serde_json::Value::from_iter(segments.iter().map(entry)).to_string()
}

/// The files that a stored manifest names.
pub(super) fn files(manifest: &str) -> serde_json::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Entry {
        name: String,
    }
    let entries: Vec<Entry> = serde_json::from_str(manifest)?;
    let file = |entry: Entry| entry.name.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(entries.into_iter().map(file).collect())
}

/// What Swift answers at last to work that takes long, under a status of success: it began to
/// answer before it knew.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    #[serde(rename = "Response Status")]
    status: String,
    #[serde(rename = "Response Body", default)]
    body: String,
    /// Names, and what is wrong with each.
    #[serde(rename = "Errors", default)]
    errors: Vec<(String, String)>,
}

impl Outcome {
    /// `None` where the answer is nothing of the kind: an older Swift has told by its status.
    pub(super) fn parse(answer: &str) -> Option<Self> {
        serde_json::from_str(answer.trim()).ok()
    }

    pub(super) fn is_success(&self) -> bool {
        self.status.starts_with('2') && self.errors.is_empty()
    }

    /// Whether something is not there that it was about.
    pub(super) fn is_missing(&self) -> bool {
        self.has("404")
    }

    /// Whether the token was not taken: it is looked at with each segment.
    pub(super) fn is_refused(&self) -> bool {
        self.has("401")
    }

    /// Whether it may go better the next time.
    pub(super) fn is_passing(&self) -> bool {
        self.is_refused() || self.has("5") || self.has("429")
    }

    fn has(&self, status: &str) -> bool {
        let errors = self.errors.iter().map(|(_, status)| status);
        errors.chain([&self.status]).any(|one| one.starts_with(status))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        match self.errors.first() {
            Some((name, what)) => write!(f, ": {name}: {what}"),
            None => write!(f, ": {}", self.body.lines().next().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_comes_back_as_it_was_named() {
        let segment = Segment { file: Segment::new_file(3), size: 7, etag: "a:b".to_owned() };
        assert!(segment.file.starts_with("00000003."), "{segment}");
        assert_eq!(Segment::parse(&segment.to_string()), Some(segment));
        assert_ne!(Segment::new_file(3), Segment::new_file(3));
        assert_eq!(Segment::parse("a:x:b"), None);
    }

    #[test]
    fn a_mark_names_its_object() {
        let key = "berth/blobs/a.b";
        assert_eq!(marked(&mark(key, "id")), Some((key, "id")));
        assert!(mark(key, "id").starts_with(&marks("berth/blobs/")));
    }

    #[test]
    fn the_answer_to_long_work_is_told_in_a_line() {
        let refused = r#"   {"Response Status": "400 Bad Request", "Response Body": "Bad\nRequest",
            "Errors": [["c/segment", "404 Not Found"]]}"#;
        let refused = Outcome::parse(refused).unwrap();
        assert!(!refused.is_success() && refused.is_missing() && !refused.is_passing());
        assert_eq!(refused.to_string(), "400 Bad Request: c/segment: 404 Not Found");
        let done = Outcome::parse(r#"{"Response Status": "201 Created", "Errors": []}"#).unwrap();
        assert!(done.is_success() && !done.is_missing());
        assert!(Outcome::parse("").is_none());
        let of = |status: &str| {
            let answer = json!({"Response Status": "400 Bad", "Errors": [["a", status]]});
            let outcome = Outcome::parse(&answer.to_string()).unwrap();
            (outcome.is_refused(), outcome.is_passing())
        };
        assert_eq!(of("401 Unauthorized"), (true, true));
        assert_eq!(of("503 Service Unavailable"), (false, true));
        assert_eq!(of("Etag Mismatch"), (false, false));
    }
}
