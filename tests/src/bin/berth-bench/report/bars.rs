//! A bar for each peer, with the spread of its rounds.

use super::checks::number;
use super::svg::{Drawing, colour};
use crate::results::{Metric, RowRun, Spread};
use crate::rows::Row;

const LEFT: f64 = 260.0;
const LENGTH: f64 = 420.0;
const RIGHT: f64 = 80.0;
const BAR: f64 = 18.0;
const GAP: f64 = 4.0;
const TOP: f64 = 34.0;

pub(super) struct Plot {
    pub(super) title: String,
    pub(super) file: String,
    pub(super) svg: String,
}

/// The plots of a row: one for each thing that the row is about.
pub(super) fn plots(row: Row, run: &RowRun) -> Vec<Plot> {
    let metrics: &[Metric] = match row {
        Row::Manifests => &[Metric::RequestsPerSecond, Metric::P99Milliseconds],
        Row::Blobs | Row::Tls => &[Metric::MebibytesPerSecond, Metric::ServerSecondsPerGibibyte],
        Row::Push => &[Metric::Seconds],
        Row::SmallBlobs => &[Metric::BlobsPerSecond],
        Row::Memory => &[Metric::IdleMebibytes, Metric::PeakMebibytes],
        Row::Growth => &[Metric::P99Milliseconds],
        Row::Start => &[Metric::Milliseconds],
        Row::StorePush => &[Metric::Seconds],
        Row::StoreStream => &[Metric::MebibytesPerSecond],
        Row::StoreRequests => &[Metric::StoreRequests, Metric::RequestsPerSecond],
        Row::StoreMemory => &[Metric::PeakMebibytes],
        Row::DatabaseReads => &[Metric::RequestsPerSecond, Metric::P99Milliseconds],
        Row::DatabaseWrites => &[Metric::RequestsPerSecond],
        Row::DatabaseMillion | Row::Collection => &[Metric::P99Milliseconds],
        Row::Identity => &[Metric::RequestsPerSecond, Metric::P99Milliseconds],
        Row::Retention | Row::Import => &[Metric::Seconds, Metric::PeakMebibytes],
        Row::Mirror => &[Metric::Seconds, Metric::Milliseconds, Metric::MebibytesPerSecond],
        Row::Scrub => &[Metric::P99Milliseconds, Metric::MebibytesPerSecond],
        Row::Backup => &[Metric::Seconds, Metric::P99Milliseconds],
        Row::OciRun | Row::Run | Row::Exec => &[Metric::Milliseconds],
        Row::PullReady => &[Metric::Seconds],
        Row::Monitor => &[Metric::ProportionalMebibytes, Metric::Milliseconds],
    };
    metrics.iter().map(|metric| plot(row, run, *metric)).collect()
}

fn plot(row: Row, run: &RowRun, metric: Metric) -> Plot {
    let title = format!("{}: {}", row.title(), metric.title());
    let unit: String = metric
        .title()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let file = format!("{}-{}.svg", row.name(), unit.replace("--", "-"));
    let svg = draw(run, metric, &title);
    Plot { title, file, svg }
}

/// The bars of a case.
struct Group<'a> {
    case: &'a str,
    bars: Vec<Bar<'a>>,
}

struct Bar<'a> {
    peer: &'a str,
    colour: &'static str,
    spread: Spread,
}

fn groups(run: &RowRun, metric: Metric) -> Vec<Group<'_>> {
    let peers = run.peers();
    let bars = |case: &str| {
        let bars = peers.iter().enumerate().filter_map(|(index, peer)| {
            let spread = run.spread(case, peer, metric)?;
            Some(Bar { peer, colour: colour(peer, index), spread })
        });
        bars.collect()
    };
    let groups = run.cases().into_iter().map(|case| Group { case, bars: bars(case) });
    groups.filter(|group| !group.bars.is_empty()).collect()
}

fn draw(run: &RowRun, metric: Metric, title: &str) -> String {
    let groups = groups(run, metric);
    let bars = || groups.iter().flat_map(|group| &group.bars);
    let most = bars().map(|bar| bar.spread.max).fold(f64::MIN_POSITIVE, f64::max);
    let lines = groups.len() + bars().count();
    let height = TOP + lines as f64 * (BAR + GAP) + 10.0;
    let mut drawing = Drawing::new(LEFT + LENGTH + RIGHT, height);
    drawing.text(10.0, 20.0, "start", title);
    let mut y = TOP;
    for group in &groups {
        drawing.text(10.0, y + BAR - 5.0, "start", group.case);
        y += BAR + GAP;
        for bar in &group.bars {
            draw_bar(&mut drawing, y, most, bar);
            y += BAR + GAP;
        }
    }
    drawing.finish()
}

fn draw_bar(drawing: &mut Drawing, y: f64, most: f64, bar: &Bar<'_>) {
    let Bar { peer, colour, spread } = bar;
    let at = |value: f64| LEFT + value / most * LENGTH;
    let middle = y + BAR / 2.0;
    drawing.text(LEFT - 8.0, y + BAR - 5.0, "end", peer);
    drawing.rect([LEFT, y, at(spread.median) - LEFT, BAR], colour);
    drawing.line([at(spread.min), middle, at(spread.max), middle], "#222222");
    for end in [spread.min, spread.max] {
        drawing.line([at(end), middle - 4.0, at(end), middle + 4.0], "#222222");
    }
    drawing.text(at(spread.max) + 6.0, y + BAR - 5.0, "start", &number(spread.median));
}
