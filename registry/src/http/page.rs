use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::ActionError;
use super::query::Query;

/// What stands unescaped in a query value.
const QUERY_VALUE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Which page of a listing is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// The most entries wanted.
    pub n: Option<u32>,
    /// The last entry of the page before.
    pub last: Option<String>,
}

impl PageRequest {
    pub(super) fn parse(query: Query<'_>) -> Result<Self, ActionError> {
        let n = match query.first("n").as_deref() {
            None | Some("") => None,
            // More than fits is more than anybody is given.
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                Some(text.parse().unwrap_or(u32::MAX))
            }
            Some(_) => return Err(ActionError::PageSize),
        };
        let last = query.first("last").filter(|last| !last.is_empty());
        Ok(Self { n, last: last.map(|last| last.into_owned()) })
    }

    /// The number of entries to give, at most `most`.
    pub(super) fn limit(&self, most: u32) -> u32 {
        self.n.unwrap_or(most).min(most)
    }
}

/// The value of the `Link` header that leads to the page behind `last`.
pub(super) fn next_link(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut link = format!("<{path}");
    for (index, (name, value)) in parameters.iter().enumerate() {
        link.push(if index == 0 { '?' } else { '&' });
        link.push_str(name);
        link.push('=');
        link.extend(utf8_percent_encode(value, QUERY_VALUE));
    }
    link.push_str(">; rel=\"next\"");
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_escape_what_a_query_cannot_hold() {
        assert_eq!(
            next_link("/v2/_catalog", &[("n", "2"), ("last", "team/a&b c")]),
            "</v2/_catalog?n=2&last=team/a%26b%20c>; rel=\"next\""
        );
    }

    #[test]
    fn page_sizes_are_numbers() {
        let parse = |text| PageRequest::parse(Query::new(Some(text)));
        assert_eq!(parse("n=0").unwrap().n, Some(0));
        assert_eq!(parse("n=99999999999999999999").unwrap().limit(100), 100);
        assert_eq!(parse("").unwrap().limit(100), 100);
        for bad in ["n=-1", "n=x", "n=1.5", "n=%20"] {
            assert_eq!(parse(bad), Err(ActionError::PageSize), "{bad}");
        }
    }
}
