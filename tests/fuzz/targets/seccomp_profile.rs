//! Filters of system calls: what is compiled is never more than the kernel takes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|profile: &[u8]| {
    if let Ok(length) = berth_runner::oci::check_seccomp(profile) {
        assert!((1..=4096).contains(&length));
    }
});
