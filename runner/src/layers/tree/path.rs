//! Paths of entries.

/// The last part of the names by which a layer says that something is gone.
const WHITEOUT: &[u8] = b".wh.";

/// What begins with it is for the storage of an old engine, but for [`OPAQUE`].
const WHITEOUT_META: &[u8] = b".wh..wh.";

const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry's path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'path> {
    /// The layer's root.
    Root,
    /// `name` in the folder `parent`.
    Name { parent: Vec<&'path [u8]>, name: &'path [u8] },
    /// That `name` is gone in the layers below.
    Whiteout { parent: Vec<&'path [u8]>, name: &'path [u8] },
    /// That all is gone that the layers below have in this folder.
    Opaque { directory: Vec<&'path [u8]> },
    /// Nothing that anybody uses any more.
    Obsolete,
}

impl<'path> Target<'path> {
    pub(super) fn parse(path: &'path [u8]) -> Result<Self, &'static str> {
        let mut parent = components(path)?;
        let Some(name) = parent.pop() else { return Ok(Self::Root) };
        if name == OPAQUE {
            return Ok(Self::Opaque { directory: parent });
        }
        if parent.iter().chain([&name]).any(|component| component.starts_with(WHITEOUT_META)) {
            return Ok(Self::Obsolete);
        }
        match name.strip_prefix(WHITEOUT) {
            None => Ok(Self::Name { parent, name }),
            Some(b"" | b"." | b"..") => Err("it says that a folder itself is gone"),
            Some(name) => Ok(Self::Whiteout { parent, name }),
        }
    }
}

/// The components of a path, whose `..` are taken as they are written. A path from the root is one
/// from the layer's root.
pub(super) fn components(path: &[u8]) -> Result<Vec<&[u8]>, &'static str> {
    let absolute = path.starts_with(b"/");
    let mut components = Vec::new();
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                if components.pop().is_none() && !absolute {
                    return Err("it leads out of the layer");
                }
            }
            name if name.len() > 255 => return Err("a name in it has more than 255 bytes"),
            name if name.contains(&0) => return Err("a name in it has a NUL"),
            name => components.push(name),
        }
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_something_in_the_layer_or_nothing() {
        let name =
            |parent: &[&'static [u8]], name| Ok(Target::Name { parent: parent.to_vec(), name });
        let whiteout =
            |parent: &[&'static [u8]], name| Ok(Target::Whiteout { parent: parent.to_vec(), name });
        let long = [b'n'; 256];
        let cases: [(&[u8], Result<Target<'_>, &str>); 22] = [
            (b"", Ok(Target::Root)),
            (b"./", Ok(Target::Root)),
            (b"a/..", Ok(Target::Root)),
            (b"a", name(&[], b"a")),
            (b"/a", name(&[], b"a")),
            (b"./a//b/./c/", name(&[b"a", b"b"], b"c")),
            (b"a/../b", name(&[], b"b")),
            (b"/../b", name(&[], b"b")),
            (b"../b", Err("it leads out of the layer")),
            (b"a/../../b", Err("it leads out of the layer")),
            (b"..", Err("it leads out of the layer")),
            (b".wh.a", whiteout(&[], b"a")),
            (b"a/.wh.b", whiteout(&[b"a"], b"b")),
            (b".wh.a/b", name(&[b".wh.a"], b"b")),
            (b"a/.wh.", Err("it says that a folder itself is gone")),
            (b"a/.wh..", Err("it says that a folder itself is gone")),
            (b"a/.wh...", Err("it says that a folder itself is gone")),
            (b".wh..wh..opq", Ok(Target::Opaque { directory: vec![] })),
            (b"a/.wh..wh..opq", Ok(Target::Opaque { directory: vec![b"a"] })),
            (b".wh..wh.plnk/12.34", Ok(Target::Obsolete)),
            (b"a/.wh..wh.orph", Ok(Target::Obsolete)),
            (&long, Err("a name in it has more than 255 bytes")),
        ];
        for (path, target) in cases {
            assert_eq!(Target::parse(path), target, "{}", String::from_utf8_lossy(path));
        }
    }
}
