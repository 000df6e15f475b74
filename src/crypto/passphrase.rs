//! Passphrases and the function that makes guessing them dear: Argon2id, version 0x13 (RFC 9106).

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::crypto::key::{KEY_LEN, Key};

/// The length of the salt, in bytes.
pub(crate) const PASSPHRASE_SALT_LEN: usize = 16;

/// The shortest passphrase of a new slot, in characters. There are no rules on which characters.
pub(crate) const PASSPHRASE_LEN_MIN_CHARS: usize = 12;

const MIB: u32 = 1024;

/// Parameters or a passphrase out of bounds, or this machine lacks the memory that they ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the passphrase or the cost of deriving a key from it is out of bounds")]
pub(crate) struct OutOfBounds;

/// What a passphrase slot is opened with.
pub(crate) struct Passphrase(SecretString);

impl Passphrase {
    pub(crate) fn new(text: SecretString) -> Self {
        Self(text)
    }

    /// Whether a new slot may have this passphrase. Slots that exist open with any.
    pub(crate) fn check_for_new_slot(&self) -> Result<(), OutOfBounds> {
        let chars = self.0.expose_secret().chars().count();
        if chars < PASSPHRASE_LEN_MIN_CHARS { Err(OutOfBounds) } else { Ok(()) }
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// What deriving a key from a passphrase costs. Stored with the slot, in the clear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Argon2Params {
    /// Memory, in KiB.
    pub(crate) m_kib: u32,
    /// Passes over the memory.
    pub(crate) t: u32,
    /// Lanes.
    pub(crate) p: u32,
    pub(crate) salt: [u8; PASSPHRASE_SALT_LEN],
}

impl Argon2Params {
    /// The default: 64 MiB, 3 passes, 4 lanes, RFC 9106's second choice; some 0.2 s of CPU.
    pub(crate) fn recommended(salt: [u8; PASSPHRASE_SALT_LEN]) -> Self {
        Self { m_kib: 64 * MIB, t: 3, p: 4, salt }
    }

    /// Whether the parameters are within the bounds that hold for every slot: 8 MiB to 1 GiB,
    /// 1 to 16 passes, 1 to 16 lanes.
    ///
    /// They come from a file that an attacker may have edited. Without a ceiling they would be a
    /// memory bomb that goes off before anything is authenticated.
    pub(crate) fn check(&self) -> Result<(), OutOfBounds> {
        let within = (8 * MIB..=1024 * MIB).contains(&self.m_kib)
            && (1..=16).contains(&self.t)
            && (1..=16).contains(&self.p);
        if within { Ok(()) } else { Err(OutOfBounds) }
    }

    /// Whether a new slot may have these parameters: also at least 19 MiB and 2 passes, the least
    /// that OWASP recommends.
    pub(crate) fn check_for_new_slot(&self) -> Result<(), OutOfBounds> {
        self.check()?;
        if self.m_kib < 19 * MIB || self.t < 2 { Err(OutOfBounds) } else { Ok(()) }
    }

    /// The key behind the passphrase. Checks the bounds before anything else.
    pub(crate) fn stretch(&self, passphrase: &Passphrase) -> Result<Key, OutOfBounds> {
        self.check()?;
        let params = Params::new(self.m_kib, self.t, self.p, Some(KEY_LEN));
        argon2id(params.map_err(|_| OutOfBounds)?, &passphrase.0, &self.salt)
    }
}

fn argon2id(params: Params, passphrase: &SecretString, salt: &[u8]) -> Result<Key, OutOfBounds> {
    // The crate would allocate the memory itself, and not wipe it.
    let blocks = params.block_count();
    let mut memory = Zeroizing::new(Vec::new());
    memory.try_reserve_exact(blocks).map_err(|_| OutOfBounds)?;
    memory.resize(blocks, Block::default());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let passphrase = passphrase.expose_secret().as_bytes();
    Key::try_init_with(|out| {
        argon2
            .hash_password_into_with_memory(passphrase, salt, out, memory.as_mut_slice())
            .map_err(|_| OutOfBounds)
    })
}

#[cfg(test)]
mod tests {
    use argon2::{AssociatedData, ParamsBuilder};

