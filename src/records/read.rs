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

/// Longest sealed value that stays in memory, in bytes. A longer one costs more to open than to read.
pub(super) const KEPT_LEN_MAX: usize = 8 * 1024;

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
        self.read(name, &self.currents, |stages| {
            let entry = stages.current().ok_or_else(&lost)?;
            admit(Gate::of(stages), entry)?;
            Ok(entry)
        })
    }

    /// The value of a version that was read lately, if `reference` means it and `admit` does not refuse
    /// it. `None` says nothing: it has to be [read](Self::version).
    pub(crate) fn kept_version<E: From<EngineError>>(
        &self,
        name: &SecretName,
        reference: &VersionRef,
        admit: impl Fn(Gate, &VersionEntry) -> Result<(), E>,
    ) -> Result<Option<ReadValue>, E> {
        self.engine.health().check_read()?;
        for cache in [&self.last_read, &self.currents] {
            let known = cache.get(name, &self.engine.index);
            if let Some(known) = known.filter(|known| known.what.facts.is_meant_by(reference)) {
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
        self.read(name, &self.last_read, choose)
    }

    /// The same, kept in `cache` for the next reader.
    fn read<E: From<EngineError>>(
        &self,
        name: &SecretName,
        cache: &NameCache<Kept>,
        choose: impl for<'a> Fn(&'a Stages) -> Result<&'a VersionEntry, E>,
    ) -> Result<Option<ReadValue>, E> {
        self.with_version(name, choose, |id, head, entry, record| {
            let kept = Kept::of(name, &head.body, entry, record);
            let read = self.open_kept(&kept)?;
            self.keep_read(id, (name, head), kept, cache);
            Ok(read)
        })
    }

    /// What `take` makes of the version that `choose` picks, its value sealed. `None` if there is no such
    /// secret.
    ///
    /// A version that was dropped between the reads of table and value is looked for again in the table
    /// that dropped it.
    pub(super) fn with_version<T, E: From<EngineError>>(
        &self,
        name: &SecretName,
        choose: impl for<'a> Fn(&'a Stages) -> Result<&'a VersionEntry, E>,
        take: impl Fn(&NameId, &Head<Stages>, &VersionEntry, Record) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let id = self.id(name);
        loop {
            let Some(head) = self.stages_of(&id)? else { return Ok(None) };
            let entry = choose(&head.body)?;
            if let Some(record) = self.value_record(&id, &head, entry)? {
                return take(&id, &head, entry, record).map(Some);
            }
        }
    }

    /// Keeps a version for the next reader, unless time destroys it, or it is long.
    fn keep_read(
        &self,
        id: &NameId,
        (name, head): (&SecretName, &Head<Stages>),
        kept: Kept,
        cache: &NameCache<Kept>,
    ) {
        if kept.entry.destruction.is_some() || kept.record.len() > KEPT_LEN_MAX {
            return;
        }
        // While the index is loading it does not say what is newest.
        let newest = || self.engine.index.heads(id).filter(|heads| heads.stages == head.tag);
        if let Some(heads) = newest() {
            cache.insert(name.clone(), Known::new(*id, heads, kept));
            // Changed meanwhile: who destroyed the version has already looked for what to forget.
            if newest().is_none() {
                cache.remove(name);
            }
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

    /// Whether a value of a secret is in memory, sealed.
    #[cfg(test)]
    pub(crate) fn keeps_value(&self, name: &SecretName) -> bool {
        self.currents.has(name) || self.last_read.has(name)
    }

    fn open_kept(&self, kept: &Kept) -> Result<ReadValue, EngineError> {
        let value = self.open(&kept.sid, &kept.entry, &kept.record)?;
        Ok(ReadValue { sid: kept.sid, value, facts: Arc::clone(&kept.facts) })
    }
}
