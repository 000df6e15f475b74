//! How a store is set up, created and opened.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc, thread};

use parking_lot::{Mutex, RwLock};

use super::{
    SecretStore,
    handle::{Caller, Inner},
    place::absolute,
    turns::Turns,
};
use crate::{
    commit::{self, OpenError, OpenOptions, Opening, Unlock},
    crypto::KeyRing,
    domain::{
        Clock, Expect, Limits, MILLIS_A_DAY, PasswordPolicy, PasswordPolicyName, SystemClock,
        Timestamp,
    },
    error::{Error, ErrorKind},
    events::Notifier,
    records::{Act, Author, CacheSizes, Operation, Records, Sealer},
    storage::{DirLock, Disk, RealDisk, Record},
};

/// Default of [`Builder::state_cache_bytes`].
const STATE_CACHE_BYTES: u64 = 128 * 1024 * 1024;

/// Default of [`Builder::cached_secrets_max`] and [`Builder::cached_heads_max`].
const CACHE_SIZES: CacheSizes = CacheSizes { secrets_max: 128 * 1024, heads_max: 16 * 1024 };

/// Default of [`Builder::write_buffer_bytes`].
const WRITE_BUFFER_BYTES: usize = 64 * 1024 * 1024;

/// Default of [`Builder::near_expiry_days`].
const NEAR_EXPIRY_DAYS: u32 = 30;

/// When the records are checked against the set hash.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verify {
    /// While the store is opened: every head record is read and checked before anything is answered.
    /// Some 10 microseconds of CPU a secret.
    #[default]
    Eager,
    /// In the background: opening returns at once and values can be read, each record checked by its
    /// own seal; that none was put back or removed is known when the background check is done.
    /// Writes and listings wait for it. If it fails, every call returns
    /// [`Error::Tampered`] from then on; if it could not be done, since files cannot be read, the error
    /// that says so: [`Error::Storage`] or [`Error::Damaged`].
    Deferred,
}

/// No key yet: such a builder cannot open anything.
#[derive(Debug)]
pub struct NoKey(());

/// A key was given.
#[derive(Debug)]
pub struct HasKey(pub(super) Unlock);

/// Settings for a [`SecretStore`]. Only a builder that was given a key can open one:
///
/// ```compile_fail,E0599
/// strongroom::SecretStore::builder().open("secrets"); // no method named `open`
/// ```
///
/// Settings belong to the handle, not to the store on disk: another opening may have others.
#[must_use = "a builder does nothing until it opens a store"]
pub struct Builder<Key = NoKey> {
    pub(super) key: Key,
    pub(super) settings: Settings,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) disk: Arc<dyn Disk>,
    limits: Limits,
    password_policy: PasswordPolicy,
    pub(super) named_password_policies: BTreeMap<PasswordPolicyName, PasswordPolicy>,
    pub(super) expect: Expect,
    verify: Verify,
    pub(super) state_cache_bytes: u64,
    write_buffer_bytes: usize,
    cache_sizes: CacheSizes,
    audit_reads: bool,
    notifier: Option<Arc<dyn Notifier>>,
    near_expiry_days: u32,
    enforce_validity: bool,
}

impl SecretStore {
    /// Begins to set up a store.
    pub fn builder() -> Builder<NoKey> {
        Builder {
            key: NoKey(()),
            settings: Settings {
                clock: Arc::new(SystemClock),
                disk: Arc::new(RealDisk),
                limits: Limits::default(),
                password_policy: PasswordPolicy::default(),
                named_password_policies: BTreeMap::new(),
                expect: Expect::default(),
                verify: Verify::default(),
                state_cache_bytes: STATE_CACHE_BYTES,
                write_buffer_bytes: WRITE_BUFFER_BYTES,
                cache_sizes: CACHE_SIZES,
                audit_reads: false,
                notifier: None,
                near_expiry_days: NEAR_EXPIRY_DAYS,
                enforce_validity: false,
            },
        }
    }
}

impl<Key> Builder<Key> {
    /// Where the time comes from. The system's clock by default.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Sizes and counts. Those of CSMS by default.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// How [`rotate`](SecretStore::rotate) makes passwords. By default 24 characters of four classes
    /// that need no quoting anywhere: 143 bits.
    pub fn password_policy(mut self, policy: PasswordPolicy) -> Self {
        self.settings.password_policy = policy;
        self
    }

    /// What is known of the store, to notice that it is another one or an older copy. Nothing by
    /// default.
    pub fn expect(mut self, expect: Expect) -> Self {
        self.settings.expect = expect;
        self
    }

    /// When the records are checked. While opening by default.
    pub fn verify(mut self, verify: Verify) -> Self {
        self.settings.verify = verify;
        self
    }

