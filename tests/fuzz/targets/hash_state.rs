//! A stored hash state that is restored is stored again as it was.
#![no_main]

use berth_oci::Hasher;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|saved: &[u8]| {
    // Going on with a state is no part of it: one that claims more bytes than can exist is only
    // found in a damaged database, and its digest matches nothing.
    if let Some(hasher) = Hasher::restore(saved) {
        assert_eq!(hasher.save(), saved);
    }
});
