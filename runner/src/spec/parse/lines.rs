//! Variables and labels: given one by one, and as lines of files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::super::SpecError;

/// The variables of `--env-file` and, after them, those of `-e`. A name alone means the value that it
/// has for whoever runs the command. What has none there is left out of a file; given by `-e` it takes
/// the variable away from the container.
///
/// # Errors
///
/// A file that cannot be read, or a line or an option that is no variable.
pub fn variables(files: &[impl AsRef<Path>], given: &[String]) -> Result<Vec<String>, SpecError> {
    let mut all = Vec::new();
    for file in files {
        for line in lines(file.as_ref(), "--env-file")? {
            check_name(&line, file.as_ref(), "--env-file")?;
            all.extend(environment(&line));
        }
    }
    for pair in given {
        if pair.is_empty() || pair.starts_with('=') {
            return Err(SpecError::invalid(format!("invalid environment variable: {pair}")));
        }
        all.push(environment(pair).unwrap_or_else(|| pair.clone()));
    }
    Ok(all)
}

/// A variable with its value.
#[must_use]
pub fn environment(pair: &str) -> Option<String> {
    if pair.contains('=') {
        return Some(pair.to_owned());
    }
    // The system has no variables with such names, and the library has no words for them.
    if pair.is_empty() || pair.contains('\0') {
        return None;
    }
    let value = std::env::var_os(pair)?;
    Some(format!("{pair}={}", value.to_string_lossy()))
}

/// The labels of `--label-file` and, after them, those of `-l`.
///
/// # Errors
///
/// A file that cannot be read, or a line that is no label.
pub fn labels(
    files: &[impl AsRef<Path>],
    given: &[String],
) -> Result<BTreeMap<String, String>, SpecError> {
    let mut all = Vec::new();
    for file in files {
        for line in lines(file.as_ref(), "--label-file")? {
            check_name(&line, file.as_ref(), "--label-file")?;
            all.push(line);
        }
    }
    all.extend_from_slice(given);
    if let Some(label) = given.iter().find(|label| label.starts_with('=')) {
        return Err(SpecError::invalid(format!("invalid label '{label}': empty name")));
    }
    Ok(label_map(&all))
}

/// `NAME=value`, or a name alone with nothing as its value.
#[must_use]
pub fn label_map(pairs: &[String]) -> BTreeMap<String, String> {
    let pair = |pair: &String| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    };
    pairs.iter().map(pair).collect()
}

/// Lines that say something, without the space before them.
fn lines(path: &Path, option: &str) -> Result<Vec<String>, SpecError> {
    let failed = |reason: String| SpecError::invalid(format!("{option}: {reason}"));
    let text = fs::read(path).map_err(|error| {
        failed(format!("open {}: {}", path.display(), super::super::error::words(&error)))
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| failed(format!("env file {} contains invalid utf8 bytes", path.display())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim_start);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

fn check_name(line: &str, file: &Path, option: &str) -> Result<(), SpecError> {
    let name = line.split_once('=').map_or(line, |(name, _)| name);
    let failed = |what: String| {
        Err(SpecError::invalid(format!("{option}: invalid env file ({}): {what}", file.display())))
    };
    if name.is_empty() {
        return failed(format!("no variable name on line '{line}'"));
    }
    if name.contains(char::is_whitespace) {
        return failed(format!("variable '{name}' contains whitespaces"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_FILES: [&str; 0] = [];

    #[test]
    fn files_come_first_and_lines_that_say_nothing_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("env");
        fs::write(&file, "\u{feff}# a comment\n\n  A=1 2 \nB=\nPATH\nNO_SUCH_VARIABLE_1\n")
            .unwrap();
        let all =
            variables(&[&file], &["C==x".to_owned(), "NO_SUCH_VARIABLE_2".to_owned()]).unwrap();
        let path = format!("PATH={}", std::env::var("PATH").unwrap());
        assert_eq!(all, ["A=1 2 ", "B=", &path, "C==x", "NO_SUCH_VARIABLE_2"]);
    }

    #[test]
    fn a_name_is_there_and_has_no_space_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("env");
        for line in ["=x", "A B=x", "A =x"] {
            fs::write(&file, line).unwrap();
            let error = variables(&[&file], &[]).unwrap_err().to_string();
            assert!(error.starts_with("--env-file: invalid env file ("), "{error}");
        }
        assert!(variables(&NO_FILES, &["=x".to_owned()]).is_err());
        let error = variables(&[folder.path().join("missing")], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("--env-file: open ") && error.ends_with("no such file or directory")
        );
    }

    #[test]
    fn a_label_need_not_have_a_value() {
        let all = labels(&NO_FILES, &["a".to_owned(), "b=c=d".to_owned()]).unwrap();
        assert_eq!((all["a"].as_str(), all["b"].as_str()), ("", "c=d"));
        assert!(labels(&NO_FILES, &["=x".to_owned()]).is_err());
    }
}
