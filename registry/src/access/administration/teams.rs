use berth_metadata::{Created, Member, Page};
use berth_oci::access::{AccountName, TeamName};

use super::{Administration, AdministrationError};

impl Administration {
    /// The teams of an organisation behind `after`.
    pub(crate) async fn teams(
        &self,
        organisation: &AccountName,
        after: Option<&TeamName>,
        limit: u32,
    ) -> Result<Page<TeamName>, AdministrationError> {
        self.organisation(organisation).await?;
        Ok(self.store.teams(organisation, after, limit).await?)
    }

    /// Makes a team.
    pub(crate) async fn create_team(&self, team: &TeamName) -> Result<(), AdministrationError> {
        self.decided_organisation(team.organisation()).await?;
        match self.store.create_team(team).await? {
            Created::Yes(()) => {
                self.put_in_force().await;
                Ok(())
            }
            Created::Taken => Err(AdministrationError::Taken(team.to_string())),
            Created::NoOwner => Err(AdministrationError::no_account(team.organisation())),
        }
    }

    /// Deletes a team, with the grants to it.
    pub(crate) async fn delete_team(&self, team: &TeamName) -> Result<(), AdministrationError> {
        self.decided_organisation(team.organisation()).await?;
        if !self.store.delete_team(team).await? {
            return Err(no_team(team));
        }
        self.put_in_force().await;
        Ok(())
    }

    /// The members of a team behind `after`.
    pub(crate) async fn team_members(
        &self,
        team: &TeamName,
        after: Option<&AccountName>,
        limit: u32,
    ) -> Result<Page<Member>, AdministrationError> {
        self.organisation(team.organisation()).await?;
        self.require_team(team).await?;
        Ok(self.store.team_members(team, after, limit).await?)
    }

    /// Makes a user a member of a team, and of its organisation.
    pub(crate) async fn add_to_team(
        &self,
        team: &TeamName,
        user: &AccountName,
    ) -> Result<(), AdministrationError> {
        self.decided_organisation(team.organisation()).await?;
        self.require_team(team).await?;
        if !self.store.add_team_member(team, user).await? {
            return Err(AdministrationError::no_account(user));
        }
        self.put_in_force().await;
        Ok(())
    }

    /// Takes a user out of a team; they stay in the organisation.
    pub(crate) async fn remove_from_team(
        &self,
        team: &TeamName,
        user: &AccountName,
    ) -> Result<(), AdministrationError> {
        self.decided_organisation(team.organisation()).await?;
        if !self.store.remove_team_member(team, user).await? {
            return Err(AdministrationError::NotFound(format!("{user} is not in {team}")));
        }
        self.put_in_force().await;
        Ok(())
    }

    /// Refuses a team that is not there. Names are listed in order, so that it is the first of its own.
    async fn require_team(&self, team: &TeamName) -> Result<(), AdministrationError> {
        let mut after: Option<TeamName> = None;
        loop {
            let page = self.store.teams(team.organisation(), after.as_ref(), 1000).await?;
            if page.entries.contains(team) {
                return Ok(());
            }
            match page.entries.into_iter().next_back() {
                Some(last) if page.more && last < *team => after = Some(last),
                _ => return Err(no_team(team)),
            }
        }
    }
}

fn no_team(team: &TeamName) -> AdministrationError {
    AdministrationError::not_found("team", team)
}
