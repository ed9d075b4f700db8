//! A mixed load, and a model of what it was told, to compare the registry with afterwards.
//!
//! Each [`Worker`] knows from the answers it got what must be there. Of a request without an answer, or with one that
//! tells of a failure that passes, either of two outcomes may be, and the worker finds out which when the registry is
//! well again.

mod client;
mod images;
mod line;
mod model;
mod uploads;
mod verify;
mod worker;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Result, anyhow};

pub use self::client::{Client, first_line};
pub use self::model::{BlobLink, Change, Counts, Image, Model, Presence, Session, State, TagKey};
pub use self::worker::{REPOSITORIES, Worker};

/// How the registry is, as far as a test has a hand in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Every request must be answered, and as it should be.
    #[default]
    Well,
    /// Requests may break off, or be answered with a failure that passes.
    Failing,
    /// The first request that breaks off is the last.
    Killed,
}

/// What a test tells the workers while they work.
#[derive(Debug, Default)]
pub struct Watch {
    health: Mutex<Health>,
    enough: AtomicBool,
}

impl Watch {
    /// How the registry is from now on.
    pub fn set(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// How it is.
    pub fn health(&self) -> Health {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The workers have done enough.
    pub fn end(&self) {
        self.enough.store(true, Ordering::SeqCst);
    }

    /// Whether they have.
    pub fn is_enough(&self) -> bool {
        self.enough.load(Ordering::SeqCst)
    }
}

/// All workers verify what they know, side by side.
pub fn verify_all(address: SocketAddr, workers: &mut [Worker], everything: bool) -> Result<()> {
    thread::scope(|scope| {
        let running = workers
            .iter_mut()
            .map(|worker| scope.spawn(move || worker.verify(address, everything)))
            .collect();
        join(running)
    })
}

/// Waits for all workers, and gives the first error.
pub fn join(workers: Vec<ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker panicked"))??;
    }
    Ok(())
}
