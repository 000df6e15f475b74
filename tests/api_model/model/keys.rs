//! Keys of the local ring, under which secrets are sealed, and single secrets as backups.

use strongroom::{AuditOperation, SecretState, VersionState};

use super::{Entry, KeyRow, Model, Target, Use};
use crate::{
    calls::{ALIASES, NAMES},
    people::EMBEDDER,
    refusals::{CONSTRAINT, EXISTS, INVALID, NO_KEY, NO_USABLE_KEY, Refused},
};

/// The id of no key.
pub const NO_ID: &str = "00000000-0000-4000-8000-000000000000";

impl Model {
    /// The id of a key that a call names; that of none if there were not so many.
    pub fn key_id(&self, at: usize) -> &str {
        self.keys.get(at).map_or(NO_ID, |key| &key.id)
    }

    /// The key that a secret shall be under; none for the default one.
    pub(super) fn named_key(&self, key: Option<usize>) -> Option<String> {
        key.map(|at| self.key_id(at).to_owned())
    }

    /// A disabled or missing key makes reads and writes fail (csms.md 1.11; 8.2 row 38).
    pub(super) fn check_usable(&self, key: Option<&str>) -> Result<(), Refused> {
        let usable =
            |id: &str| self.keys.iter().any(|key| key.id == id && key.enabled && !key.gone);
        if key.is_none_or(usable) { Ok(()) } else { Err(NO_USABLE_KEY) }
    }

    /// `id` is what the store called it, if it did.
    pub fn create_key(&mut self, alias: usize, id: &str) -> Result<String, Refused> {
        let alias = ALIASES[alias];
        if alias.contains(' ') {
            return Err(INVALID);
        }
        let taken = |key: &KeyRow| !key.gone && !alias.is_empty() && key.alias == alias;
        if self.keys.iter().any(taken) {
            return Err(EXISTS);
        }
        self.keys.push(KeyRow { id: id.to_owned(), alias, enabled: true, gone: false });
        self.note_id(id);
        self.record_act(EMBEDDER, AuditOperation::CreateKey);
        Ok(self.shown_key(self.keys.len() - 1))
    }

    fn there(&mut self, at: usize) -> Result<&mut KeyRow, Refused> {
        self.keys.get_mut(at).filter(|key| !key.gone).ok_or(NO_KEY)
    }

    pub fn set_key(&mut self, at: usize, enabled: bool) -> Result<String, Refused> {
        let key = self.there(at)?;
        if key.enabled != enabled {
            key.enabled = enabled;
            self.record_act(EMBEDDER, AuditOperation::UpdateKey);
        }
        Ok(String::new())
    }

    /// A disabled key on which nothing depends: no version that is not destroyed, and no secret for
    /// its next ones.
    pub fn delete_key(&mut self, at: usize) -> Result<String, Refused> {
        let key = self.there(at)?;
        if key.enabled {
            return Err(NO_USABLE_KEY);
        }
        let id = Some(key.id.clone());
        self.meet_all();
        let uses = |entry: &Entry| {
            let mut rows = entry.versions.values();
            rows.any(|row| row.state != VersionState::Destroyed && row.key == id) || entry.key == id
        };
        if self.secrets.values().any(uses) {
            return Err(CONSTRAINT);
        }
        self.there(at)?.gone = true;
        self.record_act(EMBEDDER, AuditOperation::UpdateKey);
        Ok(String::new())
    }

    /// Without the default one.
    pub fn shown_keys(&self) -> String {
        let there = (0..self.keys.len()).filter(|at| !self.keys[*at].gone);
        let mut shown: Vec<String> = there.map(|at| self.shown_key(at)).collect();
        shown.sort();
        format!("{shown:?}")
    }

    fn shown_key(&self, at: usize) -> String {
        let KeyRow { id, alias, enabled, .. } = &self.keys[at];
        format!("{id} {alias:?} {enabled}")
    }

    /// A secret as its backup holds it (csms.md 2.6; 8.2 rows 47 to 49).
    pub fn backup(&mut self, (who, name): Target) -> Result<Entry, Refused> {
        self.look_at_table(name)?;
        let entry = self.entry(name)?;
        entry.admits(Use::Value)?;
        for version in entry.versions.values().filter(|it| it.state != VersionState::Destroyed) {
            self.check_usable(version.key.as_deref())?;
        }
        let packed = entry.packed();
        let operation = AuditOperation::BackupSecret;
        let row = entry.row((who, NAMES[name]), operation, None, self.now);
        self.record(vec![super::Row { subject: None, ..row }]);
        Ok(packed)
    }

    /// 8.2 rows 46 to 48. `id` is what the store called it, if it did.
    pub fn restore(&mut self, packed: &Entry, name: usize, id: &str) -> Result<String, Refused> {
        let text = NAMES[name];
        self.meet(text);
        if self.secrets.contains_key(text) {
            return Err(EXISTS);
        }
        let revision = packed.revision + 1;
        let entry = Entry { id: id.to_owned(), revision, ..packed.clone() };
        self.note_id(id);
        let newest = entry.versions.keys().last().copied();
        let operation = AuditOperation::RestoreSecret;
        let row = entry.row((EMBEDDER, text), operation, newest, self.now);
        self.record(vec![row]);
        self.secrets.insert(text, entry);
        Ok(self.shown((EMBEDDER, name)))
    }
}

impl Entry {
    /// Without tags and subscriptions, and without anything that would happen by itself; its versions
    /// are under the default key where it is restored.
    fn packed(&self) -> Self {
        let mut packed = self.clone();
        packed.tags.clear();
        (packed.event, packed.key) = (None, None);
        (packed.set_state, packed.deletion) = (SecretState::Enabled, None);
        packed.rotation = self.rotation.at_rest();
        for version in packed.versions.values_mut() {
            (version.destruction, version.key) = (None, None);
        }
        packed
    }
}
