//! The two kinds of head records, for code that treats them alike.

use crate::{
    commit::{Heads, NameId, Tag},
    crypto::{Draw, Forged},
    records::{Records, Sealer, cache::HeadCache, seal::SealError},
    storage::{Address, Record},
};

/// A kind of head record.
pub(crate) trait HeadBody: Sized {
    fn address(id: &NameId) -> Address;
    fn seal(
        &self,
        sealer: &Sealer,
        id: &NameId,
        revision: u64,
        draw: &mut Draw,
    ) -> Result<Record, SealError>;
    /// Opens the record at `id`. Gives its revision too.
    fn open(sealer: &Sealer, id: &NameId, record: &[u8]) -> Result<(Self, u64), Forged>;
    fn cache(records: &Records) -> &HeadCache<Self>;
    fn tag(heads: &Heads) -> Tag;
    fn sid(&self) -> &[u8; 16];
}
