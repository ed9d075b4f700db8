use std::time::{Duration, Instant, SystemTime};

use berth_config::{GoDuration, Policy, RetentionRule};
use berth_metadata::{NewEvent, TagUse, UntaggedLook};
use berth_oci::{Digest, RepositoryName, Tag};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Retained;
use crate::control::Told;
use crate::retention::{Judge, Survey, Verdict};
use crate::services::collection::{Pace, rest};
use crate::{Registry, RegistryError};

/// How many names are read at a time.
const REPOSITORIES: u32 = 1000;
const TAGS: u32 = 1000;

/// How many tags are deleted in one transaction, which others wait for.
const DELETIONS: usize = 100;

/// How many manifests are looked at in one transaction.
const MANIFESTS: u32 = 500;

/// A run that goes on.
pub(super) struct Task<'t> {
    pub(super) registry: &'t Registry,
    /// The policy that is carried out.
    pub(super) policy: &'t Policy,
    /// The one that this process serves by: what is immutable there stays as well.
    pub(super) in_force: &'t Policy,
    pub(super) dry_run: bool,
    pub(super) pace: Pace,
    pub(super) stop: &'t CancellationToken,
    /// Who waits for it, and is told of each verdict.
    pub(super) tell: Option<&'t mpsc::Sender<Told>>,
    /// The beginning, by the database's clock.
    pub(super) now: SystemTime,
    pub(super) done: Retained,
}

