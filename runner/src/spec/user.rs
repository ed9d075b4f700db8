//! Who a process runs as: names and numbers, looked up in the image's own `/etc/passwd` and
//! `/etc/group`.
//!
//! Those files are the image's, so they may be anything: a fifo, a device, a gigabyte, a link to
//! somewhere (CVE-2024-9676). They are read inside of the root, if they are files, and up to a size. A
//! number is one of digits alone: no sign, no `0x`, nothing that overflows (CVE-2026-30892).

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat};

use super::SpecError;
use crate::oci::RootDirectory;

/// More than this of a file is not looked at.
const MOST: u64 = 4 << 20;
/// The highest number of a user or group, as docker has it.
const HIGHEST: u32 = i32::MAX as u32;

/// Numbers, and the home that they are at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The first group.
    pub gid: u32,
    /// All groups, the first one included.
    pub groups: Vec<u32>,
    /// `/` where nobody says otherwise.
    pub home: String,
}

/// Finds out who `user` is in the container whose root is at `root`: a name or number, and after a
/// colon a group; nothing is root. `group_add` are further groups.
///
/// # Errors
///
/// A name that is in neither file, or a number that is too high.
pub fn resolve_user(root: &Path, user: &str, group_add: &[String]) -> Result<User, SpecError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags, Mode::empty())
        .map_err(|source| SpecError::File { path: root.to_owned(), source: source.into() })?;
    let root = RootDirectory::new(root);
    let passwd = read(&root, "/etc/passwd");
    let group = read(&root, "/etc/group");
    find_user(user, group_add, &passwd, &group)
}

/// The file's text; empty for what is no file or is not there: it names nobody.
fn read(root: &RootDirectory, path: &str) -> String {
    let is_file = |file: &std::os::fd::OwnedFd| {
        fstat(file)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
    };
    // Looked at before it is opened: that alone can wait, or do something.
    let found = root.look_up(Path::new(path)).ok().filter(is_file);
    let opened =
        found.and_then(|_| root.open(Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK).ok());
    let Some(file) = opened.filter(is_file) else { return String::new() };
    let mut text = Vec::new();
    // What could be read of it counts.
    let _ = File::from(file).take(MOST).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Finds `user` in the texts of the two files.
///
/// # Errors
///
/// As [`resolve_user`].
pub fn find_user(
    user: &str,
    group_add: &[String],
    passwd: &str,
    group: &str,
) -> Result<User, SpecError> {
    let (name, group_name) = user.split_once(':').unwrap_or((user, ""));
    let wanted = Id::read(if name.is_empty() { "0" } else { name })?;
    let mut accounts = passwd.lines().filter_map(Account::read);
    let account = accounts.find(|account| match wanted {
        Id::Number(number) => account.uid == number,
        Id::Name(name) => account.name == name,
    });
    let mut found = match (&account, wanted) {
        (Some(account), _) => User {
            uid: account.uid,
            gid: account.gid,
            groups: Vec::new(),
            home: account.home.to_owned(),
        },
        (None, Id::Number(uid)) => User { uid, ..User::default() },
        (None, Id::Name(name)) => {
            return Err(SpecError::invalid(format!(
                "unable to find user {name}: no matching entries in passwd file"
            )));
        }
    };
    if found.home.is_empty() {
        "/".clone_into(&mut found.home);
    }
    let mut others = Vec::new();
    if !group_name.is_empty() {
        found.gid = find_group(group_name, group).map_err(|reason| match reason {
            NoGroup::Unknown => SpecError::invalid(format!(
                "unable to find group {group_name}: no matching entries in group file"
            )),
            NoGroup::Refused(error) => error,
        })?;
    } else if let Some(account) = &account {
        let groups = group.lines().filter_map(Group::read);
        others.extend(groups.filter(|group| group.has(account.name)).map(|group| group.gid));
    }
    for name in group_add {
        others.push(find_group(name, group).map_err(|reason| match reason {
            NoGroup::Unknown => SpecError::invalid(format!("unable to find group {name}")),
            NoGroup::Refused(error) => error,
        })?);
    }
    found.groups.push(found.gid);
    for gid in others {
        if !found.groups.contains(&gid) {
            found.groups.push(gid);
        }
    }
    Ok(found)
}

enum NoGroup {
    Unknown,
    Refused(SpecError),
}

fn find_group(name: &str, group: &str) -> Result<u32, NoGroup> {
    match Id::read(name).map_err(NoGroup::Refused)? {
        Id::Number(gid) => Ok(gid),
        Id::Name(name) => group
            .lines()
            .filter_map(Group::read)
            .find(|group| group.name == name)
            .map(|group| group.gid)
            .ok_or(NoGroup::Unknown),
    }
}

/// What is all digits is a number, whatever names there are.
#[derive(Clone, Copy)]
enum Id<'text> {
    Number(u32),
    Name(&'text str),
}

impl<'text> Id<'text> {
    fn read(text: &'text str) -> Result<Self, SpecError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text));
        }
        number(text).map(Self::Number).ok_or_else(|| {
            SpecError::invalid(format!("uids and gids must be in range 0-{HIGHEST}"))
        })
    }
}

fn number(text: &str) -> Option<u32> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| is_plain && number <= HIGHEST)
}

