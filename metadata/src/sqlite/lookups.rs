use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use berth_oci::{Reference, RepositoryName};
use tokio::sync::oneshot;

use super::connections::{Connections, Lease};
use super::manifests;
use crate::ManifestRecord;
use crate::fault::Fault;

/// How many manifests one statement looks up at most.
const BATCH: usize = 64;

/// Looks manifests up. Those that are asked for while all connections are busy share a statement:
/// to hand one to a connection's thread and to wake up for its answer takes longer than to find a
/// manifest.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    waiting: Mutex<Vec<Lookup>>,
}

#[derive(Debug)]
struct Lookup {
    repository: RepositoryName,
    reference: Reference,
    answer: oneshot::Sender<Found>,
}

impl Lookup {
    fn key(&self) -> (&RepositoryName, &Reference) {
        (&self.repository, &self.reference)
    }
}

type Found = Option<Arc<ManifestRecord>>;

impl Lookups {
    pub(super) async fn find(
        &self,
        readers: &Connections,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Found, Fault> {
        let (answer, mut answered) = oneshot::channel();
        let (name, sought) = (repository.clone(), reference.clone());
        self.waiting().push(Lookup { repository: name, reference: sought, answer });
        let connection = tokio::select! {
            biased;
            answer = &mut answered => match answer {
                Ok(found) => return Ok(found),
                Err(_) => None,
            },
            connection = readers.acquire() => Some(connection?),
        };
        if let Some(connection) = connection {
            self.ask_for_all(connection).await?;
            if let Ok(found) = answered.await {
                return Ok(found);
            }
        }
        // Whoever asked in our place has failed or gone.
        let mut connection = readers.acquire().await?;
        manifests::find(&mut connection, repository, reference).await
    }

    /// Whoever has a connection asks for all that wait.
    async fn ask_for_all(&self, mut connection: Lease<'_>) -> Result<(), Fault> {
        let batch = self.take();
        let found = match &batch[..] {
            [] => Vec::new(),
            [one] => vec![manifests::find(&mut connection, &one.repository, &one.reference).await?],
            [..] => manifests::find_many(&mut connection, batch.iter().map(Lookup::key)).await?,
        };
        drop(connection);
        for (lookup, found) in batch.into_iter().zip(found) {
            // Whoever asked may have gone.
            let _ = lookup.answer.send(found);
        }
        Ok(())
    }

    fn take(&self) -> Vec<Lookup> {
        let mut waiting = self.waiting();
        waiting.retain(|lookup| !lookup.answer.is_closed());
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Lookup>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
