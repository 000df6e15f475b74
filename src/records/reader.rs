//! Reading secrets: heads through the index and the cache, values through their heads.

use std::sync::Arc;

use crate::{
    commit::{Engine, EngineError, Heads, NameId, tag_of, value_address},
    crypto::Forged,
    domain::{SecretName, SecretValue},
    records::{
        Gate, Sealer, SecretBody, SecretFacts, Stages, VersionEntry, VersionFacts, Written,
        cache::{Head, HeadCache, Known, NameCache},
        head::HeadBody,
        ids::Ids,
        schedule::Schedule,
        value::open_value_with,
    },
    storage::Record,
};

/// How often a reader that lost a race with writers looks again before it stops them for a moment.
const LOOKS_MAX: usize = 3;

/// Typed access to the records of one store.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) engine: Engine,
    pub(crate) sealer: Sealer,
    pub(crate) secrets: HeadCache<SecretBody>,
    pub(crate) stages: HeadCache<Stages>,
    pub(crate) currents: NameCache<Current>,
    pub(crate) facts: NameCache<Arc<SecretFacts>>,
    pub(crate) schedule: Schedule,
    pub(crate) ids: Ids,
}

/// The version behind SYSCURRENT, its value sealed.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) sid: [u8; 16],
    pub(crate) gate: Gate,
    pub(crate) entry: VersionEntry,
    pub(crate) record: Record,
    pub(crate) facts: Arc<VersionFacts>,
}

impl Current {
    fn of(name: &SecretName, stages: &Stages, entry: &VersionEntry, record: Record) -> Self {
        let facts = Arc::new(VersionFacts::of(name, stages, entry));
        Self { sid: stages.sid, gate: Gate::of(stages), entry: entry.clone(), record, facts }
    }
}

/// How many secrets' worth of each kind is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheSizes {
    /// Secrets whose metadata and sealed current value are kept, for readers.
    pub(crate) secrets_max: usize,
    /// Secrets whose opened heads are kept, for writers and for reads of other versions.
    pub(crate) heads_max: usize,
}

/// A secret as it was read: what a change is made from.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) id: NameId,
    pub(crate) secret: Arc<Head<SecretBody>>,
    pub(crate) stages: Arc<Head<Stages>>,
}

impl Seen {
    /// Grows by one with each change of the secret.
    pub(crate) fn revision(&self) -> u64 {
        self.secret.revision.max(self.stages.revision)
    }

    pub(crate) fn heads(&self) -> Heads {
        Heads { secret: self.secret.tag, stages: self.stages.tag }
    }
}

/// Where heads may be taken from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Source {
    /// The cache, if it has them.
    Cache,
    /// The records.
    Records,
}

/// What one look at a secret found.
pub(super) enum Look<T> {
    Found(T),
    Missing,
    /// Index and records are of two different moments.
    Disagree,
}

impl Records {
    pub(crate) fn new(engine: Engine, sizes: CacheSizes) -> Self {
        let sealer = Sealer { ring: Arc::clone(engine.ring()), store_id: engine.store_id };
        Self {
            engine,
            sealer,
            secrets: HeadCache::new(sizes.heads_max),
            stages: HeadCache::new(sizes.heads_max),
            currents: NameCache::new(sizes.secrets_max),
            facts: NameCache::new(sizes.secrets_max),
            schedule: Schedule::new(),
            ids: Ids::default(),
        }
    }

    pub(crate) fn id(&self, name: &SecretName) -> NameId {
        self.sealer.ring.name_id(name.as_str().as_bytes())
    }

    /// Both heads of a secret, of one moment. `None` if there is no such secret.
    pub(crate) fn seen(&self, name: &SecretName) -> Result<Option<Seen>, EngineError> {
        self.seen_from(name, Source::Cache)
    }

    /// The same from a chosen source.
    pub(crate) fn seen_from(
        &self,
        name: &SecretName,
        source: Source,
    ) -> Result<Option<Seen>, EngineError> {
        let id = self.id(name);
        let seen = self.look(&id, |heads| {
            let secret = self.head::<SecretBody>(&id, heads, source)?;
            let stages = self.head::<Stages>(&id, heads, source)?;
            Ok(match (secret, stages) {
                (Look::Found(secret), Look::Found(stages)) => {
                    Look::Found(Seen { id, secret, stages })
                }
                (Look::Missing, Look::Missing) => Look::Missing,
                _ => Look::Disagree,
            })
        })?;
        match seen {
            Some(seen) if seen.secret.body.sid != seen.stages.body.sid => {
                Err(EngineError::Tampered("a secret's labels"))
            }
            other => Ok(other),
        }
    }

