//! Secrets of a store that may be damaged: which of their versions are intact, and what is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    commit::{Damage, FIRST_SEQ, NameId, Remains, tag_of, value_address},
    crypto::SetHash,
    domain::{
        Description, Placement, SecretName, SecretType, SecretValue, Stage, StageMap, Timestamp,
        VersionId, VersionState,
    },
    format::Tree,
    records::{
        Cause, Completeness, Loss, SalvagedSecret, Sealer, SecretBody, Stages, VersionEntry,
        cache::Head,
        census::{Census, Life},
        head::HeadBody,
        leftovers::Leftovers,
        local_key::named_value_key,
        value::open_value_with,
    },
    storage::Record,
};

/// The secrets of a store's remains.
#[derive(Debug)]
pub(crate) struct Finds {
    pub(crate) remains: Remains,
    pub(crate) sealer: Sealer,
    pub(crate) leftovers: Leftovers,
    census: Census,
    log_is_whole: bool,
    /// By name, those without one last.
    pub(crate) secrets: Vec<SalvagedSecret>,
    by_id: BTreeMap<NameId, usize>,
    pub(crate) completeness: Completeness,
    /// When labels were moved that had to be.
    at: Timestamp,
}

/// A secret as it is given out: with what is intact of it.
#[derive(Clone, Debug)]
pub(crate) struct Mended {
    pub(crate) secret: SecretBody,
    pub(crate) stages: Stages,
    pub(crate) revision: u64,
}

/// A head as it was looked for.
enum Pick<T> {
    Found(Head<T>),
    Lost(Cause),
}

impl<T> Pick<T> {
    fn found(&self) -> Option<&Head<T>> {
        match self {
            Self::Found(head) => Some(head),
            Self::Lost(_) => None,
        }
    }

    fn cause(&self) -> Option<Cause> {
        match self {
            Self::Found(_) => None,
            Self::Lost(cause) => Some(*cause),
        }
    }
}

/// Both heads of a secret, as they were looked for.
struct Pair {
    secret: Pick<SecretBody>,
    stages: Pick<Stages>,
}

impl Pair {
    fn revision(&self) -> u64 {
        let secret = self.secret.found().map_or(0, |head| head.revision);
        secret.max(self.stages.found().map_or(0, |head| head.revision))
    }
}

impl Finds {
    /// Looks for every secret and opens every value once. `progress` is called with the number of
    /// secrets looked at.
    pub(crate) fn survey(mut remains: Remains, at: Timestamp, progress: &dyn Fn(u64)) -> Self {
        let sealer = Sealer { ring: Arc::clone(&remains.ring), store_id: remains.store_id };
        let census = Census::take(&mut remains, &sealer);
        let (leftovers, mut sum) = Leftovers::find(&mut remains, &sealer);
        let mut ids: BTreeSet<NameId> = census.ids().copied().collect();
        for tree in [Tree::Secrets, Tree::Stages] {
            remains.each_in_state(tree, &mut |key, _| ids.extend(NameId::try_from(key)));
            let logged = remains.logged_in(tree).map(|(address, _)| address.key());
            ids.extend(logged.flat_map(NameId::try_from));
        }
        let mut finds = Self {
            remains,
            sealer,
            leftovers,
            census,
            log_is_whole: false,
            secrets: Vec::new(),
            by_id: BTreeMap::new(),
            completeness: Completeness::Unknown,
            at,
        };
        finds.note_gaps();
        let mut done = 0_u64;
        for id in ids {
            let found = finds.look_at(&id, &mut sum);
            finds.secrets.extend(found);
            done = done.saturating_add(1);
            progress(done);
        }
        finds.secrets.sort_by(|a, b| (a.name.is_none(), &a.name).cmp(&(b.name.is_none(), &b.name)));
        finds.by_id = finds.secrets.iter().map(|it| it.id).zip(0..).collect();
        finds.completeness = finds.compare(&sum);
        finds
    }

    /// Says if the audit log is not whole.
    fn note_gaps(&mut self) {
        let Some(root) = &self.remains.root else { return };
        let made = root.seq.saturating_sub(root.audit_first_seq).saturating_add(1);
        let found = self.census.commits;
        let is_whole = found >= made && self.census.damaged == 0;
        // One that was cut no more knows every secret.
        self.log_is_whole = is_whole && root.audit_first_seq <= FIRST_SEQ;
        if !is_whole {
            let text = format!("the audit log has records of {found} of {made} commits");
            self.remains.damage.push(Damage::new("db", text));
        }
    }

    /// Compares the heads that were found with the root.
    fn compare(&self, sum: &SetHash) -> Completeness {
        let Some(root) = &self.remains.root else { return Completeness::Unknown };
        if *sum == SetHash::from_bytes(&root.set_hash) {
            return Completeness::Proven { commit: root.seq };
        }
        let found = u64::try_from(self.secrets.len()).unwrap_or(u64::MAX);
        Completeness::Counted { commit: root.seq, expected: root.secrets, found }
    }

