//! Checks of the `policy` section.

use super::Invalid;
use crate::error::ConfigError;
use crate::{Glob, GoDuration, Keep, Policy, Quota, RetentionRule};

pub(super) fn policy(policy: &Policy, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    for (place, rule) in policy.immutabletags.iter().enumerate() {
        let key = |key: &str| format!("policy.immutabletags.{place}.{key}");
        named(&rule.repositories, &key("repositories"), "**", invalid)?;
        named(&rule.tags, &key("tags"), "*", invalid)?;
    }
    let retention = &policy.retention;
    if retention.interval.is_zero() {
        return invalid("policy.retention.interval", MORE_THAN_0.to_owned());
    }
    for place in 0..retention.rules.len() {
        retention_rule(&retention.rules, place, invalid)?;
    }
    for place in 0..policy.quotas.len() {
        quota(&policy.quotas, place, invalid)?;
    }
    Ok(())
}

fn quota(quotas: &[Quota], place: usize, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let quota = &quotas[place];
    let at = format!("policy.quotas.{place}");
    let same = quotas[..place].iter().position(|other| other.repositories == quota.repositories);
    if let Some(other) = same {
        let message = format!(
            "`policy.quotas[{other}]` has a quota for `{}` already: put all limits of it into one",
            quota.repositories
        );
        return invalid(&format!("{at}.repositories"), message);
    }
    if quota.bytes.is_none() && quota.manifests.is_none() && quota.tags.is_none() {
        return invalid(
            &at,
            "it limits nothing: set `bytes`, `manifests` or `tags`, or several of them".to_owned(),
        );
    }
    Ok(())
}

const MORE_THAN_0: &str = "it must be more than 0";

/// A list of globs without any would name nothing.
fn named(globs: &[Glob], key: &str, all: &str, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    match globs {
        [] => invalid(key, format!("it must name some: write for example `[\"{all}\"]` for all")),
        _ => Ok(()),
    }
}

fn retention_rule(
    rules: &[RetentionRule],
    place: usize,
    invalid: Invalid<'_>,
) -> Result<(), ConfigError> {
    let rule = &rules[place];
    let at = format!("policy.retention.rules.{place}");
    let key = |key: &str| format!("{at}.{key}");
    named(&rule.repositories, &key("repositories"), "**", invalid)?;
    if let Some(message) = never_asked(&rules[..place], rule) {
        return invalid(&key("repositories"), message);
    }
    if rule.untagged.is_none() && rule.keep.is_empty() {
        return invalid(
            &at,
            "it deletes nothing: say which tags stay with `keep`, when untagged manifests go with `untagged`, or both"
                .to_owned(),
        );
    }
    more_than_0(&key("untagged"), rule.untagged, invalid)?;
    for (place, keep) in rule.keep.iter().enumerate() {
        keep_entry(keep, &key(&format!("keep.{place}")), invalid)?;
    }
    Ok(())
}

/// Why a rule, or a part of it, could never decide: the first one that names a repository does.
fn never_asked(before: &[RetentionRule], rule: &RetentionRule) -> Option<String> {
    before.iter().enumerate().find_map(|(place, other)| {
        let covers = |glob: &&Glob| {
            other.repositories.iter().any(|earlier| earlier == *glob || earlier.matches_all())
        };
        let glob = rule.repositories.iter().find(covers)?;
        Some(format!(
            "`policy.retention.rules[{place}]` comes first and decides for `{glob}`: put this rule before it, or name other repositories"
        ))
    })
}

fn keep_entry(keep: &Keep, at: &str, invalid: Invalid<'_>) -> Result<(), ConfigError> {
    let key = |key: &str| format!("{at}.{key}");
    if keep.is_unconditional() && keep.tags.is_empty() && keep.semver.is_none() {
        return invalid(
            at,
            "it keeps every tag: say which with `tags`, `semver`, `newestpushed` or another condition, or leave out all of `keep`"
                .to_owned(),
        );
    }
    let counts = keep.counts().into_iter().filter_map(|(name, count)| Some((name, count?)));
    for (name, count) in counts {
        if !(1..=Keep::MOST).contains(&count) {
            return invalid(&key(name), format!("it must be from 1 to {}", Keep::MOST));
        }
    }
    more_than_0(&key("pushedwithin"), keep.pushedwithin, invalid)?;
    more_than_0(&key("pulledwithin"), keep.pulledwithin, invalid)
}

fn more_than_0(
    key: &str,
    duration: Option<GoDuration>,
    invalid: Invalid<'_>,
) -> Result<(), ConfigError> {
    match duration {
        Some(duration) if duration.is_zero() => invalid(key, MORE_THAN_0.to_owned()),
        _ => Ok(()),
    }
}
