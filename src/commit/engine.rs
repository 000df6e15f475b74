//! The engine: reads sealed records, commits plans.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::{
    commit::{
        EngineError, Heads, Index, NameId, ObjectKey, Objects, Plan, Tag,
        address::{audit_address, root_address},
        applier::Applier,
        backlog::Group,
        group::GroupQueue,
        health::Health,
        journal::Journal,
        keys::KeyStore,
        news::News,
        overlay::{Overlay, is_read_by_key},
        plan::Weight,
        root::seal_root,
    },
    crypto::{KeyRing, SetHash, sha256},
    domain::{
        Anchor,
        planted::{Planted, planted},
    },
    format::RootV1,
    storage::{Address, Backend, Compacted, DirLock, Record, Write},
};

/// An open store of sealed records.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store_id: [u8; 16],
    pub(crate) index: Index,
    pub(crate) objects: Objects,
    pub(crate) keys: KeyStore,
    ring: Arc<KeyRing>,
    backend: Arc<dyn Backend>,
    overlay: Arc<Overlay>,
    health: Arc<Health>,
    pub(super) applier: Applier,
    queue: GroupQueue<Plan, Result<Committed, EngineError>>,
    pub(super) core: Mutex<Core>,
    next_vrec: AtomicU64,
    /// The first number that [`Engine::draw_vrec`] gave, or would have given, since the opening.
    first_vrec: u64,
    lock: RwLock<Option<DirLock>>,
}

/// What only the leader touches.
#[derive(Debug)]
pub(crate) struct Core {
    journal: Journal,
    pub(super) root: RootV1,
}

/// A commit that is on stable storage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Committed {
    pub(crate) seq: u64,
}

/// What an engine is put together from.
#[derive(Debug)]
pub(crate) struct EngineParts {
    pub(crate) store_id: [u8; 16],
    pub(crate) keys: KeyStore,
    pub(crate) ring: Arc<KeyRing>,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) overlay: Arc<Overlay>,
    pub(crate) health: Arc<Health>,
    pub(crate) applier: Applier,
    pub(crate) journal: Journal,
    pub(crate) root: RootV1,
    pub(crate) lock: DirLock,
}

impl Engine {
    pub(crate) fn new(parts: EngineParts) -> Self {
        parts.health.news.cut_audit(parts.root.audit_first_seq);
        parts.health.news.tell(parts.root.seq);
        Self {
            store_id: parts.store_id,
            index: Index::loading(parts.root.secrets),
            objects: Objects::default(),
            keys: parts.keys,
            ring: parts.ring,
            backend: parts.backend,
            overlay: parts.overlay,
            health: parts.health,
            applier: parts.applier,
            queue: GroupQueue::new(),
            next_vrec: AtomicU64::new(parts.root.next_vrec),
            first_vrec: parts.root.next_vrec,
            core: Mutex::new(Core { journal: parts.journal, root: parts.root }),
            lock: RwLock::new(Some(parts.lock)),
        }
    }

    pub(crate) fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// Word of the commits that can be read.
    pub(crate) fn news(&self) -> &News {
        &self.health.news
    }

    /// Waits until the store was checked after opening. Fails if it was found forged or unreadable.
    pub(crate) fn wait_ready(&self) -> Result<(), EngineError> {
        let ready = self.index.wait_ready();
        self.health.check_read()?;
        if ready { Ok(()) } else { Err(EngineError::Poisoned) }
    }

    /// The newest durable record at `address`.
    pub(crate) fn read(&self, address: &Address) -> Result<Option<Record>, EngineError> {
        self.health.check_read()?;
        match self.overlay.read(address) {
            Some(record) => Ok(record),
            None => Ok(self.backend.read(address)?),
        }
    }

    /// Looks at something while no commit is being published. A reader that found a head and the
    /// index to disagree looks again in here: if they still do, a record was put back.
    pub(crate) fn while_still<T>(&self, look: impl FnOnce() -> T) -> T {
        let _core = self.core.lock();
        look()
    }

