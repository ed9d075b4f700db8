use std::process::ExitCode;

use anyhow::Result;
use berth_config::GoDuration;
use clap::Args;

use super::administer::{Common, ago, encode};

/// `berth audit`.
#[derive(Debug, Args)]
pub(crate) struct AuditOptions {
    /// What somebody did.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// What was done, for example push.
    #[arg(long)]
    action: Option<String>,
    /// What was done for so long, for example 24h.
    #[arg(long, value_name = "TIME")]
    since: Option<GoDuration>,
    /// The most lines.
    #[arg(long, default_value_t = 100)]
    limit: u32,
}

/// Shows the newest lines.
pub(crate) fn run(options: AuditOptions, common: &Common) -> Result<ExitCode> {
    let mut target = format!("/api/v1/audit?limit={}", options.limit);
    let since = options.since.map(ago).transpose()?;
    let since = since.and_then(|since| since.as_str().map(str::to_owned));
    for (name, value) in [("actor", options.actor), ("action", options.action), ("since", since)] {
        if let Some(value) = value {
            target.push_str(&format!("&{name}={}", encode(&value)));
        }
    }
    common.page(
        &target,
        &[
            ("TIME", "time"),
            ("ACTOR", "actor"),
            ("ACTION", "action"),
            ("TARGET", "target"),
            ("REFERENCE", "reference"),
            ("OUTCOME", "outcome"),
            ("SOURCE", "source"),
            ("DETAIL", "detail"),
        ],
    )
}
