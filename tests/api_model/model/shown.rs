//! Secrets and versions as the model shows them: all that can be seen of them, in one line.

use strongroom::Stage;

use super::{Entry, floor};

impl Entry {
    pub(super) fn shown(&self, name: &str) -> String {
        let what = format!("{} {} {:?}", self.rotatable, self.state(), self.description);
        let updated = floor(self.described.max(self.changed));
        let (created, rotated) = (floor(self.created), self.rotated.map(floor));
        let times = format!("{created} {updated} {rotated:?} {:?}", self.deletion.map(floor));
        let (current, revision) = (self.labels[&Stage::Current].0, self.revision);
        let keep = format!("{} {:?} {:?}", self.protected, self.keep.versions, self.keep.days);
        let rotation = self.rotation.shown(self.rotated);
        let (id, event, key) = (&self.id, self.event, &self.key);
        format!(
            "{name} {id} {what} {times} v{current} {revision} {event:?} {keep} {rotation} {key:?}"
        )
    }

    pub(super) fn shown_version(&self, id: u64) -> String {
        let version = &self.versions[&id];
        let labels = self.labels.iter().filter(|(_, (at, _))| *at == id);
        let labels: Vec<&str> = labels.map(|(label, _)| label.as_str()).collect();
        let (from, to, end) = (version.not_before, version.expires, version.destruction);
        let times = format!("{} {from:?} {to:?} {end:?}", floor(version.created));
        format!("v{id} {times} {} {:?} {labels:?}", version.state, version.key)
    }
}