    /// Memory for pages of the state, in bytes; 128 MiB by default. All in it is encrypted.
    pub fn state_cache_bytes(mut self, bytes: u64) -> Self {
        self.settings.state_cache_bytes = bytes;
        self
    }

    /// How many bytes of commits may wait in memory on their way from the journal into the state; 64 MiB
    /// by default. They are durable already, and sealed. Commits wait no longer than half a second
    /// unless they come faster than the state takes them; when the buffer is full, writers wait. A
    /// larger one takes longer bursts and saves more of what is overwritten again soon.
    pub fn write_buffer_bytes(mut self, bytes: usize) -> Self {
        self.settings.write_buffer_bytes = bytes;
        self
    }

    /// How many secrets' metadata and current values are kept in memory for readers; 131,072 by
    /// default, some 600 bytes each with short values. Values are kept as they are on disk, sealed,
    /// and next to them their data keys; those of more than 8 KiB are not.
    pub fn cached_secrets_max(mut self, secrets: usize) -> Self {
        self.settings.cache_sizes.secrets_max = secrets;
        self
    }

    /// For how many secrets all metadata and data keys are kept opened in memory, for writes and for
    /// reads of other versions than the current one; 16,384 by default, some 20 MiB. For so many, the
    /// version that was read last beside the current one is kept too, sealed, if it has at most 8 KiB:
    /// with long values up to 128 MiB more.
    pub fn cached_heads_max(mut self, secrets: usize) -> Self {
        self.settings.cache_sizes.heads_max = secrets;
        self
    }

    /// Whether each value that is read goes into the audit log, by the name of who reads it; not by
    /// default. The record is committed before the value is given out: no log, no answer. A read then
    /// costs as much as a write.
    pub fn audit_reads(mut self, audited: bool) -> Self {
        self.settings.audit_reads = audited;
        self
    }

    /// What sends notifications, when
    /// [`deliver_notifications`](SecretStore::deliver_notifications) is called, or at once by the thread
    /// of [`start_scheduler`](SecretStore::start_scheduler). None by default.
    pub fn notifier(mut self, notifier: impl Notifier + 'static) -> Self {
        self.settings.notifier = Some(Arc::new(notifier));
        self
    }

    /// How many days before a version expires that is told as an event of its own; 30 by default, 0 for
    /// never. See [`SecretStore::sweep`].
    pub fn near_expiry_days(mut self, days: u32) -> Self {
        self.settings.near_expiry_days = days;
        self
    }

    /// Whether the value of a version is refused after it has expired and before the time from which on
    /// it may be used. Not by default: in CSMS these times are information (csms.md 8.1 row 18).
    pub fn enforce_validity(mut self, enforce: bool) -> Self {
        self.settings.enforce_validity = enforce;
        self
    }

    /// Another file system, for tests.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.settings.disk = disk;
        self
    }
}

impl Builder<HasKey> {
    /// Makes a new store at `path` and opens it.
    ///
    /// Nothing may be at `path` but an empty directory; the parent directory must exist. The store is
    /// built under a temporary name beside it and renamed into place, so that a crash leaves a whole
    /// store or none. Directories are made with mode 0700, files with 0600.
    ///
    /// # Errors
    ///
    /// * [`Error::AlreadyExists`] if something is at `path`. It is not touched.
    /// * [`Error::InvalidArgument`] if the passphrase is too short. Nothing was made.
    /// * [`Error::Locked`] if another process is just making a store there.
    /// * [`Error::KeyManager`] if a key manager did not do its part, [`Error::Storage`] if the disk fails,
    ///   is full, or may not be written. Nothing is at `path`, or if only the last sync or the opening
    ///   failed, a whole store.
    /// * [`Error::Random`] if the operating system gives no randomness.
    pub fn create(self, path: impl AsRef<Path>) -> Result<SecretStore, Error> {
        let path = &absolute(path.as_ref())?;
        let lock = self.create_files(path)?;
        let (options, settings) = self.into_options();
        settings.open(path, &options, Some(lock))
    }

    /// Opens the store at `path`, recovering it first if it was not closed.
    ///
    /// # Errors
    ///
    /// * [`Error::NotAStore`] if there is none.
    /// * [`Error::Locked`] if it is open already.
    /// * [`Error::WrongKey`] if the key does not open it, [`Error::KeyManager`] if a key manager did not
    ///   do its part.
    /// * [`Error::InvalidArgument`] if the cost parameters of a passphrase slot are out of bounds, or there
    ///   is not enough memory for them.
    /// * [`Error::UnsupportedFormat`] if it is of another format.
    /// * [`Error::Damaged`] if files are missing or damaged, [`Error::Tampered`] if they were edited
    ///   or put back.
    /// * [`Error::Rollback`], [`Error::WrongStore`], [`Error::AnchorTooOld`] if it is not what was
    ///   [expected](Self::expect).
    /// * [`Error::Storage`] if the disk fails, is full, or may not be written.
    ///
    /// In all these cases no acknowledged change was undone.
    pub fn open(self, path: impl AsRef<Path>) -> Result<SecretStore, Error> {
        let (options, settings) = self.into_options();
        settings.open(&absolute(path.as_ref())?, &options, None)
    }

