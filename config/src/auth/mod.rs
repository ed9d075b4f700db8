//! The `auth` section: who may use the registry, and how they show who they are.

mod attempts;
mod certificates;
mod grant;
mod htpasswd;
mod shorthand;
mod token_server;
mod tokens;
mod workloads;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use attempts::LoginAttempts;
pub use certificates::{CertificateIdentity, CertificateName};
pub use grant::DeclaredGrant;
pub use htpasswd::HtpasswdFile;
pub(crate) use shorthand::expand;
pub use token_server::TokenServer;
pub use tokens::Tokens;
pub use workloads::{WorkloadIssuer, WorkloadRule};

use crate::Opaque;

/// Who may use the registry. Without any of these ways everybody may do everything. Several go together: a token or a
/// password that a request brings counts first (accounts before the password file), then the client's certificate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// A password file of Apache's htpasswd.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-named" = true))]
    pub htpasswd: Option<HtpasswdFile>,
    /// A token server of others, as with `registry:2`: it says who may do what, and nothing else counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-berth-named" = true))]
    pub token: Option<TokenServer>,
    /// The development mode of `registry:2` that takes any credentials.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-named" = true, "x-berth-refused" = "it would let everybody in who sends any password: remove the section, and with it the pretence"))]
    pub silly: Opaque,
    /// Users, organisations, teams, robots and tokens in the database.
    pub accounts: Accounts,
    /// Client certificates that say who somebody is. They are verified by `http.tls.clientcas`.
    pub certificates: CertificateIdentity,
    /// Issuers whose tokens say who a workload is, a job of a CI system or a pod: it needs no secret of its own.
    #[schemars(extend("x-berth-reload" = true))]
    pub workloads: Vec<WorkloadIssuer>,
    /// The tokens that Berth issues itself.
    pub tokens: Tokens,
    /// Grants beside those of the database: who may do what. With `allow SUBJECT ROLE REPOSITORIES` or
    /// `deny SUBJECT ROLE REPOSITORIES`. Without any, and without `auth.accounts`, whoever has shown who they are may do
    /// everything, as with `registry:2`.
    #[schemars(extend("x-berth-reload" = true))]
    pub grants: Vec<DeclaredGrant>,
    /// Members of teams, as `ORGANISATION/TEAM: [NAME, ...]`, beside those of the database.
    #[schemars(extend("x-berth-reload" = true))]
    pub teams: BTreeMap<String, Vec<String>>,
    /// How often somebody may be wrong.
    #[schemars(extend("x-berth-reload" = true))]
    pub attempts: LoginAttempts,
}

/// Users, organisations, teams, robots and tokens in the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// Whether they may log in. `berth user create --admin NAME` makes the first one.
    pub enabled: bool,
}

impl Auth {
    /// Whether anybody has to say who they are.
    pub fn is_enabled(&self) -> bool {
        self.htpasswd.is_some() || self.token.is_some() || self.has_policy()
    }

    /// Whether Berth issues tokens itself. Where only a password file is configured it does not, and clients send
    /// passwords, as with `registry:2`.
    pub fn issues_tokens(&self) -> bool {
        self.token.is_none() && (self.has_policy() || self.tokens.enabled)
    }

    /// Whether grants say who may do what. Else whoever has shown who they are may do everything.
    pub fn has_grants(&self) -> bool {
        self.accounts.enabled || !self.grants.is_empty()
    }

    fn has_policy(&self) -> bool {
        self.has_grants() || self.certificates.enabled || !self.workloads.is_empty()
    }
}
