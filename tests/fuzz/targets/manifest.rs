//! A manifest that is accepted says the same when it is read again with the type it was given.
#![no_main]

use berth_oci::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(manifest) = Manifest::parse(None, body) {
        let again = Manifest::parse(Some(&manifest.media_type), body);
        assert_eq!(again.expect("accepted once"), manifest);
        assert!(manifest.children().count() <= body.len());
    }
});
