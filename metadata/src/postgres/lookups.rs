use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use super::explain::shared;
use crate::fault::Fault;

/// How many keys one statement looks up at most.
const BATCH: usize = 128;

/// How many statements are under way at the same time, at most: while the server works at one, the
/// answers of another are taken.
const STATEMENTS: usize = 4;

/// Fewer where there are few cores: there a second statement only takes them from the answers to the
/// first, and both come later.
fn statements() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores / 2).clamp(1, STATEMENTS)
}

/// Looks keys up. Those that are asked for while all statements are under way share the next one,
/// and those who ask for the same share an answer: what a question costs is mostly the way to the
/// server and back.
pub(super) struct Lookups<K, V> {
    waiting: Mutex<Vec<Lookup<K, V>>>,
    permits: Semaphore,
}

struct Lookup<K, V> {
    key: K,
    answer: oneshot::Sender<Result<V, Fault>>,
}

impl<K: Clone + Eq + Hash, V: Clone> Lookups<K, V> {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), permits: Semaphore::new(statements()) }
    }

    /// Looks `key` up, with `ask`, which gives an answer for each of many keys in their order.
    pub(super) async fn find<F, A>(&self, key: K, ask: F) -> Result<V, Fault>
    where
        F: Fn(Vec<K>) -> A,
        A: Future<Output = Result<Vec<V>, Fault>>,
    {
        'enqueue: loop {
            let (answer, mut answered) = oneshot::channel();
            self.waiting().push(Lookup { key: key.clone(), answer });
            loop {
                let permit = tokio::select! {
                    biased;
                    outcome = &mut answered => match outcome {
                        Ok(outcome) => return outcome,
                        // Whoever asked in our place has gone: once more.
                        Err(_) => continue 'enqueue,
                    },
                    permit = self.permits.acquire() => permit,
                };
                // Whoever has a permit asks for all that wait.
                let permit = permit.map_err(|_| Fault::Closed)?;
                // In a box: most who come here never ask, and need not carry the room for it.
                let asked = Box::pin(self.ask_for_all(&ask)).await?;
                drop(permit);
                if !asked {
                    // Somebody else is asking in our place.
                    match answered.await {
                        Ok(outcome) => return outcome,
                        Err(_) => continue 'enqueue,
                    }
                }
            }
        }
    }

    /// Asks for the first of those that wait; false when nobody does.
    async fn ask_for_all<F, A>(&self, ask: &F) -> Result<bool, Fault>
    where
        F: Fn(Vec<K>) -> A,
        A: Future<Output = Result<Vec<V>, Fault>>,
    {
        let batch = self.take();
        if batch.is_empty() {
            return Ok(false);
        }
        let (keys, places) = distinct(batch.iter().map(|lookup| &lookup.key));
        // Whoever asked may have gone.
        match ask(keys).await {
            Ok(found) => {
                for (lookup, place) in batch.into_iter().zip(places) {
                    if let Some(found) = found.get(place) {
                        let _ = lookup.answer.send(Ok(found.clone()));
                    }
                }
                Ok(true)
            }
            Err(fault) => {
                for lookup in batch {
                    let _ = lookup.answer.send(Err(shared(&fault)));
                }
                Err(fault)
            }
        }
    }

    fn take(&self) -> Vec<Lookup<K, V>> {
        let mut waiting = self.waiting();
        waiting.retain(|lookup| !lookup.answer.is_closed());
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Lookup<K, V>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each key once, and the place of each of `keys` among them.
fn distinct<'k, K: Clone + Eq + Hash + 'k>(
    keys: impl Iterator<Item = &'k K>,
) -> (Vec<K>, Vec<usize>) {
    let mut known = HashMap::new();
    let mut distinct = Vec::new();
    let places = keys.map(|key| {
        *known.entry(key).or_insert_with(|| {
            distinct.push(key.clone());
            distinct.len() - 1
        })
    });
    let places = places.collect();
    (distinct, places)
}

impl<K, V> fmt::Debug for Lookups<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_asked_for_once() {
        let (keys, places) = distinct(["a", "b", "a", "c", "b"].iter());
        assert_eq!((keys, places), (vec!["a", "b", "c"], vec![0, 1, 0, 2, 1]));
    }
}
