//! From what a request shows to who made it.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use berth_auth::token::{IssuedToken, OwnKeys, TokenError, Way};
use berth_auth::{Credentials, Password, Who, secret};
use berth_config::CertificateName;
use berth_metadata::AccessTokenId;

use super::login::{holder_of, is_active};
use super::remembered::PASSWORD_SECONDS;
use super::{AccessControl, AuthenticationError, Caller, Source, seconds};
use crate::server::ClientCertificate;

/// What a request shows of who made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'r> {
    /// The value of its `Authorization` header.
    pub(crate) authorization: Option<&'r [u8]>,
    /// The certificate of its connection.
    pub(crate) certificate: Option<&'r ClientCertificate>,
    /// Where it comes from.
    pub(crate) source: Source,
}

impl AccessControl {
    /// Who made a request. Whoever shows nothing is anonymous; whoever shows something wrong is
    /// nobody.
    pub(crate) async fn authenticate(
        &self,
        shown: Shown<'_>,
    ) -> Result<Caller, AuthenticationError> {
        let Some(header) = shown.authorization else {
            return match shown.certificate {
                Some(certificate) => self.by_certificate(certificate).await,
                None => Ok(Caller::anonymous()),
            };
        };
        // Before anything is looked up, so that what is remembered is no newer than this says.
        let epoch = self.epoch.load(Ordering::Acquire);
        let key = self.remembered.key(header);
        if let Some(caller) = self.remembered.get(&key, epoch) {
            return Ok(caller);
        }
        let (caller, until) = match Credentials::parse(header)? {
            Credentials::Bearer(token) => self.by_token(&token).await?,
            Credentials::Basic { name, password } => {
                let caller = self.login(&name, &password, shown.source).await?;
                let until = remembered_until(&caller);
                (caller, until)
            }
        };
        self.remembered.put(key, caller.clone(), until, epoch);
        Ok(caller)
    }

    async fn by_certificate(
        &self,
        certificate: &ClientCertificate,
    ) -> Result<Caller, AuthenticationError> {
        let config = self.auth.load().certificates;
        if !config.enabled {
            return Ok(Caller::anonymous());
        }
        let name = match config.name {
            CertificateName::CommonName => certificate.common_name.as_deref(),
            CertificateName::Alternative => certificate.names.first().map(|name| name.as_str()),
        };
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(Caller::anonymous());
        };
        let account = self.find_account(name).await?;
        match account.as_ref().is_none_or(is_active) {
            true => Ok(Caller::known(name, holder_of(name, account.as_ref()), Way::Certificate)),
            false => Err(AuthenticationError::Wrong),
        }
    }

    /// Whoever holds a token, and until when it is good, in seconds since 1970.
    async fn by_token(&self, token: &Password) -> Result<(Caller, u64), AuthenticationError> {
        if token.expose().starts_with(secret::ACCESS_TOKEN) {
            let caller = self.by_access_token(token, None).await?;
            let until = remembered_until(&caller);
            return Ok((caller, until));
        }
        if let Some(server) = &self.foreign {
            let token = server.verify(token.expose())?;
            return Ok((Caller::foreign(&token.subject, token.access), token.expires));
        }
        let Some(keys) = self.keys() else { return Err(AuthenticationError::Wrong) };
        let issued = self.verify_own(&keys, token.expose())?;
        let expires = issued.expires;
        let caller = self.holder_of_token(issued).await?;
        Ok((caller, expires))
    }

    fn verify_own(&self, keys: &OwnKeys, token: &str) -> Result<IssuedToken, TokenError> {
        let config = self.auth.load();
        keys.verify(token, &config.tokens.issuer, &config.tokens.service)
    }

    /// Whoever a token was issued to, if it would be issued to them still.
    pub(super) async fn holder_of_token(
        &self,
        token: IssuedToken,
    ) -> Result<Caller, AuthenticationError> {
        let mut holder = token.holder;
        match (&holder.who, token.way) {
            (Who::Account(name), Way::Account | Way::Htpasswd | Way::Certificate) => {
                let account = self.find_account(name.as_str()).await?;
                let is_in_file = || self.is_in_password_file(name.as_str());
                let still_good = match (&account, token.way) {
                    (Some(account), _) => {
                        is_active(account)
                            && !is_revoked(account.tokens_valid_from, token.issued_micros)
                    }
                    (None, Way::Htpasswd) => is_in_file(),
                    (None, Way::Certificate) => true,
                    (None, _) => false,
                };
                if !still_good {
                    return Err(TokenError::Revoked.into());
                }
                holder.is_admin = account.as_ref().is_some_and(|account| account.is_admin);
                if let Some(id) = token.access_token {
                    let tokens = self.store.access_tokens(name, Some(AccessTokenId(id - 1)), 1);
                    let found = tokens.await?.entries.into_iter().next();
                    let now = SystemTime::now();
                    let is_good = found.is_some_and(|found| {
                        found.id.0 == id && found.expires.is_none_or(|expires| expires > now)
                    });
                    if !is_good {
                        return Err(TokenError::Revoked.into());
                    }
                }
            }
            (Who::Stranger, Way::Htpasswd) if !self.is_in_password_file(&token.subject) => {
                return Err(TokenError::Revoked.into());
            }
            (Who::Workload(rule), _) if !self.workloads.has_rule(rule) => {
                return Err(TokenError::Revoked.into());
            }
            _ => {}
        }
        Ok(Caller::known(&token.subject, holder, token.way).with_token_for(token.access))
    }

    fn is_in_password_file(&self, name: &str) -> bool {
        self.htpasswd.load().as_ref().is_some_and(|file| file.has(name))
    }
}

/// Until when a password or an access token is remembered, in seconds since 1970: never beyond its own
/// end.
fn remembered_until(caller: &Caller) -> u64 {
    let soon = seconds(SystemTime::now()) + PASSWORD_SECONDS;
    caller.ends.map_or(soon, |ends| soon.min(seconds(ends)))
}

/// Whether a token was issued before the time from which tokens are good, by clocks that agree.
fn is_revoked(valid_from: SystemTime, issued_micros: u64) -> bool {
    SystemTime::UNIX_EPOCH + Duration::from_micros(issued_micros) < valid_from
}
