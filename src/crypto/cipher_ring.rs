//! XChaCha20-Poly1305 by ring's assembly (feature `ring`); the only file that names that crate.
//!
//! ring has ChaCha20-Poly1305 with nonces of 12 bytes. The extended nonce is made of it as
//! draft-irtf-cfrg-xchacha-03 says, section 2.3: HChaCha20 of the key and the nonce's first 16 bytes is
//! the key, four zeros and the last 8 bytes are the nonce. So the bytes are the same as those of
//! `cipher_portable`.
//!
//! ring does not wipe its keys. They never leave the stack of the call, which is overwritten after it.

use ::ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use chacha20::{R20, hchacha};
use zeroize::Zeroize as _;

use crate::crypto::{
    Forged,
    cipher::{NONCE_LEN, TAG_LEN},
    key::Key,
};

/// As [`seal_in_place`](super::cipher::seal_in_place), and leaves traces on the stack.
pub(super) fn seal(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; TAG_LEN], Forged> {
    let (key, nonce) = derived(key, nonce)?;
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer);
    tag.map_err(|_| Forged)?.as_ref().try_into().map_err(|_| Forged)
}

/// As [`open_in_place`](super::cipher::open_in_place), and leaves traces on the stack. ring decrypts before
/// it knows whether the tag fits, and fills `buffer` with zeros if it does not.
pub(super) fn open(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Forged> {
    let (key, nonce) = derived(key, nonce)?;
    let opened = key.open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), buffer, 0..);
    opened.map(drop).map_err(|_| Forged)
}

/// The key and the nonce of the cipher with short nonces.
#[inline]
fn derived(key: &Key, nonce: &[u8; NONCE_LEN]) -> Result<(LessSafeKey, Nonce), Forged> {
    let (front, back) = nonce.split_first_chunk::<16>().ok_or(Forged)?;
    let mut subkey = hchacha::<R20>(key.expose().into(), front.into());
    let bound = UnboundKey::new(&CHACHA20_POLY1305, &subkey).map_err(|_| Forged);
    subkey.as_mut_slice().zeroize();
    let mut short = [0; 12];
    if let Some(end) = short.last_chunk_mut::<8>() {
        end.copy_from_slice(back);
    }
    Ok((LessSafeKey::new(bound?), Nonce::assume_unique_for_key(short)))
}
