//! Sealed records: header, nonce, ciphertext and tag, bound to the place where they stand.
//!
//! ```text
//! 0   1  fmt = 1     4   4  generation u32     16  24  nonce
//! 1   1  suite = 1   8   8  revision u64       40  n   ciphertext
//! 2   1  kind                                  40+n 16 tag
//! 3   1  flags = 0
//!
//! AAD = "SSv1-REC" ‖ store_id[16] ‖ header[0..16] ‖ u16(len) ‖ tree ‖ key ‖ u16(len) ‖ context
//! ```
//!
//! The AAD binds everything in the header, the store, the place and what the caller adds as
//! context. Each field has a fixed width or a length in front, so two different places never make
//! one AAD, and a record that was moved, swapped, relabelled or brought from another store fails.
//!
//! Nonces are 24 random bytes. Counters would repeat after a rollback of the files, the one mistake
//! that the cipher does not forgive; among 2^40 random nonces under one key two are equal with a
//! chance of 2^-113. The nonce also identifies the record: no two records ever share one.

use std::{fmt, mem, ops::Deref};

use zeroize::Zeroizing;

use crate::{
    crypto::{Forged, SUITE, cipher, key::Key},
    domain::planted::{Planted, planted},
};

pub(crate) use crate::crypto::cipher::{NONCE_LEN, TAG_LEN};

/// The length of the header, in bytes.
pub(crate) const HEADER_LEN: usize = 16;

/// By how much a record is longer than its plaintext, in bytes.
pub(crate) const OVERHEAD: usize = FRONT_LEN + TAG_LEN;

const FRONT_LEN: usize = HEADER_LEN + NONCE_LEN;
const FORMAT: u8 = 1;
const FLAGS: u8 = 0;

/// The part of a record's header that varies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    /// The generation of the key-encryption key; 0 where the record is sealed by another key.
    pub(crate) generation: u32,
    pub(crate) revision: u64,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_LEN] {
        let front = u32::from_be_bytes([FORMAT, SUITE, self.kind, FLAGS]);
        let bytes =
            u128::from(front) << 96 | u128::from(self.generation) << 64 | u128::from(self.revision);
        bytes.to_be_bytes()
    }

    /// Accepts only what `to_bytes` makes, so that no bit of a header goes unread.
    fn from_bytes(bytes: &[u8; HEADER_LEN]) -> Result<Self, Forged> {
        let [FORMAT, SUITE, kind, FLAGS, rest @ ..] = *bytes else { return Err(Forged) };
        let [g0, g1, g2, g3, revision @ ..] = rest;
        let generation = u32::from_be_bytes([g0, g1, g2, g3]);
        Ok(Self { kind, generation, revision: u64::from_be_bytes(revision) })
    }
}

/// Where a record stands, and what it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) store_id: &'a [u8; 16],
    /// The tree's id, taken as the first byte of the key.
    pub(crate) tree: u8,
    /// The key in the tree; empty for records that a chain puts in their place.
    pub(crate) key: &'a [u8],
    pub(crate) context: &'a [u8],
}

impl Place<'_> {
    fn aad(&self, header: &[u8; HEADER_LEN]) -> Result<Vec<u8>, Forged> {
        if planted(Planted::Aad) {
            return Ok(Vec::new());
        }
        let key_len = self.key.len().checked_add(1).ok_or(Forged)?;
        let key_len = u16::try_from(key_len).map_err(|_| Forged)?.to_be_bytes();
        let context_len = u16::try_from(self.context.len()).map_err(|_| Forged)?.to_be_bytes();
        let parts: [&[u8]; 8] = [
            b"SSv1-REC",
            self.store_id,
            header,
            &key_len,
            &[self.tree],
            self.key,
            &context_len,
            self.context,
        ];
        Ok(parts.concat())
    }
}

/// A record in the making: one buffer that takes the plaintext and becomes the record.
///
/// The size is known from the start, so the buffer never grows and no copy of the plaintext is left
/// behind by a reallocation. It is wiped if it is dropped before it was sealed.
pub(crate) struct Sealing {
    buffer: Zeroizing<Vec<u8>>,
}

