//! Sets of numbers as the kernel writes them: `0-3,7`.

use std::collections::BTreeSet;

/// More processors than this no kernel has.
const MOST: u32 = 8192;

/// The members of a set, or nothing where it is not one.
pub(in crate::spec) fn numbers(text: &str) -> Option<BTreeSet<u32>> {
    let number = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|&number: &u32| is_plain && number < MOST)
    };
    let mut members = BTreeSet::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        members.extend(first..=last);
    }
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_numbers_make_a_set() {
        let set = |text| numbers(text).map(|set| set.into_iter().collect::<Vec<_>>());
        assert_eq!(set("0-2,7"), Some(vec![0, 1, 2, 7]));
        assert_eq!(set("0-1,1\n"), Some(vec![0, 1]));
        assert_eq!(
            [set("2-1"), set("a"), set("-1"), set("0-99999999"), set("+1")],
            [const { None }; 5]
        );
    }
}
