//! What a monitor and whoever is attached to it say to each other: frames of one byte for their kind, four
//! for their length, and what they hold.

use serde::{Deserialize, Serialize};

use super::logs::Stream;

/// More does not fit into a frame.
pub(super) const MOST: usize = 64 * 1024;
const HEADER: usize = 5;

/// Said to a monitor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order<'frame> {
    /// Which streams are wanted, first of all.
    Attach(Wanted),
    /// For the program to read.
    Input(&'frame [u8]),
    /// There is nothing more to read for it.
    InputEnds,
    /// The terminal has another size.
    Resize { rows: u16, columns: u16 },
    /// A signal for the program.
    Signal(i32),
}

/// Streams.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Wanted {
    pub(super) input: bool,
    pub(super) output: bool,
    pub(super) errors: bool,
}

/// Said by a monitor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report<'frame> {
    /// What people should know although the program runs.
    Warning(String),
    /// The program runs.
    Started,
    /// It does not, and why.
    Failed(Failure),
    /// What the program wrote.
    Output(Stream, &'frame [u8]),
    /// It has ended, and all it wrote was said before.
    Exited(u8),
}

/// Why a program did not start.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Failure {
    /// 125, 126 or 127.
    pub(super) code: u8,
    pub(super) message: String,
}

const ATTACH: u8 = b'a';
const INPUT: u8 = b'i';
const INPUT_ENDS: u8 = b'e';
const RESIZE: u8 = b'r';
const SIGNAL: u8 = b's';
const WARNING: u8 = b'W';
const STARTED: u8 = b'S';
const FAILED: u8 = b'F';
const OUTPUT: u8 = b'1';
const ERRORS: u8 = b'2';
const EXITED: u8 = b'X';

impl Order<'_> {
    /// Adds it to what is to be sent.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Attach(wanted) => {
                frame(to, ATTACH, &[wanted.input, wanted.output, wanted.errors].map(u8::from));
            }
            Self::Input(bytes) => frame(to, INPUT, bytes),
            Self::InputEnds => frame(to, INPUT_ENDS, &[]),
            Self::Resize { rows, columns } => {
                let [a, b] = rows.to_le_bytes();
                let [c, d] = columns.to_le_bytes();
                frame(to, RESIZE, &[a, b, c, d]);
            }
            Self::Signal(number) => frame(to, SIGNAL, &number.to_le_bytes()),
        }
    }
}

impl<'frame> Order<'frame> {
    fn read((kind, bytes): (u8, &'frame [u8])) -> Option<Self> {
        Some(match (kind, bytes) {
            (ATTACH, &[input, output, errors]) => {
                let [input, output, errors] = [input, output, errors].map(|byte| byte == 1);
                Self::Attach(Wanted { input, output, errors })
            }
            (INPUT, bytes) => Self::Input(bytes),
            (INPUT_ENDS, []) => Self::InputEnds,
            (RESIZE, &[a, b, c, d]) => Self::Resize {
                rows: u16::from_le_bytes([a, b]),
                columns: u16::from_le_bytes([c, d]),
            },
            (SIGNAL, bytes) => Self::Signal(i32::from_le_bytes(bytes.try_into().ok()?)),
            _ => return None,
        })
    }
}

impl Report<'_> {
    /// Adds it to what is to be sent.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Warning(text) => frame(to, WARNING, &text.as_bytes()[..text.len().min(MOST)]),
            Self::Started => frame(to, STARTED, &[]),
            Self::Failed(Failure { code, message }) => {
                let message = message.as_bytes();
                let mut bytes = vec![*code];
                bytes.extend(&message[..message.len().min(MOST - 1)]);
                frame(to, FAILED, &bytes);
            }
            Self::Output(Stream::Output, bytes) => frame(to, OUTPUT, bytes),
            Self::Output(Stream::Errors, bytes) => frame(to, ERRORS, bytes),
            Self::Exited(code) => frame(to, EXITED, &[*code]),
        }
    }
}

