use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Client certificates that say who somebody is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateIdentity {
    /// Whether a verified certificate counts as showing who one is, where a request brings nothing else.
    pub enabled: bool,
    /// Which name of the certificate is that of the account.
    pub name: CertificateName,
}

/// Which name of a certificate counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateName {
    /// The common name of the subject.
    #[default]
    CommonName,
    /// The first of the alternative names: a host, a mail address or a URI.
    Alternative,
}
