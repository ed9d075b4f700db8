use serde::{Deserialize, Serialize};

use crate::{AccessList, Holder};

/// What a token of Berth's own says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// Who issued it.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// Who has it, in words: for logs.
    #[serde(rename = "sub")]
    pub subject: String,
    /// For which service it is.
    #[serde(rename = "aud")]
    pub service: String,
    /// Until when it is good, in seconds since 1970.
    #[serde(rename = "exp")]
    pub expires: u64,
    /// Since when it is good, in seconds since 1970.
    #[serde(rename = "nbf")]
    pub not_before: u64,
    /// When it was issued, in seconds since 1970.
    #[serde(rename = "iat")]
    pub issued: u64,
    /// Its number, which no other has.
    #[serde(rename = "jti")]
    pub id: String,
    /// What it is for.
    pub access: AccessList,
    /// Who has it, for decisions.
    #[serde(rename = "berth.holder")]
    pub holder: Holder,
    /// The access token that it was had with, so that it is worth nothing when that has gone.
    #[serde(rename = "berth.pat", default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<i64>,
}
