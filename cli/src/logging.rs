use std::io::IsTerminal as _;

use anyhow::{Context, Result};
use berth_config::{Config, LogFormatter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, reload};

/// Changes the level of the log while it runs.
pub(crate) struct LogLevel {
    handle: reload::Handle<EnvFilter, tracing_subscriber::Registry>,
}

/// Starts the log on standard error, as text or as JSON lines. The access log and the greeting go
/// to standard output.
pub(crate) fn start(config: &Config) -> Result<LogLevel> {
    let (filter, handle) = reload::Layer::new(filter(config));
    let writer = std::io::stderr;
    let layer = match config.log.formatter {
        LogFormatter::Text => {
            fmt::layer().with_writer(writer).with_target(false).with_ansi(has_colours()).boxed()
        }
        _ => fmt::layer().json().flatten_event(true).with_writer(writer).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(layer).try_init().context("the log")?;
    Ok(LogLevel { handle })
}

/// Whether whoever reads the log sees colours, and wants them (<https://no-color.org>).
fn has_colours() -> bool {
    let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    is_wanted && std::io::stderr().is_terminal()
}

impl LogLevel {
    /// Applies the level of another configuration.
    pub(crate) fn reload(&self, config: &Config) -> Result<()> {
        self.handle.reload(filter(config)).context("the log level")
    }
}

/// The configured level for our own crates; libraries speak up only when something is wrong.
fn filter(config: &Config) -> EnvFilter {
    let level = config.log.level.as_str();
    let ours = ["berth", "berth_registry", "berth_metadata", "berth_storage_backends"];
    let ours: Vec<_> = ours.iter().map(|name| format!("{name}={level}")).collect();
    EnvFilter::new(format!("warn,{}", ours.join(",")))
}
