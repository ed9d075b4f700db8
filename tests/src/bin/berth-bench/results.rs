//! What was measured, as it is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::machine::{self, Machine};

const FILE: &str = "results.json";

/// Everything that the page is made from.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// Whether the sizes are those of a quick run, whose numbers say little.
    pub(crate) quick: bool,
    /// Each peer's version.
    pub(crate) peers: BTreeMap<String, String>,
    /// The rows that were measured, by name.
    pub(crate) rows: BTreeMap<String, RowRun>,
}

/// One row of the table.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct RowRun {
    pub(crate) began: String,
    pub(crate) seconds: f64,
    /// The load average of the minute before.
    pub(crate) load_before: f64,
    /// What exactly was done.
    pub(crate) settings: Vec<String>,
    /// What a reader should know beside the numbers.
    pub(crate) notes: Vec<String>,
    pub(crate) samples: Vec<Sample>,
    /// Values over time.
    pub(crate) series: Vec<Series>,
}

/// One measured value.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    pub(crate) case: String,
    pub(crate) peer: String,
    pub(crate) metric: Metric,
    pub(crate) round: usize,
    pub(crate) value: f64,
}

/// Seconds since the start, and a value.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Series {
    pub(crate) case: String,
    pub(crate) peer: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    RequestsPerSecond,
    MedianMilliseconds,
    P99Milliseconds,
    ServerMicrosecondsPerRequest,
    MebibytesPerSecond,
    ServerSecondsPerGibibyte,
    StoreSecondsPerGibibyte,
    ClientSecondsPerGibibyte,
    Seconds,
    TimesTheFloor,
    BlobsPerSecond,
    ServerMicrosecondsPerBlob,
    PeakMebibytes,
    IdleMebibytes,
    AnonymousMebibytes,
    ProportionalMebibytes,
    Milliseconds,
    StoreRequests,
    StoreCopies,
    TimesTheBlob,
    ServerSeconds,
    ObjectsPerSecond,
}

/// The middle of some values, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Metric {
    /// The heading of a column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests/s",
            Self::MedianMilliseconds => "p50, ms",
            Self::P99Milliseconds => "p99, ms",
            Self::ServerMicrosecondsPerRequest => "server CPU, µs per request",
            Self::MebibytesPerSecond => "MiB/s",
            Self::ServerSecondsPerGibibyte => "server CPU, s per GiB",
            Self::StoreSecondsPerGibibyte => "store CPU, s per GiB",
            Self::ClientSecondsPerGibibyte => "client CPU, s per GiB",
            Self::Seconds => "seconds",
            Self::TimesTheFloor => "times the floor",
            Self::BlobsPerSecond => "blobs/s",
            Self::ServerMicrosecondsPerBlob => "server CPU, µs per blob",
            Self::PeakMebibytes => "peak RSS, MiB",
            Self::IdleMebibytes => "RSS, MiB",
            Self::AnonymousMebibytes => "of it anonymous, MiB",
            Self::ProportionalMebibytes => "PSS, MiB",
            Self::Milliseconds => "ms",
            Self::StoreRequests => "requests to the store",
            Self::TimesTheBlob => "bytes sent to the store, times the blob",
            Self::StoreCopies => "of them copies",
            Self::ServerSeconds => "server CPU, s",
            Self::ObjectsPerSecond => "objects/s",
        }
    }
}

impl Results {
    /// Those of earlier runs, or none.
    pub(crate) fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&path)?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is of another version: remove it", path.display()))
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(fs::write(folder.join(FILE), text)?)
    }
}

impl RowRun {
    pub(crate) fn begin() -> Self {
        Self {
            began: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
            seconds: 0.0,
            load_before: machine::load_average(),
            settings: Vec::new(),
            notes: Vec::new(),
            samples: Vec::new(),
            series: Vec::new(),
        }
    }

    pub(crate) fn setting(&mut self, text: impl Into<String>) {
        self.settings.push(text.into());
    }

    /// Keeps a remark, once.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        println!("note: {text}");
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    pub(crate) fn record(
        &mut self,
        case: &str,
        peer: &str,
        round: usize,
        values: &[(Metric, f64)],
    ) {
        let shown: Vec<String> =
            values.iter().map(|(metric, value)| format!("{value:.2} {}", metric.title())).collect();
        println!("{case:<34} {peer:<24} {}", shown.join("; "));
        self.samples.extend(values.iter().map(|&(metric, value)| Sample {
            case: case.to_owned(),
            peer: peer.to_owned(),
            metric,
            round,
            value,
        }));
    }

    /// The values of all rounds.
    pub(crate) fn spread(&self, case: &str, peer: &str, metric: Metric) -> Option<Spread> {
        Spread::of(
            self.samples
                .iter()
                .filter(|s| s.case == case && s.peer == peer && s.metric == metric)
                .map(|s| s.value),
        )
    }

    /// The cases in the order in which they were first measured.
    pub(crate) fn cases(&self) -> Vec<&str> {
        firsts(self.samples.iter().map(|sample| sample.case.as_str()))
    }

    /// The peers in the order in which they were first measured.
    pub(crate) fn peers(&self) -> Vec<&str> {
        let mut peers = firsts(self.samples.iter().map(|sample| sample.peer.as_str()));
        // The order of measuring changes from round to round.
        peers.sort_by_key(|peer| crate::peers::rank(peer));
        peers
    }

    /// What was measured in a case.
    pub(crate) fn metrics(&self, case: &str) -> Vec<Metric> {
        let mut metrics: Vec<Metric> =
            self.samples.iter().filter(|s| s.case == case).map(|s| s.metric).collect();
        metrics.sort_unstable();
        metrics.dedup();
        metrics
    }
}

fn firsts<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut firsts = Vec::new();
    for name in names {
        if !firsts.contains(&name) {
            firsts.push(name);
        }
    }
    firsts
}

impl Spread {
    /// `None` of no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_values_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 10.0, 2.0]);
        assert_eq!(spread, Some(Spread { median: 3.0, min: 1.0, max: 10.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