impl Task<'_> {
    pub(super) async fn over_all(mut self) -> Result<Retained, RegistryError> {
        let mut after: Option<RepositoryName> = None;
        loop {
            let after_name = after.as_ref().map(RepositoryName::as_str);
            let page = self.registry.metadata.repositories(after_name, REPOSITORIES).await?;
            for name in &page.entries {
                self.repository(name).await?;
                if self.stop.is_cancelled() {
                    return Ok(self.done());
                }
            }
            after = page.entries.into_iter().last();
            if !page.more {
                return Ok(self.done());
            }
        }
    }

    pub(super) async fn over_one(
        mut self,
        name: &RepositoryName,
    ) -> Result<Retained, RegistryError> {
        if !self.registry.metadata.repository_exists(name).await? {
            return Err(RegistryError::NameUnknown(name.clone()));
        }
        self.repository(name).await?;
        Ok(self.done())
    }

    fn done(self) -> Retained {
        let done = Retained { dry_run: self.dry_run, ..self.done };
        if !self.dry_run {
            self.registry.metrics.retention.run_done();
        }
        done
    }

    async fn repository(&mut self, name: &RepositoryName) -> Result<(), RegistryError> {
        let policy = self.policy;
        let Some(rule) = policy.retention.rule_for(name.as_str()) else { return Ok(()) };
        self.done.repositories += 1;
        // Only who asks wants to know that all tags of a rule without entries stay.
        if !rule.keep.is_empty() || self.tell.is_some() {
            self.tags(name, rule).await?;
        }
        match rule.untagged {
            Some(age) => self.untagged(name, age.get()).await,
            None => Ok(()),
        }
    }

    /// Two passes over the tags: one to find what the newest are, one to judge.
    async fn tags(
        &mut self,
        name: &RepositoryName,
        rule: &RetentionRule,
    ) -> Result<(), RegistryError> {
        let mut survey = Survey::new(rule);
        let mut pages = Pages::default();
        if survey.counts() {
            let mut surveyed = Vec::new();
            while let Some(page) = pages.next(self, name).await? {
                page.iter().for_each(|tag| survey.note(tag));
                surveyed = page;
            }
            pages = pages.again(surveyed);
        }
        let judge = survey.finish();
        while let Some(page) = pages.next(self, name).await? {
            let going = self.judge(name, &judge, page).await;
            if self.dry_run {
                continue;
            }
            for tags in going.chunks(DELETIONS) {
                let begun = Instant::now();
                self.delete(name, tags.to_vec()).await?;
                rest(self.pace, begun, self.stop).await;
            }
        }
        Ok(())
    }

    /// Tells of the verdicts on some tags, and gives those that go.
    async fn judge(
        &mut self,
        name: &RepositoryName,
        judge: &Judge<'_>,
        tags: Vec<TagUse>,
    ) -> Vec<TagUse> {
        let mut going = Vec::new();
        for tag in tags {
            let immutable = |policy: &Policy| policy.immutable(name.as_str(), tag.tag.as_str());
            let immutable = immutable(self.policy).or_else(|| immutable(self.in_force));
            let verdict = judge.verdict(&tag, immutable, self.now);
            self.told_of(name, &tag.tag, &verdict).await;
            match verdict {
                Verdict::Keep(_) => self.done.kept_tags += 1,
                Verdict::Delete => going.push(tag),
            }
        }
        if self.dry_run {
            self.done.deleted_tags += going.len() as u64;
        }
        going
    }

    /// Of a dry run every verdict is told, of a real one those that delete.
    async fn told_of(&self, name: &RepositoryName, tag: &Tag, verdict: &Verdict<'_>) {
        let keep = verdict.keeps();
        let Some(tell) = self.tell else {
            if self.dry_run && !keep {
                info!(repository = %name, %tag, reason = %verdict, "the retention policy would delete a tag");
            }
            return;
        };
        if keep && !self.dry_run {
            return;
        }
        let told =
            Told::Verdict { keep, name: format!("{name}:{tag}"), reason: verdict.to_string() };
        // Whoever asked may have gone.
        let _ = tell.send(told).await;
    }

    async fn delete(
        &mut self,
        name: &RepositoryName,
        tags: Vec<TagUse>,
    ) -> Result<(), RegistryError> {
        let seen = tags.len() as u64;
        let events = self.events(name);
        let deleted = self
            .registry
            .metadata
            .expire_tags(name, tags, self.registry.keep().undelete, &events)
            .await?;
        for tag in &deleted {
            debug!(repository = %name, %tag, "the retention policy deleted a tag");
            self.registry.notifications.recorded(&events);
        }
        let count = deleted.len() as u64;
        self.done.deleted_tags += count;
        // Somebody has pushed or pulled them since.
        self.done.kept_tags += seen - count;
        self.registry.metrics.retention.deleted_tags.inc_by(count);
        Ok(())
    }

    /// Deletes untagged manifests whose time is over. What an index or a subject stood for stands alone
    /// when that has gone, so it goes over them until there are none.
    async fn untagged(
        &mut self,
        name: &RepositoryName,
        age: Duration,
    ) -> Result<(), RegistryError> {
        let keep = self.registry.keep();
        let events = self.events(name);
        let mut in_pass = 0;
        let mut after = None;
        while !self.stop.is_cancelled() {
            let begun = Instant::now();
            let look = UntaggedLook { after, limit: MANIFESTS, age, keep, dry_run: self.dry_run };
            let page = self.registry.metadata.expire_untagged(name, look, &events).await?;
            for digest in &page.manifests {
                self.told_of_manifest(name, digest, age, &events).await;
            }
            in_pass += page.manifests.len() as u64;
            after = page.next;
            if after.is_none() {
                self.done.deleted_manifests += in_pass;
                if self.dry_run || std::mem::take(&mut in_pass) == 0 {
                    return Ok(());
                }
            }
            rest(self.pace, begun, self.stop).await;
        }
        self.done.deleted_manifests += in_pass;
        Ok(())
    }

    async fn told_of_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        age: Duration,
        events: &[NewEvent],
    ) {
        let dry_run = self.dry_run;
        if !dry_run {
            debug!(repository = %name, %digest, "the retention policy deleted an untagged manifest");
            self.registry.notifications.recorded(events);
            self.registry.metrics.retention.deleted_manifests.inc();
        }
        match self.tell {
            Some(tell) => {
                let age = GoDuration::from(age);
                let told = Told::Verdict {
                    keep: false,
                    name: format!("{name}@{digest}"),
                    reason: format!("untagged for {age}"),
                };
                let _ = tell.send(told).await;
            }
            None if dry_run => {
                info!(repository = %name, %digest, "the retention policy would delete an untagged manifest");
            }
            None => {}
        }
    }

    fn events(&self, name: &RepositoryName) -> Vec<NewEvent> {
        match self.dry_run {
            true => Vec::new(),
            false => self.registry.notifications.deleted_by_policy(name),
        }
    }
}

/// The tags of a repository, a page at a time.
#[derive(Default)]
struct Pages {
    after: Option<Tag>,
    /// When the page before was asked for.
    begun: Option<Instant>,
    at_end: bool,
    pages: u64,
    /// The only page, which need not be read again.
    only: Option<Vec<TagUse>>,
}

impl Pages {
    /// The same tags from the beginning, once they were read to the end; `last` is the last page of them.
    fn again(self, last: Vec<TagUse>) -> Self {
        let only = (self.at_end && self.pages == 1).then_some(last);
        Self { only, ..Self::default() }
    }

    async fn next(
        &mut self,
        task: &Task<'_>,
        name: &RepositoryName,
    ) -> Result<Option<Vec<TagUse>>, RegistryError> {
        if self.at_end || task.stop.is_cancelled() {
            return Ok(None);
        }
        if let Some(only) = self.only.take() {
            self.at_end = true;
            return Ok(Some(only));
        }
        if let Some(begun) = self.begun {
            rest(task.pace, begun, task.stop).await;
        }
        self.begun = Some(Instant::now());
        let after = self.after.as_ref().map(Tag::as_str);
        let page = task.registry.metadata.tag_uses(name, after, TAGS).await?;
        self.at_end = !page.more;
        self.pages += 1;
        self.after = page.entries.last().map(|last| last.tag.clone());
        Ok(Some(page.entries))
    }
}
