use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

/// The longest value of an `Authorization` header that is looked at, in bytes. Tokens of external
/// servers can be long, as they name repositories; whatever is longer is a mistake or an attack.
const LONGEST: usize = 64 * 1024;

/// What a request shows of who made it: the value of its `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        name: String,
        /// The password, or a token in its place.
        password: Password,
    },
    /// A token (RFC 6750).
    Bearer(Password),
}

/// A password or a token. It is not shown, and compared in a time that says nothing of it.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// The value itself; call this only where it is used.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
    }
}

impl Eq for Password {}

impl Credentials {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// When it is of neither scheme, or malformed.
    pub fn parse(header: &[u8]) -> Result<Self, CredentialsError> {
        if header.len() > LONGEST {
            return Err(CredentialsError::TooLong);
        }
        let text = std::str::from_utf8(header).map_err(|_| CredentialsError::Malformed)?;
        let (scheme, value) = text.trim().split_once(' ').ok_or(CredentialsError::Malformed)?;
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return match value.is_empty() || value.contains(char::is_whitespace) {
                true => Err(CredentialsError::Malformed),
                false => Ok(Self::Bearer(value.to_owned().into())),
            };
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(CredentialsError::Scheme);
        }
        let decoded = BASE64_STANDARD.decode(value).map_err(|_| CredentialsError::Malformed)?;
        let decoded = String::from_utf8(decoded).map_err(|_| CredentialsError::Malformed)?;
        let (name, password) = decoded.split_once(':').ok_or(CredentialsError::Malformed)?;
        match name.contains(char::is_control) || password.contains(char::is_control) {
            true => Err(CredentialsError::Malformed),
            false => {
                Ok(Self::Basic { name: name.to_owned(), password: password.to_owned().into() })
            }
        }
    }
}

/// Why an `Authorization` header says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CredentialsError {
    /// Another scheme.
    #[error("the Authorization header is neither of the scheme Basic nor Bearer")]
    Scheme,
    /// Outside the grammar.
    #[error("the Authorization header is malformed")]
    Malformed,
    /// Much too long.
    #[error("the Authorization header is longer than 64 KiB")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(name: &str, password: &str) -> Credentials {
        Credentials::Basic { name: name.to_owned(), password: password.to_owned().into() }
    }

    #[test]
    fn both_schemes_are_read_in_any_case() {
        for header in
            ["Basic YWxpY2U6czpjcmV0", "basic  YWxpY2U6czpjcmV0 ", "BASIC YWxpY2U6czpjcmV0"]
        {
            assert_eq!(Credentials::parse(header.as_bytes()), Ok(basic("alice", "s:cret")));
        }
        let bearer = Credentials::Bearer("a.b.c".to_owned().into());
        assert_eq!(Credentials::parse(b"Bearer a.b.c"), Ok(bearer.clone()));
        assert_eq!(Credentials::parse(b"bearer a.b.c"), Ok(bearer));
        assert_eq!(Credentials::parse(b"Basic Og=="), Ok(basic("", "")));
    }

    #[test]
    fn what_says_nothing_is_refused() {
        for header in [
            "",
            "Basic",
            "Basic ",
            "Bearer ",
            "Bearer a b",
            "Basic %%%",
            "Basic YWxpY2U=",
            "Basic YQo6Yg==",
            "Digest a=b",
            "Basic //8=",
        ] {
            assert!(Credentials::parse(header.as_bytes()).is_err(), "{header}");
        }
        assert!(Credentials::parse(b"Bearer \xff").is_err());
        let long = format!("Bearer {}", "a".repeat(LONGEST));
        assert_eq!(Credentials::parse(long.as_bytes()), Err(CredentialsError::TooLong));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert!(!format!("{:?}", basic("alice", "hidden")).contains("hidden"));
    }
}
