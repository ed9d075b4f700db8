//! Bodies that are sent no faster than their caller may receive.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::rates::Pass;

/// A body each of whose pieces waits for its turn.
pub(super) struct Paced {
    body: Body,
    pass: Pass,
    /// A piece that waits.
    waiting: Option<Waiting>,
}

type Waiting = Pin<Box<dyn Future<Output = Frame<Bytes>> + Send>>;

impl Paced {
    pub(super) fn new(body: Body, pass: Pass) -> Self {
        Self { body, pass, waiting: None }
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                let frame = ready!(waiting.as_mut().poll(context));
                self.waiting = None;
                return Poll::Ready(Some(Ok(frame)));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let pass = self.pass.clone();
                    self.waiting = Some(Box::pin(async move {
                        pass.take(frame.data_ref().map_or(0, Bytes::len)).await;
                        frame
                    }));
                }
                other => return Poll::Ready(other),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