    /// Whether the whole of the store is there, as far as it can tell.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.completeness, Completeness::Proven { .. })
            && self.remains.missing.is_empty()
            && self.secrets.iter().all(SalvagedSecret::is_whole)
    }

    /// The secret of this name, also if its name is lost.
    pub(crate) fn secret(&self, name: &SecretName) -> Option<&SalvagedSecret> {
        let id = self.sealer.ring.name_id(name.as_str().as_bytes());
        self.secrets.get(*self.by_id.get(&id)?)
    }

    fn look_at(&self, id: &NameId, sum: &mut SetHash) -> Option<SalvagedSecret> {
        let pair = self.pair(id);
        for (address, record) in [
            pair.secret.found().map(|head| (SecretBody::address(id), &head.record)),
            pair.stages.found().map(|head| (Stages::address(id), &head.record)),
        ]
        .into_iter()
        .flatten()
        {
            sum.insert(&self.sealer.ring.leaf(address.tree(), address.key(), record));
        }
        let life = self.life(id, &pair);
        let unknown =
            life.is_none() && pair.secret.found().is_none() && pair.stages.found().is_none();
        let causes = [pair.secret.cause(), pair.stages.cause()];
        let is_gone = causes == [Some(Cause::Missing); 2];
        // A whole audit log knows every secret, so what it does not know is none.
        if unknown && (is_gone || self.log_is_whole) {
            return None;
        }
        let name = pair.secret.found().map(|head| &head.body.name).or(life.map(|life| &life.name));
        let mut secret =
            SalvagedSecret { id: *id, name: name.cloned(), intact: Vec::new(), losses: Vec::new() };
        if secret.name.is_none() {
            secret.losses.push(Loss::Name);
        }
        secret.losses.extend(pair.secret.cause().map(Loss::Metadata));
        self.look_at_versions(&pair, life, &mut secret);
        Some(secret)
    }

    fn look_at_versions(&self, pair: &Pair, life: Option<&Life>, secret: &mut SalvagedSecret) {
        let made = life.and_then(|life| life.newest);
        let stages = match &pair.stages {
            Pick::Found(head) => &head.body,
            Pick::Lost(cause) => {
                return secret.losses.push(Loss::Table { cause: *cause, newest: made });
            }
        };
        // Of a destroyed version nothing can be lost.
        for entry in stages.versions.iter().filter(|entry| entry.state != VersionState::Destroyed) {
            match self.value(&stages.sid, entry) {
                Ok(_) => secret.intact.push(entry.id),
                Err(cause) => secret.losses.push(Loss::Version { id: entry.id, cause }),
            }
        }
        if let Some(last) = made.filter(|made| *made >= stages.next_version) {
            secret.losses.push(Loss::Newer { first: stages.next_version, last });
        }
        secret.losses.extend(life.and_then(|life| earlier(pair, life)));
        if let Some((_, losses)) = mend_labels(&stages.labels, &secret.intact, self.at) {
            secret.losses.extend(losses);
        }
    }

    fn life(&self, id: &NameId, pair: &Pair) -> Option<&Life> {
        let of_stages = pair.stages.found().map(|head| &head.body.sid);
        match of_stages.or(pair.secret.found().map(|head| &head.body.sid)) {
            Some(sid) => self.census.life(sid),
            None => self.census.living(id).map(|(_, life)| life),
        }
    }

    /// The heads under an id. Of a pair of two secrets, the labels count: the values are theirs.
    fn pair(&self, id: &NameId) -> Pair {
        let stages = self.pick::<Stages>(id);
        let secret = match self.pick::<SecretBody>(id) {
            Pick::Found(head)
                if stages.found().is_some_and(|stages| stages.body.sid != head.body.sid) =>
            {
                Pick::Lost(Cause::Missing)
            }
            other => other,
        };
        Pair { secret, stages }
    }

    /// The newest authentic head under an id, of journal and state, of a secret that was not deleted.
    fn pick<T: HeadBody>(&self, id: &NameId) -> Pick<T> {
        let stored = self.remains.stored(&T::address(id));
        let mut cause = Cause::Missing;
        let mut open = |record: &Record| match T::open(&self.sealer, id, record) {
            Ok((body, revision)) => {
                let tag = tag_of(record)?;
                let head = Head::new(body, revision, record.clone(), tag);
                (!self.census.is_dead(id, head.body.sid())).then_some(head)
            }
            Err(_) => {
                cause = Cause::Damaged;
                None
            }
        };
        let removed = stored.journal.is_some_and(|logged| logged.record.is_none());
        let logged = stored.journal.and_then(|logged| open(logged.record.as_ref()?));
        let in_state = match &stored.state {
            Ok(record) => record.as_ref().and_then(&mut open),
            Err(_) => {
                cause = Cause::Unreadable;
                None
            }
        };
        // What was removed last is not there, unless the log tells of a life after that.
        let in_state = in_state.filter(|head| {
            !(removed && stored.journal_is_newer) || self.census.life(head.body.sid()).is_some()
        });
        let newest = match (logged, in_state) {
            (Some(a), Some(b)) if a.body.sid() == b.body.sid() => {
                Some(if a.revision >= b.revision { a } else { b })
            }
            (Some(a), Some(b)) => Some(if stored.journal_is_newer { a } else { b }),
            (a, b) => a.or(b),
        };
        match newest {
            Some(head) => Pick::Found(head),
            None if removed && stored.journal_is_newer => Pick::Lost(Cause::Missing),
            None => Pick::Lost(cause),
        }
    }

    /// Opens the value of a row.
    fn value(&self, sid: &[u8; 16], entry: &VersionEntry) -> Result<SecretValue, Cause> {
        let stored = self.remains.stored(&value_address(entry.vrec));
        let logged = stored.journal.and_then(|logged| logged.record.as_ref());
        let (in_state, cause) = match &stored.state {
            Ok(Some(record)) => (Some(record), Cause::Damaged),
            Ok(None) => (None, Cause::Missing),
            Err(_) => (None, Cause::Unreadable),
        };
        let joined = match &entry.kms_key_id {
            Some(id) => {
                let named = self.leftovers.key(id).ok_or(Cause::Key)?;
                Some(named_value_key(&self.sealer, named, &entry.data_key))
            }
            None => None,
        };
        let key = joined.as_ref().unwrap_or(&entry.data_key);
        let open = |record: &Record| open_value_with(&self.sealer, key, (sid, entry), record).ok();
        logged.and_then(open).or_else(|| in_state.and_then(open)).ok_or(cause)
    }

    /// The secret with its intact versions, and the labels on them. `None` if it has none.
    pub(crate) fn mended(&self, secret: &SalvagedSecret, name: &SecretName) -> Option<Mended> {
        let pair = self.pair(&secret.id);
        let revision = pair.revision();
        let Pick::Found(Head { body: mut stages, .. }) = pair.stages else { return None };
        let life = self.census.life(&stages.sid);
        stages.labels = mend_labels(&stages.labels, &secret.intact, self.at)?.0;
        stages.versions.retain(|entry| {
            secret.intact.contains(&entry.id) || entry.state == VersionState::Destroyed
        });
        // Numbers that were given out are not used again, whatever they stood for.
        let made = life.and_then(|life| life.newest).and_then(VersionId::next);
        stages.next_version =
            made.map_or(stages.next_version, |made| made.max(stages.next_version));
        let created = stages.versions.first().map_or(self.at, |entry| entry.created);
        let mut body = match pair.secret {
            Pick::Found(head) => head.body,
            Pick::Lost(_) => SecretBody::new(
                name.clone(),
                stages.sid,
                SecretType::Common,
                Description::default(),
                life.map_or(created, |life| life.created),
            ),
        };
        // Without its key or event the secret is under the default key, and subscribes to none.
        body.kms_key_id = body.kms_key_id.filter(|id| self.leftovers.key(id).is_some());
        body.event_subscriptions.retain(|name| self.leftovers.has_event(name));
        // The two heads may be of different moments.
        body.deletion = stages.deletion;
        Some(Mended { secret: body, stages, revision })
    }

    /// The value of a row of a mended secret.
    pub(crate) fn value_of(
        &self,
        mended: &Mended,
        entry: &VersionEntry,
    ) -> Result<SecretValue, Cause> {
        self.value(&mended.stages.sid, entry)
    }
}

