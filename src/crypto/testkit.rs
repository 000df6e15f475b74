//! Inputs that the tests of this layer share: hexadecimal text, fixed keys.

use crate::crypto::key::Key;

/// The store id of the test vectors.
pub(crate) const STORE_ID: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// The bytes behind hexadecimal digits; blanks are skipped.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A key of one repeated byte.
pub(crate) fn key(byte: u8) -> Key {
    Key::init_with(|bytes| bytes.fill(byte))
}
