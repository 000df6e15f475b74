//! The key ring: the keys under which records are sealed, and those derived from them.
//!
//! ```text
//! u16 schema = 1 | u32 active | u16 n | n x { u32 generation, u8 suite, 32 bytes }
//! | int_key 32 | name_key 32 | u8 n_old | n_old x 32 bytes
//! ```
//!
//! The layout is read and written by hand: a serializer would copy the keys over the stack.

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::{
    Forged, SUITE,
    derive::{Label, sub},
    key::{KEY_LEN, Key},
    mac::MacKey,
    random::{Draw, RandomError},
    set_hash::Leaf,
};

/// How many generations of key-encryption keys a ring holds at most.
pub(crate) const GENERATIONS_MAX: usize = 256;

const SCHEMA: u16 = 1;
const GENERATION_LEN: usize = 4 + 1 + KEY_LEN;
const FIXED_LEN: usize = 2 + 4 + 2 + 2 * KEY_LEN + 1;

/// All keys of one store, with the derived ones held ready.
pub(crate) struct KeyRing {
    /// By ascending generation, and never without the active one.
    generations: Vec<Generation>,
    active: u32,
    int_key: Key,
    name_key: Key,
    /// Room for integrity keys of the past, in case a later release replaces the key.
    old_int_keys: Vec<Key>,
    derived: Derived,
}

/// One key-encryption key.
struct Generation {
    number: u32,
    suite: u8,
    key: Key,
    meta_key: Key,
}

struct Derived {
    root_key: Key,
    log_key: Key,
    blob_key: Key,
    backup: MacKey,
    set: MacKey,
    chain: MacKey,
    journal: MacKey,
    name: MacKey,
    token: MacKey,
}

impl KeyRing {
    /// A ring of new random keys, with the generation 1.
    pub(crate) fn generate(store_id: &[u8; 16]) -> Result<Self, RandomError> {
        let mut draw = Draw::new(3 * KEY_LEN)?;
        let first = Generation::new(store_id, 1, SUITE, draw.take_key()?);
        Ok(Self::assemble(
            store_id,
            (vec![first], 1),
            (draw.take_key()?, draw.take_key()?),
            Vec::new(),
        ))
    }

    /// The number of the generation that seals new records.
    pub(crate) fn active(&self) -> u32 {
        self.active
    }

    /// The key that seals what is known of a secret, in this generation.
    pub(crate) fn meta_key(&self, generation: u32) -> Option<&Key> {
        let at = self.generations.binary_search_by_key(&generation, |it| it.number).ok()?;
        self.generations.get(at).map(|it| &it.meta_key)
    }

    /// The key that seals the root, jobs and pins.
    pub(crate) fn root_key(&self) -> &Key {
        &self.derived.root_key
    }

    /// The key that seals audit records.
    pub(crate) fn log_key(&self) -> &Key {
        &self.derived.log_key
    }

    /// The key that wraps the keys of secrets' backups. It outlives every generation, so that a backup can be
    /// restored however old it is.
    pub(crate) fn blob_key(&self) -> &Key {
        &self.derived.blob_key
    }

    /// The MAC key of backups of the whole store.
    pub(crate) fn backup_mac(&self) -> &MacKey {
        &self.derived.backup
    }

    /// The identifier that stands for a name on disk: `HMAC(K_name, 0x10 ‖ name)[..16]`.
    pub(crate) fn name_id(&self, name: &[u8]) -> [u8; 16] {
        self.derived.name.id(&[&[0x10], name])
    }

