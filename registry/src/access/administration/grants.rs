use berth_metadata::{Created, GrantFilter, GrantId, NewGrant, Page, StoredGrant};
use berth_oci::access::{AccountName, Grant, RepositoryPattern, Subject};

use super::{Administration, AdministrationError, Scope, Standing};

impl Administration {
    /// Grants behind `after`. Whoever is no administrator sees those of a name space that they decide
    /// over, their own if they name none.
    pub(crate) async fn grants(
        &self,
        filter: GrantFilter,
        after: Option<GrantId>,
        limit: u32,
    ) -> Result<Page<StoredGrant>, AdministrationError> {
        let mut filter = filter;
        if let Scope::Own(own) = &self.scope {
            self.require_over(filter.namespace.get_or_insert_with(|| own.clone()))?;
        }
        Ok(self.store.grants(&filter, after, limit).await?)
    }

    /// A grant.
    pub(crate) async fn grant(&self, id: GrantId) -> Result<StoredGrant, AdministrationError> {
        let grant = self.store.grant(id).await?;
        grant
            .filter(|stored| self.decides_over(&stored.grant.repositories))
            .ok_or_else(|| no_grant(id))
    }

    /// Makes a grant. One that is there already stays as it is.
    pub(crate) async fn add_grant(&self, grant: Grant) -> Result<StoredGrant, AdministrationError> {
        if !self.decides_over(&grant.repositories) {
            return Err(AdministrationError::denied(
                "only administrators make grants beyond the repositories below their own name and below the organisations that they own",
            ));
        }
        self.require_subject(&grant.subject)?;
        let subject = grant.subject.clone();
        let new = NewGrant { grant, by: self.asker.name().to_owned() };
        let id = match self.store.add_grant(&new).await? {
            Created::Yes(id) => id,
            // A grant cannot be taken: one that is there keeps its number.
            Created::Taken | Created::NoOwner => return Err(no_subject(&subject)),
        };
        self.put_in_force().await;
        self.grant(id).await
    }

    /// Takes a grant away.
    pub(crate) async fn remove_grant(&self, id: GrantId) -> Result<(), AdministrationError> {
        let stored = self.grant(id).await?;
        self.refuse_broad(&stored.grant.subject)?;
        if !self.store.remove_grant(id).await? {
            return Err(no_grant(id));
        }
        self.put_in_force().await;
        Ok(())
    }

    /// Whether whoever asks says who may use these repositories.
    fn decides_over(&self, repositories: &RepositoryPattern) -> bool {
        if matches!(self.scope, Scope::All) {
            return true;
        }
        // What is below a name begins with it; the name alone is a repository of nobody's.
        let Some((first, _)) = repositories.as_str().split_once('/') else { return false };
        let first: Result<AccountName, _> = first.parse();
        first.is_ok_and(|first| self.standing(&first) == Standing::Over)
    }

    /// Refuses subjects that are broader than whoever asks may decide, or that they may not see.
    fn require_subject(&self, subject: &Subject) -> Result<(), AdministrationError> {
        if matches!(self.scope, Scope::All) {
            return Ok(());
        }
        self.refuse_broad(subject)?;
        let is_known = match subject {
            Subject::Anyone | Subject::Authenticated => true,
            Subject::Account(name) if name.is_robot() => self.standing(name) == Standing::Over,
            Subject::Account(_) | Subject::Workload(_) => true,
            Subject::Organisation(name) => self.standing(name) != Standing::Stranger,
            Subject::Team(team) => self.standing(team.organisation()) != Standing::Stranger,
        };
        match is_known {
            true => Ok(()),
            false => Err(no_subject(subject)),
        }
    }

    /// Refuses what is granted to everybody, unless whoever asks decides over everybody.
    fn refuse_broad(&self, subject: &Subject) -> Result<(), AdministrationError> {
        match (&self.scope, subject) {
            (Scope::Own(_), Subject::Anyone | Subject::Authenticated) => {
                Err(AdministrationError::denied(
                    "only administrators decide about grants to anyone and to authenticated",
                ))
            }
            _ => Ok(()),
        }
    }
}

fn no_grant(id: GrantId) -> AdministrationError {
    AdministrationError::not_found("grant", id.0)
}

fn no_subject(subject: &Subject) -> AdministrationError {
    AdministrationError::NotFound(format!("there is no {}", subject.to_string().replace(':', " ")))
}
