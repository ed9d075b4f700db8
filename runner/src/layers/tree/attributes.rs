//! Extended attributes of a layer's files.

use std::collections::BTreeMap;

use super::Body;

/// As much as the kernel keeps of all attributes of one file, in the tightest of our forms.
const MOST_BYTES: usize = 128 << 10;

/// What a value may have, in the tightest of our forms.
const MOST_VALUE: usize = u16::MAX as usize;

/// Extended attributes by their full names.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(in crate::layers) struct Attributes(BTreeMap<Box<[u8]>, Box<[u8]>>);

/// The name of the attribute that says in an overlay's layer that a folder is opaque.
pub(in crate::layers) const OPAQUE: &[u8] = b"trusted.overlay.opaque";

impl Attributes {
    /// Those of `all` that a file system keeps for a `body`. Overlay's own are left out: an image
    /// that could set them would say what is in other layers.
    pub(super) fn of(body: &Body, all: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Self, &'static str> {
        let mut kept = BTreeMap::new();
        let mut bytes = 0;
        for (name, value) in all {
            if !is_kept(body, &name) {
                continue;
            }
            bytes += name.len() + value.len();
            if name.len() > 255 || value.len() > MOST_VALUE || bytes > MOST_BYTES {
                return Err("its extended attributes are larger than file systems keep them");
            }
            if name.starts_with(b"system.") && !is_access_list(&value) {
                return Err("its access control list is none");
            }
            kept.insert(name.into(), value.into());
        }
        Ok(Self(kept))
    }

    pub(in crate::layers) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Adds `others`, which are later ones.
    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

fn is_kept(body: &Body, name: &[u8]) -> bool {
    let has_content = matches!(body, Body::Directory(_) | Body::File(_));
    match name {
        b"system.posix_acl_access" => !matches!(body, Body::Symlink(_)),
        b"system.posix_acl_default" => matches!(body, Body::Directory(_)),
        _ => {
            let of = |prefix: &[u8]| name.strip_prefix(prefix).filter(|rest| !rest.is_empty());
            let ours = |rest: &[u8]| rest.starts_with(b"overlay.") || rest == b"overlay";
            match (of(b"user."), of(b"trusted."), of(b"security.")) {
                (Some(rest), ..) => has_content && !ours(rest),
                (_, Some(rest), _) => !ours(rest),
                (.., security) => security.is_some(),
            }
        }
    }
}

/// Whether `value` has the form in which the kernel gives and takes an access control list.
fn is_access_list(value: &[u8]) -> bool {
    matches!(value, [2, 0, 0, 0, entries @ ..] if entries.len().is_multiple_of(8))
}

#[cfg(test)]
mod tests {
    use super::super::Directory;
    use super::*;

    fn kept(body: &Body, name: &str, value: &[u8]) -> Result<bool, &'static str> {
        let all = BTreeMap::from([(name.as_bytes().to_vec(), value.to_vec())]);
        Attributes::of(body, all).map(|kept| kept.iter().next().is_some())
    }

    #[test]
    fn an_image_cannot_set_what_belongs_to_overlay() {
        let folder = Body::Directory(Directory::default());
        for name in [
            "trusted.overlay.opaque",
            "trusted.overlay.redirect",
            "trusted.overlay.overlay.opaque",
            "user.overlay.opaque",
            "user.overlay.metacopy",
            "system.nfs4_acl",
            "btrfs.compression",
            "user.",
            "user",
            "",
        ] {
            assert_eq!(kept(&folder, name, b"y"), Ok(false), "{name}");
        }
        for name in ["trusted.a", "user.overlays", "security.capability", "user.a"] {
            assert_eq!(kept(&folder, name, b"y"), Ok(true), "{name}");
        }
    }

    #[test]
    fn a_link_has_no_attributes_of_users() {
        let link = Body::Symlink(b"a".to_vec());
        assert_eq!(kept(&link, "user.a", b""), Ok(false));
        assert_eq!(kept(&link, "trusted.a", b""), Ok(true));
        assert_eq!(kept(&link, "system.posix_acl_access", b""), Ok(false));
    }

    #[test]
    fn what_is_too_large_is_refused_and_not_cut() {
        assert!(kept(&Body::Fifo, "trusted.a", &[0; MOST_VALUE]).is_ok());
        assert!(kept(&Body::Fifo, "trusted.a", &[0; MOST_VALUE + 1]).is_err());
        assert!(kept(&Body::Fifo, &format!("trusted.{}", "a".repeat(248)), b"").is_err());
        let many = (0..3).map(|n| (format!("trusted.{n}").into_bytes(), vec![0; 60_000]));
        assert!(Attributes::of(&Body::Fifo, many.collect()).is_err());
    }

    #[test]
    fn an_access_control_list_has_the_kernels_form() {
        let file = Body::Fifo;
        let list = [2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255];
        assert_eq!(kept(&file, "system.posix_acl_access", &list), Ok(true));
        assert!(kept(&file, "system.posix_acl_access", &list[..11]).is_err());
        assert_eq!(kept(&file, "system.posix_acl_default", &list), Ok(false));
    }
}
