use std::fmt;

/// What a client that may not do something is told to bring: the value of a `WWW-Authenticate`
/// header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A name and a password.
    Basic {
        /// What they are for, as a browser shows it.
        realm: String,
    },
    /// A token, and where to get it.
    Bearer {
        /// The URL of the token service.
        realm: String,
        /// What the registry is called there.
        service: String,
        /// What the token must be for.
        scope: Option<String>,
        /// Why the one that was shown is not enough.
        error: Option<ChallengeError>,
    },
}

/// Why a token is not enough (RFC 6750, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeError {
    /// It is no good: expired, revoked, or of somebody else.
    InvalidToken,
    /// It is for less.
    InsufficientScope,
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { realm } => write!(f, "Basic realm={}", Quoted(realm)),
            Self::Bearer { realm, service, scope, error } => {
                write!(f, "Bearer realm={},service={}", Quoted(realm), Quoted(service))?;
                if let Some(scope) = scope {
                    write!(f, ",scope={}", Quoted(scope))?;
                }
                match error {
                    Some(ChallengeError::InvalidToken) => f.write_str(",error=\"invalid_token\""),
                    Some(ChallengeError::InsufficientScope) => {
                        f.write_str(",error=\"insufficient_scope\"")
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

/// A quoted string of HTTP. What no header can hold is left out.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars().filter(|c| c.is_ascii_graphic() || *c == ' ') {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_reads_as_clients_expect_it() {
        let challenge = Challenge::Bearer {
            realm: "https://registry.example.org/token".to_owned(),
            service: "registry.example.org".to_owned(),
            scope: Some("repository:a/b:pull,push".to_owned()),
            error: Some(ChallengeError::InsufficientScope),
        };
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="https://registry.example.org/token",service="registry.example.org",scope="repository:a/b:pull,push",error="insufficient_scope""#
        );
        let basic = Challenge::Basic { realm: "My \"own\"\r\nX: y".to_owned() };
        assert_eq!(basic.to_string(), r#"Basic realm="My \"own\"X: y""#);
    }
}
