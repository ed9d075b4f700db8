use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A token server of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenServer {
    /// The URL of the server, where clients get their tokens.
    pub realm: String,
    /// What the registry is called there: the audience of the tokens.
    pub service: String,
    /// What the server calls itself: the issuer of the tokens.
    pub issuer: String,
    /// A file with certificates, in PEM. Tokens that their keys have signed are taken, and those that bring a
    /// certificate which they have signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rootcertbundle: Option<PathBuf>,
    /// A file with a JSON Web Key Set. Tokens that its keys have signed are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<PathBuf>,
    /// The algorithms that tokens may be signed by: `EdDSA`, `ES256`, `ES384`, `PS256`, `PS384`, `PS512`, `RS256`,
    /// `RS384`, `RS512`. All of them when none is named.
    pub signingalgorithms: Vec<String>,
    /// Whether clients are sent to this registry's own host for their tokens, in place of `realm`: for a proxy that has
    /// both behind one name.
    pub autoredirect: bool,
    /// The path of the token server there.
    pub autoredirectpath: String,
}

impl Default for TokenServer {
    fn default() -> Self {
        Self {
            realm: String::new(),
            service: String::new(),
            issuer: String::new(),
            rootcertbundle: None,
            jwks: None,
            signingalgorithms: Vec::new(),
            autoredirect: false,
            autoredirectpath: "/auth/token".to_owned(),
        }
    }
}