/// Whether one of the heads is older than the log says.
fn earlier(pair: &Pair, life: &Life) -> Option<Loss> {
    let secret = pair.secret.found().map(|head| (head.revision, life.secret_revision));
    let stages = pair.stages.found().map(|head| (head.revision, life.stages_revision));
    let older = secret.into_iter().chain(stages).find(|(found, at_least)| found < at_least);
    older.map(|(found, at_least)| Loss::Earlier { found, at_least })
}

/// The labels on intact versions, and what became of the others. `None` if no version is intact.
fn mend_labels(
    labels: &StageMap,
    intact: &[VersionId],
    at: Timestamp,
) -> Option<(StageMap, Vec<Loss>)> {
    let mut losses = Vec::new();
    let mut kept: Vec<(Stage, Placement)> = Vec::new();
    let pending = labels.version_of(&Stage::Pending);
    for (stage, placement) in labels.iter() {
        let version = placement.version;
        if intact.contains(&version) {
            kept.push((stage.clone(), placement));
        } else if *stage == Stage::Current {
            // Without SYSCURRENT there is no secret. A pending version was never in use.
            let in_use = intact.iter().rev().find(|id| Some(**id) != pending);
            let now = *in_use.or(intact.last())?;
            losses.push(Loss::Current { was: version, now });
            kept.push((Stage::Current, Placement { version: now, moved_at: at }));
        } else {
            losses.push(Loss::Label { stage: stage.clone(), version });
        }
    }
    Some((StageMap::from_parts(kept).ok()?, losses))
}