    /// The hot head alone: all that reading a value takes.
    pub(crate) fn stages(
        &self,
        name: &SecretName,
    ) -> Result<Option<Arc<Head<Stages>>>, EngineError> {
        self.stages_of(&self.id(name))
    }

    pub(super) fn stages_of(&self, id: &NameId) -> Result<Option<Arc<Head<Stages>>>, EngineError> {
        self.look(id, |heads| self.head(id, heads, Source::Cache))
    }

    /// The value of the version that `choose` picks from the labels and versions of `name`.
    ///
    /// `None` if there is no such secret. A version that was dropped between the two reads is looked
    /// for again in the table that dropped it.
    pub(crate) fn value<C, E: From<EngineError>>(
        &self,
        name: &SecretName,
        choose: impl Fn(&Stages) -> Result<(VersionEntry, C), E>,
    ) -> Result<Option<(SecretValue, C)>, E> {
        let id = self.id(name);
        loop {
            let Some(head) = self.stages_of(&id)? else { return Ok(None) };
            let (entry, chosen) = choose(&head.body)?;
            if let Some(value) = self.value_of(&id, &head, &entry)? {
                return Ok(Some((value, chosen)));
            }
        }
    }

    /// The value behind SYSCURRENT, with what is told of its version, if `admit` does not refuse it.
    /// `None` if there is no such secret.
    ///
    /// `lost` is the error for a secret without SYSCURRENT, which no honest store has.
    pub(crate) fn current<E: From<EngineError>>(
        &self,
        name: &SecretName,
        admit: impl Fn(Gate, &VersionEntry) -> Result<(), E>,
        lost: impl Fn() -> E,
    ) -> Result<Option<(SecretValue, Arc<VersionFacts>)>, E> {
        self.engine.health().check_read()?;
        if let Some(known) = self.currents.get(name, &self.engine.index) {
            admit(known.what.gate, &known.what.entry)?;
            return Ok(Some((self.open_current(&known.what)?, Arc::clone(&known.what.facts))));
        }
        let id = self.id(name);
        loop {
            let Some(head) = self.stages_of(&id)? else { return Ok(None) };
            let entry = head.body.current().ok_or_else(&lost)?;
            admit(Gate::of(&head.body), entry)?;
            let Some(record) = self.value_record(&id, &head, entry)? else { continue };
            let current = Current::of(name, &head.body, entry, record);
            let found = (self.open_current(&current)?, Arc::clone(&current.facts));
            // While the index is loading it does not say what is newest.
            let newest = self.engine.index.heads(&id).filter(|heads| heads.stages == head.tag);
            if let Some(heads) = newest {
                self.currents.insert(name.clone(), Known::new(id, heads, current));
            }
            return Ok(Some(found));
        }
    }

    /// Keeps the heads, and the sealed value behind SYSCURRENT, of a secret that was just written, and
    /// notes what falls due in it. To be called after every commit that leaves the secret there.
    pub(crate) fn keep(&self, written: &Written) {
        let Written { seen, current } = written;
        self.schedule.note(&self.engine.index, seen);
        self.ids.note(&seen.secret.body);
        self.secrets.insert(seen.id, Arc::clone(&seen.secret));
        self.stages.insert(seen.id, Arc::clone(&seen.stages));
        if let (Some(record), Some(entry)) = (current, seen.stages.body.current()) {
            let name = &seen.secret.body.name;
            let current = Current::of(name, &seen.stages.body, entry, Arc::clone(record));
            self.currents.insert(name.clone(), Known::new(seen.id, seen.heads(), current));
        }
    }

    /// Keeps what a listing tells of a secret that was just written.
    pub(crate) fn keep_facts(&self, seen: &Seen) {
        let (name, facts) = (&seen.secret.body.name, Arc::new(SecretFacts::of(seen)));
        self.facts.insert(name.clone(), Known::new(seen.id, seen.heads(), facts));
    }

    fn open_current(&self, current: &Current) -> Result<SecretValue, EngineError> {
        self.open(&current.sid, &current.entry, &current.record)
    }

    /// Lets go of what is known of a secret that was removed.
    pub(crate) fn forget(&self, id: &NameId, name: &SecretName) {
        self.secrets.remove(id);
        self.stages.remove(id);
        self.currents.remove(name);
        self.facts.remove(name);
        self.schedule.forget(&self.engine.index, id, name);
    }

