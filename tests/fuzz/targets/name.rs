//! A repository name stays inside of its folder and is written as it was read.
#![no_main]

use berth_oci::RepositoryName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<RepositoryName>() {
        assert_eq!(name.as_str(), text);
        assert!(text.len() <= RepositoryName::MAX_LEN);
        for component in text.split('/') {
            assert!(component.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()));
            assert!(component.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()));
            assert!(!component.contains(".."));
        }
    }
});
