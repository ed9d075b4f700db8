//! Names of images: what is written down of one is read as the same.
#![no_main]

use berth_runner::images::ImageReference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<ImageReference>() {
        assert_eq!(name.to_string().parse::<ImageReference>().ok(), Some(name.clone()));
        assert_eq!(name.familiar().parse::<ImageReference>().ok(), Some(name.clone()));
        assert!(!name.path().as_str().split('/').any(|part| part.is_empty() || part.starts_with('.')));
    }
});
