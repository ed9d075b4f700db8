//! How much of a log is kept: `--log-driver` and `--log-opt`.

use super::attributes::OPTIONS;
use crate::containers::error::ContainerError;
use crate::spec::LogConfig;

const MAX_SIZE: u64 = 10_000_000;
const MAX_FILE: u64 = 3;

/// What is kept. Without a word it is bounded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogOptions {
    /// Whether anything is.
    pub keep: bool,
    /// At how many bytes a file is full; none is never.
    pub max_size: Option<u64>,
    /// How many files there are at most.
    pub max_file: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { keep: true, max_size: Some(MAX_SIZE), max_file: MAX_FILE }
    }
}

impl LogOptions {
    /// Reads what a container was created with.
    ///
    /// # Errors
    ///
    /// For drivers and options that there are not, in docker's words.
    pub fn new(config: &LogConfig) -> Result<Self, ContainerError> {
        let mut options = Self::default();
        let driver = match config.kind.as_str() {
            "" | "json-file" => "json-file",
            "local" => "local",
            "none" => "none",
            other => {
                return Err(ContainerError::Invalid(format!(
                    "logger: no log driver named '{other}' is registered"
                )));
            }
        };
        options.keep = driver != "none";
        for (name, value) in &config.config {
            match name.as_str() {
                "max-size" if driver != "none" => options.max_size = size(value)?,
                "max-file" if driver != "none" => options.max_file = count(value)?,
                // Old files are small enough as they are.
                "compress" if driver != "none" => {}
                name if driver != "none" && OPTIONS.contains(&name) => {}
                // Nothing is lost for want of a buffer.
                "mode" | "max-buffer-size" => {}
                _ => {
                    return Err(ContainerError::Invalid(format!(
                        "unknown log opt '{name}' for {driver} log driver"
                    )));
                }
            }
        }
        Ok(options)
    }
}

fn size(text: &str) -> Result<Option<u64>, ContainerError> {
    if text == "-1" {
        return Ok(None);
    }
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, factor) = match lower.as_bytes().last() {
        Some(b'k') => (&lower[..lower.len() - 1], 1000),
        Some(b'm') => (&lower[..lower.len() - 1], 1_000_000),
        Some(b'g') => (&lower[..lower.len() - 1], 1_000_000_000),
        _ => (lower, 1),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    match bytes {
        Some(bytes) if bytes > 0 => Ok(Some(bytes)),
        _ => Err(ContainerError::Invalid(format!(
            "invalid value for max-size: invalid size: '{text}'"
        ))),
    }
}

fn count(text: &str) -> Result<u64, ContainerError> {
    match text.parse() {
        Ok(0) => Err(ContainerError::Invalid("max-file cannot be less than 1".to_owned())),
        Ok(count) => Ok(count),
        Err(_) => Err(ContainerError::Invalid(format!("invalid value for max-file: {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, options: &[(&str, &str)]) -> Result<LogOptions, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let config =
            LogConfig { kind: kind.to_owned(), config: options.iter().map(owned).collect() };
        LogOptions::new(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn logs_are_bounded_unless_somebody_says_otherwise() {
        assert_eq!(read("", &[]).unwrap(), LogOptions::default());
        assert_eq!(read("json-file", &[("max-size", "-1")]).unwrap().max_size, None);
        let read = |size| read("local", &[("max-size", size), ("max-file", "5")]).unwrap();
        assert_eq!((read("10k").max_size, read("10k").max_file), (Some(10_000), 5));
        assert_eq!(read("2M").max_size, Some(2_000_000));
        assert_eq!(read("1gb").max_size, Some(1_000_000_000));
        assert_eq!(read("7").max_size, Some(7));
    }

    #[test]
    fn what_there_is_not_is_refused() {
        assert_eq!(
            read("syslog", &[]).unwrap_err(),
            "logger: no log driver named 'syslog' is registered"
        );
        assert_eq!(
            read("", &[("max-sise", "1m")]).unwrap_err(),
            "unknown log opt 'max-sise' for json-file log driver"
        );
        for (name, value) in
            [("max-size", "x"), ("max-size", "0"), ("max-size", "-2"), ("max-file", "0")]
        {
            assert!(read("", &[(name, value)]).is_err(), "{name}={value}");
        }
        assert!(!read("none", &[]).unwrap().keep);
    }
}
