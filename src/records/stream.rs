//! The backup of a whole store as a stream: blocks written and read, and authenticated.

use std::io::{self, Read, Write};

use crate::{
    commit::{OpenError, Unlock, Unlocked},
    crypto::{KeyRing, random},
    format::{
        BACKUP_FRONT_BYTES, BLOCK_BYTES, BLOCK_FRONT_BYTES, BackupFront, BackupFrontError, Entry,
        block_front, parse_block_front,
    },
};

const MAC_BYTES: usize = 32;

/// Not the number of a block.
const HEADER: u64 = u64::MAX;

/// What a backup that is not as it was made is called.
pub(super) const FORGED: OpenError = OpenError::Tampered("the backup");

/// Writes a backup.
pub(super) struct BackupWriter<'a> {
    to: &'a mut dyn Write,
    ring: &'a KeyRing,
    salt: [u8; 16],
    next: u64,
    entries: Vec<u8>,
    pub(super) bytes: u64,
}

impl<'a> BackupWriter<'a> {
    pub(super) fn begin(
        to: &'a mut dyn Write,
        (ring, store_id): (&'a KeyRing, [u8; 16]),
        key_file: &[u8],
    ) -> Result<Self, OpenError> {
        let mut salt = [0; 16];
        random::fill(&mut salt).map_err(crate::commit::KeyError::from)?;
        let front = BackupFront { store_id, salt, key_file_len: key_file.len() };
        let mut header = front.encode().map_err(|_| FORGED)?;
        header.extend_from_slice(key_file);
        let mut writer = Self { to, ring, salt, next: 0, entries: Vec::new(), bytes: 0 };
        let mac = mac(ring, &salt, HEADER, &[&header]);
        writer.put(&header)?;
        writer.put(&mac)?;
        Ok(writer)
    }

    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<(), OpenError> {
        let len = entry.record.len().saturating_add(entry.key.len());
        if !self.entries.is_empty() && self.entries.len().saturating_add(len) > BLOCK_BYTES {
            self.block(false)?;
        }
        entry.encode_into(&mut self.entries).map_err(|_| FORGED)
    }

    /// Writes the last block. The stream is not flushed.
    pub(super) fn end(&mut self) -> Result<(), OpenError> {
        self.block(true)
    }

    fn block(&mut self, last: bool) -> Result<(), OpenError> {
        let front = block_front(self.entries.len(), last).map_err(|_| FORGED)?;
        let entries = std::mem::take(&mut self.entries);
        let mac = mac(self.ring, &self.salt, self.next, &[&front, &entries]);
        self.next = self.next.saturating_add(1);
        self.put(&front)?;
        self.put(&entries)?;
        self.put(&mac)?;
        self.entries = entries;
        self.entries.clear();
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        Ok(())
    }
}

/// Reads a backup whose header is authentic.
pub(super) struct BackupReader<'a> {
    from: &'a mut dyn Read,
    pub(super) keys: Unlocked,
    salt: [u8; 16],
    next: u64,
    pub(super) bytes: u64,
}

impl<'a> BackupReader<'a> {
    /// Reads the header, unlocks the key file in it, and checks it.
    pub(super) fn begin(from: &'a mut dyn Read, unlock: &Unlock) -> Result<Self, OpenError> {
        let mut front = [0; BACKUP_FRONT_BYTES];
        read(from, &mut front)?;
        let parsed = BackupFront::parse(&front).map_err(|err| match err {
            BackupFrontError::Malformed => OpenError::Damaged("this is no backup".to_owned()),
            BackupFrontError::Format(found) => crate::commit::KeyError::Format(found).into(),
        })?;
        let mut key_file = vec![0; parsed.key_file_len];
        read(from, &mut key_file)?;
        let mut found = [0; MAC_BYTES];
        read(from, &mut found)?;
        let bytes = front.len().saturating_add(key_file.len()).saturating_add(MAC_BYTES);
        let keys = Unlocked::open(key_file, unlock)?;
        let is_authentic = verify(&keys.ring, &parsed.salt, HEADER, &[&front, &keys.bytes], &found);
        if !is_authentic || keys.file.store_id != parsed.store_id {
            return Err(FORGED);
        }
        Ok(Self { from, keys, salt: parsed.salt, next: 0, bytes: bytes as u64 })
    }

    pub(super) fn store_id(&self) -> [u8; 16] {
        self.keys.file.store_id
    }

    /// Visits all entries. What is visited before an error is authentic, and not all there was.
    pub(super) fn each(
        &mut self,
        visit: &mut dyn FnMut(&Entry<'_>, u64) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        loop {
            let mut front = [0; BLOCK_FRONT_BYTES];
            read(self.from, &mut front)?;
            let (len, last) = parse_block_front(front).map_err(|_| FORGED)?;
            let mut entries = vec![0; len];
            read(self.from, &mut entries)?;
            let mut found = [0; MAC_BYTES];
            read(self.from, &mut found)?;
            if !verify(&self.keys.ring, &self.salt, self.next, &[&front, &entries], &found) {
                return Err(FORGED);
            }
            self.next = self.next.saturating_add(1);
            let block = len.saturating_add(front.len()).saturating_add(MAC_BYTES);
            self.bytes = self.bytes.saturating_add(block as u64);
            let mut rest = &entries[..];
            while !rest.is_empty() {
                let (entry, after) = Entry::parse(rest).map_err(|_| FORGED)?;
                visit(&entry, self.bytes)?;
                rest = after;
            }
            if last {
                return self.check_end();
            }
        }
    }

    /// Nothing follows.
    fn check_end(&mut self) -> Result<(), OpenError> {
        match self.from.read_exact(&mut [0]) {
            Err(err) if err.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(err) => Err(err.into()),
            Ok(()) => Err(FORGED),
        }
    }
}

/// Fills the buffer. A stream that ends before is a backup of which a part is missing.
fn read(from: &mut dyn Read, buffer: &mut [u8]) -> Result<(), OpenError> {
    from.read_exact(buffer).map_err(|err| match err.kind() {
        io::ErrorKind::UnexpectedEof => OpenError::Damaged("the backup is cut off".to_owned()),
        _ => err.into(),
    })
}

fn mac(ring: &KeyRing, salt: &[u8; 16], number: u64, parts: &[&[u8]]) -> [u8; MAC_BYTES] {
    let number = number.to_be_bytes();
    let front: [&[u8]; 2] = [salt, &number];
    ring.backup_mac().mac(&[&front, parts].concat())
}

fn verify(
    ring: &KeyRing,
    salt: &[u8; 16],
    number: u64,
    parts: &[&[u8]],
    found: &[u8; MAC_BYTES],
) -> bool {
    crate::crypto::ct_eq(&mac(ring, salt, number, parts), found)
}