    use super::*;
    use crate::crypto::testkit::hex;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.into())
    }

    /// With the secret and the associated data of the RFC, which we do not use ourselves.
    #[test]
    fn rfc_9106_5_3() {
        let mut builder = ParamsBuilder::new();
        builder.m_cost(32).t_cost(3).p_cost(4).data(AssociatedData::new(&[4; 12]).unwrap());
        let params = builder.build().unwrap();
        let argon2 =
            Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        let want = hex("0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
        assert_eq!(tag[..], want);
    }

    /// From the test suite of the reference implementation, through our own function.
    #[test]
    fn the_vector_of_the_reference_implementation() {
        let params = Params::new(64 * MIB, 1, 1, Some(32)).unwrap();
        let key = argon2id(params, &"password".into(), b"somesalt").unwrap();
        let want = hex("f6a5adc1ba723dddef9b5ac1d464e180fcd9dffc9d1cbf76cca2fed795d9ca98");
        assert_eq!(key.expose()[..], want);
    }

    #[test]
    fn every_input_changes_the_key() {
        let base = Argon2Params { m_kib: 8 * MIB, t: 1, p: 1, salt: [1; 16] };
        let key = base.stretch(&passphrase("correct horse")).unwrap();
        let cases = [
            ("m", Argon2Params { m_kib: 9 * MIB, ..base }, "correct horse"),
            ("t", Argon2Params { t: 2, ..base }, "correct horse"),
            ("p", Argon2Params { p: 2, ..base }, "correct horse"),
            ("salt", Argon2Params { salt: [2; 16], ..base }, "correct horse"),
            ("passphrase", base, "Correct horse"),
        ];
        for (what, params, text) in cases {
            assert_ne!(params.stretch(&passphrase(text)).unwrap(), key, "{what}");
        }
        assert_eq!(base.stretch(&passphrase("correct horse")).unwrap(), key);
    }

    #[test]
    fn bounds_are_checked_before_running() {
        let base = Argon2Params { m_kib: 64 * MIB, t: 3, p: 4, salt: [1; 16] };
        // what, params, opens a slot, makes a new one
        let cases = [
            ("the default", Argon2Params::recommended([1; 16]), true, true),
            ("least memory", Argon2Params { m_kib: 8 * MIB, ..base }, true, false),
            ("less memory", Argon2Params { m_kib: 8 * MIB - 1, ..base }, false, false),
            ("below the floor", Argon2Params { m_kib: 19 * MIB - 1, ..base }, true, false),
            ("the floor", Argon2Params { m_kib: 19 * MIB, t: 2, p: 1, ..base }, true, true),
            ("most memory", Argon2Params { m_kib: 1024 * MIB, ..base }, true, true),
            ("more memory", Argon2Params { m_kib: 1024 * MIB + 1, ..base }, false, false),
            ("all memory", Argon2Params { m_kib: u32::MAX, ..base }, false, false),
            ("no pass", Argon2Params { t: 0, ..base }, false, false),
            ("one pass", Argon2Params { t: 1, ..base }, true, false),
            ("most passes", Argon2Params { t: 16, ..base }, true, true),
            ("more passes", Argon2Params { t: 17, ..base }, false, false),
            ("endless passes", Argon2Params { t: u32::MAX, ..base }, false, false),
            ("no lane", Argon2Params { p: 0, ..base }, false, false),
            ("most lanes", Argon2Params { p: 16, ..base }, true, true),
            ("more lanes", Argon2Params { p: 17, ..base }, false, false),
            ("endless lanes", Argon2Params { p: u32::MAX, ..base }, false, false),
        ];
        for (what, params, opens, makes) in cases {
            assert_eq!(params.check().is_ok(), opens, "{what}");
            assert_eq!(params.check_for_new_slot().is_ok(), makes, "{what}");
            if !opens {
                // Were it run, the endless ones would never come back.
                let refused = params.stretch(&passphrase("correct horse"));
                assert_eq!(refused, Err(OutOfBounds), "{what}");
            }
        }
    }

    #[test]
    fn new_passphrases_have_twelve_characters() {
        let cases = [("", false), ("elevenchars", false), ("twelve chars", true)];
        let wide = ["\u{e9}".repeat(11), "\u{e9}".repeat(12)];
        let cases = cases.into_iter().chain([(&wide[0][..], false), (&wide[1][..], true)]);
        for (text, good) in cases {
            assert_eq!(passphrase(text).check_for_new_slot().is_ok(), good, "{text}");
        }
        assert_eq!(format!("{:?}", passphrase("hunter2")), "Passphrase(..)");
    }
}
