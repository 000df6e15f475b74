//! Key slots: the ways to unlock the store.

use super::SecretStore;
use crate::{
    commit::{Bind, Plan, RingChange, SlotInfo, SlotKind, Unlock},
    domain::{Action, Timestamp},
    error::Error,
    kms::{Kms, KmsContext, KmsKey},
    records::{Act, Operation},
};

/// One way to unlock the store: a master key, a passphrase or a key of a key manager. Not in CSMS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeySlot {
    id: u32,
    kind: SlotKind,
    label: String,
    created: Timestamp,
}

impl KeySlot {
    fn of(info: SlotInfo) -> Self {
        let SlotInfo { id, kind, label, created } = info;
        Self { id, kind, label, created }
    }

    /// Its number, never used again in this store.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it opens with.
    #[must_use]
    pub fn kind(&self) -> &SlotKind {
        &self.kind
    }

    /// What it was called when it was added. Stands in the key file in the clear.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// When it was added, a whole second.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }
}

impl SecretStore {
    /// The ways to unlock this store, oldest first. None to a session without
    /// `strongroom:store:maintain`. Not in CSMS.
    #[must_use]
    pub fn key_slots(&self) -> Vec<KeySlot> {
        if self.permit(Action::Maintain, None).is_err() {
            return Vec::new();
        }
        self.inner.records.engine.keys.slots().into_iter().map(KeySlot::of).collect()
    }

    /// Adds a way to unlock the store: `new` opens it from now on, beside those there are. Not in
    /// CSMS.
    ///
    /// `present` must open the store already, since the store does not keep what wraps its keys. A
    /// new passphrase has at least 12 characters and is stretched with Argon2id (64 MiB, 3 passes:
    /// some 0.2 seconds). To change a passphrase, add the new one and
    /// [remove](Self::remove_key_slot) the old one. `label` has at most 255 bytes and is not secret.
    ///
    /// # Errors
    ///
    /// * [`Error::WrongKey`] if `present` does not open the store.
    /// * [`Error::KeyManager`] if a key manager does not do its part.
    /// * [`Error::InvalidArgument`] if the passphrase is too short, the label too long, the key file would
    ///   be longer than 256 KiB, or the key is one of this store's own ring.
    /// * [`Error::LimitExceeded`] if there are 16 slots.
    ///
    /// Nothing was written then. [`Error::Storage`] as for every write: the slot may then be there or
    /// not when the store is opened again.
    pub fn add_key_slot(
        &self,
        present: &Unlock,
        new: &Unlock,
        label: &str,
    ) -> Result<KeySlot, Error> {
        self.permit(Action::Maintain, None)?;
        let engine = &self.inner.records.engine;
        if let Unlock::Kms(key) = new {
            self.refuse_own(key)?;
        }
        let at = self.inner.clock.now();
        let bind = &Binding { store: self, at };
        let added = engine.keys.add(engine.ring(), (present, new), (label, at), bind);
        self.poison_on_storage(added).map(KeySlot::of)
    }

    /// Removes a way to unlock the store. Whoever has the removed key *and* an old copy of the key
    /// file can still open an old copy of the store. Not in CSMS.
    ///
    /// # Errors
    ///
    /// * [`Error::NotFound`] if there is no such slot.
    /// * [`Error::InvalidArgument`] if it is the last one.
    ///
    /// Nothing was written then. [`Error::Storage`] as for [`add_key_slot`](Self::add_key_slot).
    pub fn remove_key_slot(&self, id: u32) -> Result<(), Error> {
        self.permit(Action::Maintain, None)?;
        let engine = &self.inner.records.engine;
        let at = self.inner.clock.now();
        let removed = engine.keys.remove(engine.ring(), id, &Binding { store: self, at });
        self.poison_on_storage(removed)
    }

    /// Refuses a key of this store's own ring: to open the store one would need the open store.
    fn refuse_own(&self, key: &KmsKey) -> Result<(), Error> {
        let manager = key.manager();
        if manager.provider() != Kms::provider(self) {
            return Ok(());
        }
        let (records, key_id) = (&self.inner.records, key.key_id());
        let context = KmsContext::default();
        let refused = |source| Error::KeyManager { key_id: key_id.to_string(), source };
        let probe = manager.create_data_key(key_id, 32, &context).map_err(refused)?;
        let named = self.named_key(key_id);
        match records.decrypt_data_key(named.as_deref(), &probe.wrapped, b"") {
            Ok(Some(_)) => Err(Error::invalid("key slot", "the key is one of this store itself")),
            _ => Ok(()),
        }
    }

    /// Binds a written key file into the root.
    pub(super) fn commit_keys(&self, change: RingChange, at: Timestamp) -> Result<(), Error> {
        let records = &self.inner.records;
        let act = Act::on_store(self.author(at), Operation::ChangeKeys);
        let mut plan = Plan::at(at);
        plan.ring = Some(change);
        plan.audit.push(act.seal_alone(&records.sealer)?);
        records.engine.commit(plan)?;
        Ok(())
    }

    /// A key file that was not wholly written is like a commit that was not.
    fn poison_on_storage<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Storage { .. }) = &result {
            self.inner.records.engine.health().poison();
        }
        result
    }
}

/// Ties a changed key file to the store.
struct Binding<'a> {
    store: &'a SecretStore,
    at: Timestamp,
}

impl Bind<Error> for Binding<'_> {
    fn check(&self) -> Result<(), Error> {
        Ok(self.store.inner.records.engine.health().check_write()?)
    }

    fn commit(&self, change: RingChange) -> Result<(), Error> {
        self.store.commit_keys(change, self.at)
    }
}
