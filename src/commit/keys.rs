//! The key file's life: made, unlocked, changed, and mended from its second copy.
//!
//! Each change writes `keys.bak`, then `keys`, each durably and in one step, with the next ring
//! sequence number; then a commit binds number and digest into the root. A file that is one number
//! ahead of the root was cut off before that commit: it is adopted. Any other difference means that
//! the file was put back or edited.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    commit::{
        EngineError, SlotInfo, Unlock,
        plan::RingChange,
        slots::{new_slot, slot_info, storage_root_key},
    },
    crypto::{
        Draw, Forged, Key, KeyRing, Label, OutOfBounds, RandomError, SlotError, open_ring,
        seal_ring, sha256, sub,
    },
    domain::Timestamp,
    format::{KEY_FILE_LEN_MAX, KeyFile, KeyFileError, SLOT_LABEL_LEN_MAX, SLOTS_MAX},
    kms::KmsError,
    storage::{Disk, replace_file},
};

const FILE: &str = "keys";
const COPY: &str = "keys.bak";

/// Why the key file cannot be used or changed as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("the key file is damaged")]
    Damaged,
    #[error("the key file is of format {0}")]
    Format(u8),
    #[error("the key file is not what this store wrote")]
    Forged,
    #[error("the key file cannot be read or written")]
    Io(#[from] io::Error),
    #[error("the key manager did not wrap or unwrap a slot with the key {key_id}")]
    Kms { key_id: String, source: KmsError },
    #[error("a label has at most {SLOT_LABEL_LEN_MAX} bytes")]
    LabelTooLong,
    #[error("the last slot cannot be removed")]
    LastSlot,
    #[error("the passphrase is too short, or its parameters are out of bounds")]
    Limits(#[from] OutOfBounds),
    #[error("there is no key file")]
    Missing,
    #[error("there is no key slot {0}")]
    NoSuchSlot(u32),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("the key file would be too large")]
    TooLarge,
    #[error("a store has at most {max} key slots")]
    TooManySlots { asked: usize, max: usize },
    #[error("no slot opens with this key")]
    WrongKey,
}

impl From<Forged> for KeyError {
    fn from(_: Forged) -> Self {
        Self::Forged
    }
}

impl From<KeyFileError> for KeyError {
    fn from(err: KeyFileError) -> Self {
        match err {
            KeyFileError::Format(found) => Self::Format(found),
            KeyFileError::Foreign | KeyFileError::Malformed => Self::Damaged,
        }
    }
}

impl From<SlotError> for KeyError {
    fn from(err: SlotError) -> Self {
        match err {
            SlotError::Forged => Self::Forged,
            SlotError::Limits(err) => Self::Limits(err),
            SlotError::Random(err) => Self::Random(err),
            SlotError::WrongKey => Self::WrongKey,
        }
    }
}

/// An unlocked key file.
#[derive(Debug)]
pub(crate) struct Unlocked {
    pub(crate) file: KeyFile,
    pub(crate) bytes: Vec<u8>,
    pub(crate) ring: Arc<KeyRing>,
    keyring_key: Key,
}

impl Unlocked {
    /// A key file for a new store, with one slot.
    pub(crate) fn generate(
        store_id: [u8; 16],
        unlock: &Unlock,
        at: Timestamp,
    ) -> Result<Self, KeyError> {
        let ring = KeyRing::generate(&store_id)?;
        let root_key = Key::random()?;
        let keyring_key = sub(&root_key, &store_id, Label::KeyringSeal);
        let slot = new_slot(&store_id, 1, unlock, &root_key, (String::new(), at))?;
        let mut file = KeyFile {
            store_id,
            ring_seq: 1,
            slots: vec![slot],
            ring_nonce: [0; 24],
            sealed_ring: Vec::new(),
        };
        let bytes = seal(&mut file, &ring, &keyring_key)?;
        Ok(Self { file, bytes, ring: Arc::new(ring), keyring_key })
    }

