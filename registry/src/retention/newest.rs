use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Finds the so many greatest of any number of keys, and remembers no more than these.
#[derive(Debug)]
pub(super) struct Newest<K> {
    count: usize,
    /// The least of them on top.
    greatest: BinaryHeap<Reverse<K>>,
}

impl<K: Ord> Newest<K> {
    /// For at least one.
    pub(super) fn new(count: u32) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Self { count: count.max(1), greatest: BinaryHeap::new() }
    }

    pub(super) fn note(&mut self, key: K) {
        if self.greatest.len() < self.count {
            self.greatest.push(Reverse(key));
            return;
        }
        if let Some(mut least) = self.greatest.peek_mut()
            && least.0 < key
        {
            *least = Reverse(key);
        }
    }

    /// What a key must reach to be among the greatest.
    pub(super) fn floor(self) -> Floor<K> {
        let Self { count, mut greatest } = self;
        Floor(if greatest.len() < count {
            None
        } else {
            greatest.pop().map(|Reverse(least)| least)
        })
    }
}

/// The least of the greatest keys; none where there were fewer than so many.
#[derive(Debug)]
pub(super) struct Floor<K>(Option<K>);

impl<K: Ord> Floor<K> {
    pub(super) fn is_reached_by(&self, key: &K) -> bool {
        self.0.as_ref().is_none_or(|floor| key >= floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(count: u32, keys: &[u32]) -> Vec<u32> {
        let mut newest = Newest::new(count);
        keys.iter().for_each(|key| newest.note(*key));
        assert!(newest.greatest.len() <= count as usize);
        let floor = newest.floor();
        keys.iter().copied().filter(|key| floor.is_reached_by(key)).collect()
    }

    #[test]
    fn the_greatest_are_found_in_any_order() {
        assert_eq!(kept(2, &[3, 1, 4, 2]), [3, 4]);
        assert_eq!(kept(1, &[1, 2, 3]), [3]);
        assert_eq!(kept(3, &[3, 2, 1]), [3, 2, 1]);
        assert_eq!(kept(5, &[2, 1]), [2, 1]);
        assert!(kept(5, &[]).is_empty());
    }
}
