//! Netlink, as far as it is needed: messages, a blocking socket, and the requests about links,
//! addresses and routes. What is asked of the firewall is in [`firewall`](super::firewall).

mod message;
pub(in crate::network) mod route;
mod socket;

pub(in crate::network) use message::{Message, attributes};
pub(in crate::network) use socket::{Family, Socket};
