use std::borrow::Cow;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::{Method, Version};

/// The most that waits to be written. When the reader of the log is slower than the registry for
/// so long, lines are dropped and counted rather than requests held up.
const BUFFER_LIMIT: usize = 4 << 20;

/// How long lines may wait before they are written.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);

/// The access log: a line a request, written in batches by a thread of its own, so that no request
/// waits for a terminal or a disk.
#[derive(Clone, Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
    json: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    dropped: u64,
    closed: bool,
    flushed: bool,
}

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct AccessRecord<'a> {
    pub(crate) id: &'a str,
    pub(crate) remote: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a str,
    pub(crate) version: Version,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) user_agent: &'a str,
    /// Who has asked, where they have said.
    pub(crate) user: Option<&'a str>,
    pub(crate) took: Duration,
}

impl AccessLog {
    /// A log to `writer`, as JSON lines or as the combined log format with the request id and the
    /// seconds taken behind it.
    pub fn new(mut writer: impl Write + Send + 'static, json: bool) -> Self {
        let state = State { flushed: true, ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() });
        let thread = shared.clone();
        std::thread::spawn(move || thread.write_lines(&mut writer));
        Self { shared, json }
    }

    pub(crate) fn record(&self, record: &AccessRecord<'_>) {
        let mut state = self.shared.lock();
        if state.lines.len() > BUFFER_LIMIT {
            state.dropped += 1;
            return;
        }
        let was_empty = state.lines.is_empty();
        // Writing to a vector does not fail.
        let _ = match self.json {
            true => write_json(&mut state.lines, record),
            false => write_combined(&mut state.lines, record),
        };
        if was_empty {
            self.shared.wake.notify_all();
        }
    }

    /// Waits until every line is written, and writes no more.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.wake.notify_all();
        while !(state.lines.is_empty() && state.flushed) {
            state = self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lines(&self, writer: &mut impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.lock();
            while state.lines.is_empty() && !state.closed {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            std::mem::swap(&mut state.lines, &mut lines);
            let (dropped, closed) = (std::mem::take(&mut state.dropped), state.closed);
            state.flushed = false;
            drop(state);
            if dropped > 0 {
                let _ = writeln!(
                    lines,
                    "{dropped} lines of the access log were dropped: its reader is too slow"
                );
            }
            // There is nobody to tell when the log itself cannot be written.
            let _ = writer.write_all(&lines).and_then(|()| writer.flush());
            lines.clear();
            let mut state = self.lock();
            state.flushed = true;
            self.wake.notify_all();
            if closed && state.lines.is_empty() {
                return;
            }
            // More lines will come in a moment; closing does not wait for the moment to pass.
            let _ = self.wake.wait_timeout_while(state, FLUSH_INTERVAL, |state| !state.closed);
        }
    }
}

fn write_combined(out: &mut Vec<u8>, record: &AccessRecord<'_>) -> std::io::Result<()> {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    // The one character that a target can hold and that would end its field.
    let uri = match record.uri.contains('"') {
        true => Cow::Owned(record.uri.replace('"', "%22")),
        false => Cow::Borrowed(record.uri),
    };
    writeln!(
        out,
        "{} - {} [{}] \"{} {} {:?}\" {} {} \"\" {:?} {} {:.6}",
        record.remote,
        record.user.map_or(Cow::Borrowed("-"), |user| Cow::Owned(user.replace([' ', '"'], "_"))),
        now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        record.method,
        uri,
        record.version,
        record.status,
        record.bytes,
        record.user_agent,
        record.id,
        record.took.as_secs_f64(),
    )
}

fn write_json(out: &mut Vec<u8>, record: &AccessRecord<'_>) -> std::io::Result<()> {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    let mut line = serde_json::json!({
        "time": now.to_string(),
        "level": "info",
        "msg": "response completed",
        "http.request.id": record.id,
        "http.request.method": record.method.as_str(),
        "http.request.remoteaddr": record.remote,
        "http.request.uri": record.uri,
        "http.request.useragent": record.user_agent,
        "http.response.status": record.status,
        "http.response.written": record.bytes,
        "http.response.duration": record.took.as_secs_f64(),
    });
    if let (Some(user), Some(fields)) = (record.user, line.as_object_mut()) {
        fields.insert("auth.user.name".to_owned(), user.into());
    }
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn closing_waits_for_every_line() {
        for json in [false, true] {
            let captured = Captured::default();
            let log = AccessLog::new(captured.clone(), json);
            for status in 200..300 {
                log.record(&AccessRecord {
                    id: "id",
                    remote: "127.0.0.1:1",
                    method: &Method::GET,
                    uri: "/v2/",
                    version: Version::HTTP_11,
                    status,
                    bytes: 2,
                    user_agent: "a \"quoted\" agent",
                    user: None,
                    took: Duration::from_millis(1),
                });
            }
            log.close();
            let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.lines().count(), 100);
            assert!(text.lines().last().unwrap().contains("299"));
        }
    }
}