/// A line of passwd(5); others are none.
struct Account<'text> {
    name: &'text str,
    uid: u32,
    gid: u32,
    home: &'text str,
}

impl<'text> Account<'text> {
    fn read(line: &'text str) -> Option<Self> {
        let mut members = line.trim().split(':');
        let name = members.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let uid = number(members.nth(1)?)?;
        let gid = number(members.next()?)?;
        Some(Self { name, uid, gid, home: members.nth(1).unwrap_or_default() })
    }
}

/// A line of group(5); others are none.
struct Group<'text> {
    name: &'text str,
    gid: u32,
    members: &'text str,
}

impl<'text> Group<'text> {
    fn read(line: &'text str) -> Option<Self> {
        let mut members = line.trim().split(':');
        let name = members.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let gid = number(members.nth(1)?)?;
        Some(Self { name, gid, members: members.next().unwrap_or_default() })
    }

    fn has(&self, user: &str) -> bool {
        self.members.split(',').any(|member| member == user)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;
    use rustix::fs::{CWD, mknodat};

    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/var/www:/bin/false\n\
        broken:x:abc:0::/:\nbig:x:4294967296:0::/:\nnegative:x:-1:0::/:\n1000:x:5:5::/home/odd:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,web\naudio:x:29:web\nwww:x:34:\n";

    fn find(user: &str, add: &[&str]) -> Result<User, String> {
        let add: Vec<String> = add.iter().map(|&name| name.to_owned()).collect();
        find_user(user, &add, PASSWD, GROUP).map_err(|error| error.to_string())
    }

    fn numbers(user: &str, add: &[&str]) -> (u32, u32, Vec<u32>, String) {
        let User { uid, gid, groups, home } = find(user, add).unwrap();
        (uid, gid, groups, home)
    }

    #[test]
    fn names_and_numbers_mean_what_the_files_say() {
        assert_eq!(numbers("", &[]), (0, 0, vec![0, 10], "/root".into()));
        assert_eq!(numbers("web", &[]), (33, 34, vec![34, 10, 29], "/var/www".into()));
        assert_eq!(
            numbers("33", &["audio", "7"]),
            (33, 34, vec![34, 10, 29, 7], "/var/www".into())
        );
        assert_eq!(numbers("web:audio", &[]), (33, 29, vec![29], "/var/www".into()));
        assert_eq!(numbers("12345:67", &[]), (12345, 67, vec![67], "/".into()));
        assert_eq!(numbers(":audio", &[]), (0, 29, vec![29], "/root".into()));
    }

    #[test]
    fn a_name_of_digits_is_a_number() {
        assert_eq!(numbers("1000", &[]).0, 1000);
    }

    #[test]
    fn what_is_no_number_never_becomes_root() {
        for user in ["+1", "-1", "0x0", " 0", "broken", "big", "negative", "nobody", "#"] {
            let error = find(user, &[]).unwrap_err();
            assert!(error.starts_with("unable to find user"), "{user}: {error}");
        }
        for user in ["2147483648", "4294967296", "99999999999999999999", "0:4294967295"] {
            assert_eq!(find(user, &[]).unwrap_err(), "uids and gids must be in range 0-2147483647");
        }
        assert!(find("web:nosuch", &[]).unwrap_err().starts_with("unable to find group nosuch"));
        assert_eq!(find("", &["nosuch"]).unwrap_err(), "unable to find group nosuch");
    }

    #[test]
    fn files_that_are_none_name_nobody_and_cost_no_time() {
        for kind in [Some(FileType::Fifo), None] {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("etc")).unwrap();
            let passwd = root.path().join("etc/passwd");
            match kind {
                Some(kind) => mknodat(CWD, &passwd, kind, Mode::from_raw_mode(0o600), 0).unwrap(),
                None => fs::create_dir(&passwd).unwrap(),
            }
            assert_eq!(resolve_user(root.path(), "", &[]).unwrap().home, "/");
            assert!(resolve_user(root.path(), "root", &[]).is_err());
        }
    }

    #[test]
    fn a_link_is_followed_inside_of_the_root_alone() {
        let host = tempfile::tempdir().unwrap();
        fs::write(host.path().join("passwd"), "evil:x:7:7::/:\n").unwrap();
        let root = host.path().join("root");
        fs::create_dir_all(root.join("etc")).unwrap();
        for target in ["../../passwd".into(), host.path().join("passwd")] {
            let link = root.join("etc/passwd");
            symlink(target, &link).unwrap();
            assert!(resolve_user(&root, "evil", &[]).is_err());
            fs::remove_file(link).unwrap();
        }
        symlink("/passwd", root.join("etc/passwd")).unwrap();
        fs::write(root.join("passwd"), "good:x:8:8::/:\n").unwrap();
        assert_eq!(resolve_user(&root, "good", &[]).unwrap().uid, 8);
    }

    proptest! {
        #[test]
        fn no_files_make_it_panic_or_give_a_number_that_is_too_high(
            user in ".{0,12}", passwd in "(?s).{0,200}", group in "(?s).{0,200}"
        ) {
            if let Ok(user) = find_user(&user, std::slice::from_ref(&user), &passwd, &group) {
                prop_assert!(user.uid <= HIGHEST && user.gid <= HIGHEST);
            }
        }
    }
}
