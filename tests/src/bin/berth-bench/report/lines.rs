//! Memory over time.

use super::checks::number;
use super::svg::{Drawing, colour};
use crate::peers::BERTH;
use crate::results::RowRun;
use crate::rows::Row;

/// The plot's file.
pub(super) fn file(row: Row) -> String {
    format!("{}-over-time.svg", row.name())
}

const LEFT: f64 = 60.0;
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 260.0;
const TOP: f64 = 34.0;
const LEGEND: f64 = 310.0;
const BOTTOM: f64 = 30.0;
/// The shades of a peer that was measured in several cases.
const BERTH_SHADES: [&str; 3] = ["#1d4ed8", "#60a5fa", "#0c4a6e"];

pub(super) fn plot(row: Row, run: &RowRun) -> String {
    let points = || run.series.iter().flat_map(|series| &series.points);
    let longest = points().map(|(time, _)| *time).fold(1.0, f64::max);
    let most = points().map(|(_, memory)| *memory).fold(1.0, f64::max);
    let x = |time: f64| LEFT + time / longest * WIDTH;
    let y = |memory: f64| TOP + HEIGHT - memory / most * HEIGHT;

    let mut drawing = Drawing::new(LEFT + WIDTH + LEGEND, TOP + HEIGHT + BOTTOM);
    let title = format!("{}: resident set over time, MiB", row.title());
    drawing.text(10.0, 20.0, "start", &title);
    for step in 0..=4 {
        let memory = most * f64::from(step) / 4.0;
        drawing.line([LEFT, y(memory), LEFT + WIDTH, y(memory)], "#dddddd");
        drawing.text(LEFT - 6.0, y(memory) + 4.0, "end", &number(memory));
    }
    drawing.text(LEFT, TOP + HEIGHT + 20.0, "middle", "0");
    drawing.text(LEFT + WIDTH, TOP + HEIGHT + 20.0, "middle", &format!("{longest:.0} s"));
    let mut of_berth = BERTH_SHADES.iter().cycle();
    for (index, series) in run.series.iter().enumerate() {
        let colour = match series.peer.as_str() {
            BERTH => of_berth.next().copied().unwrap_or_default(),
            peer => colour(peer, index),
        };
        let points: Vec<(f64, f64)> =
            series.points.iter().map(|(time, memory)| (x(*time), y(*memory))).collect();
        drawing.path(&points, colour);
        let legend = TOP + 20.0 * (index as f64 + 0.5);
        drawing.rect([LEFT + WIDTH + 16.0, legend - 9.0, 12.0, 12.0], colour);
        let name = format!("{}, {}", series.peer, series.case);
        drawing.text(LEFT + WIDTH + 34.0, legend + 1.0, "start", &name);
    }
    drawing.finish()
}
