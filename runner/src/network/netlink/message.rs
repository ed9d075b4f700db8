//! One message: a header, what its kind has first, and attributes that may hold others.

/// What comes before a message: length, kind, flags, number, and port.
pub(super) const HEADER: usize = 16;

/// An attribute begins with its length and kind.
const ATTRIBUTE: usize = 4;

/// Says of an attribute that it holds others.
const NESTED: u16 = 1 << 15;

/// A message that is being written. Everything in it is aligned to four bytes.
#[derive(Clone, Debug)]
pub(in crate::network) struct Message(Vec<u8>);

impl Message {
    /// A request of this kind, with what all of the kind have first.
    pub(in crate::network) fn new(kind: u16, flags: u16, first: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(first);
        let mut message = Self(bytes);
        message.align();
        message
    }

    pub(in crate::network) fn put(&mut self, kind: u16, value: &[u8]) {
        self.0.extend_from_slice(&((ATTRIBUTE + value.len()) as u16).to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.align();
    }

    /// A string as the kernel has them, with its end.
    pub(in crate::network) fn put_text(&mut self, kind: u16, text: &str) {
        self.put(kind, &[text.as_bytes(), &[0]].concat());
    }

    /// An attribute of those that `inner` puts.
    pub(in crate::network) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.put(kind | NESTED, &[]);
        inner(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    /// Puts bytes that are no attribute: the header of a link in a link.
    pub(in crate::network) fn put_bare(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.align();
    }

    /// The message with its length, number, and what it asks for besides.
    pub(super) fn finish(mut self, number: u32, flags: u16) -> Vec<u8> {
        let length = (self.0.len() as u32).to_ne_bytes();
        self.0[0..4].copy_from_slice(&length);
        let flags = u16::from_ne_bytes([self.0[6], self.0[7]]) | flags;
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0[8..12].copy_from_slice(&number.to_ne_bytes());
        self.0
    }

    /// What comes after the header.
    #[cfg(test)]
    pub(in crate::network) fn into_payload(self) -> Vec<u8> {
        self.finish(0, 0).split_off(HEADER)
    }

    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

/// The attributes in what the kernel answered; what is cut off ends them.
pub(in crate::network) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]));
        let kind = u16::from_ne_bytes([*bytes.get(2)?, *bytes.get(3)?]) & 0x3fff;
        let value = bytes.get(ATTRIBUTE..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let mut message = Message::new(1, 0, &[9; 3]);
        message.put_text(3, "eth0");
        message.nest(18, |inner| inner.put(1, &[1, 2]));
        let bytes = message.finish(7, 0);
        assert_eq!(bytes.len() as u32, u32::from_ne_bytes(bytes[..4].try_into().unwrap()));
        let outer: Vec<_> = attributes(&bytes[HEADER + 4..]).collect();
        assert_eq!(outer[0], (3, &b"eth0\0"[..]));
        assert_eq!(attributes(outer[1].1).collect::<Vec<_>>(), [(1, &[1, 2][..])]);
    }

    #[test]
    fn what_is_cut_off_or_lies_about_its_length_ends_them() {
        for bytes in [&[][..], &[8], &[8, 0, 1, 0], &[0, 0, 1, 0], &[3, 0, 1, 0, 5]] {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
        }
    }
}
