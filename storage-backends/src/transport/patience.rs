use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody};
use tokio::time::{Instant, Sleep};

/// What a store that copies the parts of an object to make it a whole must copy in a second. Those
/// that do so are files on one machine.
const COPIED_IN_A_SECOND: u64 = 32 << 20;

/// How long a store may let us wait.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// For its answer to begin, or for the next bytes of a body.
    pub(super) timeout: Duration,
    /// The bytes in a part of an object; the last may have fewer.
    pub(super) part: u64,
}

impl Patience {
    /// Waits for an answer, and has whoever reads its body wait no longer for each piece.
    pub(super) async fn wait(
        &self,
        more: Duration,
        answer: impl Future<Output = Result<HttpResponse, HttpError>>,
    ) -> Result<HttpResponse, HttpError> {
        let limit = self.timeout.saturating_add(more);
        let answer = tokio::time::timeout(limit, answer).await.map_err(|_| timed_out())??;
        Ok(answer.map(|body| {
            HttpResponseBody::new(Timed { body, limit, waiting_since: None, alarm: None })
        }))
    }

    /// How much longer the answer to a request may take, for what the store has to do before it:
    /// the end of an upload in parts is a copy in some.
    pub(super) fn more_for(&self, request: &HttpRequest) -> Duration {
        let query = request.uri().query().unwrap_or_default();
        let is_end = request.method() == Method::POST
            && query.split('&').any(|pair| pair.starts_with("uploadId="));
        let parts = match request.body().as_bytes() {
            Some(list) if is_end => list.windows(PART.len()).filter(|tag| *tag == PART).count(),
            _ => 0,
        };
        Duration::from_secs((parts as u64).saturating_mul(self.part) / COPIED_IN_A_SECOND)
    }
}

/// What each part begins with in the list of them that ends an upload.
const PART: &[u8] = b"<Part>";

/// A body whose pieces come in time, or not at all.
struct Timed {
    body: HttpResponseBody,
    limit: Duration,
    /// Since when the piece is waited for; how slow its reader is does not count.
    waiting_since: Option<Instant>,
    /// Rings at the end of the first wait, and is set anew only then: waits are many and short.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Body for Timed {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting_since = None;
            return Poll::Ready(frame);
        }
        let until = *this.waiting_since.get_or_insert_with(Instant::now) + this.limit;
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if Instant::now() >= until {
                return Poll::Ready(Some(Err(timed_out())));
            }
            alarm.as_mut().reset(until);
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn timed_out() -> HttpError {
    let reason = io::Error::new(io::ErrorKind::TimedOut, "operation timed out");
    HttpError::new(HttpErrorKind::Timeout, reason)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use object_store::client::HttpRequestBody;

    use super::*;

    #[test]
    fn the_end_of_an_upload_has_time_in_proportion_to_its_parts() {
        let patience = Patience { timeout: Duration::from_secs(30), part: 64 << 20 };
        let list =
            "<CompleteMultipartUpload><Part>1</Part><Part>2</Part></CompleteMultipartUpload>";
        let more = |method: Method, uri: &str| {
            let request = Request::builder().method(method).uri(uri);
            patience.more_for(&request.body(HttpRequestBody::from(list.to_owned())).unwrap())
        };
        assert_eq!(more(Method::POST, "http://store/key?uploadId=1"), Duration::from_secs(4));
        assert_eq!(more(Method::POST, "http://store/key?uploads"), Duration::ZERO);
        assert_eq!(more(Method::PUT, "http://store/key?uploadId=1"), Duration::ZERO);
    }
}