    /// Parses and unlocks.
    pub(crate) fn open(bytes: Vec<u8>, unlock: &Unlock) -> Result<Self, KeyError> {
        let file = KeyFile::parse(&bytes)?;
        let root_key = storage_root_key(&file, unlock)?;
        let keyring_key = sub(&root_key, &file.store_id, Label::KeyringSeal);
        let head = file.authenticated_bytes()?;
        let plain = open_ring(&keyring_key, &file.ring_nonce, &file.sealed_ring, &head)?;
        let ring = Arc::new(KeyRing::decode(&file.store_id, &plain)?);
        Ok(Self { file, bytes, ring, keyring_key })
    }

    pub(crate) fn change(&self) -> RingChange {
        RingChange { ring_seq: self.file.ring_seq, digest: sha256(&[&self.bytes]) }
    }
}

/// The key files found in a directory, those that unlock.
pub(crate) fn unlock_all(
    disk: &dyn Disk,
    dir: &Path,
    unlock: &Unlock,
) -> Result<Vec<Unlocked>, KeyError> {
    let (mut found, mut errors): (Vec<Unlocked>, Vec<KeyError>) = (Vec::new(), Vec::new());
    let mut seen: Option<Vec<u8>> = None;
    for name in [FILE, COPY] {
        match disk.read(&dir.join(name), KEY_FILE_LEN_MAX as u64) {
            Ok(bytes) if seen.as_ref() == Some(&bytes) => {}
            Ok(bytes) => {
                seen = Some(bytes.clone());
                match Unlocked::open(bytes, unlock) {
                    Ok(unlocked) => found.push(unlocked),
                    Err(err) => errors.push(err),
                }
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) if err.kind() == io::ErrorKind::InvalidData => errors.push(KeyError::Damaged),
            Err(err) => return Err(err.into()),
        }
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(why_none(errors)),
    }
}

/// Why none of the copies was opened.
fn why_none(mut errors: Vec<KeyError>) -> KeyError {
    // One copy may have a slot that the other lacks, so a key manager that did not open it is the reason.
    let kms = errors.iter().position(|err| matches!(err, KeyError::Kms { .. }));
    // A wrong key explains the failure of a good copy; damage would not explain it.
    let wrong = || errors.iter().position(|err| matches!(err, KeyError::WrongKey));
    match kms.or_else(wrong) {
        Some(at) => errors.swap_remove(at),
        None => errors.into_iter().next().unwrap_or(KeyError::Missing),
    }
}

/// Writes both copies, the second one first, durably.
pub(crate) fn write_both(disk: &dyn Disk, dir: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file(disk, dir, COPY, bytes)?;
    replace_file(disk, dir, FILE, bytes)
}

/// Makes both copies hold `bytes`, writing only what differs.
pub(crate) fn mend(disk: &dyn Disk, dir: &Path, bytes: &[u8]) -> io::Result<()> {
    for name in [COPY, FILE] {
        let same =
            disk.read(&dir.join(name), KEY_FILE_LEN_MAX as u64).is_ok_and(|now| now == bytes);
        if !same {
            replace_file(disk, dir, name, bytes)?;
        }
    }
    Ok(())
}

/// What ties a changed key file to the store.
pub(crate) trait Bind<E> {
    /// Whether the store is open and may write.
    fn check(&self) -> Result<(), E>;

    /// Commits number and digest of the file that was written.
    fn commit(&self, change: RingChange) -> Result<(), E>;
}

/// The key file of an open store.
#[derive(Debug)]
pub(crate) struct KeyStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    state: Mutex<KeyState>,
}

#[derive(Debug)]
struct KeyState {
    file: KeyFile,
    keyring_key: Key,
}

