//! Clients that cost little, so that the server gets the processor. Plain HTTP/1.1 over raw sockets.

mod connection;
mod head;
mod paced;
mod pull;
mod push;
mod swarm;
mod tls;

pub(crate) use connection::{Connection, Response};
pub(crate) use paced::push_paced;
pub(crate) use pull::{Limit, Pulled, pull, pull_once};
pub(crate) use push::{commit, push_blob, push_content, send_content, with_body, with_digest};
pub(crate) use swarm::swarm;
pub(crate) use tls::TlsClient;
