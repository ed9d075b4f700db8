use std::collections::HashMap;
use std::sync::OnceLock;

use thiserror::Error;

use crate::Password;

/// A cost of hashing beyond which one login would hold a processor for seconds.
const MOST_COST: u32 = 16;

/// A password file of Apache's `htpasswd`, with bcrypt hashes alone, as `registry:2` takes it.
#[derive(Clone, Debug, Default)]
pub struct Htpasswd {
    hashes: HashMap<String, String>,
}

impl Htpasswd {
    /// Reads the text of a file: a line for each user, `name:hash`. Empty lines and those that begin
    /// with `#` mean nothing.
    ///
    /// # Errors
    /// Names the line that is not of that form, or whose hash is not of bcrypt.
    pub fn parse(text: &str) -> Result<Self, HtpasswdError> {
        let mut hashes = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = index + 1;
            let (name, hash) = line.split_once(':').ok_or(HtpasswdError::NoHash(number))?;
            if name.is_empty() {
                return Err(HtpasswdError::NoName(number));
            }
            let cost = cost(hash).ok_or(HtpasswdError::NotBcrypt(number))?;
            if cost > MOST_COST {
                return Err(HtpasswdError::TooCostly(number));
            }
            // The first line of a name counts, as with Apache.
            hashes.entry(name.to_owned()).or_insert_with(|| hash.to_owned());
        }
        Ok(Self { hashes })
    }

    /// The text of a file with one user.
    ///
    /// # Errors
    /// When the password cannot be hashed.
    pub fn of_one(name: &str, password: &Password) -> Result<String, HtpasswdError> {
        let hash = bcrypt::hash(password.expose(), bcrypt::DEFAULT_COST)
            .map_err(|error| HtpasswdError::Hash(error.to_string()))?;
        Ok(format!("{name}:{hash}\n"))
    }

    /// Whether the file has the name and the password is right. It takes as long for a name that it
    /// does not have. Slow, as it is meant to be: not for a thread that serves requests.
    pub fn verify(&self, name: &str, password: &Password) -> bool {
        let hash = self.hashes.get(name).map(String::as_str);
        let right = bcrypt::verify(password.expose(), hash.unwrap_or_else(|| self.nobody()));
        right.unwrap_or(false) && hash.is_some()
    }

    /// Whether the file has the name.
    pub fn has(&self, name: &str) -> bool {
        self.hashes.contains_key(name)
    }

    /// How many users the file has.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether the file has no user.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Some hash, of the cost that those of the file have.
    fn nobody(&self) -> &str {
        static NOBODY: OnceLock<String> = OnceLock::new();
        self.hashes.values().next().map_or_else(
            || {
                let hash = || bcrypt::hash("nobody has this password", bcrypt::DEFAULT_COST);
                NOBODY.get_or_init(|| hash().unwrap_or_default()).as_str()
            },
            String::as_str,
        )
    }
}

/// The cost of a bcrypt hash, `$2y$05$` and 53 characters.
fn cost(hash: &str) -> Option<u32> {
    let rest =
        ["$2y$", "$2b$", "$2a$", "$2x$"].iter().find_map(|prefix| hash.strip_prefix(prefix))?;
    let (cost, digest) = rest.split_once('$')?;
    let is_digest = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '/';
    if cost.len() != 2 || digest.len() != 53 || !digest.chars().all(is_digest) {
        return None;
    }
    cost.parse().ok().filter(|cost| (4..=31).contains(cost))
}

/// What is wrong with a password file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HtpasswdError {
    /// A line without a colon.
    #[error("line {0} is not of the form name:hash")]
    NoHash(usize),
    /// A line that begins with a colon.
    #[error("line {0} has no name")]
    NoName(usize),
    /// A hash of another kind.
    #[error("line {0} has a hash that is not of bcrypt; make it with `htpasswd -B`")]
    NotBcrypt(usize),
    /// A hash that takes too long.
    #[error(
        "line {0} has a hash of a cost above 16, which takes seconds for each login; make it with `htpasswd -B -C 10`"
    )]
    TooCostly(usize),
    /// Hashing failed.
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_tells_who_has_which_password() {
        let text = Htpasswd::of_one("alice", &"open sesame".to_owned().into()).unwrap();
        let file = Htpasswd::parse(&format!("# users\n\n{text}bob:{}", &text[6..])).unwrap();
        let verify = |name: &str, password: &str| file.verify(name, &password.to_owned().into());
        assert!(verify("alice", "open sesame") && verify("bob", "open sesame"));
        assert!(!verify("alice", "open") && !verify("carol", "open sesame"));
        assert!(!verify("carol", "nobody has this password"));
        assert_eq!(file.len(), 2);
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named() {
        let hash = "$2y$05$".to_owned() + &"a".repeat(53);
        for (text, error) in [
            ("alice".to_owned(), HtpasswdError::NoHash(1)),
            (format!("\n:{hash}"), HtpasswdError::NoName(2)),
            ("alice:$apr1$abc$def".to_owned(), HtpasswdError::NotBcrypt(1)),
            ("alice:{SHA}abc".to_owned(), HtpasswdError::NotBcrypt(1)),
            ("alice:".to_owned(), HtpasswdError::NotBcrypt(1)),
            (format!("alice:{}", hash.replace("05", "31")), HtpasswdError::TooCostly(1)),
            (format!("alice:{}", hash.replace("05", "99")), HtpasswdError::NotBcrypt(1)),
        ] {
            assert_eq!(Htpasswd::parse(&text).unwrap_err(), error, "{text}");
        }
        assert!(Htpasswd::parse("").unwrap().is_empty());
    }
}
