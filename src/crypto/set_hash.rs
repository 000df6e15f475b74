//! The set hash: one number that stands for a whole set of records, updated in constant time.
//!
//! ```text
//! leaf(tree, key, record) = HMAC-SHA-256(K_set, 0x01 ‖ u16(len) ‖ tree ‖ key ‖ record)  as 4 x u64
//! hash                    = the sum of the leaves in (Z/2^64)^4, wrapping, no carry between lanes
//! ```
//!
//! It catches what no single record can show: one that is missing, one too many, an older one put
//! back. A leaf is the output of a keyed PRF, so another set has the same sum with a chance of
//! 2^-256.
//!
//! **The hash must never be shown**: not in an API, a log, a metric or an anchor. Differences of
//! successive hashes are leaves, and from enough known leaves a set with a wanted sum can be found
//! in some 2^32 steps (Wagner 2002). On disk it stands in sealed records only.

use std::fmt;

use crate::crypto::mac::{MacKey, ct_eq};

/// A sum of leaves: the hash of a set, or the difference that a change makes to one.
#[derive(Clone, Copy, Default)]
pub(crate) struct SetHash([u64; 4]);

impl SetHash {
    /// The hash of the empty set, and the difference that changes nothing.
    pub(crate) const EMPTY: Self = Self([0; 4]);

    /// Puts a record into the set.
    pub(crate) fn insert(&mut self, leaf: &Leaf) {
        self.each_lane(&leaf.0, u64::wrapping_add);
    }

    /// Takes a record out of the set.
    pub(crate) fn remove(&mut self, leaf: &Leaf) {
        self.each_lane(&leaf.0, u64::wrapping_sub);
    }

    /// Applies a difference, which is itself a sum of inserted and removed leaves.
    pub(crate) fn merge(&mut self, delta: &Self) {
        self.each_lane(&delta.0, u64::wrapping_add);
    }

    /// For sealed records only.
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (out, lane) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *out = lane.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(lanes(bytes))
    }

    fn each_lane(&mut self, other: &[u64; 4], op: fn(u64, u64) -> u64) {
        for (lane, other) in self.0.iter_mut().zip(other) {
            *lane = op(*lane, *other);
        }
    }
}

/// In constant time.
impl PartialEq for SetHash {
    fn eq(&self, other: &Self) -> bool {
        ct_eq(&self.to_bytes(), &other.to_bytes())
    }
}

impl Eq for SetHash {}

impl fmt::Debug for SetHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetHash(..)")
    }
}

/// What one record adds to the set hash. As secret as the hash.
#[derive(Clone, Copy)]
pub(crate) struct Leaf([u64; 4]);

impl Leaf {
    /// The leaf of the record that stands under `key` in the tree with this id.
    ///
    /// The whole record goes in: its tag alone would not do, for Poly1305 does not promise that
    /// two messages under a known key have different tags.
    pub(crate) fn new(set_key: &MacKey, tree: u8, key: &[u8], record: &[u8]) -> Self {
        // Keys of trees have some 20 bytes; one that does not fit the length field is never stored,
        // because sealing refuses its place.
        let len = u16::try_from(key.len()).unwrap_or(u16::MAX).saturating_add(1).to_be_bytes();
        Self(lanes(&set_key.mac(&[&[0x01], &len, &[tree], key, record])))
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Leaf(..)")
    }
}

fn lanes(bytes: &[u8; 32]) -> [u64; 4] {
    let mut lanes = [0; 4];
    for (lane, chunk) in lanes.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *lane = u64::from_le_bytes(*chunk);
    }
    lanes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::testkit::key;

    fn leaf(record: &[u8]) -> Leaf {
        Leaf::new(&MacKey::new(&key(1)), 0x10, b"key", record)
    }

    fn hash_of(records: &[&[u8]]) -> SetHash {
        let mut hash = SetHash::EMPTY;
        records.iter().for_each(|record| hash.insert(&leaf(record)));
        hash
    }

    #[test]
    fn order_does_not_matter_and_removal_undoes() {
        assert_eq!(hash_of(&[b"a", b"b", b"c"]), hash_of(&[b"c", b"a", b"b"]));
        let mut hash = hash_of(&[b"a", b"b"]);
        hash.remove(&leaf(b"a"));
        assert_eq!(hash, hash_of(&[b"b"]));
        hash.remove(&leaf(b"b"));
        assert_eq!(hash, SetHash::EMPTY);
    }

    #[test]
    fn another_set_has_another_hash() {
        let hash = hash_of(&[b"a", b"b"]);
        assert_ne!(hash, hash_of(&[b"a"]), "one gone");
        assert_ne!(hash, hash_of(&[b"a", b"b", b"b"]), "one twice");
        assert_ne!(hash, hash_of(&[b"a", b"B"]), "one replaced");
    }

    #[test]
    fn a_leaf_depends_on_place_and_record() {
        let set_key = MacKey::new(&key(1));
        let of = |tree, key: &[u8], record: &[u8]| Leaf::new(&set_key, tree, key, record).0;
        let good = of(0x10, b"ab", b"cd");
        assert_ne!(good, of(0x11, b"ab", b"cd"), "tree");
        assert_ne!(good, of(0x10, b"aB", b"cd"), "key");
        assert_ne!(good, of(0x10, b"ab", b"cD"), "record");
        assert_ne!(good, of(0x10, b"abc", b"d"), "border");
        assert_ne!(good, Leaf::new(&MacKey::new(&key(2)), 0x10, b"ab", b"cd").0, "set key");
    }

    #[test]
    fn lanes_wrap_without_a_carry() {
        let mut hash = SetHash([u64::MAX, 0, 0, 1]);
        hash.insert(&Leaf([1, 0, 0, u64::MAX]));
        assert_eq!(hash.0, [0; 4]);
        hash.remove(&Leaf([1, 0, 2, 0]));
        assert_eq!(hash.0, [u64::MAX, 0, u64::MAX - 1, 0]);
    }

    #[test]
    fn bytes_are_little_endian_lanes() {
        let hash = SetHash([1, 2, 3, u64::MAX - 1]);
        let mut want = [0; 32];
        (want[0], want[8], want[16]) = (1, 2, 3);
        want[24..].copy_from_slice(&[0xFE, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(hash.to_bytes(), want);
        assert_eq!(SetHash::from_bytes(&want), hash);
    }

    #[test]
    fn debug_shows_no_lane() {
        assert_eq!(format!("{:?} {:?}", SetHash([7; 4]), Leaf([7; 4])), "SetHash(..) Leaf(..)");
    }

    proptest! {
        /// However a history is cut into differences, applying them gives the same hash.
        #[test]
        fn differences_add_up(steps in prop::collection::vec((any::<bool>(), any::<u8>()), 0..40),
                              cut in 0..40_usize) {
            let (mut whole, mut parts) = (SetHash::EMPTY, [SetHash::EMPTY; 2]);
            for (at, (add, record)) in steps.iter().enumerate() {
                let leaf = leaf(&[*record]);
                let part = &mut parts[usize::from(at >= cut)];
                for hash in [&mut whole, part] {
                    if *add { hash.insert(&leaf) } else { hash.remove(&leaf) }
                }
            }
            let [mut first, second] = parts;
            first.merge(&second);
            prop_assert!(first == whole);
        }
    }
}