impl Sealing {
    /// A buffer for `plaintext_len` bytes, all zero.
    pub(crate) fn new(plaintext_len: usize) -> Self {
        Self { buffer: Zeroizing::new(vec![0; plaintext_len.saturating_add(OVERHEAD)]) }
    }

    /// The room for the plaintext, exactly as long as was asked for.
    pub(crate) fn plaintext_mut(&mut self) -> &mut [u8] {
        let end = self.buffer.len().saturating_sub(TAG_LEN);
        self.buffer.get_mut(FRONT_LEN..end).unwrap_or_default()
    }

    /// Encrypts in place and hands the buffer out as the record.
    ///
    /// `nonce` must be fresh from a [`Draw`](crate::crypto::random::Draw). Fails only if the key or
    /// the context of `place` is too long for its length field.
    pub(crate) fn seal(
        mut self,
        key: &Key,
        header: &Header,
        nonce: [u8; NONCE_LEN],
        place: &Place<'_>,
    ) -> Result<Vec<u8>, Forged> {
        let header = header.to_bytes();
        let aad = place.aad(&header)?;
        let (header_room, rest) = self.buffer.split_first_chunk_mut().ok_or(Forged)?;
        let (nonce_room, rest) = rest.split_first_chunk_mut().ok_or(Forged)?;
        let (body, tag_room) = rest.split_last_chunk_mut().ok_or(Forged)?;
        *tag_room = cipher::seal_in_place(key, &nonce, &aad, body)?;
        *header_room = header;
        *nonce_room = nonce;
        Ok(mem::take(&mut *self.buffer))
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing(..)")
    }
}

/// A stored record, taken apart. Nothing in it is to be believed before it has been opened.
#[derive(Clone, Copy)]
pub(crate) struct Envelope<'a> {
    header: Header,
    nonce: &'a [u8; NONCE_LEN],
    body: &'a [u8],
    tag: &'a [u8; TAG_LEN],
}

impl<'a> Envelope<'a> {
    /// Takes a record apart; refuses other formats, suites and flags.
    pub(crate) fn parse(record: &'a [u8]) -> Result<Self, Forged> {
        let (header, rest) = record.split_first_chunk().ok_or(Forged)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(Forged)?;
        let (body, tag) = rest.split_last_chunk().ok_or(Forged)?;
        Ok(Self { header: Header::from_bytes(header)?, nonce, body, tag })
    }

    pub(crate) fn header(&self) -> Header {
        self.header
    }

    pub(crate) fn nonce(&self) -> [u8; NONCE_LEN] {
        *self.nonce
    }

    /// The plaintext, if the record was sealed with this key for this place.
    ///
    /// That the kind, the generation and the revision are the expected ones is for the caller to
    /// say: they are authentic, no more.
    pub(crate) fn open(&self, key: &Key, place: &Place<'_>) -> Result<Opened, Forged> {
        let aad = place.aad(&self.header.to_bytes())?;
        let mut buffer = Zeroizing::new(self.body.to_vec());
        cipher::open_in_place(key, self.nonce, &aad, &mut buffer, self.tag)?;
        Ok(Opened(buffer))
    }
}

impl fmt::Debug for Envelope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("header", &self.header).finish_non_exhaustive()
    }
}

/// The nonce of a record, which identifies it.
pub(crate) fn nonce_of(record: &[u8]) -> Option<[u8; NONCE_LEN]> {
    Envelope::parse(record).ok().map(|envelope| envelope.nonce())
}

/// The plaintext of a record in a buffer of exactly its size, wiped when dropped.
pub(crate) struct Opened(Zeroizing<Vec<u8>>);

