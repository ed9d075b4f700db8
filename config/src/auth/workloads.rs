use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An issuer of tokens for workloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkloadIssuer {
    /// What it calls itself in its tokens: a URL. Its keys are found from there (OpenID Connect Discovery), unless
    /// `jwks` or `jwksurl` is set.
    pub issuer: String,
    /// Whom its tokens must be for.
    pub audience: String,
    /// A URL with its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwksurl: Option<String>,
    /// A file with its keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<PathBuf>,
    /// A file with the authority that its certificate is signed by, in PEM, where that is a private one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Which of its workloads may do something. The first rule that is met names the workload for grants.
    pub rules: Vec<WorkloadRule>,
}

/// Workloads by what is said of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkloadRule {
    /// What grants call them: `workload:NAME`.
    pub name: String,
    /// What claims must be, all of them; `*` stands for any text. A claim within another has a slash between the names.
    pub claims: BTreeMap<String, String>,
}