impl<'frame> Report<'frame> {
    fn read((kind, bytes): (u8, &'frame [u8])) -> Option<Self> {
        Some(match (kind, bytes) {
            (WARNING, text) => Self::Warning(String::from_utf8_lossy(text).into_owned()),
            (STARTED, []) => Self::Started,
            (FAILED, [code, message @ ..]) => {
                let message = String::from_utf8_lossy(message).into_owned();
                Self::Failed(Failure { code: *code, message })
            }
            (OUTPUT, bytes) => Self::Output(Stream::Output, bytes),
            (ERRORS, bytes) => Self::Output(Stream::Errors, bytes),
            (EXITED, [code]) => Self::Exited(*code),
            _ => return None,
        })
    }
}

fn frame(to: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    // No frame holds more than MOST bytes, see who calls.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.push(kind);
    to.extend(length.to_le_bytes());
    to.extend(bytes);
}

/// Bytes that have come and are not whole frames yet.
#[derive(Debug, Default)]
pub(super) struct Incoming(Vec<u8>);

/// Whoever is at the other end does not speak this.
#[derive(Debug)]
pub(super) struct Nonsense;

impl Incoming {
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    /// Gives each order that is whole to `handle`.
    pub(super) fn orders(&mut self, mut handle: impl FnMut(Order<'_>)) -> Result<(), Nonsense> {
        self.each(|frame| Order::read(frame).map(&mut handle))
    }

    /// Gives each report that is whole to `handle`.
    pub(super) fn reports(&mut self, mut handle: impl FnMut(Report<'_>)) -> Result<(), Nonsense> {
        self.each(|frame| Report::read(frame).map(&mut handle))
    }

    fn each(&mut self, mut handle: impl FnMut((u8, &[u8])) -> Option<()>) -> Result<(), Nonsense> {
        let mut rest = self.0.as_slice();
        while let [kind, a, b, c, d, after @ ..] = rest {
            let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
            if length > MOST {
                return Err(Nonsense);
            }
            let Some((bytes, after)) = after.split_at_checked(length) else { break };
            handle((*kind, bytes)).ok_or(Nonsense)?;
            rest = after;
        }
        let taken = self.0.len() - rest.len();
        self.0.drain(..taken);
        if self.0.is_empty() && self.0.capacity() > HEADER + MOST {
            self.0 = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(orders: &[Order<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        orders.iter().for_each(|order| order.write(&mut bytes));
        bytes
    }

    #[test]
    fn orders_come_as_they_were_given_however_they_are_cut() {
        let orders = [
            Order::Attach(Wanted { input: true, output: false, errors: true }),
            Order::Input(b"hello"),
            Order::Input(b""),
            Order::Resize { rows: 24, columns: 300 },
            Order::Signal(15),
            Order::InputEnds,
        ];
        let bytes = said(&orders);
        for size in 1..bytes.len() {
            let mut incoming = Incoming::default();
            let mut heard = Vec::new();
            for piece in bytes.chunks(size) {
                incoming.extend(piece);
                incoming.orders(|order| heard.push(format!("{order:?}"))).unwrap();
            }
            let given: Vec<String> = orders.iter().map(|order| format!("{order:?}")).collect();
            assert_eq!(heard, given, "in pieces of {size}");
        }
    }

    #[test]
    fn reports_come_as_they_were_made() {
        let reports = [
            Report::Warning("beware".to_owned()),
            Report::Started,
            Report::Output(Stream::Output, b"out"),
            Report::Output(Stream::Errors, b"err"),
            Report::Failed(Failure { code: 127, message: "not found".to_owned() }),
            Report::Exited(137),
        ];
        let mut bytes = Vec::new();
        reports.iter().for_each(|report| report.write(&mut bytes));
        let mut incoming = Incoming::default();
        incoming.extend(&bytes);
        let mut heard = Vec::new();
        incoming.reports(|report| heard.push(format!("{report:?}"))).unwrap();
        assert_eq!(heard, reports.map(|report| format!("{report:?}")));
    }

    proptest! {
        /// Whatever a stranger sends, nothing grows and nothing breaks.
        #[test]
        fn nonsense_is_noticed(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut incoming = Incoming::default();
            incoming.extend(&bytes);
            let _ = incoming.orders(|_| ());
            prop_assert!(incoming.0.len() <= bytes.len());
        }
    }
}
