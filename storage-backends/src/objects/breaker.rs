use std::future::Future;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use tracing::{info, warn};

use super::client::{Listed, ObjectError, Objects, Unfinished};

/// After so many failures in a row the store counts as down.
const FAILURES: u32 = 5;

/// How long a store that is down is left alone before one request tries it again.
const PAUSE: Duration = Duration::from_secs(5);

/// Answers at once for a store that is down, so that requests do not pile up before it, each with
/// its own retries and timeouts.
#[derive(Debug)]
pub(super) struct Breaker<O> {
    objects: O,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// When it is asked again.
    closed_until: Option<Instant>,
}

impl<O> Breaker<O> {
    pub(super) fn new(objects: O) -> Self {
        Self { objects, state: Mutex::default() }
    }

    async fn ask<T>(
        &self,
        answer: impl Future<Output = Result<T, ObjectError>>,
    ) -> Result<T, ObjectError> {
        self.may_ask()?;
        let answer = answer.await;
        self.learn(matches!(answer, Err(ObjectError::Failed(_))));
        answer
    }

    fn may_ask(&self) -> Result<(), ObjectError> {
        let mut state = self.state();
        match state.closed_until {
            Some(until) if Instant::now() < until => Err(ObjectError::Down),
            // This request tries; the others wait for what it finds.
            Some(_) => {
                state.closed_until = Some(Instant::now() + PAUSE);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn learn(&self, failed: bool) {
        let mut state = self.state();
        if !failed {
            if state.closed_until.take().is_some() {
                info!("the object store answers again");
            }
            state.failures = 0;
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            if state.closed_until.is_none() {
                warn!(
                    failures = state.failures,
                    "the object store does not answer; it is left alone for a while"
                );
            }
            state.closed_until = Some(Instant::now() + PAUSE);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<O: Objects> Objects for Breaker<O> {
    async fn put(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError> {
        self.ask(self.objects.put(key, content)).await
    }

    async fn put_new(&self, key: &str, content: Vec<Bytes>) -> Result<(), ObjectError> {
        self.ask(self.objects.put_new(key, content)).await
    }

    async fn get(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        self.ask(self.objects.get(key, range)).await
    }

    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        self.ask(self.objects.size(key)).await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.ask(self.objects.delete(key)).await
    }

    fn list(&self, folder: &str) -> BoxStream<'static, Result<Listed, ObjectError>> {
        self.objects.list(folder)
    }

    async fn part_limit(&self) -> Option<usize> {
        // A store that is down says nothing of it, and takes no part either.
        self.objects.part_limit().await
    }

    async fn begin_parts(&self, key: &str) -> Result<String, ObjectError> {
        self.ask(self.objects.begin_parts(key)).await
    }

    async fn put_part(
        &self,
        key: &str,
        id: &str,
        index: usize,
        content: Vec<Bytes>,
    ) -> Result<String, ObjectError> {
        self.ask(self.objects.put_part(key, id, index, content)).await
    }

    async fn complete_parts(
        &self,
        key: &str,
        id: &str,
        parts: Vec<String>,
    ) -> Result<(), ObjectError> {
        self.ask(self.objects.complete_parts(key, id, parts)).await
    }

    async fn abort_parts(&self, key: &str, id: &str) -> Result<(), ObjectError> {
        self.ask(self.objects.abort_parts(key, id)).await
    }

    async fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, ObjectError> {
        self.ask(self.objects.unfinished(folder)).await
    }

    async fn presign(&self, key: &str, valid: Duration) -> Result<Option<String>, ObjectError> {
        // Mostly the store is not asked for this.
        self.objects.presign(key, valid).await
    }
}
