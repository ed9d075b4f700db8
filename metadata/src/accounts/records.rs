use std::fmt;
use std::time::SystemTime;

use berth_oci::access::{AccountName, Grant, RepositoryPattern, Role, Subject, TeamName};

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountKind {
    /// A person.
    User,
    /// A program, which has access tokens and no password. Its name holds its owner's.
    Robot,
    /// Something that people belong to. Nobody logs in as it.
    Organisation,
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: AccountName,
    /// What it is.
    pub kind: AccountKind,
    /// Whether it may do everything, everywhere.
    pub is_admin: bool,
    /// Whether it may do nothing for now.
    pub is_disabled: bool,
    /// The hash of the password, in the PHC string format; `None` where there is none.
    pub password: Option<String>,
    /// What it is for, in somebody's words.
    pub description: String,
    /// From when on it may do nothing.
    pub expires: Option<SystemTime>,
    /// Tokens that were issued before this are worth nothing.
    pub tokens_valid_from: SystemTime,
    /// When it was made.
    pub created: SystemTime,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).field("kind", &self.kind).finish()
    }
}

/// An account to make.
#[derive(Clone)]
pub struct NewAccount {
    /// Its name. Whether that is a robot's must agree with the kind.
    pub name: AccountName,
    /// What it is.
    pub kind: AccountKind,
    /// Whether it may do everything.
    pub is_admin: bool,
    /// The hash of the password.
    pub password: Option<String>,
    /// What it is for.
    pub description: String,
    /// From when on it may do nothing.
    pub expires: Option<SystemTime>,
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount").field("name", &self.name).field("kind", &self.kind).finish()
    }
}

/// What to change of an account; `None` leaves a field as it is.
#[derive(Clone, Default)]
pub struct AccountChange {
    /// Whether it may do everything.
    pub is_admin: Option<bool>,
    /// Whether it may do nothing for now.
    pub is_disabled: Option<bool>,
    /// The hash of the password, or none any more.
    pub password: Option<Option<String>>,
    /// What it is for.
    pub description: Option<String>,
    /// From when on it may do nothing, or never.
    pub expires: Option<Option<SystemTime>>,
    /// Whether all tokens that were issued so far are worth nothing from now on: sets
    /// `tokens_valid_from` to the present and takes the refresh tokens away.
    pub revoke_tokens: bool,
    /// Whether to leave all as it is where this account is the last administrator who may log in for
    /// all time to come.
    pub spare_last_admin: bool,
}

impl fmt::Debug for AccountChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountChange").field("revoke_tokens", &self.revoke_tokens).finish()
    }
}

/// Whether something was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created<T = ()> {
    /// It was.
    Yes(T),
    /// The name is taken.
    Taken,
    /// What it should belong to is not there: a robot's owner, a team's organisation, a grant's
    /// account, team or organisation.
    NoOwner,
}

/// What a member may do with an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrganisationRole {
    /// Belongs to it.
    Member,
    /// May do everything with it, its teams, robots and repositories.
    Owner,
}

/// A member of an organisation or of a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: AccountName,
    /// What they may do with the organisation. Members of a team: that of the organisation.
    pub role: OrganisationRole,
}

/// The number of a grant in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub i64);

/// A grant to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// What is granted.
    pub grant: Grant,
    /// Who has granted it, for whoever asks.
    pub by: String,
}

/// A grant in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGrant {
    /// Its number.
    pub id: GrantId,
    /// What is granted.
    pub grant: Grant,
    /// Who has granted it.
    pub by: String,
    /// When.
    pub created: SystemTime,
}

/// Which grants are wanted.
#[derive(Clone, Debug, Default)]
pub struct GrantFilter {
    /// Those of a subject.
    pub subject: Option<Subject>,
    /// Those whose pattern [begins](RepositoryPattern::literal) with this component.
    pub namespace: Option<AccountName>,
}

/// All that decisions follow from, as it stood at one moment.
#[derive(Clone, Debug, Default)]
pub struct PolicyData {
    /// Grows with each change of accounts, members, teams, grants, or of what tokens are worth.
    pub generation: u64,
    /// All grants.
    pub grants: Vec<StoredGrant>,
    /// Who belongs to which organisation.
    pub members: Vec<(AccountName, AccountName, OrganisationRole)>,
    /// Who belongs to which team.
    pub team_members: Vec<(TeamName, AccountName)>,
}

