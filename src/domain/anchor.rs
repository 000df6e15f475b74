//! Where a store stands: what an embedder keeps elsewhere to notice that all files were put back.

use std::{fmt, str::FromStr};

use base64ct::{Base64UrlUnpadded, Encoding as _};

/// In front of an anchor's text.
const PREFIX: &str = "ssa1:";

/// Bytes of an anchor: store, epoch, commit, chain.
const ANCHOR_BYTES: usize = 64;

/// A point in the history of a store.
///
/// The store cannot notice from inside that *all* its files were replaced by an older copy. An
/// embedder who keeps the latest anchor somewhere else, and opens with
/// [`Expect::Anchor`], notices it, and also a copy that went on by itself (a fork).
///
/// An anchor is not secret. Its text form is `ssa1:` and 86 characters of base64url.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let key = || strongroom::MasterKey::from_bytes(&std::array::from_fn(|at| at as u8));
/// use strongroom::{Anchor, Expect, SecretStore};
///
/// let store = SecretStore::builder().master_key(key()?).create(dir.path().join("store"))?;
/// let text = store.anchor()?.to_string(); // to be kept outside the store
/// store.close()?;
///
/// let anchor: Anchor = text.parse()?;
/// SecretStore::builder()
///     .master_key(key()?)
///     .expect(Expect::Anchor(anchor))
///     .open(dir.path().join("store"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Anchor {
    pub(crate) store_id: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    pub(crate) chain: [u8; 32],
}

impl Anchor {
    /// The store's own identity, random and made at its creation.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    /// How many commits the store had made.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: [&[u8]; 4] =
            [&self.store_id, &self.epoch.to_be_bytes(), &self.seq.to_be_bytes(), &self.chain];
        write!(f, "{PREFIX}{}", Base64UrlUnpadded::encode_string(&parts.concat()))
    }
}

impl FromStr for Anchor {
    type Err = AnchorError;

    fn from_str(text: &str) -> Result<Self, AnchorError> {
        let text = text.strip_prefix(PREFIX).ok_or(AnchorError)?;
        let bytes = Base64UrlUnpadded::decode_vec(text).map_err(|_| AnchorError)?;
        let bytes: [u8; ANCHOR_BYTES] = bytes.try_into().map_err(|_| AnchorError)?;
        let (store_id, rest) = bytes.split_first_chunk::<16>().ok_or(AnchorError)?;
        let (epoch, rest) = rest.split_first_chunk::<8>().ok_or(AnchorError)?;
        let (seq, chain) = rest.split_first_chunk::<8>().ok_or(AnchorError)?;
        Ok(Self {
            store_id: *store_id,
            epoch: u64::from_be_bytes(*epoch),
            seq: u64::from_be_bytes(*seq),
            chain: chain.try_into().map_err(|_| AnchorError)?,
        })
    }
}

/// A text that is no anchor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an anchor is `ssa1:` and 86 characters of base64url")]
pub struct AnchorError;

/// What an embedder knows of the store that he opens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Expect {
    /// It must be at this point of its history or behind it.
    Anchor(Anchor),
    /// Nothing. Neither another store nor an older copy is noticed.
    #[default]
    Nothing,
    /// It must be this store; an older copy of it is not noticed.
    StoreId([u8; 16]),
}

impl Expect {
    /// Whether the store may be the one with this id.
    pub(crate) fn allows_store(&self, store_id: &[u8; 16]) -> bool {
        match self {
            Self::Anchor(anchor) => anchor.store_id == *store_id,
            Self::Nothing => true,
            Self::StoreId(expected) => expected == store_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_reads_back_from_its_text_and_other_texts_are_refused() {
        let anchor = Anchor { store_id: [1; 16], epoch: 2, seq: 3, chain: [4; 32] };
        let text = anchor.to_string();
        assert_eq!((text.len(), text.parse()), (91, Ok(anchor)));
        for bad in ["", "ssa1:", &text[5..], &text[..90], &format!("{text}A"), "ssa1:!"] {
            assert_eq!(bad.parse::<Anchor>(), Err(AnchorError), "{bad}");
        }
    }
}
