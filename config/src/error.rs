//! What can be wrong with a configuration.

use std::path::PathBuf;

/// Why a configuration was not accepted. Every message says where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not YAML, or names a key twice.
    #[error("{at}: {message}")]
    Syntax {
        /// `file:line:column`, or the environment variable.
        at: String,
        /// What is wrong.
        message: String,
    },
    /// There is no such key.
    #[error("{at}: unknown key `{key}`{}", hint.as_ref().map(|name| format!(", did you mean `{name}`?")).unwrap_or_default())]
    UnknownKey {
        /// `file:line:column`, or the environment variable.
        at: String,
        /// The full path of the key.
        key: String,
        /// The full path of the key that was probably meant.
        hint: Option<String>,
    },
    /// A key has a value that it cannot have.
    #[error("{at}: `{key}`: {message}")]
    Invalid {
        /// `file:line:column`, or the environment variable.
        at: String,
        /// The full path of the key.
        key: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// `registry:2` knows the key and this build cannot honour it.
    #[error("{at}: `{key}`: {message}")]
    NotInThisBuild {
        /// `file:line:column`, or the environment variable.
        at: String,
        /// The full path of the key.
        key: String,
        /// What is missing, and what to do.
        message: String,
    },
    /// An environment variable cannot be used.
    #[error("{variable}: {message}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong.
        message: String,
    },
}
