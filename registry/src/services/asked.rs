//! What commands ask for, told in lines that a person reads.

use std::time::SystemTime;

use berth_metadata::Deletion;
use berth_oci::{Reference, RepositoryName};
use jiff::{Timestamp, Unit};
use tokio::sync::mpsc;

use crate::control::Told;
use crate::{ContentName, Registry, RegistryError};

/// From so many on, manifests and tags of a deletion are not counted.
const UNCOUNTED: u64 = 1000;

impl Registry {
    /// Deletes what is named.
    pub(crate) async fn delete_as_asked(
        &self,
        name: &ContentName,
        tell: &mpsc::Sender<Told>,
    ) -> Result<(), RegistryError> {
        let origin = self.notifications.own_origin(&self.config());
        let ContentName { repository, reference } = name;
        match reference {
            Some(reference) => self.delete_manifest(repository, reference, &origin).await?,
            None => self.delete_repository(repository, &origin).await?,
        }
        self.settle_links().await?;
        let undelete = self.keep().undelete;
        line(
            tell,
            match undelete.is_zero() {
                true => format!("deleted {name}"),
                false => {
                    let until = moment(self.metadata.now().await? + undelete);
                    format!("deleted {name}; `berth restore {name}` brings it back until {until}")
                }
            },
        )
        .await;
        Ok(())
    }

    /// Brings back what is named.
    pub(crate) async fn restore_as_asked(
        &self,
        name: &ContentName,
        tell: &mpsc::Sender<Told>,
    ) -> Result<(), RegistryError> {
        let origin = self.notifications.own_origin(&self.config());
        let is_restored = self.restore(name, &origin, tell).await?;
        self.settle_links().await?;
        if !is_restored {
            return Err(RegistryError::NothingRestored(name.clone()));
        }
        Ok(())
    }

    /// Tells what can be had back.
    pub(crate) async fn tell_deletions(
        &self,
        repository: Option<&RepositoryName>,
        tell: &mpsc::Sender<Told>,
    ) -> Result<(), RegistryError> {
        let mut before = None;
        loop {
            let page = self.deletions(repository, before).await?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.id);
            for deletion in &page {
                line(tell, describe(deletion)).await;
            }
        }
    }
}

async fn line(tell: &mpsc::Sender<Told>, text: String) {
    // Whoever asked may have gone.
    let _ = tell.send(Told::Line(text)).await;
}

fn describe(deletion: &Deletion) -> String {
    let Deletion { repository, reference, deleted_at, until, manifests, tags, .. } = deletion;
    let name = ContentName { repository: repository.clone(), reference: reference.clone() };
    let what = match reference {
        Some(Reference::Tag(_)) => String::new(),
        _ => format!(", {} and {}", count(*manifests, "manifest"), count(*tags, "tag")),
    };
    let (deleted_at, until) = (moment(*deleted_at), moment(*until));
    format!("{name}{what}: deleted {deleted_at}, can be had back until {until}")
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        UNCOUNTED.. => format!("{UNCOUNTED} or more {what}s"),
        _ => format!("{number} {what}s"),
    }
}

/// A time to the second.
fn moment(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    time.round(Unit::Second).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_as_far_as_they_are_known() {
        let told = [0, 1, 2, 1000].map(|number| count(number, "tag"));
        assert_eq!(told, ["0 tags", "1 tag", "2 tags", "1000 or more tags"]);
    }
}