/// The SHA-256 of a secret that is as long as no one can guess. The secret itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

/// The number of an access token in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessTokenId(pub i64);

/// A token to make, with which somebody logs in in place of a password.
#[derive(Clone, Debug)]
pub struct NewAccessToken {
    /// Whose it is: a user's or a robot's.
    pub account: AccountName,
    /// What its owner calls it. One of that name may be there already only if it is another
    /// account's.
    pub name: String,
    /// Its hash.
    pub hash: SecretHash,
    /// The most that it may do, whatever its owner may.
    pub role: Option<Role>,
    /// The only repositories that it is for.
    pub repositories: Option<RepositoryPattern>,
    /// From when on it is worth nothing.
    pub expires: Option<SystemTime>,
}

/// A token with which somebody logs in in place of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Its number.
    pub id: AccessTokenId,
    /// What its owner calls it.
    pub name: String,
    /// The most that it may do.
    pub role: Option<Role>,
    /// The only repositories that it is for.
    pub repositories: Option<RepositoryPattern>,
    /// From when on it is worth nothing.
    pub expires: Option<SystemTime>,
    /// When it was made.
    pub created: SystemTime,
    /// When it was used last, to the hour or so.
    pub used: Option<SystemTime>,
}

impl AccessToken {
    /// Whether its time is over.
    pub fn is_over(&self) -> bool {
        self.expires.is_some_and(|expires| expires <= SystemTime::now())
    }
}

/// A token and its owner.
#[derive(Clone, Debug)]
pub struct TokenOwner {
    /// The token.
    pub token: AccessToken,
    /// The owner.
    pub account: Account,
}

/// A refresh token to store.
#[derive(Clone, Debug)]
pub struct NewRefreshToken {
    /// Its hash.
    pub hash: SecretHash,
    /// Whose it is, as access tokens name them (`sub`).
    pub subject: String,
    /// The account, where it is one of the database, so that the token goes with it.
    pub account: Option<AccountName>,
    /// The access token that it was had with, so that it goes with that.
    pub access_token: Option<AccessTokenId>,
    /// For which client.
    pub client: String,
    /// What is known of the subject and has to be said in each access token, as JSON.
    pub details: String,
    /// From when on it is worth nothing.
    pub expires: SystemTime,
}

/// What became of the use of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshUse {
    /// It is good.
    Good {
        /// Whose it is.
        subject: String,
        /// For which client.
        client: String,
        /// What was stored with it.
        details: String,
        /// When it was made.
        created: SystemTime,
    },
    /// There is none, its time is over, or it was taken away.
    Unknown,
    /// It has been exchanged for another before. All that came of it were taken away: somebody has
    /// it who should not.
    Replayed,
}

/// A key that tokens are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name, `kid`.
    pub id: String,
    /// The private key, in PKCS#8 DER.
    pub private: Vec<u8>,
    /// When it was made.
    pub created: SystemTime,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditOutcome {
    /// It was allowed, and done.
    Done,
    /// It was allowed, and failed.
    Failed,
    /// It was not allowed.
    Denied,
}

impl AuditOutcome {
    /// The word for it, in the log and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Denied => "denied",
        }
    }
}

/// What is put into the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// When.
    pub time: SystemTime,
    /// Who, as tokens name them; `anonymous`.
    pub actor: String,
    /// What, such as `push` or `account.create`.
    pub action: String,
    /// The repository, or what else it was done to.
    pub target: String,
    /// The tag or the digest.
    pub reference: Option<String>,
    /// The digest, where there is one.
    pub digest: Option<String>,
    /// From where: an address.
    pub source: Option<String>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Why, where it was not done; or what was changed.
    pub detail: Option<String>,
    /// The request's id, as in the access log.
    pub request: Option<String>,
}

/// The number of a line of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditId(pub i64);

/// A line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number. A later one is greater.
    pub id: AuditId,
    /// What is there.
    pub entry: NewAudit,
}

/// Which lines of the audit log are wanted.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Whose.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// How it ended.
    pub outcome: Option<AuditOutcome>,
    /// Since when, this moment included.
    pub since: Option<SystemTime>,
    /// Before when.
    pub until: Option<SystemTime>,
}
