//! XChaCha20-Poly1305 by RustCrypto; the only file that names its crate.

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305};

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
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    let tag = cipher.encrypt_inout_detached(nonce.into(), aad, buffer.into());
    tag.map(Into::into).map_err(|_| Forged)
}

/// As [`open_in_place`](super::cipher::open_in_place), and leaves traces on the stack.
pub(super) fn open(
    key: &Key,
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buffer: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), Forged> {
    let cipher = XChaCha20Poly1305::new(key.expose().into());
    let opened = cipher.decrypt_inout_detached(nonce.into(), aad, buffer.into(), tag.into());
    opened.map_err(|_| Forged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cipher_wipes_its_key() {
        fn wiped_on_drop<T: zeroize::ZeroizeOnDrop>() {}
        wiped_on_drop::<XChaCha20Poly1305>();
    }
}