    /// The identifier that stands for an idempotency token and what it belongs to.
    ///
    /// Each part goes in behind its length, `u64(len) ‖ part`, so that parts cannot be shifted.
    pub(crate) fn token_tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        let lens: Vec<[u8; 8]> = parts.iter().map(|it| (it.len() as u64).to_be_bytes()).collect();
        let framed: Vec<&[u8]> =
            lens.iter().zip(parts).flat_map(|(len, part)| [&len[..], part]).collect();
        self.derived.token.id(&framed)
    }

    /// The leaf of a record in the set hash.
    pub(crate) fn leaf(&self, tree: u8, key: &[u8], record: &[u8]) -> Leaf {
        Leaf::new(&self.derived.set, tree, key, record)
    }

    /// Where the audit chain begins: `HMAC(K_chain, 0x03 ‖ store_id)`.
    pub(crate) fn chain_first(&self, store_id: &[u8; 16]) -> [u8; 32] {
        self.derived.chain.mac(&[&[0x03], store_id])
    }

    /// The audit chain with one more record:
    /// `HMAC(K_chain, 0x02 ‖ chain ‖ u64(seq) ‖ SHA-256(record))`.
    pub(crate) fn chain_next(
        &self,
        chain: &[u8; 32],
        seq: u64,
        record_sha256: &[u8; 32],
    ) -> [u8; 32] {
        self.derived.chain.mac(&[&[0x02], chain, &seq.to_be_bytes(), record_sha256])
    }

    /// The MAC key of the redo journal.
    pub(crate) fn journal_mac(&self) -> &MacKey {
        &self.derived.journal
    }

    /// The ring's bytes, to be sealed at once.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let generations = self.generations.len();
        let len = FIXED_LEN
            .saturating_add(generations.saturating_mul(GENERATION_LEN))
            .saturating_add(self.old_int_keys.len().saturating_mul(KEY_LEN));
        // Never grows, or it would leave the keys behind in a freed buffer.
        let mut out = Zeroizing::new(Vec::with_capacity(len));
        out.extend_from_slice(&SCHEMA.to_be_bytes());
        out.extend_from_slice(&self.active.to_be_bytes());
        out.extend_from_slice(&u16::try_from(generations).unwrap_or(u16::MAX).to_be_bytes());
        for it in &self.generations {
            out.extend_from_slice(&it.number.to_be_bytes());
            out.push(it.suite);
            out.extend_from_slice(it.key.expose());
        }
        out.extend_from_slice(self.int_key.expose());
        out.extend_from_slice(self.name_key.expose());
        out.push(u8::try_from(self.old_int_keys.len()).unwrap_or(u8::MAX));
        for key in &self.old_int_keys {
            out.extend_from_slice(key.expose());
        }
        debug_assert_eq!(out.len(), len, "the length was foreseen");
        out
    }

    /// Reads what `encode` wrote; anything else is refused.
    pub(crate) fn decode(store_id: &[u8; 16], bytes: &[u8]) -> Result<Self, Forged> {
        let mut rest = bytes;
        if u16::from_be_bytes(take(&mut rest)?) != SCHEMA {
            return Err(Forged);
        }
        let active = u32::from_be_bytes(take(&mut rest)?);
        let generations = take_generations(store_id, &mut rest)?;
        if !generations.iter().any(|it| it.number == active) {
            return Err(Forged);
        }
        let base_keys = (take_key(&mut rest)?, take_key(&mut rest)?);
        let [n_old] = take(&mut rest)?;
        let old_int_keys: Vec<Key> =
            (0..n_old).map(|_| take_key(&mut rest)).collect::<Result<_, _>>()?;
        if !rest.is_empty() {
            return Err(Forged);
        }
        Ok(Self::assemble(store_id, (generations, active), base_keys, old_int_keys))
    }

    fn assemble(
        store_id: &[u8; 16],
        (generations, active): (Vec<Generation>, u32),
        (int_key, name_key): (Key, Key),
        old_int_keys: Vec<Key>,
    ) -> Self {
        let derived = Derived::new(store_id, &int_key, &name_key);
        Self { generations, active, int_key, name_key, old_int_keys, derived }
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("active", &self.active).finish_non_exhaustive()
    }
}

impl Generation {
    fn new(store_id: &[u8; 16], number: u32, suite: u8, key: Key) -> Self {
        let meta_key = sub(&key, store_id, Label::MetaSeal);
        Self { number, suite, key, meta_key }
    }
}

impl Derived {
    fn new(store_id: &[u8; 16], int_key: &Key, name_key: &Key) -> Self {
        let mac_key = |ikm, label| MacKey::new(&sub(ikm, store_id, label));
        Self {
            root_key: sub(int_key, store_id, Label::RootSeal),
            log_key: sub(int_key, store_id, Label::LogSeal),
            blob_key: sub(int_key, store_id, Label::BlobWrap),
            backup: mac_key(int_key, Label::Backup),
            set: mac_key(int_key, Label::SetPrf),
            chain: mac_key(int_key, Label::Chain),
            journal: mac_key(int_key, Label::Journal),
            name: mac_key(name_key, Label::NamePrf),
            token: mac_key(name_key, Label::TokenPrf),
        }
    }
}

