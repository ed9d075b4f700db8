use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Work that is under way, by what it is about: whoever wants the same waits for the one that does it.
///
/// The work is a task of its own, so it goes on when those who wait have gone.
#[derive(Debug)]
pub struct Flights<K: Eq + Hash, T>(Arc<Table<K, T>>);

type Table<K, T> = Mutex<HashMap<K, watch::Receiver<Option<T>>>>;

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// None.
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// Waits for what the work about `key` makes known first: of the one that is under way, or of the one
    /// that is begun. `None` when it ended without a word. Tells whether it was under way.
    pub async fn join<F>(&self, key: K, begin: impl FnOnce(Landing<T>) -> F) -> (Option<T>, bool)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut waiting, joined) = {
            let mut table = lock(&self.0);
            match table.get(&key) {
                Some(waiting) => (waiting.clone(), true),
                None => {
                    let (landing, waiting) = watch::channel(None);
                    table.insert(key.clone(), waiting.clone());
                    let work = begin(Landing(landing));
                    let entry = Entry { table: self.0.clone(), key };
                    tokio::spawn(async move {
                        // Gone from the table when the work ends, however that is.
                        let _entry = entry;
                        work.await;
                    });
                    (waiting, false)
                }
            }
        };
        let landed = waiting.wait_for(Option::is_some).await;
        (landed.ok().and_then(|landed| landed.clone()), joined)
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K, T> Default for Flights<K, T>
where
    K: Clone + Eq + Hash + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::new()
    }
}

/// Where work makes known what it has.
#[derive(Debug)]
pub struct Landing<T>(watch::Sender<Option<T>>);

impl<T> Landing<T> {
    /// Tells all who wait, and those who come as long as the work goes on.
    pub fn tell(&self, result: T) {
        self.0.send_replace(Some(result));
    }

    /// Whether somebody waits for a word. One end is kept for those who come.
    pub fn is_awaited(&self) -> bool {
        self.0.receiver_count() > 1
    }
}

struct Entry<K: Eq + Hash, T> {
    table: Arc<Table<K, T>>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Entry<K, T> {
    fn drop(&mut self) {
        lock(&self.table).remove(&self.key);
    }
}

fn lock<K, T>(table: &Table<K, T>) -> MutexGuard<'_, HashMap<K, watch::Receiver<Option<T>>>> {
    // Nothing panics while it holds the lock half-way through a change.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn many_that_want_the_same_share_one_flight_and_the_next_begins_another() {
        let flights = Flights::<&str, usize>::new();
        let (begun, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let join = || {
            let (begun, gate) = (begun.clone(), gate.clone());
            flights.join("blob", |landing| async move {
                let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
                gate.acquire().await.unwrap().forget();
                landing.tell(number);
            })
        };
        let (first, second, third, ()) = tokio::join!(join(), join(), join(), async {
            gate.add_permits(1);
        });
        assert_eq!([first, second, third].map(|(told, _)| told), [Some(1); 3]);
        gate.add_permits(1);
        // The table forgets a flight when its task has ended, which is a moment after its word.
        while !flights.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(join().await, (Some(2), false));
    }

    #[tokio::test]
    async fn work_goes_on_without_those_who_wait_and_its_end_without_a_word_is_told() {
        let flights = Flights::<u8, u8>::new();
        let (gate, done) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        {
            let (gate, done) = (gate.clone(), done.clone());
            let waiting = flights.join(1, |landing| async move {
                gate.acquire().await.unwrap().forget();
                landing.tell(7);
                done.add_permits(1);
            });
            tokio::select! {
                biased;
                _ = waiting => panic!("it waits for the gate"),
                () = tokio::task::yield_now() => {}
            }
        }
        gate.add_permits(1);
        done.acquire().await.unwrap().forget();
        assert_eq!(flights.join(2, |_| async {}).await, (None, false));
        assert_eq!(flights.join(3, |_| async { panic!("on purpose") }).await, (None, false));
    }
}
