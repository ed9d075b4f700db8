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
    /// The same in microseconds: what is revoked, is revoked between two moments of a second.
    #[serde(rename = "berth.iat")]
    pub issued_micros: u64,
    /// Its number, which no other has.
    #[serde(rename = "jti")]
    pub id: String,
    /// What it is for.
    pub access: AccessList,
    /// Who has it, for decisions.
    #[serde(rename = "berth.holder")]
    pub holder: Holder,
    /// How its holder has shown who they are, so that it is worth nothing when they no longer can.
    #[serde(rename = "berth.way")]
    pub way: Way,
    /// The access token that it was had with, so that it is worth nothing when that has gone.
    #[serde(rename = "berth.pat", default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<i64>,
}

/// How somebody has shown who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Not at all.
    Anonymous,
    /// As an account of the database, by password or access token.
    Account,
    /// By the password file.
    Htpasswd,
    /// By a client's certificate.
    Certificate,
    /// By the token of an issuer of workloads.
    Workload,
}