    /// A number that no value's record ever had.
    pub(crate) fn draw_vrec(&self) -> u64 {
        self.next_vrec.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a value's record was numbered before the store was opened.
    pub(crate) fn is_of_before(&self, vrec: u64) -> bool {
        vrec < self.first_vrec
    }

    /// Commits `plan`, alone or together with others. Durable when this returns.
    pub(crate) fn commit(&self, plan: Plan) -> Result<Committed, EngineError> {
        self.wait_ready()?;
        self.health.check_write()?;
        if !plan.weight().fits() {
            return Err(EngineError::TooLarge);
        }
        let fits = |weight: &mut Weight, next: &Plan| {
            *weight = weight.plus(next.weight());
            weight.fits()
        };
        let lead = |plans: Vec<Plan>| {
            let count = plans.len();
            catch_unwind(AssertUnwindSafe(|| self.lead(&plans))).unwrap_or_else(|_| {
                self.health.poison();
                vec![Err(EngineError::Poisoned); count]
            })
        };
        self.queue.submit(plan, fits, lead).unwrap_or(Err(EngineError::Poisoned))
    }

    /// One group: check, chain, seal, append, publish.
    fn lead(&self, plans: &[Plan]) -> Vec<Result<Committed, EngineError>> {
        let mut core = self.core.lock();
        let fail = |err: EngineError| vec![Err(err); plans.len()];
        if let Err(err) = self.health.check_write() {
            return fail(err);
        }
        let accepted = self.accepted(core.root.audit_first_seq, plans);
        let chosen: Vec<&Plan> =
            plans.iter().zip(&accepted).filter(|(_, yes)| **yes).map(|(plan, _)| plan).collect();
        if chosen.is_empty() {
            return fail(EngineError::Conflict);
        }
        match self.write(&mut core, &chosen) {
            Ok(seq) => accepted
                .iter()
                .map(|yes| if *yes { Ok(Committed { seq }) } else { Err(EngineError::Conflict) })
                .collect(),
            Err(err) => fail(err),
        }
    }

    /// Which plans still find what they were made from, given those before them in the group.
    fn accepted(&self, mut audit_first: u64, plans: &[Plan]) -> Vec<bool> {
        let mut changed: Vec<(NameId, Option<Heads>)> = Vec::new();
        let mut objects: Vec<(ObjectKey, Option<Tag>)> = Vec::new();
        plans
            .iter()
            .map(|plan| {
                let heads_hold = plan.heads.iter().all(|change| {
                    let now = changed.iter().rev().find(|(id, _)| *id == change.id);
                    let now = now.map_or_else(|| self.index.heads(&change.id), |(_, heads)| *heads);
                    now == change.before
                });
                let objects_hold = plan.objects.iter().all(|change| {
                    let now = objects.iter().rev().find(|(key, _)| *key == change.key);
                    let now = now.map_or_else(|| self.objects.tag(&change.key), |(_, tag)| *tag);
                    now == change.before
                });
                // The log is only ever cut further: another cut may have been made meanwhile.
                let cut_holds = plan.audit_start.is_none_or(|start| start.seq > audit_first);
                let holds = heads_hold && objects_hold && cut_holds;
                if holds {
                    audit_first = plan.audit_start.map_or(audit_first, |start| start.seq);
                    changed.extend(plan.heads.iter().map(|change| (change.id, change.after)));
                    objects.extend(plan.objects.iter().map(|change| (change.key, change.after)));
                }
                holds
            })
            .collect()
    }

    fn write(&self, core: &mut Core, plans: &[&Plan]) -> Result<u64, EngineError> {
        let mut root = core.root.clone();
        let chain_before = root.chain;
        root.seq = root.seq.saturating_add(1);
        let mut writes: Vec<Write> = Vec::new();
        let mut set_hash = SetHash::from_bytes(&root.set_hash);
        let mut audit_index = 0_u32;
        for plan in plans {
            writes.extend(plan.writes.iter().cloned());
            set_hash.merge(&plan.set_hash);
            for record in &plan.audit {
                root.chain = self.ring.chain_next(&root.chain, root.seq, &sha256(&[record]));
                writes.push(Write::put(audit_address(root.seq, audit_index), record.clone()));
                audit_index = audit_index.saturating_add(1);
            }
            plan.count(&mut root);
            if let Some(ring) = plan.ring {
                (root.ring_seq, root.ring_digest) = (ring.ring_seq, ring.digest);
            }
            if let Some(start) = plan.audit_start {
                (root.audit_first_seq, root.audit_first_chain) = (start.seq, start.chain);
            }
            root.time_ms = plan.at.as_millis();
        }
        root.set_hash = set_hash.to_bytes();
        root.next_vrec = self.next_vrec.load(Ordering::Relaxed);
        let record = seal_root(&self.ring, &self.store_id, &root)?;
        if !planted(Planted::Root) {
            writes.push(Write::put(root_address(), record));
        }
        self.append(core, &root, chain_before, &writes)?;
        self.publish(&root, writes, plans);
        core.root = root;
        Ok(core.root.seq)
    }

    /// The only write and the only sync that a commit waits for.
    fn append(
        &self,
        core: &mut Core,
        root: &RootV1,
        chain_before: [u8; 32],
        writes: &[Write],
    ) -> Result<(), EngineError> {
        let appended =
            core.journal.append(&self.ring, root.seq, chain_before, writes).inspect_err(|err| {
                if !matches!(err, EngineError::TooLarge) && !planted(Planted::Poison) {
                    self.health.poison();
                }
            })?;
        if let Some((number, base_seq)) = appended.began {
            self.applier.checkpoint(base_seq, number.saturating_sub(1));
        }
        if appended.half_full {
            self.applier.prepare(core.journal.segment_number().saturating_add(1));
        }
        Ok(())
    }

    /// Makes a durable group visible: records first, then the index that points at them.
    fn publish(&self, root: &RootV1, writes: Vec<Write>, plans: &[&Plan]) {
        let seq = root.seq;
        self.news().cut_audit(root.audit_first_seq);
        for write in writes.iter().filter(|write| is_read_by_key(&write.address)) {
            self.overlay.publish(seq, write);
        }
        for plan in plans {
            self.index.publish_all(plan.heads.iter());
            plan.objects.iter().for_each(|change| self.objects.publish(change));
        }
        self.news().tell(seq);
        self.applier.apply(Group { seq, writes });
    }

    /// Where the store stands, to be kept elsewhere.
    pub(crate) fn anchor(&self) -> Result<Anchor, EngineError> {
        self.health.check_read()?;
        let core = self.core.lock();
        Ok(Anchor {
            store_id: self.store_id,
            epoch: core.root.epoch,
            seq: core.root.seq,
            chain: core.root.chain,
        })
    }

    /// The root after the last commit, with the state caught up to it. Commits go on meanwhile, so the
    /// state may have later ones too.
    pub(crate) fn caught_up_root(&self) -> Result<RootV1, EngineError> {
        let core = self.core.lock();
        self.health.check_read()?;
        let (root, so_far) = (core.root.clone(), self.applier.handed_over());
        drop(core);
        self.applier.wait_applied(so_far)?;
        Ok(root)
    }

    /// Begins a new journal segment and waits until the state has everything before it, durably.
    pub(crate) fn checkpoint(&self) -> Result<(), EngineError> {
        let mut core = self.core.lock();
        // Under the lock: once the store is closed its files may be somebody else's.
        self.health.check_write()?;
        let (seq, chain) = (core.root.seq, core.root.chain);
        let began =
            core.journal.switch(&self.ring, seq, chain).inspect_err(|_| self.health.poison())?;
        if let Some((number, base_seq)) = began {
            self.applier.checkpoint(base_seq, number.saturating_sub(1));
        }
        let settling = self.applier.settle();
        drop(core);
        self.applier.wait_settled(settling)
    }

    /// Has the state copied into fresh files and waits for that. Reads and commits go on.
    pub(crate) fn compact(&self) -> Result<Compacted, EngineError> {
        // What was found forged or unreadable is not copied.
        self.wait_ready()?;
        let core = self.core.lock();
        self.health.check_write()?;
        let order = self.applier.compact();
        drop(core);
        self.applier.wait_compacted(&order)
    }

    /// Everything into the state, durably, then lets go of all files. Later calls find it closed.
    pub(crate) fn close(&self) -> Result<(), EngineError> {
        // A key change, commit or checkpoint under way ends first; the next one sees the mark. Who
        // closes second waits here for the first.
        let _keys = self.keys.hold();
        let _core: MutexGuard<'_, Core> = self.core.lock();
        if !self.health.close() {
            return Ok(());
        }
        let settled = match self.health.is_poisoned() {
            // If it was in the background, nobody may have heard yet what failed.
            true => self.applier.drain().and(Err(EngineError::Poisoned)),
            false => self.applier.wait_settled(self.applier.settle()),
        };
        self.applier.stop();
        let closed = self.backend.close();
        *self.lock.write() = None;
        settled?;
        Ok(closed?)
    }

    /// The state below the overlay, for scans. Call [`Engine::caught_up_root`] before.
    pub(crate) fn state(&self) -> &dyn Backend {
        self.backend.as_ref()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody is left to hear of an error; what was acknowledged is in the journal.
        let _ = self.close();
    }
}