    /// The value behind SYSCURRENT of a secret as it was seen. `None` as for [`Records::value_of`].
    pub(crate) fn current_of(
        &self,
        seen: &Seen,
        entry: &VersionEntry,
    ) -> Result<Option<SecretValue>, EngineError> {
        match self.currents.get(&seen.secret.body.name, &self.engine.index) {
            Some(known) if known.heads == seen.heads() && known.what.entry.id == entry.id => {
                self.open_current(&known.what).map(Some)
            }
            _ => self.value_of(&seen.id, &seen.stages, entry),
        }
    }

    /// What is told of a secret. `None` if there is no such secret.
    pub(crate) fn facts(&self, name: &SecretName) -> Result<Option<Arc<SecretFacts>>, EngineError> {
        self.engine.health().check_read()?;
        if let Some(known) = self.facts.get(name, &self.engine.index) {
            return Ok(Some(Arc::clone(&known.what)));
        }
        let Some(seen) = self.seen(name)? else { return Ok(None) };
        let facts = Arc::new(SecretFacts::of(&seen));
        self.facts.insert(name.clone(), Known::new(seen.id, seen.heads(), Arc::clone(&facts)));
        Ok(Some(facts))
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

    /// Loads the index, opening each secret's record for its name.
    pub(crate) fn load_index(&self) -> Result<(), EngineError> {
        self.engine.load_index(&|id, record| {
            let (body, _) = SecretBody::open(&self.sealer, id, record)?;
            if let Some(at) = body.deletion {
                self.schedule.note_deletion(&body.name, at);
            }
            Ok(body.name)
        })
    }

    /// Looks until index and records agree. Writers publish records and index one after the other,
    /// so now and then they do not; with the writers stopped they must, or a record was put back.
    fn look<T>(
        &self,
        id: &NameId,
        once: impl Fn(Option<&Heads>) -> Result<Look<T>, EngineError>,
    ) -> Result<Option<T>, EngineError> {
        // While the index is loading there is nothing to compare with, and nobody writes.
        if !self.engine.index.is_ready() {
            self.engine.health().check_read()?;
            match once(None)? {
                Look::Found(found) => return Ok(Some(found)),
                // Unless the loading ended meanwhile and somebody wrote.
                _ if self.engine.index.is_ready() => {}
                Look::Missing => return Ok(None),
                Look::Disagree => return Err(EngineError::Tampered("a secret's record")),
            }
        }
        let look = || match self.engine.index.heads(id) {
            Some(heads) => once(Some(&heads)),
            None => self.engine.health().check_read().map(|()| Look::Missing),
        };
        for _ in 0..LOOKS_MAX {
            match look()? {
                Look::Found(found) => return Ok(Some(found)),
                Look::Missing => return Ok(None),
                Look::Disagree => {}
            }
        }
        match self.engine.while_still(look)? {
            Look::Found(found) => Ok(Some(found)),
            Look::Missing => Ok(None),
            Look::Disagree => Err(EngineError::Tampered("a secret's record")),
        }
    }

    pub(super) fn head<T: HeadBody>(
        &self,
        id: &NameId,
        heads: Option<&Heads>,
        source: Source,
    ) -> Result<Look<Arc<Head<T>>>, EngineError> {
        let wanted = heads.map(T::tag);
        let cached = wanted.filter(|_| source == Source::Cache);
        if let Some(head) = cached.and_then(|tag| T::cache(self).get(id, &tag)) {
            self.engine.health().check_read()?;
            return Ok(Look::Found(head));
        }
        let Some(record) = self.engine.read(&T::address(id))? else {
            return Ok(if wanted.is_some() { Look::Disagree } else { Look::Missing });
        };
        let Some(tag) = tag_of(&record) else { return Ok(Look::Disagree) };
        if wanted.is_some_and(|wanted| wanted != tag) {
            return Ok(Look::Disagree);
        }
        // A record that does not open is given as a disagreement too: large ones are read in
        // pieces, which a writer may just be replacing.
        let Ok((body, revision)) = T::open(&self.sealer, id, &record) else {
            return Ok(Look::Disagree);
        };
        let head = Arc::new(Head::new(body, revision, record, tag));
        T::cache(self).insert(*id, Arc::clone(&head));
        Ok(Look::Found(head))
    }
}
