//! A reference is written as it was read, and a tag is one path component.
#![no_main]

use berth_oci::Reference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string(), text);
        if let Reference::Tag(tag) = reference {
            assert!(!tag.as_str().contains(['/', ':', '\0']));
            assert!(!tag.as_str().starts_with('.'));
        }
    }
});
