//! Tags, and secrets found by them (csms.md 3.4, 8.4 rows 77 to 84).

use std::collections::{BTreeMap, BTreeSet};

use strongroom::AuditOperation;

use super::{Change, Entry, Model, Target, Use, secrets::LIST, secrets::page, secrets::page_limit};
use crate::{
    calls::{Before, Filter, Find, NAMES, TAG_KEYS, TAG_VALUES},
    people::{Who, may},
    refusals::{INVALID, NO_TAG, Refused},
};

impl Model {
    pub fn add_tags(&mut self, target: Target, tags: &[(usize, usize)]) -> Result<String, Refused> {
        check_keys(tags.iter().map(|(key, _)| *key))?;
        self.change_tags(target, AuditOperation::CreateTags, |all| {
            all.extend(tags.iter().map(|(key, value)| (TAG_KEYS[*key], TAG_VALUES[*value])));
            Ok(())
        })
    }

    pub fn remove_tag(&mut self, target: Target, key: usize) -> Result<String, Refused> {
        self.change_tags(target, AuditOperation::DeleteTags, |all| {
            all.remove(TAG_KEYS[key]).map(drop).ok_or(NO_TAG)
        })
    }

    pub fn remove_tags(&mut self, target: Target, filters: &[Filter]) -> Result<String, Refused> {
        check_keys(filters.iter().map(|filter| filter.key))?;
        self.change_tags(target, AuditOperation::DeleteTags, |all| {
            all.retain(|key, value| !filters.iter().any(|filter| filter.matches(key, value)));
            Ok(())
        })
    }

    fn change_tags(
        &mut self,
        target: Target,
        operation: AuditOperation,
        edit: impl FnOnce(&mut BTreeMap<&'static str, &'static str>) -> Result<(), Refused>,
    ) -> Result<String, Refused> {
        self.change(target, (Use::Metadata, Before::Anything), |_, entry, at| {
            let before = entry.tags.clone();
            edit(&mut entry.tags)?;
            if entry.tags == before {
                return Ok(Change::Nothing);
            }
            entry.described = at;
            Ok(Change::Commit(operation, None))
        })?;
        Ok(String::new())
    }

    pub fn tags(&mut self, name: usize) -> Result<String, Refused> {
        self.meet(NAMES[name]);
        Ok(format!("{:?}", self.entry(name)?.tags.iter().collect::<Vec<_>>()))
    }

    /// Of secrets whose tags the caller may list.
    pub fn project_tags(&mut self, who: Who) -> String {
        self.meet_all();
        let listed = self.secrets.iter().filter(|(name, _)| may(who, "csms:secret:listTags", name));
        let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (key, value) in listed.flat_map(|(_, entry)| &entry.tags) {
            all.entry(key).or_default().insert(value);
        }
        let all: Vec<(&str, Vec<&str>)> =
            all.into_iter().map(|(key, values)| (key, values.into_iter().collect())).collect();
        format!("{all:?}")
    }

    pub fn find(
        &mut self,
        who: Who,
        find: &Find,
        (limit, offset): (Option<usize>, usize),
    ) -> Result<String, Refused> {
        let limit = page_limit(limit, 10)?;
        let found = self.found(who, find)?;
        let shown = found.iter().skip(offset).map(|name| self.secrets[name].shown(name));
        Ok(page(shown, limit))
    }

    pub fn count(&mut self, who: Who, find: &Find) -> Result<String, Refused> {
        Ok(self.found(who, find)?.len().to_string())
    }

    /// All filters must match; an empty part of a name is in no name.
    fn found(&mut self, who: Who, find: &Find) -> Result<Vec<&'static str>, Refused> {
        let keys: BTreeSet<usize> = find.filters.iter().map(|filter| filter.key).collect();
        if keys.len() < find.filters.len() {
            return Err(INVALID);
        }
        self.meet_all();
        let named =
            |name: &str| find.part.is_none_or(|part| !part.is_empty() && name.contains(part));
        let has = |entry: &Entry, filter: &Filter| {
            entry.tags.iter().any(|(key, value)| filter.matches(key, value))
        };
        let found = self.secrets.iter().filter(|(name, entry)| {
            may(who, LIST, name)
                && named(name)
                && find.filters.iter().all(|filter| has(entry, filter))
        });
        Ok(found.map(|(name, _)| *name).collect())
    }
}

impl Filter {
    fn matches(&self, key: &str, value: &str) -> bool {
        let any = self.values.is_empty();
        TAG_KEYS[self.key] == key && (any || self.values.iter().any(|at| TAG_VALUES[*at] == value))
    }
}

/// One at least, and none twice.
fn check_keys(keys: impl Iterator<Item = usize>) -> Result<(), Refused> {
    let keys: Vec<usize> = keys.collect();
    let distinct: BTreeSet<&usize> = keys.iter().collect();
    if keys.is_empty() || distinct.len() < keys.len() { Err(INVALID) } else { Ok(()) }
}
