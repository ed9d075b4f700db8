use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The parameters of a query string, decoded as forms are. What is not valid UTF-8 is replaced and
/// then fails where it is parsed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    pub(super) fn new(text: Option<&'a str>) -> Self {
        Self(text.unwrap_or_default())
    }

    /// Every parameter, in order.
    pub(super) fn pairs(self) -> impl Iterator<Item = (String, String)> {
        self.0
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name).into_owned(), decode(value).into_owned()))
    }

    /// Every value of `name`, in order.
    pub(super) fn all(self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.0
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(move |(key, _)| decode(key) == name)
            .map(|(_, value)| decode(value))
    }

    /// The first value of `name`.
    pub(super) fn first(self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next()
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_repeated_names_kept_in_order() {
        let query = Query::new(Some("tag=a&digest=sha256%3Aff&tag=b+c&flag&%74ag=d"));
        assert_eq!(query.first("digest").as_deref(), Some("sha256:ff"));
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b c", "d"]);
        assert_eq!(query.first("flag").as_deref(), Some(""));
        assert_eq!(query.first("absent"), None);
    }
}
