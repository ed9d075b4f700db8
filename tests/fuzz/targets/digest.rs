//! A digest is written as it was read and holds as many bytes as its algorithm says.
#![no_main]

use berth_oci::Digest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.hash().len(), digest.algorithm().hash_len());
        assert_eq!(Digest::from_hash(digest.algorithm(), digest.hash()), Some(digest));
    }
});
