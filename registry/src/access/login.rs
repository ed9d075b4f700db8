//! A name and a password: who that is, if it is anybody.

use std::time::{Duration, Instant, SystemTime};

use berth_auth::token::Way;
use berth_auth::{Attempts, Holder, Limit, Password, Who, secret};
use berth_metadata::{Account, AccountKind, SecretHash};
use tracing::debug;

use super::{AccessControl, AuthenticationError, Caller, Source};

impl AccessControl {
    /// Whoever has this name and password: an account, its access token, a workload's token, or a
    /// user of the password file.
    pub(crate) async fn login(
        &self,
        name: &str,
        password: &Password,
        source: Source,
    ) -> Result<Caller, AuthenticationError> {
        if self.workloads.knows_issuer_of(password.expose()) {
            return self.workload(password).await;
        }
        let guess = Guess::new(self, name, source);
        guess.refuse_when_too_many()?;
        let found = match password.expose().starts_with(secret::ACCESS_TOKEN) {
            true => self.by_access_token(password, Some(name)).await,
            false => self.by_password(name, password).await,
        };
        match &found {
            Ok(_) => guess.was_right(),
            Err(AuthenticationError::Wrong) => guess.was_wrong(),
            Err(_) => {}
        }
        found
    }

    async fn by_password(
        &self,
        name: &str,
        password: &Password,
    ) -> Result<Caller, AuthenticationError> {
        let account = self.find_account(name).await?;
        let has_password = account.as_ref().is_some_and(|account| account.password.is_some());
        let file = self.htpasswd.load_full();
        if let Some(file) =
            file.filter(|file| !has_password && (account.is_none() || file.has(name)))
        {
            // Where both are configured a name that neither has takes as long as one that the file has.
            let right =
                self.passwords.verify_in_file(file, name.to_owned(), password.clone()).await;
            return match right && account.as_ref().is_none_or(is_active) {
                true => Ok(known(name, account.as_ref(), Way::Htpasswd)),
                false => Err(AuthenticationError::Wrong),
            };
        }
        if !self.auth.load().accounts.enabled {
            return Err(AuthenticationError::Wrong);
        }
        let hash = account.as_ref().and_then(|account| account.password.clone());
        let right = self.passwords.verify(password.clone(), hash).await;
        match account {
            Some(account) if right && is_active(&account) => {
                Ok(known(name, Some(&account), Way::Account))
            }
            _ => Err(AuthenticationError::Wrong),
        }
    }

    /// Whoever has this access token; where a name is given it must be theirs.
    pub(super) async fn by_access_token(
        &self,
        token: &Password,
        name: Option<&str>,
    ) -> Result<Caller, AuthenticationError> {
        if !self.auth.load().accounts.enabled {
            return Err(AuthenticationError::Wrong);
        }
        let found = self.store.access_token(&SecretHash(secret::hash(token))).await?;
        let Some(found) = found else { return Err(AuthenticationError::Wrong) };
        let (token, account) = (found.token, found.account);
        let is_of_another = name.is_some_and(|name| name != account.name.as_str());
        if token.is_over() || is_of_another || !is_active(&account) {
            debug!(account = %account.name, "an access token that is not good was shown");
            return Err(AuthenticationError::Wrong);
        }
        // When it was used last is for people: a failure to note it is no reason to refuse it.
        let _ = self.store.access_tokens_used(&[(token.id, SystemTime::now())]).await;
        let mut holder = holder_of(account.name.as_str(), Some(&account));
        holder.limit = Limit { role: token.role, repositories: token.repositories };
        let mut caller = Caller::known(account.name.as_str(), holder, Way::Account);
        caller.access_token = Some(token.id);
        caller.ends = [token.expires, account.expires].into_iter().flatten().min();
        Ok(caller)
    }

    /// The workload that shows this token.
    pub(crate) async fn workload(&self, token: &Password) -> Result<Caller, AuthenticationError> {
        let workload = self.workloads.verify(token.expose()).await?;
        let name = format!("workload:{} ({})", workload.rule, workload.subject);
        Ok(Caller::known(&name, Holder::of(Who::Workload(workload.rule)), Way::Workload))
    }

    /// The account of a name, where accounts are used.
    pub(super) async fn find_account(
        &self,
        name: &str,
    ) -> Result<Option<Account>, AuthenticationError> {
        match name.parse() {
            Ok(name) if self.auth.load().accounts.enabled => Ok(self.store.account(&name).await?),
            _ => Ok(None),
        }
    }
}

/// Whoever has shown that they are of this name.
pub(super) fn known(name: &str, account: Option<&Account>, way: Way) -> Caller {
    let mut caller = Caller::known(name, holder_of(name, account), way);
    caller.ends = account.and_then(|account| account.expires);
    caller
}

/// Who somebody of this name is, for decisions.
fn holder_of(name: &str, account: Option<&Account>) -> Holder {
    let who = name.parse().map_or(Who::Stranger, Who::Account);
    Holder { is_admin: account.is_some_and(|account| account.is_admin), ..Holder::of(who) }
}

/// Whether an account may do anything now.
pub(super) fn is_active(account: &Account) -> bool {
    let is_over = account.expires.is_some_and(|expires| expires <= SystemTime::now());
    !account.is_disabled && !is_over && account.kind != AccountKind::Organisation
}

/// An attempt to guess, until it turns out to be none.
struct Guess<'a> {
    access: &'a AccessControl,
    account: String,
    source: String,
    of_account: Attempts,
    of_source: Attempts,
}

impl<'a> Guess<'a> {
    fn new(access: &'a AccessControl, name: &str, source: Source) -> Self {
        let attempts = access.auth.load().attempts;
        let window: Duration = attempts.window.get();
        let source = source.text();
        Self {
            access,
            account: format!("{source} {name}"),
            source,
            of_account: Attempts { most: attempts.account, window },
            of_source: Attempts { most: attempts.source, window },
        }
    }

    fn keys(&self) -> [(&str, Attempts); 2] {
        [(&self.account, self.of_account), (&self.source, self.of_source)]
    }

    fn refuse_when_too_many(&self) -> Result<(), AuthenticationError> {
        let now = Instant::now();
        let waits = self.keys().map(|(key, most)| self.access.throttle.wait(key, most, now));
        match waits.into_iter().flatten().max() {
            Some(wait) => Err(AuthenticationError::TooMany { wait }),
            None => Ok(()),
        }
    }

    fn was_wrong(&self) {
        for (key, attempts) in self.keys() {
            self.access.throttle.failed(key, attempts, Instant::now());
        }
    }

    /// Forgets what this name has guessed. What others have from there is still counted: one right
    /// password buys no further guesses.
    fn was_right(&self) {
        self.access.throttle.succeeded(&self.account);
    }
}
