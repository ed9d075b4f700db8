//! How a pull or a push is shown: on a terminal a line for each layer, which changes; elsewhere a line for
//! each step, so that a log has no bars.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use berth_runner::images::{Progress, Step};

use super::units::size;

/// How long the bar is, in characters.
const BAR: u64 = 50;

/// How long a bar stands still at least.
const PAUSE: Duration = Duration::from_millis(80);

/// Where steps are shown.
pub(super) struct Screen {
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    is_terminal: bool,
    /// The layers and what is shown of each, in their order.
    rows: Vec<Row>,
}

struct Row {
    layer: String,
    text: String,
    since: Instant,
}

impl Screen {
    pub(super) fn stdout() -> Self {
        Self::on(std::io::stdout(), std::io::stdout().is_terminal())
    }

    pub(super) fn stderr() -> Self {
        Self::on(std::io::stderr(), std::io::stderr().is_terminal())
    }

    fn on(out: impl Write + Send + 'static, is_terminal: bool) -> Self {
        Self { state: Mutex::new(State { out: Box::new(out), is_terminal, rows: Vec::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is shown is not worth a panic in another thread.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Screen {
    fn line(&self, text: &str) {
        let mut state = self.state();
        // Layers of the next image have lines of their own, below.
        state.rows.clear();
        // A screen that is gone is no reason to stop.
        let _ = writeln!(state.out, "{text}").and_then(|()| state.out.flush());
    }

    fn layer(&self, layer: &str, step: Step) {
        let mut state = self.state();
        let text = in_words(&step, state.is_terminal);
        if let Some(text) = text {
            let _ = state.show(layer, text, is_under_way(&step));
        }
    }
}

impl State {
    fn show(&mut self, layer: &str, text: String, is_under_way: bool) -> std::io::Result<()> {
        let known = self.rows.iter().position(|row| row.layer == layer);
        let place = known.unwrap_or(self.rows.len());
        match self.rows.get_mut(place) {
            Some(row) if row.text == text => return Ok(()),
            Some(row) if is_under_way && row.since.elapsed() < PAUSE => return Ok(()),
            Some(row) => {
                row.text.clone_from(&text);
                row.since = Instant::now();
            }
            None => {
                let since = Instant::now();
                self.rows.push(Row { layer: layer.to_owned(), text: text.clone(), since });
            }
        }
        match (self.is_terminal, known) {
            (true, Some(place)) => {
                let up = self.rows.len() - place;
                write!(self.out, "\x1b[{up}A\r\x1b[2K{layer}: {text}\x1b[{up}B\r")?;
            }
            _ => writeln!(self.out, "{layer}: {text}")?,
        }
        self.out.flush()
    }
}

fn is_under_way(step: &Step) -> bool {
    matches!(step, Step::Downloading { .. } | Step::Pushing { .. })
}

fn in_words(step: &Step, is_terminal: bool) -> Option<String> {
    Some(match step {
        Step::PullingFsLayer => "Pulling fs layer".to_owned(),
        Step::Waiting => "Waiting".to_owned(),
        Step::Downloading { done, of } if is_terminal => bar("Downloading", *done, *of),
        Step::Downloading { .. } => return None,
        Step::DownloadComplete => "Download complete".to_owned(),
        Step::PullComplete => "Pull complete".to_owned(),
        Step::AlreadyExists => "Already exists".to_owned(),
        Step::Preparing => "Preparing".to_owned(),
        Step::Pushing { done, of } if is_terminal => bar("Pushing", *done, *of),
        Step::Pushing { .. } => return None,
        Step::Pushed => "Pushed".to_owned(),
        Step::LayerAlreadyExists => "Layer already exists".to_owned(),
        Step::Mounted(from) => format!("Mounted from {from}"),
    })
}

/// `Downloading [====>    ]  1.2MB/3.4MB`.
fn bar(word: &str, done: u64, of: u64) -> String {
    let filled = (done.min(of) * BAR).checked_div(of).unwrap_or(BAR) as usize;
    let rest = BAR as usize - filled;
    let head = if rest > 0 { ">" } else { "" };
    let (line, space) = ("=".repeat(filled), " ".repeat(rest.saturating_sub(1)));
    format!("{word} [{line}{head}{space}]  {}/{}", size(done), size(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_at_its_end_as_at_its_beginning() {
        assert_eq!(bar("X", 0, 10), format!("X [>{}]  0B/10B", " ".repeat(49)));
        assert_eq!(
            bar("X", 5_000, 10_000),
            format!("X [{}>{}]  5kB/10kB", "=".repeat(25), " ".repeat(24))
        );
        assert_eq!(bar("X", 10, 10), format!("X [{}]  10B/10B", "=".repeat(50)));
    }
}
