//! Pushing over one connection.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use anyhow::Result;
use berth_oci::Digest;

use super::Connection;
use crate::content::{Blob, Content};

/// The chunks that Docker's client sends.
const CHUNK: usize = 32 * 1024;
const CHUNK_HEAD: &[u8] = b"8000\r\n";

/// Pushes as Docker does (POST, a PATCH of unknown length, PUT) and tells how long it took.
pub(crate) fn push_content(
    connection: &mut Connection,
    repository: &str,
    content: &mut Content,
) -> Result<Duration> {
    let start = Instant::now();
    let session = send_content(connection, repository, content)?;
    commit(connection, &session, &content.digest)?;
    Ok(start.elapsed())
}

/// Sends all bytes of a push and gives the location of the session that has them.
pub(crate) fn send_content(
    connection: &mut Connection,
    repository: &str,
    content: &mut Content,
) -> Result<String> {
    let location = begin(connection, repository)?;
    let headers = [("Transfer-Encoding", "chunked"), ("Content-Type", "application/octet-stream")];
    connection.send_head("PATCH", &location, &headers)?;
    content.blocks(|block| send_chunks(connection, block))?;
    connection.send(b"0\r\n\r\n")?;
    let appended = connection.response()?.expect(202)?;
    Ok(appended.head.location()?.to_owned())
}

/// Makes a blob of a session that has all bytes.
pub(crate) fn commit(connection: &mut Connection, session: &str, digest: &Digest) -> Result<()> {
    connection.exchange("PUT", &with_digest(session, digest), &[], &[])?.expect(201)?;
    Ok(())
}

/// Pushes with POST and PUT.
pub(crate) fn push_blob(connection: &mut Connection, repository: &str, blob: &Blob) -> Result<()> {
    let location = begin(connection, repository)?;
    let headers = [("Content-Type", "application/octet-stream")];
    let path = with_digest(&location, &blob.digest);
    connection.exchange("PUT", &path, &headers, &blob.bytes)?.expect(201)?;
    Ok(())
}

/// The location of a session, asked to end with this digest.
pub(crate) fn with_digest(location: &str, digest: &Digest) -> String {
    let separator = if location.contains('?') { '&' } else { '?' };
    format!("{location}{separator}digest={digest}")
}

/// A request with bytes in one piece, as it goes over the wire.
pub(crate) fn with_body(method: &str, host: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn begin(connection: &mut Connection, repository: &str) -> Result<String> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let begun = connection.exchange("POST", &path, &[], &[])?.expect(202)?;
    Ok(begun.head.location()?.to_owned())
}

fn send_chunks(connection: &mut Connection, block: &[u8]) -> Result<()> {
    let last_head = format!("{:x}\r\n", block.len() % CHUNK);
    let mut slices = Vec::with_capacity(3 * block.len().div_ceil(CHUNK));
    for chunk in block.chunks(CHUNK) {
        let head = if chunk.len() == CHUNK { CHUNK_HEAD } else { last_head.as_bytes() };
        slices.extend([IoSlice::new(head), IoSlice::new(chunk), IoSlice::new(b"\r\n")]);
    }
    connection.send_slices(&mut slices)
}
