//! Archives of layers: each is indexed or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|archive: &[u8]| {
    let _ = berth_runner::layers::check_tar(archive);
});
