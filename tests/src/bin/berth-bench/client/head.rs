//! Requests and heads of responses, as text.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};

/// The status and the headers of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// The head at the start of `bytes` and its length, or `None` when it is not there whole.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        const END: &[u8] = b"\r\n\r\n";
        let Some(end) = bytes.windows(END.len()).position(|window| window == END) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes[..end]).context("a head that is not text")?;
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .with_context(|| format!("not a response: {text}"))?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Ok(Some((Self { status, headers }, end + END.len())))
    }

    /// A header by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The length of the body.
    pub(crate) fn body_len(&self) -> Result<u64> {
        if matches!(self.status, 204 | 304) {
            return Ok(0);
        }
        ensure!(
            self.header("transfer-encoding").is_none(),
            "an answer {} of unknown length, which this client cannot read",
            self.status
        );
        match self.header("content-length") {
            Some(length) => length.parse().with_context(|| format!("a length of {length}")),
            None => Ok(0),
        }
    }

    /// The path and query of the `Location`, whether it is given with a host or without.
    pub(crate) fn location(&self) -> Result<&str> {
        let location = self.header("location").context("an answer without Location")?;
        match location.split_once("://") {
            Some((_, rest)) => {
                rest.find('/').map(|slash| &rest[slash..]).context("a Location without a path")
            }
            None => Ok(location),
        }
    }
}

/// The head of a request.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_parsed_once_it_is_whole() {
        let text = b"HTTP/1.1 202 Accepted\r\nLocation: http://host:1/v2/a?b=c\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(Head::parse(&text[..text.len() - 5]).unwrap(), None);
        let (head, len) = Head::parse(text).unwrap().unwrap();
        assert_eq!((head.status, &text[len..]), (202, &b"abc"[..]));
        assert_eq!(head.location().unwrap(), "/v2/a?b=c");
        assert_eq!(head.body_len().unwrap(), 3);
    }

    #[test]
    fn an_answer_without_content_has_no_body_whatever_it_announces() {
        let (head, _) =
            Head::parse(b"HTTP/1.1 204 No Content\r\nLocation: /x\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.body_len().unwrap(), head.location().unwrap()), (0, "/x"));
    }
}
