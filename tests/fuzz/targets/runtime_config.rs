//! Configurations of containers: each is planned or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|config: &[u8]| {
    let _ = berth_runner::oci::check_configuration(config);
});
