//! Users and groups of an image: whoever is found has numbers that the kernel can have.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(3, '\u{1}');
    let mut part = || parts.next().unwrap_or_default();
    let (user, passwd, group) = (part(), part(), part());
    if let Ok(found) = berth_runner::spec::find_user(user, &[user.to_owned()], passwd, group) {
        let most = i32::MAX.unsigned_abs();
        assert!(found.uid <= most && found.groups.iter().all(|&gid| gid <= most));
        assert!(found.groups.contains(&found.gid));
    }
});
