//! From what a request shows to who made it.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use berth_auth::token::{IssuedToken, OwnKeys, TokenError, Way};
use berth_auth::{Credentials, Holder, Password, Who, secret};
use berth_config::CertificateName;
use berth_metadata::AccessTokenId;

use super::login::{is_active, known};
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
                (self.login(&name, &password, shown.source).await?, soon())
            }
        };
        // Never beyond the end of an account or of its access token.
        let until = caller.ends.map_or(until, |ends| until.min(seconds(ends)));
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
            true => Ok(known(name, account.as_ref(), Way::Certificate)),
            false => Err(AuthenticationError::Wrong),
        }
    }

    /// Whoever holds a token, and until when it is good, in seconds since 1970.
    async fn by_token(&self, token: &Password) -> Result<(Caller, u64), AuthenticationError> {
        if token.expose().starts_with(secret::ACCESS_TOKEN) {
            return Ok((self.by_access_token(token, None).await?, soon()));
        }
        if let Some(server) = &self.foreign {
            let token = server.verify(token.expose())?;
            return Ok((Caller::foreign(&token.subject, token.access), token.expires));
        }
        let Some(keys) = self.keys() else { return Err(AuthenticationError::Wrong) };
        let issued = self.verify_own(&keys, token.expose())?;
        let (expires, access) = (issued.expires, issued.access.clone());
        let caller = self.still(Login::of(issued)).await?;
        Ok((caller.with_token_for(access), expires))
    }

    fn verify_own(&self, keys: &OwnKeys, token: &str) -> Result<IssuedToken, TokenError> {
        let config = self.auth.load();
        keys.verify(token, &config.tokens.issuer, &config.tokens.service)
    }

    /// Whoever has logged in once, as they are now, if they still could.
    pub(super) async fn still(&self, login: Login) -> Result<Caller, AuthenticationError> {
        let Login { subject, mut holder, way, access_token, since } = login;
        let mut ends = None;
        match &holder.who {
            Who::Anonymous => {}
            Who::Stranger if way == Way::Htpasswd => {
                good(self.is_in_password_file(&subject))?;
            }
            Who::Stranger => {}
            Who::Workload(rule) => good(self.workloads.has_rule(rule))?,
            Who::Account(name) => {
                let account = self.find_account(name.as_str()).await?;
                good(match way {
                    Way::Htpasswd => self.is_in_password_file(name.as_str()),
                    Way::Certificate => true,
                    Way::Anonymous | Way::Account | Way::Workload => account.is_some(),
                })?;
                if let Some(account) = &account {
                    good(is_active(account) && since >= account.tokens_valid_from)?;
                    ends = account.expires;
                }
                holder.is_admin = account.is_some_and(|account| account.is_admin);
                if let Some(id) = access_token {
                    let token = self.store.numbered_access_token(name, id).await?;
                    let token = token.ok_or(TokenError::Revoked)?;
                    good(!token.is_over())?;
                    ends = [ends, token.expires].into_iter().flatten().min();
                }
            }
        }
        let mut caller = Caller::known(&subject, holder, way);
        (caller.access_token, caller.ends) = (access_token, ends);
        Ok(caller)
    }

    fn is_in_password_file(&self, name: &str) -> bool {
        self.htpasswd.load().as_ref().is_some_and(|file| file.has(name))
    }
}

/// A login that goes on: in a token that was issued for it, or in a refresh token.
#[derive(Debug)]
pub(super) struct Login {
    /// Who it is, in words.
    pub(super) subject: String,
    pub(super) holder: Holder,
    pub(super) way: Way,
    /// The access token that they have shown then.
    pub(super) access_token: Option<AccessTokenId>,
    /// When that was.
    pub(super) since: SystemTime,
}

impl Login {
    fn of(token: IssuedToken) -> Self {
        Self {
            subject: token.subject,
            holder: token.holder,
            way: token.way,
            access_token: token.access_token.map(AccessTokenId),
            since: SystemTime::UNIX_EPOCH + Duration::from_micros(token.issued_micros),
        }
    }
}

/// Refuses what is not good any more.
fn good(is_good: bool) -> Result<(), TokenError> {
    match is_good {
        true => Ok(()),
        false => Err(TokenError::Revoked),
    }
}

/// Until when a password or an access token that was right is remembered, in seconds since 1970.
fn soon() -> u64 {
    seconds(SystemTime::now()) + PASSWORD_SECONDS
}
