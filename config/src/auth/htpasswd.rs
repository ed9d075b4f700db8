use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A password file of Apache's htpasswd. It is read again when it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HtpasswdFile {
    /// What clients show when they ask for a password.
    pub realm: String,
    /// The file, with bcrypt hashes (`htpasswd -B`). One that is not there is made at the start, with the user
    /// `docker` and a password that the log has, once.
    pub path: PathBuf,
}

impl Default for HtpasswdFile {
    fn default() -> Self {
        Self { realm: "Berth".to_owned(), path: PathBuf::new() }
    }
}
