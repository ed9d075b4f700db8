//! The keys by which somebody lets go of a container.

use std::str::FromStr;

use super::error::ContainerError;

/// A sequence of keys. What is typed passes through it, but for the sequence itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DetachKeys {
    sequence: Vec<u8>,
    /// How many of them were typed just now.
    matched: usize,
}

impl Default for DetachKeys {
    /// ctrl-p, ctrl-q.
    fn default() -> Self {
        Self { sequence: vec![16, 17], matched: 0 }
    }
}

impl FromStr for DetachKeys {
    type Err = ContainerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sequence = text.split(',').map(key).collect::<Option<Vec<u8>>>();
        let sequence = sequence.ok_or_else(|| {
            ContainerError::Invalid(format!("invalid detach keys ({text}) provided"))
        })?;
        Ok(Self { sequence, matched: 0 })
    }
}

/// A key, or `ctrl-` and a key.
fn key(text: &str) -> Option<u8> {
    let control = |byte: u8| match byte {
        b'a'..=b'z' => Some(byte - b'a' + 1),
        b'@' => Some(0),
        b'[' | b'\\' | b']' | b'^' | b'_' => Some(byte - b'@'),
        _ => None,
    };
    match (text.strip_prefix("ctrl-").map(str::as_bytes), text.as_bytes()) {
        (Some(&[byte]), _) => control(byte.to_ascii_lowercase()),
        (None, &[byte]) => Some(byte),
        _ => None,
    }
}

impl DetachKeys {
    /// Gives what of `typed` is for the program, and whether the sequence is complete.
    pub(super) fn pass(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut passed = Vec::with_capacity(typed.len());
        for &byte in typed {
            if self.sequence.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == self.sequence.len() {
                    self.matched = 0;
                    return (passed, true);
                }
                continue;
            }
            // It was not the sequence after all.
            passed.extend(&self.sequence[..self.matched]);
            self.matched =
                usize::from(self.sequence.first() == Some(&byte) && self.sequence.len() > 1);
            if self.matched == 0 {
                passed.push(byte);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_and_control_letters() {
        let read = |text: &str| text.parse::<DetachKeys>().map(|keys| keys.sequence);
        assert_eq!(read("ctrl-p,ctrl-q").unwrap(), DetachKeys::default().sequence);
        assert_eq!(read("a,ctrl-[,ctrl-@").unwrap(), [b'a', 27, 0]);
        for text in ["", "ctrl-", "ctrl-1", "ab", "ctrl-p,", "shift-a"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_sequence_is_found_wherever_it_is_cut_and_all_else_passes() {
        let mut keys = DetachKeys::default();
        assert_eq!(keys.pass(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.pass(&[16]), (vec![], false));
        assert_eq!(keys.pass(b"x"), (vec![16, b'x'], false));
        assert_eq!(keys.pass(&[16, 16]), (vec![16], false));
        assert_eq!(keys.pass(&[17, b'y']), (vec![], true));
    }
}
