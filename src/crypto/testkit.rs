//! Inputs that the tests of this layer share: hexadecimal text, fixed keys.

use crate::crypto::key::Key;

/// The store id of the test vectors.
pub(crate) const STORE_ID: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The bytes behind hexadecimal digits; blanks are skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// A key of one repeated byte.
pub(crate) fn key(byte: u8) -> Key {
    Key::init_with(|bytes| bytes.fill(byte))
}
