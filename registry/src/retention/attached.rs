use berth_oci::Tag;

/// Whether the tag names an artifact that is attached to the manifest of the digest in it, as
/// `sha256-<hex>` or with what cosign puts behind that. It goes with that manifest.
pub(super) fn is_attached(tag: &Tag) -> bool {
    const HEX: usize = 64;
    let Some(rest) = tag.as_str().strip_prefix("sha256-") else { return false };
    let Some((hex, suffix)) = rest.split_at_checked(HEX) else { return false };
    hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && matches!(suffix, "" | ".sig" | ".att" | ".sbom")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_attached_artifacts_are_known() {
        let hex = "0123456789abcdef".repeat(4);
        for (tag, attached) in [
            (format!("sha256-{hex}"), true),
            (format!("sha256-{hex}.sig"), true),
            (format!("sha256-{hex}.att"), true),
            (format!("sha256-{hex}.sbom"), true),
            (format!("sha256-{hex}.other"), false),
            (format!("sha256-{hex}0"), false),
            (format!("sha256-{}", &hex[1..]), false),
            (format!("sha256-{}g", &hex[1..]), false),
            (format!("sha512-{hex}"), false),
            (hex, false),
            ("latest".to_owned(), false),
        ] {
            assert_eq!(is_attached(&tag.parse().unwrap()), attached, "{tag}");
        }
    }
}
