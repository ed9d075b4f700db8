//! The keys that tokens are signed with: in the database, so that all replicas have the same.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use berth_auth::token::{NewKey, OwnKeys};
use berth_metadata::SigningKey;
use tracing::info;

use super::{AccessControl, AccessError};

/// How long a key that signs no more is kept beyond the life of the last token that it signed.
const KEPT_LONGER: Duration = Duration::from_secs(3600);

impl AccessControl {
    /// Reads the keys, and makes the next one when the newest has signed for long enough. Of several
    /// processes one makes it.
    pub(super) async fn rotate_keys(&self, now: SystemTime) -> Result<(), AccessError> {
        let tokens = self.auth.load().tokens.clone();
        let mut keys = self.store.signing_keys().await?;
        let is_due = |key: &SigningKey| {
            now.duration_since(key.created).is_ok_and(|age| age >= tokens.keylifetime.get())
        };
        if keys.first().is_none_or(is_due) {
            let new = NewKey::generate()?;
            let key = SigningKey { id: new.id, private: new.private, created: now };
            let kept = tokens.keylifetime.get() + tokens.lifetime.get() + KEPT_LONGER;
            let forget = now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH);
            let newest = keys.first().map(|key| key.id.clone());
            keys = self.store.add_signing_key(&key, newest.as_deref(), forget).await?;
            if keys.first().is_some_and(|newest| newest.id == key.id) {
                info!(key = key.id, "tokens are signed with a new key from now on");
            }
        }
        let names: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
        if self.keys.load().as_ref().is_some_and(|known| known.ids().eq(names.iter().copied())) {
            return Ok(());
        }
        let known = keys.iter().map(|key| (key.id.as_str(), key.private.as_slice()));
        self.keys.store(Some(Arc::new(OwnKeys::new(known)?)));
        self.epoch.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// The keys, if tokens are issued here.
    pub(crate) fn keys(&self) -> Option<Arc<OwnKeys>> {
        self.keys.load_full()
    }
}