fn take_generations(store_id: &[u8; 16], rest: &mut &[u8]) -> Result<Vec<Generation>, Forged> {
    let n = usize::from(u16::from_be_bytes(take(rest)?));
    if n > GENERATIONS_MAX {
        return Err(Forged);
    }
    let mut generations: Vec<Generation> = Vec::with_capacity(n);
    for _ in 0..n {
        let number = u32::from_be_bytes(take(rest)?);
        let [suite] = take(rest)?;
        let key = take_key(rest)?;
        // 0 means "no generation" in a header, so it is none. Ascending numbers cannot repeat.
        if number <= generations.last().map_or(0, |last| last.number) || suite != SUITE {
            return Err(Forged);
        }
        generations.push(Generation::new(store_id, number, suite, key));
    }
    Ok(generations)
}

fn take_key(rest: &mut &[u8]) -> Result<Key, Forged> {
    let (key, after) = rest.split_at_checked(KEY_LEN).ok_or(Forged)?;
    *rest = after;
    Key::from_slice(key).ok_or(Forged)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Forged> {
    let (field, after) = rest.split_first_chunk().ok_or(Forged)?;
    *rest = after;
    Ok(*field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{
        envelope::{Header, Place, Sealing},
        mac::sha256,
        set_hash::SetHash,
        testkit::{STORE_ID, hex, key},
    };

    /// The keys of the test vectors.
    fn ring() -> KeyRing {
        KeyRing::assemble(
            &STORE_ID,
            (vec![Generation::new(&STORE_ID, 1, SUITE, key(0x44))], 1),
            (key(0x22), key(0x33)),
            Vec::new(),
        )
    }

    /// The same in bytes, with the generations given.
    fn encoded(active: u32, generations: &[(u32, u8)], n_old: u8) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend(active.to_be_bytes());
        bytes.extend(u16::try_from(generations.len()).unwrap().to_be_bytes());
        for (number, suite) in generations {
            bytes.extend(number.to_be_bytes());
            bytes.push(*suite);
            bytes.extend([0x44; 32]);
        }
        bytes.extend([[0x22; 32], [0x33; 32]].as_flattened());
        bytes.push(n_old);
        bytes.extend(vec![0x55; usize::from(n_old) * 32]);
        bytes
    }

    #[test]
    fn names_get_the_identifier_of_the_test_vector() {
        let ring = ring();
        assert_eq!(ring.name_id(b"prod/db/password")[..], hex("fc202da486d11a769ef036abd2f01154"));
        assert_ne!(ring.name_id(b"prod/db/password"), ring.name_id(b"prod/db/passworD"));
    }

    #[test]
    fn the_meta_record_has_the_leaf_of_the_test_vector() {
        let ring = ring();
        let nid = ring.name_id(b"prod/db/password");
        let mut sealing = Sealing::new(64);
        sealing.plaintext_mut()[..9].copy_from_slice(b"\0\0\0\x05meta!");
        let header = Header { kind: 0x10, generation: 1, revision: 2 };
        let place = Place { store_id: &STORE_ID, tree: 0x10, key: &nid, context: &[] };
        let meta_key = ring.meta_key(ring.active()).unwrap();
        let record = sealing.seal(meta_key, &header, [0x88; 24], &place).unwrap();
        let mut hash = SetHash::EMPTY;
        hash.insert(&ring.leaf(0x10, &nid, &record));
        assert_eq!(
            hash.to_bytes()[..],
            hex("d387faee5190e6719b80010aebaf9bb59c578296546a58d1788df660f1213b34")
        );
    }

    #[test]
    fn the_chain_begins_and_goes_on_as_in_the_test_vectors() {
        let ring = ring();
        let first = ring.chain_first(&STORE_ID);
        assert_eq!(
            first[..],
            hex("ad69e0065102ced17181c9c072ff0c7c34859e43d4ca67f4bec79b36f384baeb")
        );
        assert_eq!(
            ring.chain_next(&first, 1, &sha256(&[b"log record 1"]))[..],
            hex("535c750ac4b6b7a6bb03c124a88c669447a379ed71d0d5270416d5946bb6656e")
        );
    }

    #[test]
    fn the_derived_keys_are_those_of_their_labels() {
        let ring = ring();
        let of = |ikm, label| sub(&key(ikm), &STORE_ID, label);
        assert_eq!(ring.root_key(), &of(0x22, Label::RootSeal));
        assert_eq!(ring.log_key(), &of(0x22, Label::LogSeal));
        assert_eq!(ring.meta_key(1), Some(&of(0x44, Label::MetaSeal)));
        assert_eq!(ring.meta_key(2), None);
        let journal = MacKey::new(&of(0x22, Label::Journal));
        assert_eq!(ring.journal_mac().mac(&[b"frame"]), journal.mac(&[b"frame"]));
    }

    #[test]
    fn token_tags_keep_their_parts_apart() {
        let ring = ring();
        let tag = ring.token_tag(&[b"ab", b"c"]);
        let token = MacKey::new(&sub(&key(0x33), &STORE_ID, Label::TokenPrf));
        assert_eq!(tag, token.id(&[b"\0\0\0\0\0\0\0\x02ab\0\0\0\0\0\0\0\x01c"]));
        assert_ne!(tag, ring.token_tag(&[b"a", b"bc"]));
        assert_ne!(tag, ring.token_tag(&[b"abc"]));
        assert_ne!(tag, ring.token_tag(&[b"ab", b"c", b""]));
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        assert_eq!(*ring().encode(), encoded(1, &[(1, 1)], 0));
        for good in [
            encoded(1, &[(1, 1)], 0),
            encoded(7, &[(3, 1), (7, 1), (u32::MAX, 1)], 255),
            encoded(256, &(1..=256).map(|n| (n, 1)).collect::<Vec<_>>(), 3),
        ] {
            let ring = KeyRing::decode(&STORE_ID, &good).unwrap();
            let again = ring.encode();
            assert_eq!(*again, good);
            assert_eq!(again.capacity(), again.len());
        }
    }

    #[test]
    fn decode_refuses_anything_else() {
        let many: Vec<(u32, u8)> = (1..=257).map(|n| (n, 1)).collect();
        let mut schema = encoded(1, &[(1, 1)], 0);
        schema[1] = 2;
        let mut count = encoded(1, &[(1, 1)], 0);
        count[7] = 2;
        let cases = [
            ("another schema", schema),
            ("a count too high", count),
            ("no generation", encoded(0, &[], 0)),
            ("generation zero", encoded(0, &[(0, 1)], 0)),
            ("a repeated generation", encoded(1, &[(1, 1), (1, 1)], 0)),
            ("descending generations", encoded(1, &[(2, 1), (1, 1)], 0)),
            ("no active generation", encoded(3, &[(1, 1), (2, 1)], 0)),
            ("an unknown suite", encoded(1, &[(1, 2)], 0)),
            ("too many generations", encoded(1, &many, 0)),
            ("a trailing byte", [encoded(1, &[(1, 1)], 1), vec![0]].concat()),
        ];
        for (what, bytes) in cases {
            assert_eq!(KeyRing::decode(&STORE_ID, &bytes).err(), Some(Forged), "{what}");
        }
        let good = encoded(2, &[(1, 1), (2, 1)], 2);
        for len in 0..good.len() {
            let cut = KeyRing::decode(&STORE_ID, &good[..len]);
            assert_eq!(cut.err(), Some(Forged), "{len} bytes of {}", good.len());
        }
    }

    #[test]
    fn rings_are_random_and_quiet() {
        let (one, two) =
            (KeyRing::generate(&STORE_ID).unwrap(), KeyRing::generate(&STORE_ID).unwrap());
        assert_ne!(one.root_key(), two.root_key());
        assert_ne!(one.meta_key(1), two.meta_key(1));
        assert_ne!(one.name_id(b"x"), two.name_id(b"x"));
        assert_eq!(format!("{one:?}"), "KeyRing { active: 1, .. }");
    }
}
