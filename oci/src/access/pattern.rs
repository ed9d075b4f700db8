use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::matches_stars;

/// Repositories by the shape of their names.
///
/// `*` is any text within a component, `**`, a component by itself, any number of components, but
/// not none at the end: `acme/**` is all below `acme`, and `**` is all there are.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryPattern(Arc<str>);

impl RepositoryPattern {
    /// The longest pattern, in characters.
    pub const MAX_LEN: usize = 255;

    /// All repositories.
    pub fn all() -> Self {
        Self("**".into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of a repository of this name.
    pub fn matches(&self, repository: &str) -> bool {
        components(&self.0, repository)
    }

    /// The components before the first that has a star, joined: what each name begins with that
    /// matches. A pattern without any star is its own.
    pub fn literal(&self) -> &str {
        let mut end = 0;
        for component in self.0.split('/') {
            if component.contains('*') {
                return self.0[..end].trim_end_matches('/');
            }
            end += component.len() + 1;
        }
        &self.0
    }
}

/// Whether the components of a name match those of a pattern. Each `**` is tried at each length, and
/// only the last of them needs to be, so this is no worse than their product.
fn components(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (Some(pattern), Some(name));
    let mut retry = None;
    loop {
        match (pattern, name) {
            (None, None) => return true,
            (Some("**"), Some(_)) => return true,
            (Some(wanted), Some(there)) => {
                let (wanted, wanted_rest) = first(wanted);
                let (component, rest) = first(there);
                if wanted == "**" {
                    retry = Some((wanted_rest, rest));
                    pattern = wanted_rest;
                    continue;
                }
                if matches_stars(wanted, component) {
                    (pattern, name) = (wanted_rest, rest);
                    continue;
                }
            }
            _ => {}
        }
        // The last `**` takes one component more.
        let Some((after, Some(rest))) = retry else { return false };
        retry = Some((after, first(rest).1));
        (pattern, name) = (after, Some(rest));
    }
}

fn first(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    }
}

impl FromStr for RepositoryPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(PatternError::Length);
        }
        let is_allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-*".contains(&b);
        let is_component = |component: &str| {
            !component.is_empty()
                && component.bytes().all(is_allowed)
                && (component == "**" || !component.contains("**"))
        };
        match text.split('/').all(is_component) {
            true => Ok(Self(text.into())),
            false => Err(PatternError::Malformed),
        }
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RepositoryPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RepositoryPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// Nothing, or more than [`RepositoryPattern::MAX_LEN`] characters.
    #[error("a pattern of repositories has 1 to 255 characters")]
    Length,
    /// Outside the grammar.
    #[error(
        "a pattern is a repository name in which `*` stands for any text within a component, and `**` for any components: `acme/**`, `acme/*-base`, `**`"
    )]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<RepositoryPattern>().unwrap().matches(name)
    }

    #[test]
    fn a_star_stays_within_a_component_and_two_do_not() {
        for (pattern, name, expected) in [
            ("*", "app", true),
            ("*", "team/app", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/web", false),
            ("team/**", "team/app/web", true),
            ("team/**", "team", false),
            ("team/**", "teams/app", false),
            ("**", "team/app/web", true),
            ("**", "app", true),
            ("**/web", "team/app/web", true),
            ("**/web", "web", true),
            ("**/web", "web/app", false),
            ("a/**/b/**/c", "a/x/b/y/b/c", true),
            ("a/**/b/**/c", "a/x/y/c", false),
            ("a/**/b", "a/b", true),
            ("team/*-base", "team/rust-base", true),
            ("team/*-base", "team/base", false),
            ("team/a*b*c", "team/axxbyybzc", true),
            ("team/a*b*c", "team/axxbyyb", false),
            ("app", "app", true),
            ("app", "app2", false),
            ("app", "app/web", false),
            ("a.b", "axb", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_it_begins_with_is_before_the_first_star() {
        let literal =
            |pattern: &str| pattern.parse::<RepositoryPattern>().unwrap().literal().to_owned();
        assert_eq!(literal("acme/app"), "acme/app");
        assert_eq!(literal("acme/**"), "acme");
        assert_eq!(literal("acme/web/x-*"), "acme/web");
        assert_eq!(literal("**"), "");
        assert_eq!(literal("a*/b"), "");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "/", "a/", "/a", "a//b", "A", "a***", "a**", "**b", "a b", "a?", "é"] {
            assert!(text.parse::<RepositoryPattern>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_agrees_with_the_obvious_recursion(
            pattern in "(\\*\\*|[ab*]{1,3})(/(\\*\\*|[ab*]{1,3})){0,4}",
            name in "[ab]{1,3}(/[ab]{1,3}){0,5}",
        ) {
            fn all(pattern: &[&str], name: &[&str]) -> bool {
                match (pattern, name) {
                    ([], []) => true,
                    (["**"], name) => !name.is_empty(),
                    (["**", rest @ ..], name) => {
                        (0..=name.len()).any(|taken| all(rest, &name[taken..]))
                    }
                    ([wanted, rest @ ..], [there, name @ ..]) => {
                        one(wanted.as_bytes(), there.as_bytes()) && all(rest, name)
                    }
                    _ => false,
                }
            }
            fn one(pattern: &[u8], text: &[u8]) -> bool {
                match (pattern, text) {
                    ([], []) => true,
                    ([b'*', rest @ ..], text) => {
                        (0..=text.len()).any(|taken| one(rest, &text[taken..]))
                    }
                    ([wanted, rest @ ..], [there, text @ ..]) => {
                        wanted == there && one(rest, text)
                    }
                    _ => false,
                }
            }
            if let Ok(parsed) = pattern.parse::<RepositoryPattern>() {
                let wanted: Vec<_> = pattern.split('/').collect();
                let there: Vec<_> = name.split('/').collect();
                proptest::prop_assert_eq!(parsed.matches(&name), all(&wanted, &there));
            }
        }
    }
}
