use std::sync::Mutex;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How many bytes are read before it is asked again whether more may be.
const STEP: u64 = 1 << 20;

/// The same where nothing limits: threads that hash for long stay on a core each, where those that
/// begin and end all the time share one.
const LONG_STEP: u64 = 64 << 20;

/// How fast bytes are read.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second; `None` for as many as the machine can.
    rate: Option<u64>,
    /// When the next bytes may be read.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn of(rate: Option<u64>) -> Self {
        Self { rate: rate.map(|rate| rate.max(1)), next: Mutex::new(Instant::now()) }
    }

    /// How many blobs are read at the same time: with a rate one, which is gentle; else as many as there
    /// are cores to hash them.
    pub(super) fn side_by_side(&self) -> usize {
        match self.rate {
            Some(_) => 1,
            None => available_parallelism().map_or(1, usize::from),
        }
    }

    /// How many bytes of a blob are read in one go.
    pub(super) fn at_a_time(&self) -> u64 {
        if self.rate.is_some() { STEP } else { LONG_STEP }
    }

    /// Waits until so many bytes may be read.
    pub(super) async fn wait(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let begin = {
            let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let begin = (*next).max(Instant::now());
            *next = begin + takes;
            begin
        };
        sleep_until(begin).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_come_at_the_rate_and_no_faster() {
        let pace = Pace::of(Some(1000));
        let begin = Instant::now();
        for _ in 0..5 {
            pace.wait(500).await;
        }
        assert_eq!(begin.elapsed().as_millis(), 2000);
        Pace::of(None).wait(usize::MAX).await;
        assert_eq!(begin.elapsed().as_millis(), 2000);
    }
}
