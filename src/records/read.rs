//! Reading values: what was read lately stays in memory, sealed.

use std::sync::Arc;

use crate::{
    commit::{EngineError, NameId, value_address},
    crypto::Forged,
    domain::{SecretName, SecretValue, VersionRef},
    records::{
        Gate, Records, Seen, Stages, VersionEntry, VersionFacts,
        cache::{Head, Known, NameCache},
        value::open_value_with,
    },
    storage::Record,
};

/// A version, its value sealed.
#[derive(Debug)]
pub(crate) struct Kept {
    sid: [u8; 16],
    gate: Gate,
    entry: VersionEntry,
    record: Record,
    facts: Arc<VersionFacts>,
}

/// A value that was read.
#[derive(Debug)]
pub(crate) struct ReadValue {
    pub(crate) sid: [u8; 16],
    pub(crate) value: SecretValue,
    pub(crate) facts: Arc<VersionFacts>,
}

impl Kept {
    pub(super) fn of(
        name: &SecretName,
        stages: &Stages,
        entry: &VersionEntry,
        record: Record,
    ) -> Self {
        let facts = Arc::new(VersionFacts::of(name, stages, entry));
        Self { sid: stages.sid, gate: Gate::of(stages), entry: entry.clone(), record, facts }
    }
}

impl Records {
    /// The value behind SYSCURRENT, if `admit` does not refuse it. `None` if there is no such secret.
    ///
    /// `lost` is the error for a secret without SYSCURRENT, which no honest store has.
    pub(crate) fn current<E: From<EngineError>>(
        &self,
        name: &SecretName,
        admit: impl Fn(Gate, &VersionEntry) -> Result<(), E>,
        lost: impl Fn() -> E,
    ) -> Result<Option<ReadValue>, E> {
        self.engine.health().check_read()?;
        if let Some(known) = self.currents.get(name, &self.engine.index) {
            admit(known.what.gate, &known.what.entry)?;
            return Ok(Some(self.open_kept(&known.what)?));
        }
        self.read(name, Some(&self.currents), |stages| {
            let entry = stages.current().ok_or_else(&lost)?;
            admit(Gate::of(stages), entry)?;
            Ok(entry)
        })
    }

    /// The value of a version that was read lately, if `reference` means it and `admit` does not refuse
    /// it. `None` says nothing: it has to be [read](Self::version).
    pub(crate) fn lately<E: From<EngineError>>(
        &self,
        name: &SecretName,
        reference: &VersionRef,
        admit: impl Fn(Gate, &VersionEntry) -> Result<(), E>,
    ) -> Result<Option<ReadValue>, E> {
        self.engine.health().check_read()?;
        for cache in [&self.others, &self.currents] {
            let known = cache.get(name, &self.engine.index);
            if let Some(known) = known.filter(|known| known.what.facts.is(reference)) {
                admit(known.what.gate, &known.what.entry)?;
                return Ok(Some(self.open_kept(&known.what)?));
            }
        }
        Ok(None)
    }

    /// The value of the version that `choose` picks from the labels and versions of `name`. `None` if
    /// there is no such secret.
    pub(crate) fn version<E: From<EngineError>>(
        &self,
        name: &SecretName,
        choose: impl for<'a> Fn(&'a Stages) -> Result<&'a VersionEntry, E>,
    ) -> Result<Option<ReadValue>, E> {
        self.read(name, Some(&self.others), choose)
    }

    /// The same, kept in `cache` for the next reader, if there is one.
    ///
    /// A version that was dropped between the reads of table and value is looked for again in the table
    /// that dropped it.
    pub(super) fn read<E: From<EngineError>>(
        &self,
        name: &SecretName,
        cache: Option<&NameCache<Kept>>,
        choose: impl for<'a> Fn(&'a Stages) -> Result<&'a VersionEntry, E>,
    ) -> Result<Option<ReadValue>, E> {
        let id = self.id(name);
        loop {
            let Some(head) = self.stages_of(&id)? else { return Ok(None) };
            let entry = choose(&head.body)?;
            let Some(record) = self.value_record(&id, &head, entry)? else { continue };
            let kept = Kept::of(name, &head.body, entry, record);
            let read = self.open_kept(&kept)?;
            // One that time destroys is looked up again each time.
            if let Some(cache) = cache.filter(|_| kept.entry.destruction.is_none()) {
                // While the index is loading it does not say what is newest.
                let newest = self.engine.index.heads(&id).filter(|heads| heads.stages == head.tag);
                if let Some(heads) = newest {
                    cache.insert(name.clone(), Known::new(id, heads, kept));
                }
            }
            return Ok(Some(read));
        }
    }

    /// The value behind SYSCURRENT of a secret as it was seen. `None` as for [`Records::value_of`].
    pub(crate) fn current_of(
        &self,
        seen: &Seen,
        entry: &VersionEntry,
    ) -> Result<Option<SecretValue>, EngineError> {
        match self.currents.get(&seen.secret.body.name, &self.engine.index) {
            Some(known) if known.heads == seen.heads() && known.what.entry.id == entry.id => {
                self.open_kept(&known.what).map(|read| Some(read.value))
            }
            _ => self.value_of(&seen.id, &seen.stages, entry),
        }
    }

    /// The value of a row of a version table. `None` if the table is no more the newest one, and the
    /// newer one dropped the version.
    pub(crate) fn value_of(
        &self,
        id: &NameId,
        head: &Head<Stages>,
        entry: &VersionEntry,
    ) -> Result<Option<SecretValue>, EngineError> {
        let record = self.value_record(id, head, entry)?;
        record.map(|record| self.open(&head.body.sid, entry, &record)).transpose()
    }

    /// The sealed value of a row of a version table. `None` as for [`Records::value_of`].
    pub(super) fn value_record(
        &self,
        id: &NameId,
        head: &Head<Stages>,
        entry: &VersionEntry,
    ) -> Result<Option<Record>, EngineError> {
        if let Some(record) = self.engine.read(&value_address(entry.vrec))? {
            return Ok(Some(record));
        }
        // Gone although the newest table still names it: not by us.
        let newest = self.engine.while_still(|| self.engine.index.heads(id));
        let loading = !self.engine.index.is_ready();
        let named = newest.is_some_and(|heads| heads.stages == head.tag);
        if named || loading { Err(EngineError::Tampered("a value")) } else { Ok(None) }
    }

    pub(super) fn open(
        &self,
        sid: &[u8; 16],
        entry: &VersionEntry,
        record: &[u8],
    ) -> Result<SecretValue, EngineError> {
        let joined = self.joined_key(entry)?;
        let key = joined.as_ref().unwrap_or(&entry.data_key);
        open_value_with(&self.sealer, key, (sid, entry), record)
            .map_err(|Forged| EngineError::Tampered("a value"))
    }

    fn open_kept(&self, kept: &Kept) -> Result<ReadValue, EngineError> {
        let value = self.open(&kept.sid, &kept.entry, &kept.record)?;
        Ok(ReadValue { sid: kept.sid, value, facts: Arc::clone(&kept.facts) })
    }
}
