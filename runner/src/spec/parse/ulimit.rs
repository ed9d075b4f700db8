//! `--ulimit`: a name, a soft limit, and perhaps a hard one.

use super::super::{SpecError, Ulimit};

/// Those that docker knows.
const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads `nofile=1024:2048`; `-1` is no limit.
///
/// # Errors
///
/// What is wrong.
pub fn ulimit(text: &str) -> Result<Ulimit, SpecError> {
    let (name, limits) = text
        .split_once('=')
        .ok_or_else(|| SpecError::invalid(format!("invalid ulimit argument: {text}")))?;
    if !NAMES.contains(&name) {
        return Err(SpecError::invalid(format!("invalid ulimit type: {name}")));
    }
    let limit = |text: &str| match text.parse() {
        Ok(limit) if limit >= -1 => Ok(limit),
        _ => Err(SpecError::invalid(format!("invalid ulimit value: {text:?}"))),
    };
    let (soft, hard) = match limits.split_once(':') {
        Some((_, hard)) if hard.contains(':') => {
            return Err(SpecError::invalid(format!(
                "too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
            )));
        }
        Some((soft, hard)) => (limit(soft)?, limit(hard)?),
        None => (limit(limits)?, limit(limits)?),
    };
    // -1 is above all others.
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(SpecError::invalid(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        )));
    }
    Ok(Ulimit { name: name.to_owned(), hard, soft })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_limit_is_both() {
        let limit = |name: &str, soft, hard| Ulimit { name: name.to_owned(), hard, soft };
        assert_eq!(ulimit("nofile=512").unwrap(), limit("nofile", 512, 512));
        assert_eq!(ulimit("nofile=512:1024").unwrap(), limit("nofile", 512, 1024));
        assert_eq!(ulimit("core=0:-1").unwrap(), limit("core", 0, -1));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("512", "invalid ulimit argument: 512"),
            ("files=512", "invalid ulimit type: files"),
            ("nofile=1:2:3", "too many limit value arguments"),
            ("nofile=2:1", "ulimit soft limit must be less than or equal to hard limit: 2 > 1"),
            ("nofile=-1:1", "ulimit soft limit must be less than or equal to hard limit: -1 > 1"),
            ("nofile=many", "invalid ulimit value"),
        ] {
            let error = ulimit(text).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }
}
