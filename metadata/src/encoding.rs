//! How values stand in columns.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use berth_oci::{Algorithm, Digest};

use crate::Page;
use crate::fault::Fault;

pub(crate) fn algorithm_code(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha256 => 0,
        Algorithm::Sha512 => 1,
    }
}

pub(crate) fn algorithm(code: i64) -> Result<Algorithm, Fault> {
    match code {
        0 => Ok(Algorithm::Sha256),
        1 => Ok(Algorithm::Sha512),
        _ => Err(Fault::Malformed("algorithm")),
    }
}

pub(crate) fn digest_bytes(digest: &Digest) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + digest.hash().len());
    bytes.push(algorithm_code(digest.algorithm()));
    bytes.extend_from_slice(digest.hash());
    bytes
}

pub(crate) fn digest(bytes: &[u8]) -> Result<Digest, Fault> {
    let malformed = Fault::Malformed("digest");
    let Some((&code, hash)) = bytes.split_first() else { return Err(malformed) };
    Digest::from_hash(algorithm(code.into())?, hash).ok_or(malformed)
}

/// A digest as hexadecimal text, which `unhex` makes what [`digest_bytes`] is.
pub(crate) fn digest_hex(digest: &Digest) -> String {
    format!("{:02x}{}", algorithm_code(digest.algorithm()), digest.hex())
}

/// What [`digest_hex`] makes of a digest, back.
pub(crate) fn digest_of_hex(text: &str) -> Result<Digest, Fault> {
    let malformed = || Fault::Malformed("digest");
    let (code, hash) = text.split_at_checked(2).ok_or_else(malformed)?;
    let algorithm = algorithm(i64::from_str_radix(code, 16).map_err(|_| malformed())?)?;
    format!("{algorithm}:{hash}").parse().map_err(|_| malformed())
}

/// Values as JSON, which one statement reads with `json_each`, however many there are.
pub(crate) fn json(values: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(values).map_err(|_| Fault::Malformed("list"))
}

/// What a statement has put into one row as JSON, however much it is: each row more would wake the
/// thread that reads it once more.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|_| Fault::Malformed("list"))
}

/// The digests as a JSON array of hexadecimal texts, which one statement reads with `json_each`
/// and `unhex`, however many there are.
pub(crate) fn digest_array<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> String {
    let mut json = String::from("[");
    for digest in digests {
        if json.len() > 1 {
            json.push(',');
        }
        json.push('"');
        json.push_str(&digest_hex(digest));
        json.push('"');
    }
    json.push(']');
    json
}

/// A time before 1970, or after the year 290,000, is the nearest one that can be stored.
pub(crate) fn micros(time: SystemTime) -> i64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) fn time(micros: i64) -> Result<SystemTime, Fault> {
    let micros = u64::try_from(micros).map_err(|_| Fault::Malformed("time"))?;
    Ok(UNIX_EPOCH + Duration::from_micros(micros))
}

/// When a lease that is taken at `now` ends.
pub(crate) fn lease_end(now: i64, lease: Duration) -> i64 {
    now.saturating_add(duration(lease))
}

/// A length of time in microseconds; more than 100,000 years are so many.
pub(crate) fn duration(duration: Duration) -> i64 {
    const MOST: i64 = 100_000 * 366 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(duration.as_micros()).unwrap_or(MOST).min(MOST)
}

/// Sizes and offsets; no store holds 8 EiB.
pub(crate) fn integer(size: u64) -> Result<i64, Fault> {
    i64::try_from(size).map_err(|_| Fault::Malformed("size"))
}

pub(crate) fn size(integer: i64) -> Result<u64, Fault> {
    u64::try_from(integer).map_err(|_| Fault::Malformed("size"))
}

/// The page out of `limit + 1` rows: the last one only tells that there are more.
pub(crate) fn page<R, T>(
    mut rows: Vec<R>,
    limit: u32,
    entry: impl FnMut(R) -> Result<T, Fault>,
) -> Result<Page<T>, Fault> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let entries = rows.into_iter().map(entry).collect::<Result<_, _>>()?;
    Ok(Page { entries, more })
}
