//! The parts of a range header lie in the content, are not empty, and are no more than it.
#![no_main]

use berth_registry::http::ResolvedRanges;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u64)| {
    let (header, size) = input;
    if let ResolvedRanges::Parts(parts) = ResolvedRanges::resolve(Some(header), size) {
        assert!(!parts.is_empty());
        let mut total = 0u64;
        for part in &parts {
            assert!(part.start < part.end && part.end <= size);
            total += part.end - part.start;
        }
        assert!(total <= size);
    }
});
