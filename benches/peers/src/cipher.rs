//! Sealing in the application, for stores that do not encrypt: the cipher that strongroom has.

use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305};

use crate::Outcome;

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// What a sealed text is longer than the text.
pub const OVERHEAD: usize = NONCE_LEN + TAG_LEN;

/// The longest text that is opened here.
const TEXT_MAX: usize = 256;

/// The key of everything in this program but strongroom's own.
pub const KEY: [u8; 32] = *b"a key of no secret, for a bench.";

/// The cipher with its key, or none.
pub struct Cipher(Option<XChaCha20Poly1305>);

impl Cipher {
    pub fn new() -> Self {
        Self(Some(XChaCha20Poly1305::new(&KEY.into())))
    }

    /// Leaves every text as it is.
    pub fn none() -> Self {
        Self(None)
    }

    /// Appends nonce, ciphertext and tag to `out`. `place` says where they will be, so that they
    /// open nowhere else.
    pub fn seal(&self, place: &[u8], text: &[u8], out: &mut Vec<u8>) -> Outcome<()> {
        let Some(cipher) = &self.0 else {
            out.extend_from_slice(text);
            return Ok(());
        };
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce)?;
        out.extend_from_slice(&nonce);
        let begin = out.len();
        out.extend_from_slice(text);
        let body = out.get_mut(begin..).ok_or("the text was not appended")?;
        let tag = cipher.encrypt_inout_detached(&nonce.into(), place, body.into());
        out.extend_from_slice(&tag.map_err(|_| "sealing failed")?);
        Ok(())
    }

    /// Gives the text to `seen`.
    pub fn open(&self, place: &[u8], sealed: &[u8], seen: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        let Some(cipher) = &self.0 else {
            seen(sealed);
            return Ok(());
        };
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or("no nonce")?;
        let (body, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or("no tag")?;
        let mut buffer = [0; TEXT_MAX];
        let text = buffer.get_mut(..body.len()).ok_or("a text is too long")?;
        text.copy_from_slice(body);
        let opened = cipher.decrypt_inout_detached(nonce.into(), place, text.into(), tag.into());
        opened.map_err(|_| "a sealed text does not open")?;
        let text = buffer.get(..body.len()).ok_or("a text is too long")?;
        seen(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_in_its_place_only() {
        let cipher = Cipher::new();
        let mut sealed = vec![9];
        cipher.seal(b"here", b"text", &mut sealed).unwrap();
        assert_eq!(sealed.len(), 1 + OVERHEAD + 4);
        let mut opened = Vec::new();
        cipher.open(b"here", &sealed[1..], &mut |text| opened = text.to_vec()).unwrap();
        assert_eq!(opened, b"text");
        assert!(cipher.open(b"there", &sealed[1..], &mut |_| ()).is_err());
        sealed[30] ^= 1;
        assert!(cipher.open(b"here", &sealed[1..], &mut |_| ()).is_err());
    }
}
