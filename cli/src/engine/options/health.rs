//! How to find out whether a container is well.

use anyhow::{Result, bail};
use berth_runner::spec::{ContainerConfig, Healthcheck};
use clap::Args;

/// Options of the health check.
#[derive(Args, Debug)]
pub(super) struct HealthOptions {
    /// Command to run to check health
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between running the check (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    health_interval: Option<i64>,
    /// Maximum time to allow one check to run (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    health_timeout: Option<i64>,
    /// Start period for the container to initialize before starting health-retries countdown
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    health_start_period: Option<i64>,
    /// Time between running the check during the start period (ms|s|m|h) (default 0s)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    health_start_interval: Option<i64>,
    /// Consecutive failures needed to report unhealthy
    #[arg(long, value_name = "NUMBER")]
    health_retries: Option<i64>,
    /// Disable any container-specified HEALTHCHECK
    #[arg(long)]
    no_healthcheck: bool,
}

/// Nanoseconds, as Go writes them: `1m30s`, `1.5h`, `100ms`.
fn duration(text: &str) -> Result<i64, String> {
    let bad = || format!("time: invalid duration {text:?}");
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let (number, after) = rest.split_at(end.ok_or_else(bad)?);
        let end = after.find(|letter: char| letter.is_ascii_digit() || letter == '.');
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let unit = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(bad()),
        };
        nanoseconds += number.parse::<f64>().map_err(|_| bad())? * unit;
        rest = after;
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a cast of a number too great is the greatest"
    )]
    if text.is_empty() { Err(bad()) } else { Ok(nanoseconds as i64) }
}

impl HealthOptions {
    pub(super) fn apply(self, config: &mut ContainerConfig) -> Result<()> {
        let check = Healthcheck {
            test: self
                .health_cmd
                .map_or_else(Vec::new, |command| vec!["CMD-SHELL".to_owned(), command]),
            interval: self.health_interval.unwrap_or_default(),
            timeout: self.health_timeout.unwrap_or_default(),
            start_period: self.health_start_period.unwrap_or_default(),
            start_interval: self.health_start_interval.unwrap_or_default(),
            retries: self.health_retries.unwrap_or_default(),
        };
        let is_set = check != Healthcheck::default();
        if self.no_healthcheck && is_set {
            bail!("--no-healthcheck conflicts with --health-* options");
        }
        if self.no_healthcheck {
            let test = vec!["NONE".to_owned()];
            config.healthcheck = Some(Healthcheck { test, ..Healthcheck::default() });
        } else if is_set {
            config.healthcheck = Some(check);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_go_writes_them() {
        for (text, expected) in [
            ("1m30s", 90_000_000_000),
            ("100ms", 100_000_000),
            ("1.5h", 5_400_000_000_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        for text in ["", "1", "s", "1x", "1s2"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
