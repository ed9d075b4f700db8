//! Complaints about the keys of one storage driver.

use super::Invalid;
use crate::ByteSize;
use crate::error::ConfigError;

/// A section of `storage`, to complain about its keys. No message holds a value that may be secret.
pub(super) struct Section<'s> {
    name: &'static str,
    invalid: Invalid<'s>,
}

impl<'s> Section<'s> {
    pub(super) fn new(name: &'static str, invalid: Invalid<'s>) -> Self {
        Self { name, invalid }
    }

    pub(super) fn fail(&self, key: &str, message: &str) -> Result<(), ConfigError> {
        (self.invalid)(&format!("storage.{}.{key}", self.name), message.to_owned())
    }

    /// A bucket, a container or an account: it must be there.
    pub(super) fn name_of(&self, key: &str, value: Option<&str>) -> Result<(), ConfigError> {
        match value {
            None => self.fail(key, "it must be set"),
            Some(name) if name.contains('/') => self.fail(
                key,
                &format!("`{name}` is not a name: a directory goes into {}", self.directory()),
            ),
            // A container of Swift may have white space in its name.
            Some(name) if name != name.trim() || name.contains(char::is_control) => {
                self.fail(key, NOT_A_WORD)
            }
            Some(_) => Ok(()),
        }
    }

    fn directory(&self) -> &'static str {
        if self.name == "swift" { "`prefix`" } else { "`rootdirectory`" }
    }

    /// Two keys that are set together or not at all.
    pub(super) fn pair(
        &self,
        a: (&str, bool),
        b: (&str, bool),
        or: &str,
    ) -> Result<(), ConfigError> {
        match (a, b) {
            ((set, true), (missing, false)) | ((missing, false), (set, true)) => {
                self.fail(missing, &format!("it must be set, because `{set}` is: set it, {or}"))
            }
            _ => Ok(()),
        }
    }

    /// A key that means nothing without another.
    pub(super) fn needs(
        &self,
        key: (&str, bool),
        other: (&str, bool),
        why: &str,
    ) -> Result<(), ConfigError> {
        if !key.1 || other.1 {
            return Ok(());
        }
        self.fail(
            key.0,
            &format!("it needs `{}`: {why}; set that too, or remove this key", other.0),
        )
    }

    /// Values without any white space.
    pub(super) fn words(&self, values: &[(&str, Option<&str>)]) -> Result<(), ConfigError> {
        let is_word = |text: &str| {
            !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        match values.iter().find(|(_, value)| value.is_some_and(|text| !is_word(text))) {
            Some((key, _)) => self.fail(key, NOT_A_WORD),
            None => Ok(()),
        }
    }

    /// Values of one line.
    pub(super) fn lines(&self, values: &[(&str, Option<&str>)]) -> Result<(), ConfigError> {
        let is_line = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        match values.iter().find(|(_, value)| value.is_some_and(|text| !is_line(text))) {
            Some((key, _)) => self.fail(
                key,
                "it is empty or holds a line break or another control character: copy it again, on one line",
            ),
            None => Ok(()),
        }
    }

    /// A URL, or a host and a port.
    pub(super) fn endpoint(&self, key: &str, value: Option<&str>) -> Result<(), ConfigError> {
        match value {
            Some(text) if !is_endpoint(text) => self.fail(
                key,
                &format!("`{text}` is not a URL: write for example `https://store.example.org`"),
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn chunksize(
        &self,
        size: ByteSize,
        limits: (ByteSize, ByteSize),
    ) -> Result<(), ConfigError> {
        let (least, most) = limits;
        if (least..=most).contains(&size) {
            return Ok(());
        }
        self.fail(
            "chunksize",
            &format!("`{size}` is not from `{least}` to `{most}`, which the store needs: write for example `10MiB`"),
        )
    }
}

const NOT_A_WORD: &str =
    "it is empty or holds white space: copy it again, with no space or line break around or in it";

fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.unwrap_or(text);
    !rest.is_empty()
        && !rest.starts_with(['/', ':'])
        && !rest.contains("://")
        && !rest.contains(['?', '#', '@'])
        && super::is_printable(rest)
}
