//! Framing and padding inside an envelope: `u32 length ‖ data ‖ zeros`.
//!
//! The padding hides lengths: every password of up to 60 bytes looks the same, and longer values
//! are rounded so that a length tells little (Padmé: at most about 12 %, in practice 6 %).

use crate::format::Malformed;

/// The length in front.
const LEN_BYTES: usize = 4;

/// The padded lengths a frame may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Padding {
    /// The next multiple of 64: heads and audit records.
    Blocks,
    /// Always the same length: the root record.
    Exactly(usize),
    /// 64, 128, 256, above that Padmé: values.
    Value,
}

impl Padding {
    /// Length of the frame around `data_len` bytes.
    pub(crate) fn frame_len(self, data_len: usize) -> usize {
        let bare = data_len.saturating_add(LEN_BYTES);
        match self {
            Self::Blocks => bare.next_multiple_of(64),
            Self::Exactly(len) => len.max(bare),
            Self::Value if bare <= 64 => 64,
            Self::Value if bare <= 128 => 128,
            Self::Value if bare <= 256 => 256,
            Self::Value => padme(bare),
        }
    }
}

/// Rounds up to the lengths whose binary floating-point mantissa has at most as many bits as the
/// exponent (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", 2019).
fn padme(len: usize) -> usize {
    let exponent = len.checked_ilog2().unwrap_or(0);
    let mantissa = exponent.checked_ilog2().map_or(0, |bits| bits.saturating_add(1));
    let unit = 1_usize.checked_shl(exponent.saturating_sub(mantissa)).unwrap_or(1);
    len.next_multiple_of(unit)
}

/// Splits a frame's buffer, which is all zeros, into nothing but its data part, with the length in
/// front written.
pub(crate) fn write_frame(frame: &mut [u8], data_len: usize) -> Result<&mut [u8], Malformed> {
    let (len, rest) = frame.split_first_chunk_mut::<LEN_BYTES>().ok_or(Malformed)?;
    *len = u32::try_from(data_len).map_err(|_| Malformed)?.to_be_bytes();
    rest.get_mut(..data_len).ok_or(Malformed)
}

/// The data of a frame whose length is just what `padding` gives and whose padding is all zeros.
pub(crate) fn unframe(frame: &[u8], padding: Padding) -> Result<&[u8], Malformed> {
    let (len, rest) = frame.split_first_chunk::<LEN_BYTES>().ok_or(Malformed)?;
    let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| Malformed)?;
    let (data, zeros) = rest.split_at_checked(len).ok_or(Malformed)?;
    if padding.frame_len(len) != frame.len() || zeros.iter().any(|byte| *byte != 0) {
        return Err(Malformed);
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_padded_to_the_documented_lengths() {
        let cases = [
            (0, 64),
            (1, 64),
            (60, 64),
            (61, 128),
            (124, 128),
            (125, 256),
            (252, 256),
            (253, 272),
            (300, 304),
            (1000, 1024),
            (4096, 4352),
            (32_768, 34_816),
            (65_536, 67_584),
        ];
        for (len, frame) in cases {
            assert_eq!(Padding::Value.frame_len(len), frame, "{len}");
        }
    }

    #[test]
    fn a_frame_gives_its_data_back_and_has_one_encoding() {
        for padding in [Padding::Value, Padding::Blocks, Padding::Exactly(5000)] {
            for len in [0, 1, 59, 60, 61, 1000, 4990] {
                let mut frame = vec![0; padding.frame_len(len)];
                write_frame(&mut frame, len).unwrap().fill(7);
                assert_eq!(unframe(&frame, padding), Ok(&vec![7; len][..]));
                if frame.len() > len + LEN_BYTES {
                    *frame.last_mut().unwrap() = 1;
                    assert_eq!(unframe(&frame, padding), Err(Malformed), "a byte in the padding");
                }
                frame.push(0);
                assert_eq!(unframe(&frame, padding), Err(Malformed), "a longer padding");
            }
        }
    }

    #[test]
    fn a_frame_that_is_too_short_is_malformed() {
        for frame in [&[][..], &[0, 0, 0], &[0, 0, 0, 1], &[0xff; 64]] {
            assert_eq!(unframe(frame, Padding::Blocks), Err(Malformed));
        }
    }
}
