//! fjall, a log-structured store.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::keyed::{KeyValue, Keyed, Row, Seen, Table, Write};
use crate::{
    Outcome,
    contestant::{Contestant, Entrant, Role, Setting},
};

pub const ENTRANT: Entrant = Entrant {
    key: "fjall",
    title: "fjall",
    done: "sealed by us; commit queue; one batch a group, `PersistMode::SyncAll`",
    role: Role::Peer,
    writes: true,
    reopens: true,
    open,
};

struct Fjall {
    database: Database,
    heads: Keyspace,
    versions: Keyspace,
}

fn open(dir: &Path, setting: Setting) -> Outcome<Box<dyn Contestant>> {
    let database = Database::builder(dir.join("fjall")).cache_size(setting.cache_bytes).open()?;
    let heads = database.keyspace("heads", KeyspaceCreateOptions::default)?;
    let versions = database.keyspace("versions", KeyspaceCreateOptions::default)?;
    Ok(Box::new(Keyed::sealed(Fjall { database, heads, versions })))
}

impl Fjall {
    fn keyspace(&self, table: Table) -> &Keyspace {
        match table {
            Table::Heads => &self.heads,
            Table::Versions => &self.versions,
        }
    }
}

impl KeyValue for Fjall {
    fn get(&self, table: Table, key: &[u8], seen: Seen<'_>) -> Outcome<bool> {
        match self.keyspace(table).get(key)? {
            Some(value) => seen(&value).map(|()| true),
            None => Ok(false),
        }
    }

    fn heads(&self, after: &[u8], limit: usize, row: Row<'_>) -> Outcome<()> {
        // The key itself may come first: it is left out below.
        let rows = self.heads.range(after..).take(limit + 1).map(|guard| guard.into_inner());
        let mut left = limit;
        for entry in rows {
            let (key, value) = entry?;
            if *key != *after && left > 0 {
                row(&key, &value)?;
                left -= 1;
            }
        }
        Ok(())
    }

    fn apply(&self, writes: Vec<Write>) -> Outcome<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for Write { table, key, value } in writes {
            match value {
                Some(value) => batch.insert(self.keyspace(table), key, value),
                None => batch.remove(self.keyspace(table), key),
            }
        }
        Ok(batch.commit()?)
    }

    fn close(self) -> Outcome<()> {
        Ok(())
    }
}
