//! The two kinds of head records, for code that treats them alike.

use crate::{
    commit::{Heads, NameId, Tag, secret_address, stages_address},
    crypto::{Draw, Forged},
    records::{Records, Sealer, SecretBody, Stages, cache::HeadCache, seal::SealError},
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
    fn open(sealer: &Sealer, id: &NameId, record: &[u8]) -> Result<(Self, u64), Forged>;
    fn cache(records: &Records) -> &HeadCache<Self>;
    fn tag(heads: &Heads) -> Tag;
    fn sid(&self) -> &[u8; 16];
}

impl HeadBody for SecretBody {
    fn address(id: &NameId) -> Address {
        secret_address(id)
    }

    fn seal(
        &self,
        sealer: &Sealer,
        id: &NameId,
        revision: u64,
        draw: &mut Draw,
    ) -> Result<Record, SealError> {
        self.seal(sealer, id, revision, draw)
    }

    fn open(sealer: &Sealer, id: &NameId, record: &[u8]) -> Result<(Self, u64), Forged> {
        Self::open(sealer, id, record)
    }

    fn cache(records: &Records) -> &HeadCache<Self> {
        &records.secrets
    }

    fn tag(heads: &Heads) -> Tag {
        heads.secret
    }

    fn sid(&self) -> &[u8; 16] {
        &self.sid
    }
}

impl HeadBody for Stages {
    fn address(id: &NameId) -> Address {
        stages_address(id)
    }

    fn seal(
        &self,
        sealer: &Sealer,
        id: &NameId,
        revision: u64,
        draw: &mut Draw,
    ) -> Result<Record, SealError> {
        self.seal(sealer, id, revision, draw)
    }

    fn open(sealer: &Sealer, id: &NameId, record: &[u8]) -> Result<(Self, u64), Forged> {
        Self::open(sealer, id, record)
    }

    fn cache(records: &Records) -> &HeadCache<Self> {
        &records.stages
    }

    fn tag(heads: &Heads) -> Tag {
        heads.stages
    }

    fn sid(&self) -> &[u8; 16] {
        &self.sid
    }
}
