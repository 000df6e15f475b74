//! Reading secrets: heads through the index and the cache.

use std::sync::Arc;

use crate::{
    commit::{Engine, EngineError, Heads, NameId, tag_of},
    domain::SecretName,
    records::{
        Sealer, SecretBody, SecretFacts, Stages, Written,
        cache::{Head, HeadCache, Known, NameCache},
        head::HeadBody,
        ids::Ids,
        read::{KEPT_LEN_MAX, Kept},
        schedule::Schedule,
    },
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
    pub(crate) currents: NameCache<Kept>,
    /// Of each secret the version that was read last, but for the current one.
    pub(super) last_read: NameCache<Kept>,
    pub(crate) facts: NameCache<Arc<SecretFacts>>,
    pub(crate) schedule: Schedule,
    pub(crate) ids: Ids,
}

/// How many secrets' worth of each kind is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheSizes {
    /// Secrets whose metadata and sealed current value are kept, for readers.
    pub(crate) secrets_max: usize,
    /// Secrets whose opened heads are kept, and a version that is not the current one, for writers and
    /// for reads of other versions.
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
            last_read: NameCache::new(sizes.heads_max),
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

    /// Keeps the heads, and the sealed value behind SYSCURRENT, of a secret that was just written, and
    /// notes what falls due in it. To be called after every commit that leaves the secret there.
    pub(crate) fn keep(&self, written: &Written) {
        let Written { seen, current } = written;
        self.schedule.note(&self.engine.index, seen);
        self.ids.note(&seen.secret.body);
        self.secrets.insert(seen.id, Arc::clone(&seen.secret));
        self.stages.insert(seen.id, Arc::clone(&seen.stages));
        let (name, stages) = (&seen.secret.body.name, &seen.stages.body);
        // What was kept is stale in any case, and may be of a version that was just destroyed.
        self.last_read.remove(name);
        match (current, stages.current()) {
            (Some(record), Some(entry)) if record.len() <= KEPT_LEN_MAX => {
                let current = Kept::of(name, stages, entry, Arc::clone(record));
                self.currents.insert(name.clone(), Known::new(seen.id, seen.heads(), current));
            }
            _ => self.currents.remove(name),
        }
    }

    /// Keeps what a listing tells of a secret that was just written.
    pub(crate) fn keep_facts(&self, seen: &Seen) {
        let (name, facts) = (&seen.secret.body.name, Arc::new(SecretFacts::of(seen)));
        self.facts.insert(name.clone(), Known::new(seen.id, seen.heads(), facts));
    }

    /// Lets go of what is known of a secret that was removed.
    pub(crate) fn forget(&self, id: &NameId, name: &SecretName) {
        self.secrets.remove(id);
        self.stages.remove(id);
        self.currents.remove(name);
        self.last_read.remove(name);
        self.facts.remove(name);
        self.schedule.forget(&self.engine.index, id, name);
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
        // Written or removed meanwhile: whoever did that has already looked for what to forget.
        if wanted.is_some() && self.engine.index.heads(id).map(|heads| T::tag(&heads)) != wanted {
            T::cache(self).remove(id);
        }
        Ok(Look::Found(head))
    }
}
