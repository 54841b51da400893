use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// A map whose entries expire, and of which the oldest make room for new ones.
///
/// "Old" is by the last time an entry was put in or renewed. The order is kept in a queue whose
/// outdated places are skipped, so that every operation costs a constant on average.
#[derive(Debug)]
pub(crate) struct BoundedMap<V> {
    entries: HashMap<String, Entry<V>>,
    order: VecDeque<(u64, String)>,
    next: u64,
    max_entries: usize,
    weight: u64,
    max_weight: u64,
}

#[derive(Debug)]
struct Entry<V> {
    /// Which place in the order is this entry's present one.
    place: u64,
    expires: Instant,
    weight: u64,
    value: V,
}

impl<V> BoundedMap<V> {
    pub(crate) fn new(max_entries: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            max_entries: max_entries.max(1),
            weight: 0,
            max_weight: u64::MAX,
        }
    }

    /// Bounds what all entries weigh together, as [`BoundedMap::insert_weighed`] is told.
    pub(crate) fn max_weight(mut self, weight: u64) -> Self {
        self.max_weight = weight;
        self
    }

    pub(crate) fn get(&self, key: &str, now: Instant) -> Option<&V> {
        self.entries.get(key).filter(|entry| now < entry.expires).map(|entry| &entry.value)
    }

    /// What is there and has not expired, in no order.
    pub(crate) fn iter(&self, now: Instant) -> impl Iterator<Item = (&str, &V)> {
        let fresh = self.entries.iter().filter(move |(_, entry)| now < entry.expires);
        fresh.map(|(key, entry)| (key.as_str(), &entry.value))
    }

    /// Puts a value in, and drops what has expired or is too much.
    pub(crate) fn insert(&mut self, key: &str, value: V, expires: Instant, now: Instant) {
        self.insert_weighed(key, value, 0, expires, now);
    }

    /// Puts a value in that weighs so much, and drops what has expired or is too much: the value
    /// itself, too, if it weighs more than all may.
    pub(crate) fn insert_weighed(
        &mut self,
        key: &str,
        value: V,
        weight: u64,
        expires: Instant,
        now: Instant,
    ) {
        self.remove(key);
        let place = self.place(key);
        self.weight = self.weight.saturating_add(weight);
        self.entries.insert(key.to_owned(), Entry { place, expires, weight, value });
        while let Some((place, key)) = self.order.front() {
            match self.entries.get(key).filter(|entry| entry.place == *place) {
                // Another place in the order is this key's present one.
                None => {}
                Some(entry)
                    if entry.expires > now
                        && self.entries.len() <= self.max_entries
                        && self.weight <= self.max_weight =>
                {
                    break;
                }
                Some(entry) => {
                    self.weight = self.weight.saturating_sub(entry.weight);
                    self.entries.remove(key);
                }
            }
            self.order.pop_front();
        }
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.weight = self.weight.saturating_sub(entry.weight);
        Some(entry.value)
    }

    pub(crate) fn remove_prefix(&mut self, prefix: &str) {
        let weight = &mut self.weight;
        self.entries.retain(|key, entry| {
            let stays = !key.starts_with(prefix);
            if !stays {
                *weight = weight.saturating_sub(entry.weight);
            }
            stays
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Gives a key the last place in the order.
    fn place(&mut self, key: &str) -> u64 {
        if self.order.len() > 2 * self.max_entries {
            let entries = &self.entries;
            self.order
                .retain(|(place, key)| entries.get(key).is_some_and(|entry| entry.place == *place));
        }
        self.next += 1;
        self.order.push_back((self.next, key.to_owned()));
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn entries_expire_and_make_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut map = BoundedMap::new(2);
        map.insert("a", 1, at(10), at(0));
        map.insert("b", 2, at(10), at(0));
        map.insert("a", 3, at(11), at(1));
        map.insert("c", 4, at(12), at(2));
        assert_eq!(map.get("b", at(2)), None, "the oldest made room");
        assert_eq!((map.get("a", at(2)), map.get("c", at(2))), (Some(&3), Some(&4)));
        assert_eq!(map.get("a", at(11)), None);
        map.insert("d", 5, at(30), at(20));
        assert_eq!(map.len(), 1, "what has expired is dropped");
        assert_eq!(map.remove("d"), Some(5));
    }

    #[test]
    fn entries_make_room_by_weight() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut map = BoundedMap::new(100).max_weight(10);
        map.insert_weighed("a", 1, 4, later, now);
        map.insert_weighed("b", 2, 4, later, now);
        map.insert_weighed("a", 3, 6, later, now);
        assert_eq!((map.len(), map.weight), (2, 10));
        map.insert_weighed("c", 4, 1, later, now);
        assert_eq!((map.get("b", now), map.get("a", now), map.weight), (None, Some(&3), 7));
        map.insert_weighed("d", 5, 11, later, now);
        assert_eq!((map.len(), map.weight), (0, 0), "more than all may weigh");
    }

    #[test]
    fn renewing_one_key_does_not_grow_the_order() {
        let now = Instant::now();
        let mut map = BoundedMap::new(4);
        for value in 0..1000 {
            map.insert("a", value, now + Duration::from_secs(1), now);
        }
        assert!(map.order.len() <= 2 * 4 + 1);
        assert_eq!(map.get("a", now), Some(&999));
    }

    #[test]
    fn what_is_removed_weighs_nothing() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut map = BoundedMap::new(9).max_weight(10);
        map.insert_weighed("a/1", 1, 6, later, now);
        map.remove_prefix("a/");
        map.insert_weighed("b", 2, 6, later, now);
        assert_eq!((map.get("b", now), map.len()), (Some(&2), 1));
        map.insert_weighed("c", 3, 6, later, now);
        assert_eq!((map.get("b", now), map.get("c", now)), (None, Some(&3)));
    }
}
