//! Workloads that show a token of an issuer that is trusted: a job of a CI system, a pod. No secret
//! has to be kept for them; what their claims are says who they are.

use std::fmt;
use std::str::FromStr;

use berth_oci::access::{AccountName, matches_stars};
use serde_json::{Map, Value};

use crate::token::{KeySet, TokenError, verify_with};

/// What a token says of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// The issuer that a token says it is of. Nothing of it is verified.
    pub fn unverified_issuer(token: &str) -> Option<String> {
        let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Map<String, Value>>(token);
        claims.ok()?.get("iss")?.as_str().map(str::to_owned)
    }

    /// The key that a token says it is signed by.
    pub fn key_id(token: &str) -> Option<String> {
        jsonwebtoken::decode_header(token).ok()?.kid
    }

    /// Reads a token of an issuer for an audience, signed by one of its keys.
    ///
    /// # Errors
    /// When it is not, or not good now.
    pub fn verify(
        token: &str,
        issuer: &str,
        audience: &str,
        keys: &KeySet,
    ) -> Result<Self, TokenError> {
        verify_with(token, issuer, audience, keys).map(Self)
    }

    /// Who it is, in the words of the issuer.
    pub fn subject(&self) -> &str {
        self.0.get("sub").and_then(Value::as_str).unwrap_or_default()
    }

    /// A claim by its name, or by the names on the way to it with `/` between them.
    fn find(&self, path: &str) -> Option<&Value> {
        find(&self.0, path)
    }
}

fn find<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    // Names hold slashes themselves at times, so each of them may be where a name ends.
    path.match_indices('/').find_map(|(at, _)| {
        let inner = claims.get(&path[..at])?.as_object()?;
        find(inner, &path[at + 1..])
    })
}

/// Which workloads are meant, and what grants call them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name, for grants: `workload:NAME`.
    pub name: AccountName,
    /// What claims must be: all of them.
    pub claims: Vec<(String, ClaimPattern)>,
}

impl Rule {
    /// Whether a workload is meant.
    pub fn is_met(&self, claims: &Claims) -> bool {
        let is_met = |(name, wanted): &(String, ClaimPattern)| {
            claims.find(name).is_some_and(|value| wanted.is_met_by(value))
        };
        !self.claims.is_empty() && self.claims.iter().all(is_met)
    }
}

/// What a claim must be: a text in which `*` stands for any text.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaimPattern(String);

impl ClaimPattern {
    /// Whether the claim is such a text, number or truth value, or a list that has one.
    fn is_met_by(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => matches_stars(&self.0, text),
            Value::Bool(_) | Value::Number(_) => matches_stars(&self.0, &value.to_string()),
            Value::Array(values) => {
                values.iter().any(|value| !value.is_array() && self.is_met_by(value))
            }
            Value::Null | Value::Object(_) => false,
        }
    }
}

impl FromStr for ClaimPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim_matches('*').is_empty() {
            true => Err("what a claim must be holds more than stars"),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Debug for ClaimPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(claims: &[(&str, &str)]) -> Rule {
        let claims = claims.iter().map(|(name, text)| ((*name).to_owned(), text.parse().unwrap()));
        Rule { name: "ci".parse().unwrap(), claims: claims.collect() }
    }

    #[test]
    fn all_claims_of_a_rule_must_be_there() {
        let claims = Claims(
            serde_json::from_str(
                r#"{"sub": "repo:acme/web:ref:refs/heads/main", "repository": "acme/web",
                "run": 7, "protected": true, "groups": ["a", "deploy"],
                "kubernetes.io": {"namespace": "build", "serviceaccount": {"name": "pusher"}},
                "https://example.org/team": "web"}"#,
            )
            .unwrap(),
        );
        for (wanted, met) in [
            (&[("repository", "acme/*")][..], true),
            (&[("repository", "acme/*"), ("protected", "true")], true),
            (&[("repository", "acme/*"), ("protected", "false")], false),
            (&[("repository", "acme")], false),
            (&[("repository", "*me*b")], true),
            (&[("repository", "*web*web")], false),
            (&[("sub", "repo:acme/*:ref:refs/heads/main")], true),
            (&[("sub", "repo:acme/*:ref:refs/heads/main*x")], false),
            (&[("groups", "deploy")], true),
            (&[("groups", "dep")], false),
            (&[("run", "7")], true),
            (&[("kubernetes.io/namespace", "build")], true),
            (&[("kubernetes.io/serviceaccount/name", "push*")], true),
            (&[("kubernetes.io", "*build*")], false),
            (&[("https://example.org/team", "web")], true),
            (&[("missing", "a*")], false),
            (&[], false),
        ] {
            assert_eq!(rule(wanted).is_met(&claims), met, "{wanted:?}");
        }
    }

    #[test]
    fn a_rule_that_everybody_fulfils_is_none() {
        assert!("*".parse::<ClaimPattern>().is_err() && "".parse::<ClaimPattern>().is_err());
    }
}
