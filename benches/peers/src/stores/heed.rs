//! heed3: LMDB with encrypted pages. The cipher of the pages is ours to choose: the same crate as
//! everywhere here, with the nonce that LMDB has room for.

use std::{fs, ops::Bound, path::Path};

use aead::{
    AeadCore, AeadMutInPlace, Key, KeyInit, KeySizeUser, Nonce, Tag,
    consts::{U0, U12, U16, U32},
};
use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _};
use heed3::{
    CommitOrAbort, EncryptedDatabase, EncryptedEnv, EnvOpenOptions, WithoutTls, types::Bytes,
};
use parking_lot::Mutex;

use super::keyed::{KeyValue, Keyed, Row, Seen, Table, Write};
use crate::{
    Outcome,
    cipher::KEY,
    contestant::{Contestant, Entrant, Role, Setting},
};

pub const ENTRANT: Entrant = Entrant {
    key: "heed3",
    title: "heed3, encrypted",
    done: "pages encrypted by it with ChaCha20-Poly1305; commit queue; its usual sync; one thread at a \
           time, since readers beside others get wrong answers or crash (heed, issue 336)",
    role: Role::Peer,
    writes: true,
    reopens: true,
    open,
};

/// Address space, not disk.
const MAP_LEN: usize = 16 << 30;

type Map = EncryptedDatabase<'static, Bytes, Bytes>;

struct Heed {
    env: EncryptedEnv<WithoutTls>,
    heads: Map,
    versions: Map,
    /// Held by whoever reads or writes.
    turn: Mutex<()>,
}

fn open(dir: &Path, _: Setting) -> Outcome<Box<dyn Contestant>> {
    let path = dir.join("heed3");
    fs::create_dir_all(&path)?;
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP_LEN).max_dbs(2);
    #[expect(unsafe_code, reason = "LMDB maps the file into memory")]
    // SAFETY: the directory is this program's alone, nobody else changes the file while it is mapped,
    // and it is opened once in a process at a time.
    let env = unsafe { options.open_encrypted::<PageCipher, _>(KEY.into(), &path)? };
    let (heads, versions) = env
        .create_databases_and_commit(env.write_txn()?, |opener, transaction| {
            let heads = opener.create_database(transaction, Some("heads"))?;
            let versions = opener.create_database(transaction, Some("versions"))?;
            Ok::<_, heed3::Error>(CommitOrAbort::<_, ()>::Commit((heads, versions)))
        })?
        .unwrap_commit();
    Ok(Box::new(Keyed::plain(Heed { env, heads, versions, turn: Mutex::new(()) })))
}

impl KeyValue for Heed {
    fn get(&self, table: Table, key: &[u8], seen: Seen<'_>) -> Outcome<bool> {
        let _alone = self.turn.lock();
        let mut transaction = self.env.read_txn()?;
        let map = match table {
            Table::Heads => &self.heads,
            Table::Versions => &self.versions,
        };
        match map.get(&mut transaction, key)? {
            Some(value) => seen(value).map(|()| true),
            None => Ok(false),
        }
    }

    fn heads(&self, after: &[u8], limit: usize, row: Row<'_>) -> Outcome<()> {
        let _alone = self.turn.lock();
        let mut transaction = self.env.read_txn()?;
        // LMDB has no empty keys, not even to begin from.
        let from = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(after) };
        let behind = (from, Bound::Unbounded);
        for entry in self.heads.range(&mut transaction, &behind)?.take(limit) {
            let (key, value) = entry?;
            row(key, value)?;
        }
        Ok(())
    }

    fn apply(&self, writes: Vec<Write>) -> Outcome<()> {
        let _alone = self.turn.lock();
        let mut transaction = self.env.write_txn()?;
        for Write { table, key, value } in &writes {
            let map = match table {
                Table::Heads => &self.heads,
                Table::Versions => &self.versions,
            };
            match value {
                Some(value) => map.put(&mut transaction, key, value)?,
                None => drop(map.delete(&mut transaction, key)?),
            }
        }
        Ok(transaction.commit()?)
    }

    fn close(self) -> Outcome<()> {
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

/// Our cipher under the traits that heed3 knows, which are a generation older.
struct PageCipher(ChaCha20Poly1305);

impl KeySizeUser for PageCipher {
    type KeySize = U32;
}

impl KeyInit for PageCipher {
    fn new(key: &Key<Self>) -> Self {
        let key: [u8; 32] = (*key).into();
        Self(ChaCha20Poly1305::new(&key.into()))
    }
}

impl AeadCore for PageCipher {
    type NonceSize = U12;
    type TagSize = U16;
    type CiphertextOverhead = U0;
}

impl AeadMutInPlace for PageCipher {
    fn encrypt_in_place_detached(
        &mut self,
        nonce: &Nonce<Self>,
        associated_data: &[u8],
        buffer: &mut [u8],
    ) -> aead::Result<Tag<Self>> {
        let nonce: [u8; 12] = (*nonce).into();
        let tag = self.0.encrypt_inout_detached(&nonce.into(), associated_data, buffer.into());
        let tag: [u8; 16] = tag.map_err(|_| aead::Error)?.into();
        Ok(tag.into())
    }

    fn decrypt_in_place_detached(
        &mut self,
        nonce: &Nonce<Self>,
        associated_data: &[u8],
        buffer: &mut [u8],
        tag: &Tag<Self>,
    ) -> aead::Result<()> {
        let (nonce, tag): ([u8; 12], [u8; 16]) = ((*nonce).into(), (*tag).into());
        let opened = self.0.decrypt_inout_detached(
            &nonce.into(),
            associated_data,
            buffer.into(),
            &tag.into(),
        );
        opened.map_err(|_| aead::Error)
    }
}
