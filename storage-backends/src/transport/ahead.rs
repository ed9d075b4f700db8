use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use object_store::client::{HttpError, HttpResponseBody};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// How many pieces wait for their reader; each has up to some 400 KiB.
const AHEAD: usize = 4;

/// Reads a body in a task of its own, which ends with whoever takes the pieces, so that the store
/// sends, and is decrypted, while the client receives.
pub(super) fn read_ahead(mut body: HttpResponseBody) -> HttpResponseBody {
    let size = body.size_hint();
    let (sender, receiver) = mpsc::channel(AHEAD);
    let reading = tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            if sender.send(frame).await.is_err() {
                return;
            }
        }
    });
    let _reading = AbortOnDropHandle::new(reading);
    HttpResponseBody::new(Ahead { size, receiver, _reading })
}

#[derive(Debug)]
struct Ahead {
    size: SizeHint,
    receiver: mpsc::Receiver<Result<Frame<Bytes>, HttpError>>,
    _reading: AbortOnDropHandle<()>,
}

impl Body for Ahead {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.receiver.poll_recv(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.size.clone()
    }
}
