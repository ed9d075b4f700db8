//! Sizes in bytes, and numbers of processors.

use super::super::SpecError;

/// A size with docker's units, which are powers of 1024: `512`, `64m`, `1.5GiB`.
///
/// # Errors
///
/// It is none.
pub fn size(text: &str) -> Result<i64, SpecError> {
    read(text).ok_or_else(|| SpecError::invalid(format!("invalid size: '{text}'")))
}

/// A [`size`], or `-1` for no limit.
///
/// # Errors
///
/// It is neither.
pub fn swap_size(text: &str) -> Result<i64, SpecError> {
    if text == "-1" { Ok(-1) } else { size(text) }
}

fn read(text: &str) -> Option<i64> {
    let end = text.rfind(|letter: char| letter.is_ascii_digit() || letter == '.')? + 1;
    let (number, unit) = text.split_at(end);
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| is_number)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if unit == "ib" => return None,
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a cast of a number too great is the greatest"
    )]
    Some((number * 1024_f64.powi(power)) as i64)
}

/// Processors in billionths of one: `1.5`.
///
/// # Errors
///
/// It is no number, or finer than that.
pub fn nano_cpus(text: &str) -> Result<i64, SpecError> {
    let failed = || SpecError::invalid(format!("failed to parse {text} as a rational number"));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return Err(failed());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return Err(SpecError::invalid("value is too precise"));
    }
    let nanos: i64 = format!("{whole}{fraction:0<9}").parse().map_err(|_| failed())?;
    Ok(if negative { -nanos } else { nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in [
            ("512", 512),
            ("1k", 1024),
            ("6m", 6 << 20),
            ("1.5GiB", 3 << 29),
            ("2 GB", 2 << 30),
            ("0", 0),
            ("10B", 10),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "m", "-1", "1x", "1ib", "1.2.3m", "0x10", "1e3", "inf", "1 m b"] {
            assert_eq!(size(text).unwrap_err().to_string(), format!("invalid size: '{text}'"));
        }
        assert_eq!(swap_size("-1").unwrap(), -1);
    }

    #[test]
    fn processors_are_counted_in_billionths() {
        assert_eq!(nano_cpus("1.5").unwrap(), 1_500_000_000);
        assert_eq!(nano_cpus(".25").unwrap(), 250_000_000);
        assert_eq!(nano_cpus("-1").unwrap(), -1_000_000_000);
        assert_eq!(nano_cpus("0.0000000001").unwrap_err().to_string(), "value is too precise");
        for text in ["", ".", "two", "1,5", "99999999999999999999"] {
            assert!(nano_cpus(text).unwrap_err().to_string().starts_with("failed to parse"));
        }
    }
}
