use berth_oci::Tag;
use semver::Version;

/// The version that a tag names: three numbers, with a `v` before them or not, and with `_` where a
/// version has `+`, which no tag can hold. `1.2` is none: such tags move from version to version.
pub(super) fn version(tag: &Tag) -> Option<Version> {
    let text = tag.as_str();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    match text.contains('_') {
        true => Version::parse(&text.replacen('_', "+", 1)).ok(),
        false => Version::parse(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_tags() {
        for (tag, expected) in [
            ("1.2.3", Some("1.2.3")),
            ("v1.2.3", Some("1.2.3")),
            ("V1.2.3-rc.1", Some("1.2.3-rc.1")),
            ("1.2.3_build.5", Some("1.2.3+build.5")),
            ("v1.2.3-rc.1_4", Some("1.2.3-rc.1+4")),
            ("1.2", None),
            ("v1", None),
            ("1.2.3.4", None),
            ("01.2.3", None),
            ("1.2.3_a_b", None),
            ("vv1.2.3", None),
            ("release-1.2.3", None),
            ("latest", None),
        ] {
            let found = version(&tag.parse().unwrap()).map(|version| version.to_string());
            assert_eq!(found.as_deref(), expected, "{tag}");
        }
    }
}
