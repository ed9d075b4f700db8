use crate::{Digest, Tag};

/// What the tags of cosign end with: signatures, attestations and bills of materials.
const ENDINGS: [&str; 3] = [".sig", ".att", ".sbom"];

/// The longest hash in such a tag; that of a longer digest is cut.
const LONGEST: usize = 64;

/// The tags by which artifacts are attached to a manifest where clients do without the referrers of
/// the specification: `sha256-<hex>`, an index of them, and `sha256-<hex>.sig`, `.att` and `.sbom`,
/// as cosign has them.
#[must_use]
pub fn attached_tags(subject: &Digest) -> [String; 4] {
    let hex = subject.hex();
    let plain = format!("{}-{}", subject.algorithm().as_str(), &hex[..hex.len().min(LONGEST)]);
    let [signature, attestation, materials] = ENDINGS.map(|ending| format!("{plain}{ending}"));
    [plain, signature, attestation, materials]
}

/// Whether a tag is one of those that attach artifacts to a manifest.
#[must_use]
pub fn is_attached_tag(tag: &Tag) -> bool {
    let name = tag.as_str();
    let name = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let hash = name.strip_prefix("sha256-").or_else(|| name.strip_prefix("sha512-"));
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    hash.is_some_and(|hash| hash.len() == LONGEST && hash.bytes().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Hasher};

    #[test]
    fn the_tags_of_a_manifest_are_told_from_others() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let tags = attached_tags(&Hasher::digest(algorithm, b"subject"));
            for tag in &tags {
                assert!(is_attached_tag(&tag.parse().unwrap()), "{tag}");
            }
            assert_eq!(tags[0].len(), "sha256-".len() + 64);
            assert_eq!(tags[1], format!("{}.sig", tags[0]));
        }
        let hex = "0123456789abcdef".repeat(4);
        for other in [
            "latest".to_owned(),
            hex.clone(),
            format!("sha1-{hex}"),
            format!("sha256-{}", &hex[1..]),
            format!("sha256-{hex}.signature"),
            format!("sha256-{hex}.sig.sig"),
            format!("sha256-{}", hex.to_uppercase()),
        ] {
            assert!(!is_attached_tag(&other.parse().unwrap()), "{other}");
        }
    }
}
