//! One header block of an archive: what stands where.

use super::Fault;

/// The unit that an archive is made of.
pub(in crate::layers) const BLOCK: usize = 512;

/// A header as it stands in the archive, of any of the formats V7, ustar, star and GNU.
pub(super) struct Header<'block>(&'block [u8; BLOCK]);

impl<'block> Header<'block> {
    /// The header in `block`, whose checksum is right.
    pub(super) fn new(block: &'block [u8; BLOCK]) -> Result<Self, Fault> {
        let header = Self(block);
        let wrong = Fault::new("the checksum of a header is wrong");
        let stated = octal(&block[148..156]).map_err(|_| wrong)?;
        let counted = |byte: &dyn Fn(u8) -> i64| -> i64 {
            let (before, after) = (block[..148].iter(), block[156..].iter());
            before.chain(after).map(|&b| byte(b)).sum::<i64>() + 8 * i64::from(b' ')
        };
        // Some old programs count signed bytes.
        let signed = |byte: u8| i64::from(i8::from_ne_bytes([byte]));
        if stated != counted(&|byte| byte.into()) && stated != counted(&signed) {
            return Err(wrong);
        }
        Ok(header)
    }

    pub(super) fn type_flag(&self) -> u8 {
        self.0[156]
    }

    /// The path, with the part of it that ustar has room for elsewhere.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        // star has times at the end of what is the prefix to ustar.
        let end = if &self.0[508..] == b"tar\0" { 476 } else { 500 };
        let ustar = &self.0[257..263] == b"ustar\0";
        let prefix = if ustar { text(&self.0[345..end]) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, name].join(&b'/') }
    }

    pub(super) fn link_target(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    pub(super) fn mode(&self) -> Result<i64, Fault> {
        number(&self.0[100..108])
    }

    pub(super) fn uid(&self) -> Result<i64, Fault> {
        number(&self.0[108..116])
    }

    pub(super) fn gid(&self) -> Result<i64, Fault> {
        number(&self.0[116..124])
    }

    pub(super) fn size(&self) -> Result<i64, Fault> {
        number(&self.0[124..136])
    }

    pub(super) fn mtime(&self) -> Result<i64, Fault> {
        number(&self.0[136..148])
    }

    /// Major and minor number of a device.
    pub(super) fn device(&self) -> Result<(i64, i64), Fault> {
        Ok((number(&self.0[329..337])?, number(&self.0[337..345])?))
    }

    /// What GNU tar has of a sparse file: the size that it seems to have, and the map's beginning.
    pub(super) fn gnu_sparse(&self) -> Result<(i64, &'block [u8], bool), Fault> {
        Ok((number(&self.0[483..495])?, &self.0[386..482], self.0[482] != 0))
    }
}

/// What is before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number, in octal digits or, where its first bit says so, in base 256 with a sign.
pub(super) fn number(field: &[u8]) -> Result<i64, Fault> {
    match field {
        [first, rest @ ..] if first & 0x80 != 0 => base_256(*first, rest),
        _ => octal(field),
    }
}

fn base_256(first: u8, rest: &[u8]) -> Result<i64, Fault> {
    // The second bit is the sign. The first byte's other bits are the number's highest.
    let start = i64::from(first & 0x3f) - if first & 0x40 == 0 { 0 } else { 0x40 };
    rest.iter().try_fold(start, |value, &byte| {
        let shifted = value.checked_mul(256).ok_or(Fault::new("a number is too large"))?;
        Ok(shifted | i64::from(byte))
    })
}

fn octal(field: &[u8]) -> Result<i64, Fault> {
    let bad = Fault::new("a number has something else than octal digits");
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !blank(byte)) else { return Ok(0) };
    let digits = field[start..].split(blank).next().unwrap_or_default();
    if field[start + digits.len()..].iter().any(|byte| !blank(byte)) {
        return Err(bad);
    }
    digits.iter().try_fold(0_i64, |value, &digit| match digit {
        b'0'..=b'7' => {
            let shifted = value.checked_mul(8).ok_or(Fault::new("a number is too large"))?;
            Ok(shifted | i64::from(digit - b'0'))
        }
        _ => Err(bad),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_in_base_256() {
        let cases: [(&[u8], Option<i64>); 12] = [
            (b"0000644\0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"77777777", Some(0o7777_7777)),
            (b"\0\0\0\0", Some(0)),
            (b"", Some(0)),
            (b"12x4", None),
            (b"1 2", None),
            (b"-1", None),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff", Some(-1)),
            (b"\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ];
        for (field, value) in cases {
            assert_eq!(number(field).ok(), value, "{field:?}");
        }
    }
}
