//! A mixed load while nothing fails.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use berth_tests::load::{Counts, Watch, Worker, join, verify_all};

use crate::group::Replicas;

/// Every request must be answered as it should be; and then a look at everything afterwards.
pub(crate) fn work(replicas: &Replicas, workers: &mut [Worker], time: Duration) -> Result<()> {
    let (address, watch) = (replicas.address(), &Watch::default());
    thread::scope(|scope| {
        let running =
            workers.iter_mut().map(|worker| scope.spawn(move || worker.load(address, watch, 1)));
        let running = running.collect();
        // It waits for nothing: it is how long the load goes on.
        thread::sleep(time);
        watch.end();
        join(running)
    })?;
    verify_all(address, workers, true)?;
    let counts: Counts = workers.iter().map(|worker| worker.model.counts.clone()).sum();
    println!("{counts}");
    Ok(())
}
