use std::str::FromStr;

use thiserror::Error;

/// The place of a chunk in an upload: `<first>-<last>`, both inclusive.
///
/// The specification's form has no unit and no total; `bytes ` before and `/total` or `/*` behind,
/// as RFC 9110 has them, are accepted too, since clients send them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentRange {
    /// The place of the first byte.
    pub first: u64,
    /// The number of bytes, one at least.
    pub len: u64,
}

/// The text is not the place of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the Content-Range of a chunk has the form <first>-<last>, both included")]
pub struct ContentRangeError;

impl FromStr for ContentRange {
    type Err = ContentRangeError;

    fn from_str(text: &str) -> Result<Self, ContentRangeError> {
        let text = text
            .strip_prefix("bytes")
            .map_or(text, |rest| rest.strip_prefix(['=', ' ']).unwrap_or(rest).trim_start());
        let range = text.split_once('/').map_or(text, |(range, _total)| range);
        let (first, last) = range.split_once('-').ok_or(ContentRangeError)?;
        let (first, last) = (number(first)?, number(last)?);
        let len = last.checked_sub(first).and_then(|len| len.checked_add(1));
        Ok(Self { first, len: len.ok_or(ContentRangeError)? })
    }
}

fn number(text: &str) -> Result<u64, ContentRangeError> {
    // `parse` alone would take a sign.
    match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse().map_err(|_| ContentRangeError),
        false => Err(ContentRangeError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_clients_send_are_read() {
        let expected = ContentRange { first: 10, len: 10 };
        for text in ["10-19", "bytes 10-19/20", "bytes=10-19", "bytes 10-19/*", "10-19/*"] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "-", "1-", "-1", "9-8", "a-b", "+1-2", "1--2", "0-18446744073709551615"] {
            assert_eq!(text.parse::<ContentRange>(), Err(ContentRangeError), "{text}");
        }
    }
}
