//! The objects of one bucket, in memory.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use md5::{Digest as _, Md5};

use super::answer::Refusal;
use super::dialect::Dialect;

/// A bucket.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    generation: u64,
}

/// An object.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// Its bytes in order; one piece for each part it was uploaded in.
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) generation: u64,
    pub(crate) modified: SystemTime,
    /// The metadata it was put with, as headers.
    pub(crate) headers: HeaderMap,
}

/// A multipart upload that has not ended.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) parts: BTreeMap<u32, Part>,
    pub(crate) initiated: SystemTime,
    headers: HeaderMap,
}

/// A part that was put.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) data: Bytes,
    /// Without quotes.
    pub(crate) etag: String,
    md5: Vec<u8>,
}

impl Objects {
    pub(crate) fn generation(&self, key: &str) -> u64 {
        self.objects.get(key).map_or(0, |object| object.generation)
    }

    pub(crate) fn put(
        &mut self,
        dialect: Dialect,
        key: String,
        data: Bytes,
        headers: HeaderMap,
    ) -> &Object {
        let etag = dialect.etag(&Md5::digest(&data));
        self.insert(key, vec![data], etag, headers)
    }

    fn insert(
        &mut self,
        key: String,
        pieces: Vec<Bytes>,
        etag: String,
        headers: HeaderMap,
    ) -> &Object {
        self.generation += 1;
        let object = Object {
            size: pieces.iter().map(|piece| piece.len() as u64).sum(),
            pieces,
            etag,
            generation: self.generation,
            modified: SystemTime::now(),
            headers,
        };
        self.objects.insert(key.clone(), object);
        &self.objects[&key]
    }

    /// Begins a multipart upload and returns its id.
    pub(crate) fn initiate(&mut self, key: String, headers: HeaderMap) -> String {
        self.generation += 1;
        let id = format!("upload-{:06}", self.generation);
        let initiated = SystemTime::now();
        let upload = Upload { key, parts: BTreeMap::new(), initiated, headers };
        self.uploads.insert(id.clone(), upload);
        id
    }

    pub(crate) fn upload(&mut self, id: &str, key: &str) -> Result<&mut Upload, Refusal> {
        let upload = self.uploads.get_mut(id).filter(|upload| upload.key == key);
        upload.ok_or_else(Refusal::no_upload)
    }

    /// Makes an object of parts, given by number and ETag.
    pub(crate) fn complete(
        &mut self,
        dialect: Dialect,
        id: &str,
        key: &str,
        parts: &[(u32, String)],
    ) -> Result<&Object, Refusal> {
        let upload = self.upload(id, key)?;
        let (pieces, etag) = upload.assemble(dialect, parts)?;
        let headers = upload.headers.clone();
        self.uploads.remove(id);
        Ok(self.insert(key.to_owned(), pieces, etag, headers))
    }
}

impl Upload {
    /// Takes a part, which replaces an earlier one of the same number, and returns its ETag.
    pub(crate) fn put(&mut self, dialect: Dialect, number: u32, data: Bytes) -> String {
        let md5 = Md5::digest(&data).to_vec();
        let etag = dialect.etag(&md5);
        self.parts.insert(number, Part { data, etag: etag.clone(), md5 });
        etag
    }

    fn assemble(
        &self,
        dialect: Dialect,
        parts: &[(u32, String)],
    ) -> Result<(Vec<Bytes>, String), Refusal> {
        let bad =
            |code, message: String| Refusal::new(http::StatusCode::BAD_REQUEST, code, message);
        if parts.is_empty() {
            return Err(bad("MalformedXML", "no parts".to_owned()));
        }
        if !parts.is_sorted_by(|one, other| one.0 < other.0) {
            return Err(bad("InvalidPartOrder", "the parts are not in ascending order".to_owned()));
        }
        let mut pieces = Vec::new();
        let mut digests = Vec::new();
        for (index, (number, etag)) in parts.iter().enumerate() {
            let part = self.parts.get(number).filter(|part| part.etag == etag.trim_matches('"'));
            let part =
                part.ok_or_else(|| bad("InvalidPart", format!("part {number} is not there")))?;
            let last = index + 1 == parts.len();
            if !last && (part.data.len() as u64) < dialect.smallest_part() {
                return Err(bad("EntityTooSmall", format!("part {number} is too small")));
            }
            pieces.push(part.data.clone());
            digests.extend(&part.md5);
        }
        let etag = format!("{}-{}", dialect.etag(&Md5::digest(&digests)), parts.len());
        Ok((pieces, etag))
    }
}

impl Object {
    /// The bytes from `start` to before `end`, which lie within it.
    pub(crate) fn range(&self, start: u64, end: u64) -> Vec<Bytes> {
        let mut at = 0;
        let mut cut = Vec::new();
        for piece in &self.pieces {
            let length = piece.len() as u64;
            let from = start.clamp(at, at + length) - at;
            let to = end.clamp(at, at + length) - at;
            if let (true, Ok(from), Ok(to)) =
                (from < to, usize::try_from(from), usize::try_from(to))
            {
                cut.push(piece.slice(from..to));
            }
            at += length;
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_across_pieces() {
        let mut bucket = Objects::default();
        let pieces = ["abc", "def", "ghi"].map(Bytes::from).to_vec();
        let object = bucket.insert("k".into(), pieces, "e".into(), HeaderMap::new());
        assert_eq!(object.range(2, 7).concat(), b"cdefg");
        assert_eq!(object.range(0, 9).concat(), b"abcdefghi");
        assert!(object.range(3, 3).is_empty());
    }

    #[test]
    fn parts_below_the_smallest_size_are_refused_unless_last() {
        let mut bucket = Objects::default();
        let id = bucket.initiate("k".into(), HeaderMap::new());
        let upload = bucket.upload(&id, "k").unwrap();
        let etags = [1, 2].map(|number| (number, upload.put(Dialect::Gcs, number, "x".into())));
        assert!(bucket.complete(Dialect::Gcs, &id, "k", &etags).is_err());
        assert_eq!(bucket.complete(Dialect::Gcs, &id, "k", &etags[1..]).unwrap().size, 1);
        assert!(bucket.uploads.is_empty());
    }
}
