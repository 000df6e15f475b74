//! Current values of several secrets, all of one moment.

use std::sync::{
    Arc,
    atomic::{Ordering, fence},
};

use crate::{
    commit::{EngineError, NameId, value_address},
    domain::SecretValue,
    records::{
        Records, Stages, VersionEntry,
        cache::Head,
        reader::{Look, Source},
    },
    storage::Record,
};

/// How often it is looked again without stopping the writers.
const LOOKS_MAX: usize = 4;

/// A secret as it was at the moment of a snapshot.
#[derive(Debug)]
pub(crate) struct Sighted {
    pub(crate) head: Arc<Head<Stages>>,
    /// The row behind SYSCURRENT and its sealed value, if it has one.
    current: Option<(VersionEntry, Record)>,
}

impl Sighted {
    pub(crate) fn entry(&self) -> Option<&VersionEntry> {
        self.current.as_ref().map(|(entry, _)| entry)
    }
}

/// What one secret was seen as without stopping the writers.
enum Glimpse {
    Sighted(Option<Sighted>),
    /// It was changed meanwhile.
    Blurred,
}

impl Records {
    /// The secrets under these ids at one moment; `None` for one that is not there. Commits are seen whole
    /// or not at all, also those that change several secrets.
    pub(crate) fn snapshot(&self, ids: &[NameId]) -> Result<Vec<Option<Sighted>>, EngineError> {
        // While the index is loading it does not say what is newest.
        self.engine.wait_ready()?;
        for _ in 0..LOOKS_MAX {
            if let Some(sighted) = self.glimpse_all(ids)? {
                return Ok(sighted);
            }
        }
        self.engine.while_still(|| ids.iter().map(|id| self.sight_still(id)).collect())
    }

    /// All of them, if none was changed between the first look and the last: then all that was seen was
    /// there at the moment between both looks at the stamps.
    pub(crate) fn glimpse_all(
        &self,
        ids: &[NameId],
    ) -> Result<Option<Vec<Option<Sighted>>>, EngineError> {
        let index = &self.engine.index;
        let stamps = || -> Vec<u64> {
            let own = ids.iter().map(|id| index.stamp(id));
            own.chain([index.joint_stamp()]).collect()
        };
        let before = stamps();
        if before.iter().any(|stamp| !stamp.is_multiple_of(2)) {
            return Ok(None);
        }
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            match self.glimpse(id)? {
                Glimpse::Sighted(sighted) => all.push(sighted),
                Glimpse::Blurred => return Ok(None),
            }
        }
        fence(Ordering::Acquire);
        Ok((stamps() == before).then_some(all))
    }

    fn glimpse(&self, id: &NameId) -> Result<Glimpse, EngineError> {
        let Some(head) = self.stages_of(id)? else { return Ok(Glimpse::Sighted(None)) };
        let Some(entry) = head.body.current().cloned() else {
            return Ok(Glimpse::Sighted(Some(Sighted { head, current: None })));
        };
        Ok(match self.value_record(id, &head, &entry)? {
            Some(record) => {
                Glimpse::Sighted(Some(Sighted { head, current: Some((entry, record)) }))
            }
            None => Glimpse::Blurred,
        })
    }

    /// The same with no writer between: what disagrees now was put there by somebody else.
    fn sight_still(&self, id: &NameId) -> Result<Option<Sighted>, EngineError> {
        let Some(heads) = self.engine.index.heads(id) else { return Ok(None) };
        let Look::Found(head) = self.head::<Stages>(id, Some(&heads), Source::Cache)? else {
            return Err(EngineError::Tampered("a secret's record"));
        };
        let current = match head.body.current().cloned() {
            None => None,
            Some(entry) => {
                let record = self.engine.read(&value_address(entry.vrec))?;
                Some((entry, record.ok_or(EngineError::Tampered("a value"))?))
            }
        };
        Ok(Some(Sighted { head, current }))
    }

    /// The value behind SYSCURRENT. `None` if there is none.
    pub(crate) fn open_sighted(
        &self,
        sighted: &Sighted,
    ) -> Result<Option<SecretValue>, EngineError> {
        let Some((entry, record)) = &sighted.current else { return Ok(None) };
        self.open(&sighted.head.body.sid, entry, record).map(Some)
    }
}
