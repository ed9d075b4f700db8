//! `--device` and what is said of single devices.

use super::super::{DeviceMapping, SpecError, ThrottleDevice, WeightDevice};
use super::{clean, size};

/// Reads `/dev/a`, `/dev/a:/dev/b`, `/dev/a:rw` and `/dev/a:/dev/b:rw`.
///
/// # Errors
///
/// What is wrong.
pub fn device_mapping(text: &str) -> Result<DeviceMapping, SpecError> {
    let bad = || SpecError::invalid(format!("bad format for path: {text}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (host, inside, access) = match *parts.as_slice() {
        [host] => (host, host, "rwm"),
        [host, access] if is_access(access) => (host, host, access),
        [host, inside] => (host, inside, "rwm"),
        [host, inside, access] if is_access(access) => (host, inside, access),
        [_, _, access] => {
            return Err(SpecError::invalid(format!("bad mode specified: {access}")));
        }
        _ => return Err(bad()),
    };
    if host.is_empty() {
        return Err(bad());
    }
    if !inside.starts_with('/') {
        return Err(SpecError::invalid(format!("{inside} is not an absolute path")));
    }
    Ok(DeviceMapping {
        path_on_host: if host == inside { clean(host) } else { host.to_owned() },
        path_in_container: clean(inside),
        cgroup_permissions: access.to_owned(),
    })
}

/// Each of `r`, `w` and `m` at most once.
fn is_access(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|letter| "rwm".contains(letter))
        && ["r", "w", "m"].iter().all(|letter| text.matches(letter).count() <= 1)
}

/// Looks whether a rule of `--device-cgroup-rule` is one, as in `c 10:* rwm`.
///
/// # Errors
///
/// It is none.
pub fn device_rule(text: &str) -> Result<String, SpecError> {
    let parts: Vec<&str> = text.split(' ').collect();
    let is_number = |text: &str| {
        text == "*" || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_rule = match *parts.as_slice() {
        [kind, numbers, access] => {
            matches!(kind, "a" | "b" | "c")
                && numbers
                    .split_once(':')
                    .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
                && (1..=3).contains(&access.len())
                && access.chars().all(|letter| "rwm".contains(letter))
        }
        _ => false,
    };
    if is_rule {
        Ok(text.to_owned())
    } else {
        Err(SpecError::invalid(format!("invalid device cgroup format '{text}'")))
    }
}

/// Reads `/dev/sda:1mb`.
///
/// # Errors
///
/// What is wrong.
pub fn byte_rate(text: &str) -> Result<ThrottleDevice, SpecError> {
    let (path, rate) = device_and_value(text)?;
    let rate = size(rate).ok().and_then(|rate| u64::try_from(rate).ok()).ok_or_else(|| {
        SpecError::invalid(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ))
    })?;
    Ok(ThrottleDevice { path: path.to_owned(), rate })
}

/// Reads `/dev/sda:1000`.
///
/// # Errors
///
/// What is wrong.
pub fn operation_rate(text: &str) -> Result<ThrottleDevice, SpecError> {
    let (path, rate) = device_and_value(text)?;
    let rate = rate.parse().map_err(|_| {
        SpecError::invalid(format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        ))
    })?;
    Ok(ThrottleDevice { path: path.to_owned(), rate })
}

/// Reads `/dev/sda:200`.
///
/// # Errors
///
/// What is wrong.
pub fn weight(text: &str) -> Result<WeightDevice, SpecError> {
    let (path, weight) = device_and_value(text)?;
    let weight = weight.parse().ok().filter(|&weight| weight == 0 || (10..=1000).contains(&weight));
    let weight =
        weight.ok_or_else(|| SpecError::invalid(format!("invalid weight for device: {text}")))?;
    Ok(WeightDevice { path: path.to_owned(), weight })
}

fn device_and_value(text: &str) -> Result<(&str, &str), SpecError> {
    let parts = text.split_once(':').filter(|(path, _)| !path.is_empty());
    let (path, value) = parts.ok_or_else(|| SpecError::invalid(format!("bad format: {text}")))?;
    if !path.starts_with("/dev/") {
        return Err(SpecError::invalid(format!("bad format for device path: {text}")));
    }
    Ok((path, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_may_have_another_name_and_less_rights() {
        let mapping = |host: &str, inside: &str, access: &str| DeviceMapping {
            path_on_host: host.to_owned(),
            path_in_container: inside.to_owned(),
            cgroup_permissions: access.to_owned(),
        };
        for (text, expected) in [
            ("/dev/a", mapping("/dev/a", "/dev/a", "rwm")),
            ("/dev/a:r", mapping("/dev/a", "/dev/a", "r")),
            ("/dev/a:/dev/b", mapping("/dev/a", "/dev/b", "rwm")),
            ("/dev/a:/dev/b:mr", mapping("/dev/a", "/dev/b", "mr")),
        ] {
            assert_eq!(device_mapping(text).unwrap(), expected, "{text}");
        }
        for (text, words) in [
            ("", "bad format for path: "),
            ("/dev/a:/dev/b:x", "bad mode specified: x"),
            ("/dev/a:/dev/b:r:w", "bad format for path: /dev/a:/dev/b:r:w"),
            ("/dev/a:rr", "rr is not an absolute path"),
        ] {
            assert_eq!(device_mapping(text).unwrap_err().to_string(), words, "{text}");
        }
    }

    #[test]
    fn rules_and_rates_are_checked() {
        assert!(device_rule("c 10:* rwm").is_ok() && device_rule("a *:* m").is_ok());
        for text in ["", "d 1:3 r", "c 1 r", "c 1:3 x", "c 1:3  r", "c :3 r"] {
            assert!(device_rule(text).is_err(), "{text}");
        }
        assert_eq!(byte_rate("/dev/sda:1mb").unwrap().rate, 1 << 20);
        assert_eq!(operation_rate("/dev/sda:7").unwrap().rate, 7);
        assert!(byte_rate("sda:1").is_err() && operation_rate("/dev/sda:1mb").is_err());
        assert!(weight("/dev/sda:9").is_err() && weight("/dev/sda:10").is_ok());
    }
}
