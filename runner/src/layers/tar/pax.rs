//! Extended headers: records of `length key=value\n`.

use std::collections::BTreeMap;

use super::{Fault, Time};

/// The attributes of a file are records of this name and theirs.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// What an extended header says of the entry after it.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<i64>,
    pub(super) gid: Option<i64>,
    pub(super) mtime: Option<Time>,
    pub(super) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sparse: Sparse,
}

/// What GNU tar says there of a sparse file, in one of three ways.
#[derive(Debug, Default)]
pub(super) struct Sparse {
    pub(super) major: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Offsets and lengths in turn, of the ways 0.0 and 0.1.
    pub(super) map: Vec<u64>,
}

impl Extended {
    pub(super) fn parse(mut records: &[u8]) -> Result<Self, Fault> {
        let mut extended = Self::default();
        while !records.is_empty() {
            let record = Record::first(records)?;
            extended.set(record.key, record.value)?;
            records = record.rest;
        }
        Ok(extended)
    }

    /// An empty value takes back what was said, also by the header itself.
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        match key {
            b"path" => self.path = name(value)?,
            b"linkpath" => self.link_target = name(value)?,
            b"size" => self.size = unsigned(value)?,
            b"uid" => self.uid = signed(value)?,
            b"gid" => self.gid = signed(value)?,
            b"mtime" => self.mtime = time(value)?,
            b"GNU.sparse.major" => self.sparse.major = unsigned(value)?,
            b"GNU.sparse.name" => self.sparse.name = name(value)?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = unsigned(value)?,
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                self.sparse.map.push(digits(value)?);
            }
            b"GNU.sparse.map" => {
                let numbers = value.split(|&byte| byte == b',').map(digits);
                self.sparse.map = numbers.collect::<Result<_, _>>()?;
            }
            _ => {
                if let Some(attribute) = key.strip_prefix(ATTRIBUTE) {
                    self.attributes.insert(attribute.to_vec(), value.to_vec());
                }
            }
        }
        Ok(())
    }
}

/// One record, and what is after it.
struct Record<'records> {
    key: &'records [u8],
    value: &'records [u8],
    rest: &'records [u8],
}

impl<'records> Record<'records> {
    fn first(records: &'records [u8]) -> Result<Self, Fault> {
        let bad = Fault::new("an extended header has a record that is none");
        let space = records.iter().position(|&byte| byte == b' ').ok_or(bad)?;
        let length = usize::try_from(digits(&records[..space])?).map_err(|_| bad)?;
        let body = records.get(space + 1..length).and_then(|body| body.strip_suffix(b"\n"));
        let body = body.ok_or(bad)?;
        let equals = body.iter().position(|&byte| byte == b'=').ok_or(bad)?;
        if equals == 0 {
            return Err(bad);
        }
        Ok(Self { key: &body[..equals], value: &body[equals + 1..], rest: &records[length..] })
    }
}

fn name(value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if value.contains(&0) {
        return Err(Fault::new("a name in an extended header has a NUL in it"));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn unsigned(value: &[u8]) -> Result<Option<u64>, Fault> {
    if value.is_empty() { Ok(None) } else { digits(value).map(Some) }
}

fn signed(value: &[u8]) -> Result<Option<i64>, Fault> {
    let number = unsigned(value.strip_prefix(b"-").unwrap_or(value))?;
    let number = number.map(|number| i64::try_from(number).map_err(|_| TOO_LARGE)).transpose()?;
    Ok(number.map(|number| if value.starts_with(b"-") { -number } else { number }))
}

const TOO_LARGE: Fault = Fault::new("a number is too large");

pub(super) fn digits(value: &[u8]) -> Result<u64, Fault> {
    let bad = Fault::new("a number in an extended header has something else than digits");
    if value.is_empty() {
        return Err(bad);
    }
    value.iter().try_fold(0_u64, |number, &digit| match digit {
        b'0'..=b'9' => {
            let shifted = number.checked_mul(10).ok_or(TOO_LARGE)?;
            shifted.checked_add(u64::from(digit - b'0')).ok_or(TOO_LARGE)
        }
        _ => Err(bad),
    })
}

/// Seconds with a fraction, of which nanoseconds are kept.
fn time(value: &[u8]) -> Result<Option<Time>, Fault> {
    if value.is_empty() {
        return Ok(None);
    }
    let mut parts = value.splitn(2, |&byte| byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let fraction = parts.next().unwrap_or_default();
    let negative = whole.starts_with(b"-");
    // There may be nothing before the point.
    let seconds = match whole {
        b"" | b"-" => 0,
        whole => signed(whole)?.unwrap_or_default(),
    };
    let mut nanoseconds = 0;
    for place in 0..9 {
        let digit = fraction.get(place).map_or(Ok(0), |&digit| digits(&[digit]))?;
        nanoseconds = nanoseconds * 10 + digit as u32;
    }
    if fraction.iter().any(|digit| !digit.is_ascii_digit()) {
        return Err(Fault::new("a time in an extended header is none"));
    }
    Ok(Some(match (negative, nanoseconds) {
        (true, 1..) => {
            Time { seconds: seconds.saturating_sub(1), nanoseconds: 1_000_000_000 - nanoseconds }
        }
        _ => Time { seconds, nanoseconds },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_to_their_stated_length() {
        let extended = Extended::parse(
            b"12 path=a=b\n\n22 SCHILY.xattr.user.a=\n17 uid=4294967290\n11 size=12\n",
        );
        assert!(extended.is_err(), "17 is one too many");
        let extended =
            Extended::parse(b"13 path=a=b\n\n24 SCHILY.xattr.user.a=\n18 uid=4294967290\n")
                .unwrap();
        assert_eq!(extended.path.unwrap(), b"a=b\n");
        assert_eq!(extended.uid, Some(4_294_967_290));
        assert_eq!(extended.attributes[&b"user.a"[..]], b"");
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let cases: [&[u8]; 9] = [
            b"5 a=b",
            b"99 path=a\n",
            b"7 path\n",
            b"6 =ab\n",
            b"x a=b\n",
            b"0 a=b\n",
            b"18446744073709551616 a=b\n",
            b"12 path=a\0b\n",
            b"13 size=0x12\n",
        ];
        for records in cases {
            assert!(Extended::parse(records).is_err(), "{records:?}");
        }
    }

    #[test]
    fn times_keep_their_nanoseconds() {
        let cases: [(&[u8], i64, u32); 7] = [
            (b"1350244992.023960108", 1_350_244_992, 23_960_108),
            (b"1350244992.3", 1_350_244_992, 300_000_000),
            (b"1350244992.0123456789", 1_350_244_992, 12_345_678),
            (b"0.5", 0, 500_000_000),
            (b"-1.25", -2, 750_000_000),
            (b"-0.25", -1, 750_000_000),
            (b"7", 7, 0),
        ];
        for (text, seconds, nanoseconds) in cases {
            assert_eq!(time(text).unwrap(), Some(Time { seconds, nanoseconds }), "{text:?}");
        }
        for text in [&b"1.2.3"[..], b"1.-2", b"1e9", b"--1"] {
            assert!(time(text).is_err(), "{text:?}");
        }
    }
}
