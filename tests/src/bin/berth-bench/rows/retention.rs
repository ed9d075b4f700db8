//! Deciding what a retention policy keeps of many tags in one repository.

use anyhow::Result;

use super::growth::name;
use super::{Row, command};
use crate::Bench;
use crate::million::Shape;
use crate::peers::BERTH;
use crate::results::RowRun;

pub(crate) const CASE: &str = "berth retention --dry-run";

/// Every kind of condition, and the most tags that one may count.
const RULES: &str = "[{repositories: ['**'], untagged: 1h, keep: [
    {tags: ['t*7'], newestpushed: 10000, newestpulled: 10000},
    {tags: ['t*9'], pushedwithin: 1s, pulledwithin: 1s},
    {semver: '>=1', newestsemver: 10000}]}]";

pub(super) fn run(bench: &Bench, run: &mut RowRun) -> Result<()> {
    let settings = &bench.settings;
    run.setting(format!(
        "a dry run over one repository, each tag with a manifest of its own, every verdict told; the policy has every kind \
         of condition, those that count with 10,000 tags; names in SQLite, in the page cache; {} rounds",
        settings.rounds,
    ));
    let berth = bench.berth()?;
    // A tenth is enough to fill all that may be remembered.
    let sizes = [settings.tags[1] / 10, settings.tags[1]];
    for tags in sizes {
        let shape = Shape { tags, each: tags };
        let data = shape.prepare(&bench.cache)?;
        let launch = Row::Retention.launch(bench, BERTH)?.on(&data);
        for round in 0..settings.rounds {
            let mut command = berth.tool(&launch, &["retention", "--dry-run"])?;
            command.env("REGISTRY_POLICY_RETENTION_RULES", RULES);
            run.record(CASE, &name(shape), round, &command::measure(command)?);
        }
    }
    Ok(())
}
