//! The messages of nf_tables, by what all of them have first.

use crate::network::netlink::Message;

/// The name of our table.
pub(super) const TABLE: &str = "berth";

const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
/// Marks of a batch, which the kernel takes or refuses as a whole.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const CREATE: u16 = libc::NLM_F_CREATE as u16;
const APPEND: u16 = libc::NLM_F_APPEND as u16;

/// A message about our table.
pub(super) fn about(kind: i32, flags: u16) -> Message {
    of_family(libc::NFPROTO_INET, kind, flags)
}

/// A message about what is there or is made.
pub(super) fn create(kind: i32) -> Message {
    about(kind, CREATE)
}

/// A message about what comes after all that is there.
pub(super) fn append(kind: i32) -> Message {
    about(kind, CREATE | APPEND)
}

/// A message about a table of this family.
pub(super) fn of_family(family: i32, kind: i32, flags: u16) -> Message {
    Message::new(SUBSYSTEM << 8 | kind as u16, flags, &[family as u8, 0, 0, 0])
}

pub(super) fn begin() -> Message {
    mark(BATCH_BEGIN)
}

pub(super) fn end() -> Message {
    mark(BATCH_END)
}

fn mark(kind: u16) -> Message {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    Message::new(kind, 0, &[libc::AF_UNSPEC as u8, 0, high, low])
}

/// Numbers in attributes of nf_tables begin with their highest byte.
pub(super) fn put_number(message: &mut Message, kind: u16, number: u32) {
    message.put(kind, &number.to_be_bytes());
}
