//! HMAC-SHA-256 and SHA-256 over parts, and comparison in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::crypto::key::Key;

/// A key for HMAC-SHA-256, with the hashing of the key itself already done.
///
/// Each use clones the keyed state, which halves the price of a short message. The state is wiped
/// when dropped, the clones too.
pub(crate) struct MacKey(Box<Hmac<Sha256>>);

impl MacKey {
    pub(crate) fn new(key: &Key) -> Self {
        #[expect(clippy::expect_used, reason = "RFC 2104 allows keys of any length")]
        let state = Hmac::new_from_slice(key.expose()).expect("HMAC takes any key");
        Self(Box::new(state))
    }

    /// The MAC of the parts, one after another.
    ///
    /// Nothing marks where a part ends: lengths that vary must be among the parts.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut state = Hmac::clone(&self.0);
        for part in parts {
            state.update(part);
        }
        state.finalize().into_bytes().into()
    }

    /// The first 16 bytes of the MAC, as an identifier that only the holder of the key can make.
    pub(crate) fn id(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mac = self.mac(parts);
        let mut id = [0; 16];
        id.iter_mut().zip(mac).for_each(|(out, byte)| *out = byte);
        id
    }

    /// Whether `expected` is the whole MAC of the parts, in constant time.
    pub(crate) fn verify(&self, parts: &[&[u8]], expected: &[u8]) -> bool {
        ct_eq(&self.mac(parts), expected)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

/// SHA-256 of the parts, one after another.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut state = Sha256::new();
    for part in parts {
        state.update(part);
    }
    state.finalize().into()
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub(crate) fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::testkit::{hex, key};

    /// HMAC fills a short key up with zeros, so the shorter keys of the RFC fit a `Key`.
    fn padded(key: &[u8]) -> MacKey {
        MacKey::new(&Key::init_with(|bytes| bytes[..key.len()].copy_from_slice(key)))
    }

    #[test]
    fn rfc_4231_cases_1_and_2() {
        let parts: [&[&[u8]]; 2] =
            [&[b"Hi ", b"", b"There"], &[b"what do ya want ", b"for nothing?"]];
        let [greeting, question] = parts;
        let cases = [
            (
                &[0x0b; 20][..],
                greeting,
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (b"Jefe", question, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ];
        for (key, parts, want) in cases {
            assert_eq!(padded(key).mac(parts)[..], hex(want));
            assert_eq!(padded(key).mac(&[&parts.concat()])[..], hex(want), "in one part");
            assert!(padded(key).verify(parts, &hex(want)));
            assert_eq!(padded(key).id(parts)[..], hex(want)[..16]);
        }
    }

    #[test]
    fn verify_refuses_every_other_mac() {
        let mac_key = MacKey::new(&key(1));
        let good = mac_key.mac(&[b"message"]);
        for bit in 0..256 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!mac_key.verify(&[b"message"], &bad), "bit {bit}");
        }
        for len in 0..32 {
            assert!(!mac_key.verify(&[b"message"], &good[..len]), "{len} bytes of it");
        }
        assert!(!mac_key.verify(&[b"massage"], &good));
        assert!(!MacKey::new(&key(2)).verify(&[b"message"], &good));
        assert!(mac_key.verify(&[b"message"], &good), "the state is not used up");
    }

    #[test]
    fn sha256_of_the_standard_message() {
        let want = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256(&[b"a", b"bc"])[..], want);
    }

    #[test]
    fn ct_eq_is_equality() {
        assert!(ct_eq(b"", b""));
        assert!(ct_eq(b"ab", b"ab"));
        assert!(!ct_eq(b"ab", b"ac"));
        assert!(!ct_eq(b"ab", b"a"));
    }

    #[test]
    fn the_keyed_state_is_wiped_and_quiet() {
        fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
        // `Hmac` has no mark of its own; it consists of two states of this and a buffer.
        wiped_on_drop::<Sha256>();
        assert_eq!(format!("{:?}", MacKey::new(&key(3))), "MacKey(..)");
    }
}
