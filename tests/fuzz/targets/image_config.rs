//! Configurations of images: each is read or refused, and what is read names no more layers than can be mounted.
#![no_main]

use berth_runner::images::ImageConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = ImageConfig::parse(bytes) {
        assert!(config.diff_ids.len() <= 500);
        let _ = (config.platform(), config.created_at());
    }
});
