//! Plain sled, as it would be used without a journal in front of it.

use std::{
    fs::{File, OpenOptions},
    ops::Bound,
    path::Path,
};

use sled::{
    Db, Transactional as _, Tree,
    transaction::{ConflictableTransactionError, TransactionalTree},
};

use super::keyed::{KeyValue, Keyed, Row, Seen, Table, Write};
use crate::{
    Outcome,
    contestant::{Contestant, Entrant, Role, Setting},
};

pub const ENTRANT: Entrant = Entrant {
    key: "sled",
    title: "sled",
    done: "sealed by us; commit queue; one transaction over two trees a group, then flush and \
           fdatasync of its file, which flush alone leaves out",
    role: Role::Peer,
    writes: true,
    reopens: true,
    open,
};

struct Sled {
    db: Db,
    heads: Tree,
    versions: Tree,
    /// The file that flush writes and does not sync.
    file: File,
}

fn open(dir: &Path, setting: Setting) -> Outcome<Box<dyn Contestant>> {
    let path = dir.join("sled");
    let config = sled::Config::new().path(&path).cache_capacity(setting.cache_bytes);
    let db = config.flush_every_ms(None).open()?;
    let (heads, versions) = (db.open_tree("heads")?, db.open_tree("versions")?);
    let file = OpenOptions::new().write(true).open(path.join("db"))?;
    Ok(Box::new(Keyed::sealed(Sled { db, heads, versions, file })))
}

impl KeyValue for Sled {
    fn get(&self, table: Table, key: &[u8], seen: Seen<'_>) -> Outcome<bool> {
        let tree = match table {
            Table::Heads => &self.heads,
            Table::Versions => &self.versions,
        };
        match tree.get(key)? {
            Some(value) => seen(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn heads(&self, after: &[u8], limit: usize, row: Row<'_>) -> Outcome<()> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        for entry in self.heads.range::<&[u8], _>(behind).take(limit) {
            let (key, value) = entry?;
            row(&key, &value)?;
        }
        Ok(())
    }

    fn apply(&self, writes: Vec<Write>) -> Outcome<()> {
        type Trees<'a> = (&'a TransactionalTree, &'a TransactionalTree);
        let all = |(heads, versions): Trees<'_>| {
            for Write { table, key, value } in &writes {
                let tree = match table {
                    Table::Heads => heads,
                    Table::Versions => versions,
                };
                match value {
                    Some(value) => tree.insert(key.as_slice(), value.as_slice())?,
                    None => tree.remove(key.as_slice())?,
                };
            }
            Ok::<_, ConflictableTransactionError<sled::Error>>(())
        };
        (&self.heads, &self.versions)
            .transaction(|(heads, versions)| all((heads, versions)))
            .map_err(|err| err.to_string())?;
        self.db.flush()?;
        Ok(self.file.sync_data()?)
    }

    fn close(self) -> Outcome<()> {
        self.db.flush()?;
        Ok(self.file.sync_data()?)
    }
}
