//! Secrets over a key-value store, sealed here if the store does not encrypt.
//!
//! The layout that is quickest to read and smallest to write: one head for a secret, under its
//! name, with the numbers of its versions, its sealed metadata and its sealed current value; and a
//! record for each older version, under name and number. A get is one look-up and one opening; a
//! rotation writes two records and removes one.

use std::iter;

use parking_lot::Mutex;

use crate::{
    Outcome,
    cipher::{Cipher, OVERHEAD},
    contestant::Contestant,
    queue::GroupCommit,
    work::{Fresh, Name, VERSIONS_MAX},
};

/// How many writers of different secrets are told apart.
const TURNS: usize = 1024;

/// How many secrets of a load go into one transaction.
const BATCH: usize = 500;

/// The two maps that the layout needs.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Table {
    Heads,
    Versions,
}

/// A record to write, or without a value to remove.
pub struct Write {
    pub table: Table,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// What is shown a value.
pub type Seen<'a> = &'a mut dyn FnMut(&[u8]) -> Outcome<()>;

/// What is shown a key and a value.
pub type Row<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Outcome<()>;

/// A store of keys and values.
pub trait KeyValue: Send + Sync {
    /// Shows the value; whether it is there.
    fn get(&self, table: Table, key: &[u8], seen: Seen<'_>) -> Outcome<bool>;

    /// Shows so many heads behind a key, in the order of keys.
    fn heads(&self, after: &[u8], limit: usize, row: Row<'_>) -> Outcome<()>;

    /// Does all of this or nothing, in this order, and returns when it is on stable storage.
    fn apply(&self, writes: Vec<Write>) -> Outcome<()>;

    fn close(self) -> Outcome<()>;
}

/// Secrets over such a store.
pub struct Keyed<Store> {
    store: Store,
    cipher: Cipher,
    queue: GroupCommit<Vec<Write>, ()>,
    /// Held by who changes a secret, from reading it to its commit.
    turns: Vec<Mutex<()>>,
}

impl<Store: KeyValue> Keyed<Store> {
    /// With the cipher in front of the store.
    pub fn sealed(store: Store) -> Self {
        Self::new(store, Cipher::new())
    }

    /// For a store that encrypts by itself.
    pub fn plain(store: Store) -> Self {
        Self::new(store, Cipher::none())
    }

    fn new(store: Store, cipher: Cipher) -> Self {
        let turns = iter::repeat_with(|| Mutex::new(())).take(TURNS).collect();
        Self { store, cipher, queue: GroupCommit::new(), turns }
    }

    fn first_head(&self, secret: &Fresh) -> Outcome<Write> {
        let key = secret.name.text.as_bytes();
        let mut metadata = Vec::with_capacity(secret.metadata.len() + OVERHEAD);
        self.cipher.seal(key, secret.metadata.as_bytes(), &mut metadata)?;
        let mut head = Head { current: 1, previous: 0, first: 1, metadata: &metadata }.encode();
        self.cipher.seal(&version_key(key, 1), secret.value.as_bytes(), &mut head)?;
        Ok(Write { table: Table::Heads, key: key.to_vec(), value: Some(head) })
    }

    /// What a rotation from this head writes, and the new version's number.
    fn step(&self, key: &[u8], head: &[u8], value: &str) -> Outcome<(u64, Vec<Write>)> {
        let (old, sealed) = Head::decode(head)?;
        self.cipher.open(&version_key(key, old.current), sealed, &mut |_| ())?;
        let current = old.current + 1;
        let first = old.first.max((current + 1).saturating_sub(VERSIONS_MAX));
        let mut new = Head { current, previous: old.current, first, ..old }.encode();
        self.cipher.seal(&version_key(key, current), value.as_bytes(), &mut new)?;
        let record =
            |number, value| Write { table: Table::Versions, key: version_key(key, number), value };
        let mut writes = Vec::with_capacity(3);
        writes.push(Write { table: Table::Heads, key: key.to_vec(), value: Some(new) });
        writes.push(record(old.current, Some(sealed.to_vec())));
        writes.extend((old.first..first).map(|number| record(number, None)));
        Ok((current, writes))
    }

    fn commit(&self, writes: Vec<Write>) -> Outcome<()> {
        self.queue.submit(writes, |group| {
            let answers = vec![(); group.len()];
            self.store.apply(group.into_iter().flatten().collect())?;
            Ok(answers)
        })
    }

    fn head(&self, name: &Name, seen: Seen<'_>) -> Outcome<()> {
        let there = self.store.get(Table::Heads, name.text.as_bytes(), seen)?;
        if there { Ok(()) } else { Err(format!("no secret {}", name.text).into()) }
    }

    fn turn(&self, key: &[u8]) -> Outcome<&Mutex<()>> {
        // FNV-1a.
        let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let at = usize::try_from(hash % TURNS as u64)?;
        Ok(self.turns.get(at).ok_or("no turns")?)
    }
}

impl<Store: KeyValue> Contestant for Keyed<Store> {
    fn load(&self, secrets: &mut dyn Iterator<Item = Outcome<Fresh>>) -> Outcome<()> {
        loop {
            let batch =
                Iterator::take(&mut *secrets, BATCH).map(|secret| self.first_head(&secret?));
            let writes: Vec<Write> = batch.collect::<Outcome<_>>()?;
            if writes.is_empty() {
                return Ok(());
            }
            self.store.apply(writes)?;
        }
    }

    fn create(&self, secret: &Fresh) -> Outcome<()> {
        let key = secret.name.text.as_bytes();
        let _alone = self.turn(key)?.lock();
        if self.store.get(Table::Heads, key, &mut |_| Ok(()))? {
            return Err("the secret is there".into());
        }
        self.commit(vec![self.first_head(secret)?])
    }

    fn rotate(&self, name: &Name, value: &str) -> Outcome<u64> {
        let key = name.text.as_bytes();
        let _alone = self.turn(key)?.lock();
        let mut step = None;
        self.head(name, &mut |head| {
            step = Some(self.step(key, head, value)?);
            Ok(())
        })?;
        let (version, writes) = step.ok_or("no head")?;
        self.commit(writes)?;
        Ok(version)
    }

    fn get(&self, name: &Name, seen: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        self.head(name, &mut |head| {
            let (head, sealed) = Head::decode(head)?;
            self.cipher.open(&version_key(name.text.as_bytes(), head.current), sealed, seen)
        })
    }

    fn version(&self, name: &Name, number: u64, seen: &mut dyn FnMut(&[u8])) -> Outcome<bool> {
        let key = version_key(name.text.as_bytes(), number);
        if self
            .store
            .get(Table::Versions, &key, &mut |sealed| self.cipher.open(&key, sealed, seen))?
        {
            return Ok(true);
        }
        let mut there = false;
        self.head(name, &mut |head| {
            let (head, sealed) = Head::decode(head)?;
            there = head.current == number;
            if there { self.cipher.open(&key, sealed, seen) } else { Ok(()) }
        })?;
        Ok(there)
    }

    fn labels(&self, name: &Name) -> Outcome<(u64, u64)> {
        let mut labels = (0, 0);
        self.head(name, &mut |head| {
            let (head, _) = Head::decode(head)?;
            labels = (head.current, head.previous);
            Ok(())
        })?;
        Ok(labels)
    }

    fn list(
        &self,
        after: Option<&Name>,
        limit: usize,
        row: &mut dyn FnMut(&str, &str),
    ) -> Outcome<()> {
        self.store.heads(after.map_or(&[], |name| name.text.as_bytes()), limit, &mut |key, head| {
            let (head, _) = Head::decode(head)?;
            let name = str::from_utf8(key)?;
            let mut text = Ok(());
            self.cipher.open(key, head.metadata, &mut |metadata| {
                text = str::from_utf8(metadata).map(|metadata| row(name, metadata));
            })?;
            Ok(text?)
        })
    }

    fn names(&self, after: Option<&Name>, limit: usize, row: &mut dyn FnMut(&str)) -> Outcome<()> {
        self.store.heads(after.map_or(&[], |name| name.text.as_bytes()), limit, &mut |key, _| {
            row(str::from_utf8(key)?);
            Ok(())
        })
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        self.store.close()
    }
}

/// The numbers and the sealed metadata of a secret. The sealed current value stands behind them.
struct Head<'a> {
    current: u64,
    previous: u64,
    first: u64,
    metadata: &'a [u8],
}

impl<'a> Head<'a> {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(320);
        for number in [self.current, self.previous, self.first, self.metadata.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(self.metadata);
        bytes
    }

    fn decode(bytes: &'a [u8]) -> Outcome<(Self, &'a [u8])> {
        let mut rest = bytes;
        let mut number = || -> Outcome<u64> {
            let (number, behind) = rest.split_first_chunk().ok_or("a head is short")?;
            rest = behind;
            Ok(u64::from_le_bytes(*number))
        };
        let (current, previous, first, length) = (number()?, number()?, number()?, number()?);
        let (metadata, sealed) =
            rest.split_at_checked(usize::try_from(length)?).ok_or("a head is short")?;
        Ok((Self { current, previous, first, metadata }, sealed))
    }
}

/// Name and number: where a version is, and what its value is bound to.
fn version_key(name: &[u8], number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 9);
    key.extend_from_slice(name);
    key.push(0);
    key.extend_from_slice(&number.to_be_bytes());
    key
}
