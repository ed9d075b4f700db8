use std::ops::Range;

/// More ranges than this in one request are not served apart. Lazy-pulling clients send some
/// hundreds.
const MAX_RANGES: usize = 2048;

/// One range of a `Range` header, as RFC 9110 section 14 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first byte to the last, both inclusive, or to the end.
    From(u64, Option<u64>),
    /// The last so many bytes.
    Suffix(u64),
}

/// What a `Range` header means for content of a known size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolvedRanges {
    /// The header is absent, of another unit, or asks for more than the whole: serve it all, as
    /// RFC 9110 allows.
    Whole,
    /// These parts, one at least, each within the content and not empty.
    Parts(Vec<Range<u64>>),
    /// Malformed, or nothing of it is in the content. A malformed header could be ignored as well;
    /// the reference registry rejects it, and a client that makes one is better told.
    Unsatisfiable,
}

impl ResolvedRanges {
    /// Reads a header for content of `size` bytes.
    pub fn resolve(header: Option<&str>, size: u64) -> Self {
        let set = header.and_then(|header| header.trim().strip_prefix("bytes"));
        let Some(set) = set.and_then(|set| set.trim_start().strip_prefix('=')) else {
            return Self::Whole;
        };
        let Some(ranges) = parse(set) else { return Self::Unsatisfiable };
        if ranges.len() > MAX_RANGES {
            return Self::Whole;
        }
        let parts: Vec<_> = ranges.into_iter().filter_map(|range| range.within(size)).collect();
        if parts.is_empty() {
            return Self::Unsatisfiable;
        }
        // Overlapping ranges can add up to many times the content.
        let total = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.end - part.start));
        match total {
            Some(total) if total <= size => Self::Parts(parts),
            _ => Self::Whole,
        }
    }
}

impl ByteRange {
    fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, None) => first..size,
            Self::From(first, Some(last)) => first..last.saturating_add(1).min(size),
            Self::Suffix(len) => size.saturating_sub(len)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// The ranges of a set; `None` when it is malformed or empty. More than [`MAX_RANGES`] are not all
/// read.
fn parse(set: &str) -> Option<Vec<ByteRange>> {
    let ranges: Vec<_> = set
        .split(',')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .take(MAX_RANGES + 1)
        .map(parse_one)
        .collect::<Option<_>>()?;
    (!ranges.is_empty()).then_some(ranges)
}

fn parse_one(text: &str) -> Option<ByteRange> {
    let (first, last) = text.split_once('-')?;
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Some(ByteRange::From(first, Some(last))),
        (Some(first), None) if last.is_empty() => Some(ByteRange::From(first, None)),
        (None, Some(len)) if first.is_empty() => Some(ByteRange::Suffix(len)),
        _ => None,
    }
}

/// A number of any length: one that does not fit is beyond every content.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    // The lint takes a list of one range for a slip.
    #[allow(clippy::single_range_in_vec_init)]
    fn ranges_are_cut_to_the_content() {
        for (header, parts) in [
            ("bytes=0-0", vec![0..1]),
            ("bytes=0-99", vec![0..10]),
            ("bytes=5-", vec![5..10]),
            ("bytes=-3", vec![7..10]),
            ("bytes=-99", vec![0..10]),
            ("bytes=8-9, 0-1", vec![8..10, 0..2]),
            ("bytes=20-30,0-1", vec![0..2]),
            ("bytes=0-99999999999999999999999", vec![0..10]),
        ] {
            assert_eq!(
                ResolvedRanges::resolve(Some(header), 10),
                ResolvedRanges::Parts(parts),
                "{header}"
            );
        }
    }

    #[test]
    fn foreign_and_greedy_headers_get_everything() {
        for header in ["", "bytes", "items=0-1", "bytes=0-9,0-9"] {
            assert_eq!(
                ResolvedRanges::resolve(Some(header), 10),
                ResolvedRanges::Whole,
                "{header}"
            );
        }
        let many = format!("bytes={}", "0-0,".repeat(MAX_RANGES + 1));
        assert_eq!(ResolvedRanges::resolve(Some(&many), 1 << 40), ResolvedRanges::Whole);
    }

    #[test]
    fn malformed_headers_and_ranges_outside_of_the_content_are_unsatisfiable() {
        for header in ["bytes=", "bytes=a-b", "bytes=5-4", "bytes=--1", "bytes=0-1,x", "bytes=-"] {
            let resolved = ResolvedRanges::resolve(Some(header), 10);
            assert_eq!(resolved, ResolvedRanges::Unsatisfiable, "{header}");
        }
        for (header, size) in
            [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)]
        {
            assert_eq!(
                ResolvedRanges::resolve(Some(header), size),
                ResolvedRanges::Unsatisfiable,
                "{header}"
            );
        }
    }
}