impl KeyStore {
    /// Keeps what later changes need; the storage root key is not among it.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        unlocked: Unlocked,
    ) -> (Self, Arc<KeyRing>) {
        let Unlocked { file, ring, keyring_key, .. } = unlocked;
        let state = Mutex::new(KeyState { file, keyring_key });
        (Self { disk, dir, state }, ring)
    }

    pub(crate) fn slots(&self) -> Vec<SlotInfo> {
        let state = self.state.lock();
        state.file.slots.iter().map(slot_info).collect()
    }

    /// Gives the bytes of the key file to `read`, and keeps changes of it away meanwhile.
    pub(crate) fn with_bytes<T>(&self, read: impl FnOnce(Result<Vec<u8>, EngineError>) -> T) -> T {
        let state = self.state.lock();
        read(state.file.encode().map_err(|_| EngineError::Tampered("the key file")))
    }

    /// Keeps changes of the key file away while the store is closed.
    pub(crate) fn hold(&self) -> impl Sized {
        self.state.lock()
    }

    /// Adds a slot that opens with `new`. `present` must open one that exists, since the storage
    /// root key is not kept. Writes the file, then binds it into the root.
    ///
    /// Stretching a passphrase takes a while, and a key manager as long as it likes: nobody waits for
    /// them. If the file was changed meanwhile, they are asked again.
    pub(crate) fn add<E: From<KeyError>>(
        &self,
        ring: &KeyRing,
        (present, new): (&Unlock, &Unlock),
        (label, at): (&str, Timestamp),
        bind: &dyn Bind<E>,
    ) -> Result<SlotInfo, E> {
        if label.len() > SLOT_LABEL_LEN_MAX {
            return Err(KeyError::LabelTooLong.into());
        }
        loop {
            bind.check()?;
            let file = self.state.lock().file.clone();
            if file.slots.len() >= SLOTS_MAX {
                let asked = file.slots.len().saturating_add(1);
                return Err(KeyError::TooManySlots { asked, max: SLOTS_MAX }.into());
            }
            let root_key = storage_root_key(&file, present)?;
            // Every change of the file has a number of its own, so no id comes twice.
            let ring_seq = file.ring_seq.saturating_add(1);
            let id = u32::try_from(ring_seq).map_err(|_| KeyError::Damaged)?;
            let slot = new_slot(&file.store_id, id, new, &root_key, (label.to_owned(), at))?;
            let info = slot_info(&slot);
            let add = |file: &mut KeyFile| {
                let still = file.ring_seq == ring_seq;
                if still {
                    file.slots.push(slot);
                }
                Ok(still)
            };
            if self.change(ring, add, bind)? {
                return Ok(info);
            }
        }
    }

    /// Removes a slot; its key opens the store no more. The last one stays.
    pub(crate) fn remove<E: From<KeyError>>(
        &self,
        ring: &KeyRing,
        id: u32,
        bind: &dyn Bind<E>,
    ) -> Result<(), E> {
        self.change(
            ring,
            |file| {
                if !file.slots.iter().any(|slot| slot.id == id) {
                    return Err(KeyError::NoSuchSlot(id));
                }
                if file.slots.len() == 1 {
                    return Err(KeyError::LastSlot);
                }
                file.slots.retain(|slot| slot.id != id);
                Ok(true)
            },
            bind,
        )?;
        Ok(())
    }

    /// Says whether `edit` changed the file, which has its next number by then.
    fn change<E: From<KeyError>>(
        &self,
        ring: &KeyRing,
        edit: impl FnOnce(&mut KeyFile) -> Result<bool, KeyError>,
        bind: &dyn Bind<E>,
    ) -> Result<bool, E> {
        let mut state = self.state.lock();
        bind.check()?;
        let mut file = state.file.clone();
        file.ring_seq = file.ring_seq.saturating_add(1);
        if !edit(&mut file)? {
            return Ok(false);
        }
        let bytes = seal(&mut file, ring, &state.keyring_key)?;
        write_both(self.disk.as_ref(), &self.dir, &bytes).map_err(KeyError::from)?;
        bind.commit(RingChange { ring_seq: file.ring_seq, digest: sha256(&[&bytes]) })?;
        state.file = file;
        Ok(true)
    }
}

/// Seals the ring into `file` under a fresh nonce, and gives the file's bytes.
fn seal(file: &mut KeyFile, ring: &KeyRing, keyring_key: &Key) -> Result<Vec<u8>, KeyError> {
    file.ring_nonce = Draw::new(24)?.take()?;
    let head = file.authenticated_bytes()?;
    file.sealed_ring = seal_ring(keyring_key, &file.ring_nonce, &ring.encode(), &head)?;
    let bytes = file.encode()?;
    // It has to be read again.
    if bytes.len() > KEY_FILE_LEN_MAX { Err(KeyError::TooLarge) } else { Ok(bytes) }
}
