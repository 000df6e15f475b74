//! redb, a store of copy-on-write trees.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};

use super::keyed::{KeyValue, Keyed, Row, Seen, Table, Write};
use crate::{
    Outcome,
    contestant::{Contestant, Entrant, Role, Setting},
};

pub const ENTRANT: Entrant = Entrant {
    key: "redb",
    title: "redb",
    done: "sealed by us; commit queue; one transaction a group, `Durability::Immediate`",
    role: Role::Peer,
    writes: true,
    reopens: true,
    open,
};

const HEADS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("heads");
const VERSIONS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("versions");

struct Redb(Database);

fn open(dir: &Path, setting: Setting) -> Outcome<Box<dyn Contestant>> {
    let cache = usize::try_from(setting.cache_bytes)?;
    let database = Database::builder().set_cache_size(cache).create(dir.join("redb"))?;
    // Reading wants tables that are there.
    let begin = database.begin_write()?;
    begin.open_table(HEADS)?;
    begin.open_table(VERSIONS)?;
    begin.commit()?;
    Ok(Box::new(Keyed::sealed(Redb(database))))
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    match table {
        Table::Heads => HEADS,
        Table::Versions => VERSIONS,
    }
}

impl KeyValue for Redb {
    fn get(&self, table: Table, key: &[u8], seen: Seen<'_>) -> Outcome<bool> {
        let table = self.0.begin_read()?.open_table(definition(table))?;
        match table.get(key)? {
            Some(value) => seen(value.value()).map(|()| true),
            None => Ok(false),
        }
    }

    fn heads(&self, after: &[u8], limit: usize, row: Row<'_>) -> Outcome<()> {
        let table = self.0.begin_read()?.open_table(HEADS)?;
        let mut left = limit;
        // The key itself may come first.
        for entry in table.range(after..)?.take(limit + 1) {
            let (key, value) = entry?;
            if key.value() != after && left > 0 {
                row(key.value(), value.value())?;
                left -= 1;
            }
        }
        Ok(())
    }

    fn apply(&self, writes: Vec<Write>) -> Outcome<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut heads = transaction.open_table(HEADS)?;
            let mut versions = transaction.open_table(VERSIONS)?;
            for Write { table, key, value } in &writes {
                let table = match table {
                    Table::Heads => &mut heads,
                    Table::Versions => &mut versions,
                };
                match value {
                    Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn close(self) -> Outcome<()> {
        Ok(self.0.close()?)
    }
}