impl Opened {
    /// The buffer itself, for plaintext that outlives the record.
    pub(crate) fn into_inner(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl Deref for Opened {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{
        derive::{Label, sub},
        mac::sha256,
        testkit::{STORE_ID, hex, key},
    };

    const HEADER: Header = Header { kind: 0x20, generation: 0, revision: 2 };

    fn place(context: &[u8]) -> Place<'_> {
        Place { store_id: &STORE_ID, tree: 0x20, key: &[0, 0, 0, 0, 0, 0, 0, 1], context }
    }

    fn framed(data: &[u8]) -> Sealing {
        let mut sealing = Sealing::new(64);
        let (len, room) = sealing.plaintext_mut().split_first_chunk_mut().unwrap();
        *len = u32::try_from(data.len()).unwrap().to_be_bytes();
        room[..data.len()].copy_from_slice(data);
        sealing
    }

    #[test]
    fn the_value_vector_is_sealed_to_the_same_bytes() {
        let context = [vec![0x66; 16], 1_u64.to_be_bytes().to_vec()].concat();
        let aad = hex("535376312d524543 000102030405060708090a0b0c0d0e0f
             01012000000000000000000000000002 0009 200000000000000001
             0018 66666666666666666666666666666666 0000000000000001");
        assert_eq!(place(&context).aad(&HEADER.to_bytes()).unwrap(), aad);
        let record = framed(b"hunter").seal(&key(0x55), &HEADER, [0x77; 24], &place(&context));
        let record = record.unwrap();
        assert_eq!(record.len(), 120);
        assert_eq!(
            sha256(&[&record])[..],
            hex("d2ae301b361dae33de3059ec9dc67bee5bc3adb3064d7492163bcb7c3b95fcfe")
        );
    }

    #[test]
    fn the_meta_vector_is_sealed_to_the_same_bytes() {
        let nid = hex("fc202da486d11a769ef036abd2f01154");
        let place = Place { store_id: &STORE_ID, tree: 0x10, key: &nid, context: &[] };
        let header = Header { kind: 0x10, generation: 1, revision: 2 };
        let meta_key = sub(&key(0x44), &STORE_ID, Label::MetaSeal);
        let record = framed(b"meta!").seal(&meta_key, &header, [0x88; 24], &place).unwrap();
        assert_eq!(
            sha256(&[&record])[..],
            hex("3047bbbb3021a2e6f4ee5c8bbbe76b1e550d77b944b42884bdf4ae775d059c62")
        );
        let opened = Envelope::parse(&record).unwrap().open(&meta_key, &place).unwrap();
        assert_eq!(opened[..9], *b"\0\0\0\x05meta!");
    }

    #[test]
    fn what_was_sealed_opens_at_every_length() {
        for len in [0, 1, 15, 16, 17, 63, 64, 65, 4096, 1 << 20] {
            let mut sealing = Sealing::new(len);
            assert_eq!(sealing.plaintext_mut().len(), len);
            sealing.plaintext_mut().fill(0xAB);
            let header = Header { kind: 0xFF, generation: u32::MAX, revision: u64::MAX - 1 };
            let record = sealing.seal(&key(1), &header, [9; 24], &place(b"c")).unwrap();
            assert_eq!(record.len(), len + OVERHEAD);
            let envelope = Envelope::parse(&record).unwrap();
            assert_eq!(envelope.header(), header);
            assert_eq!(envelope.nonce(), [9; 24]);
            assert_eq!(nonce_of(&record), Some([9; 24]));
            let opened = envelope.open(&key(1), &place(b"c")).unwrap();
            assert_eq!(*opened, vec![0xAB; len]);
            assert_eq!(opened.into_inner().capacity(), len, "no spare room");
        }
    }

    #[test]
    fn the_buffer_becomes_the_record() {
        let mut sealing = Sealing::new(100);
        let plaintext_at = sealing.plaintext_mut().as_ptr();
        let record = sealing.seal(&key(1), &HEADER, [9; 24], &place(&[])).unwrap();
        assert_eq!(record[FRONT_LEN..].as_ptr(), plaintext_at);
        assert_eq!(record.capacity(), record.len());
    }

    #[test]
    fn every_flipped_bit_is_caught() {
        let record = framed(b"hunter").seal(&key(1), &HEADER, [9; 24], &place(b"c")).unwrap();
        for bit in 0..record.len() * 8 {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let opened = Envelope::parse(&bad).and_then(|e| e.open(&key(1), &place(b"c")));
            assert_eq!(opened.err(), Some(Forged), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_and_extension_is_caught() {
        let record = framed(b"hunter").seal(&key(1), &HEADER, [9; 24], &place(b"c")).unwrap();
        let long = [&record[..], &[0]].concat();
        let shorter = (0..record.len()).map(|len| &record[..len]);
        for bad in shorter.chain((1..record.len()).map(|from| &record[from..])).chain([&long[..]]) {
            let opened = Envelope::parse(bad).and_then(|e| e.open(&key(1), &place(b"c")));
            assert_eq!(opened.err(), Some(Forged), "{} bytes", bad.len());
        }
        assert_eq!(nonce_of(&record[..OVERHEAD - 1]), None);
    }

    #[test]
    fn a_record_opens_in_its_own_place_only() {
        let good = place(b"context");
        let record = framed(b"hunter").seal(&key(1), &HEADER, [9; 24], &good).unwrap();
        let envelope = Envelope::parse(&record).unwrap();
        let cases = [
            ("another store", Place { store_id: &[0; 16], ..good }),
            ("another tree", Place { tree: 0x21, ..good }),
            ("another key", Place { key: &[0, 0, 0, 0, 0, 0, 0, 2], ..good }),
            ("a shorter key", Place { key: &[0, 0, 0, 0, 0, 0, 0], ..good }),
            ("no key", Place { key: &[], ..good }),
            ("another context", Place { context: b"contexT", ..good }),
            ("no context", Place { context: &[], ..good }),
            ("a border moved", Place { key: b"\0\0\0\0\0\0\0\x01\0", context: b"ontext", ..good }),
        ];
        for (what, place) in cases {
            assert_eq!(envelope.open(&key(1), &place).err(), Some(Forged), "{what}");
        }
        assert_eq!(envelope.open(&key(2), &good).err(), Some(Forged), "another key");
        assert_eq!(envelope.open(&key(1), &good).unwrap()[4..10], *b"hunter");
    }

    #[test]
    fn another_header_is_caught_though_it_parses() {
        let record = framed(b"hunter").seal(&key(1), &HEADER, [9; 24], &place(&[])).unwrap();
        let cases = [
            ("kind", Header { kind: 0x10, ..HEADER }),
            ("generation", Header { generation: 1, ..HEADER }),
            ("revision", Header { revision: 3, ..HEADER }),
        ];
        for (what, header) in cases {
            let mut bad = record.clone();
            bad[..HEADER_LEN].copy_from_slice(&header.to_bytes());
            let envelope = Envelope::parse(&bad).unwrap();
            assert_eq!(envelope.header(), header);
            assert_eq!(envelope.open(&key(1), &place(&[])).err(), Some(Forged), "{what}");
        }
    }

    #[test]
    fn places_too_long_to_be_encoded_are_refused() {
        let long = vec![0; 65_536];
        let cases = [
            ("longest key", Place { key: &long[..65_534], ..place(&[]) }, true),
            ("key", Place { key: &long[..65_535], ..place(&[]) }, false),
            ("longest context", place(&long[..65_535]), true),
            ("context", place(&long), false),
        ];
        for (what, place, fits) in cases {
            let sealed = Sealing::new(1).seal(&key(1), &HEADER, [9; 24], &place);
            assert_eq!(sealed.is_ok(), fits, "{what}");
        }
    }

    #[test]
    fn debug_shows_no_plaintext() {
        let mut sealing = framed(b"hunter");
        sealing.plaintext_mut().fill(0xAB);
        assert_eq!(format!("{sealing:?}"), "Sealing(..)");
        let record = sealing.seal(&key(1), &HEADER, [9; 24], &place(&[])).unwrap();
        let envelope = Envelope::parse(&record).unwrap();
        let text = format!("{envelope:?}");
        assert!(text.starts_with("Envelope { header: Header { kind: 32,"), "{text}");
        assert_eq!(format!("{:?}", envelope.open(&key(1), &place(&[])).unwrap()), "Opened(..)");
    }
}