    pub(super) fn into_options(self) -> (OpenOptions, Settings) {
        let Self { key: HasKey(unlock), settings } = self;
        let options = OpenOptions {
            disk: Arc::clone(&settings.disk),
            unlock,
            expect: settings.expect,
            cache_bytes: settings.state_cache_bytes,
            write_buffer_bytes: settings.write_buffer_bytes,
        };
        (options, settings)
    }

    /// Opens the store at `path`, or makes one if nothing is there.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and [`create`](Self::create), but
    /// [`Error::NotAStore`] only if something else is there.
    pub fn open_or_create(self, path: impl AsRef<Path>) -> Result<SecretStore, Error> {
        let path = &absolute(path.as_ref())?;
        let held = match self.create_files(path) {
            Ok(lock) => Some(lock),
            Err(err) if err.kind() == ErrorKind::AlreadyExists => None,
            Err(err) => return Err(err),
        };
        let (options, settings) = self.into_options();
        settings.open(path, &options, held)
    }

    /// Makes the files of a store, and gives its lock.
    pub(super) fn create_files(&self, path: &Path) -> Result<DirLock, Error> {
        let at = self.settings.clock.now();
        let audit = |ring: &Arc<KeyRing>, store_id: &[u8; 16]| -> Result<Record, OpenError> {
            let sealer = Sealer { ring: Arc::clone(ring), store_id: *store_id };
            let author = Author { actor: "", at };
            Ok(Act::on_store(author, Operation::CreateStore).seal_alone(&sealer)?)
        };
        commit::create(&self.settings.disk, path, (&self.key.0, at), &audit)
            .map_err(|err| Error::of_open(path, err))
    }
}

impl Settings {
    pub(super) fn open(
        self,
        path: &Path,
        options: &OpenOptions,
        held: Option<DirLock>,
    ) -> Result<SecretStore, Error> {
        let opening = commit::open(path, options, held).map_err(|err| Error::of_open(path, err))?;
        self.start(opening)
    }

    fn start(self, opening: Opening) -> Result<SecretStore, Error> {
        let Opening { engine, adopt } = opening;
        let records = Arc::new(Records::new(engine, self.cache_sizes));
        let near_expiry_ms = i64::from(self.near_expiry_days).saturating_mul(MILLIS_A_DAY);
        records.schedule.set_near_expiry_ms(near_expiry_ms);
        let store = SecretStore {
            caller: Caller::Embedder,
            inner: Arc::new(Inner {
                records: Arc::clone(&records),
                clock: self.clock,
                limits: self.limits,
                password_policy: self.password_policy,
                named_password_policies: self.named_password_policies,
                enforce_validity: self.enforce_validity,
                turns: Turns::new(),
                creation: Mutex::new(()),
                audit_reads: self.audit_reads,
                events: Mutex::new(()),
                subscribing: RwLock::new(()),
                notifier: self.notifier,
                delivery: Mutex::new(()),
                verifier: Mutex::new(None),
            }),
        };
        match self.verify {
            Verify::Eager => {
                records.load_index()?;
                records.give_up_unfinished(store.author(store.inner.clock.now()))?;
            }
            Verify::Deferred => {
                let at = store.inner.clock.now();
                let verifier = thread::Builder::new()
                    .name("strongroom-verifier".to_owned())
                    // What it finds is kept in the store's health and told by every later call.
                    .spawn(move || drop(check(&records, at)))
                    .map_err(|source| Error::Storage { source })?;
                *store.inner.verifier.lock() = Some(verifier);
            }
        }
        if let Some(change) = adopt {
            store.commit_keys(change, store.inner.clock.now())?;
        }
        Ok(store)
    }
}

/// The check of a store that is in use already.
fn check(records: &Records, at: Timestamp) -> Result<(), commit::EngineError> {
    records.load_index()?;
    records.give_up_unfinished(Author { actor: "", at })
}

impl<Key> fmt::Debug for Builder<Key> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.settings.limits)
            .field("expect", &self.settings.expect)
            .field("verify", &self.settings.verify)
            .finish_non_exhaustive()
    }
}
