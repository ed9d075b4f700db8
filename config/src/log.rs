//! The `log` section.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Opaque;

/// What is logged, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least severe messages that are logged.
    #[schemars(extend("x-berth-reload" = true))]
    pub level: LogLevel,
    /// The form of a line.
    pub formatter: LogFormatter,
    /// Fields that every line carries, as `name: value`.
    pub fields: BTreeMap<String, String>,
    /// The access log: one line for each request.
    #[schemars(extend("x-berth-reload" = true))]
    pub accesslog: AccessLog,
    /// Hooks that mail log lines.
    #[serde(skip_serializing)]
    #[schemars(extend("x-berth-ignored" = "berth mails no log lines: alert on the log or on the metrics"))]
    pub hooks: Opaque,
}

/// The least severe messages that are logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what needs somebody's attention.
    Error,
    /// Also what is odd but was dealt with.
    Warn,
    /// Also what happens in normal service.
    #[default]
    Info,
    /// Also what helps to find a fault.
    Debug,
}

impl LogLevel {
    /// The name, which is also a valid `tracing` filter directive.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormatter {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// A form of `registry:2`; here the same as `json`.
    Logstash,
}

/// The access log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessLog {
    /// Whether the access log is off.
    pub disabled: bool,
}
