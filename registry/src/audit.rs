//! The audit log: who did what, and who was not let do it. Lines are gathered and written many at
//! once, into the database and where wanted into a file, so that no request waits for them.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use berth_metadata::{AccountStore, AuditOutcome, NewAudit};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::Registry;

/// How many lines wait to be written at most. What comes beyond that is counted, and the log says
/// how many are missing.
const WAITING: usize = 50_000;

/// How many lines one transaction writes.
const ROUND: usize = 500;

/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(200);

/// How long to wait after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long the last lines may take to be written when the registry stops.
const LAST_WRITE: Duration = Duration::from_secs(10);

/// How often lines whose time is over are forgotten, and how many at a time.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);
const PURGED: u32 = 5_000;

/// Where lines of the audit log are put.
#[derive(Debug)]
pub(crate) struct AuditLog {
    store: Arc<dyn AccountStore>,
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<NewAudit>,
    missing: u64,
}

impl AuditLog {
    pub(crate) fn new(store: Arc<dyn AccountStore>) -> Self {
        Self { store, state: Mutex::default(), filled: Notify::new() }
    }

    /// Takes note of something, if there is something.
    pub(crate) fn record(&self, line: Option<NewAudit>) {
        let Some(line) = line else { return };
        let mut state = self.lock();
        if state.lines.len() >= WAITING {
            state.missing += 1;
            return;
        }
        state.lines.push(line);
        drop(state);
        self.filled.notify_one();
    }

    /// All that waits, with a line of what is missing.
    fn take(&self) -> Vec<NewAudit> {
        let State { mut lines, missing } = std::mem::take(&mut *self.lock());
        if missing > 0 {
            warn!(missing, "lines of the audit log are missing: the database does not keep up");
            lines.push(gap(missing));
        }
        lines
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the log says of lines that it has not.
fn gap(missing: u64) -> NewAudit {
    NewAudit {
        time: SystemTime::now(),
        actor: "berth".to_owned(),
        action: "audit.gap".to_owned(),
        target: String::new(),
        reference: None,
        digest: None,
        source: None,
        outcome: AuditOutcome::Failed,
        detail: Some(format!("{missing} lines are missing")),
        request: None,
    }
}

impl Registry {
    /// Writes the audit log, many lines at once, until `stop`, and then what is left.
    pub(crate) async fn write_audit(self: Arc<Self>, stop: CancellationToken) {
        let Some(audit) = &self.audit else { return };
        let mut purged = Instant::now();
        while !stop.is_cancelled() {
            tokio::select! {
                () = audit.filled.notified() => {}
                () = tokio::time::sleep(PURGE_INTERVAL) => {}
                () = stop.cancelled() => break,
            }
            self.write_audit_lines(audit, &stop).await;
            if purged.elapsed() >= PURGE_INTERVAL {
                purged = Instant::now();
                self.purge_audit(audit).await;
            }
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = stop.cancelled() => break,
            }
        }
        let last = self.write_audit_lines(audit, &stop);
        if tokio::time::timeout(LAST_WRITE, last).await.is_err() {
            error!(
                "the last lines of the audit log were not written: the database did not answer in time"
            );
        }
    }

    async fn write_audit_lines(&self, audit: &AuditLog, stop: &CancellationToken) {
        let lines = audit.take();
        if lines.is_empty() {
            return;
        }
        if let Some(path) = self.config().audit.file.clone() {
            let text = lines.iter().map(json_line).collect::<String>();
            let written = tokio::task::spawn_blocking(move || append(&path, &text)).await;
            match written {
                Ok(Ok(())) => {}
                Ok(Err(error)) => error!(%error, "the file of the audit log cannot be written"),
                Err(error) => error!(%error, "the file of the audit log was not written"),
            }
        }
        for round in lines.chunks(ROUND) {
            while let Err(error) = audit.store.record_audit(round).await {
                if stop.is_cancelled() {
                    error!(%error, lost = round.len(), "lines of the audit log are lost");
                    return;
                }
                warn!(%error, "the audit log cannot be written now");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_FAILURE) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    async fn purge_audit(&self, audit: &AuditLog) {
        let keep = self.config().audit.keep.get();
        let Some(before) = SystemTime::now().checked_sub(keep) else { return };
        match audit.store.purge_audit(before, PURGED).await {
            Ok(_) => {}
            Err(error) => warn!(%error, "old lines of the audit log stay for now"),
        }
    }
}

/// Appends to a file, opened anew each time: it may have been moved away.
fn append(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut file = std::fs::OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    file.write_all(text.as_bytes())
}

fn json_line(line: &NewAudit) -> String {
    let time = jiff::Timestamp::try_from(line.time).unwrap_or_default();
    let mut json = json!({
        "time": time.to_string(),
        "actor": line.actor,
        "action": line.action,
        "outcome": line.outcome.as_str(),
    });
    let optional = [
        ("target", Some(&line.target).filter(|target| !target.is_empty())),
        ("reference", line.reference.as_ref()),
        ("digest", line.digest.as_ref()),
        ("source", line.source.as_ref()),
        ("detail", line.detail.as_ref()),
        ("request", line.request.as_ref()),
    ];
    if let Some(fields) = json.as_object_mut() {
        for (name, value) in optional {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value.clone().into());
            }
        }
    }
    format!("{json}\n")
}
