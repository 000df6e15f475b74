//! The model's answer to a call.

use strongroom::VersionState;

use super::{Entry, Model};
use crate::{
    ask::Given,
    calls::{Answer, Call, NAMES, Step, Tick, answer, done},
    people::{Who, actor, may},
    refusals::DENIED,
};

impl Model {
    /// The answer, and the secret as a backup of it holds it. `given` is what the store made up, and
    /// `packed` the backup that a call restores.
    pub fn answer(
        &mut self,
        step: &Step,
        given: &Given,
        packed: Option<&(Entry, usize)>,
    ) -> (Answer, Option<Entry>) {
        let who = if step.call.is_open() { actor(step.who) } else { actor(None) };
        if is_denied(who, &step.call) {
            return (answer(Err(DENIED)), None);
        }
        match (&step.call, packed) {
            (Call::Backup(name), _) => match self.backup((who, *name)) {
                Ok(entry) => (done(), Some(entry)),
                Err(refused) => (answer(Err(refused)), None),
            },
            (Call::Restore { name, .. }, Some((entry, own))) => {
                (answer(self.restore(entry, name.unwrap_or(*own), &given.id)), None)
            }
            (call, _) => {
                let of_secret = self.of_secret(who, call, given);
                (of_secret.unwrap_or_else(|| self.of_store(who, call, given)), None)
            }
        }
    }

    /// `None` for a call that is not about one secret.
    fn of_secret(&mut self, who: Who, call: &Call, given: &Given) -> Option<Answer> {
        let on = |name: &usize| (who, *name);
        Some(answer(match call {
            Call::Create(new) => {
                let made = self.create(new, &given.id);
                made.map(|()| self.shown(on(&new.name)))
            }
            Call::Secret(name) => self.secret(*name),
            Call::Update { name, to, before } => self.update(on(name), to, *before),
            Call::ScheduleDeletion { name, days } => self.schedule_deletion(on(name), *days),
            Call::CancelDeletion(name) => self.cancel_deletion(on(name)),
            Call::Delete { name, before } => self.delete(on(name), *before),
            Call::SetState { name, state } => self.set_state(on(name), *state),
            Call::Protect(name) => self.protect(on(name)),
            Call::Put { name, value, labels, expires, not_before } => {
                self.put(on(name), (*value, labels), (*expires, *not_before))
            }
            Call::Get(name) => self.read(on(name), crate::calls::Reference::Latest),
            Call::Read { name, reference } => self.read(on(name), *reference),
            Call::Versions(name) => self.versions(*name),
            Call::Expire { name, reference, expires } => {
                self.expire(on(name), *reference, *expires)
            }
            Call::Disable { name, version } => {
                self.set_version_state(on(name), *version, VersionState::Disabled)
            }
            Call::Enable { name, version } => {
                self.set_version_state(on(name), *version, VersionState::Enabled)
            }
            Call::Destroy { name, version } => self.destroy(on(name), *version),
            Call::ScheduleDestruction { name, version, after } => {
                self.schedule_destruction(on(name), *version, *after)
            }
            Call::CancelDestruction { name, version } => {
                self.cancel_destruction(on(name), *version)
            }
            Call::Stage { name, label } => self.stage(*name, *label),
            Call::Move { name, label, to } => self.move_label(on(name), *label, *to),
            Call::Unlabel { name, label } => self.unlabel(on(name), *label),
            Call::AddTags { name, tags } => self.add_tags(on(name), tags),
            Call::RemoveTag { name, key } => self.remove_tag(on(name), *key),
            Call::RemoveTags { name, filters } => self.remove_tags(on(name), filters),
            Call::Tags(name) => self.tags(*name),
            Call::Rotate { name, before } => self.rotate(on(name), *before, &given.id),
            Call::CancelRotation(name) => self.cancel_rotation(on(name)),
            Call::ResumeRotation(name) => self.resume_rotation(on(name)),
            _ => return None,
        }))
    }

    fn of_store(&mut self, who: Who, call: &Call, given: &Given) -> Answer {
        answer(match call {
            Call::Load(news) => Ok(self.load(news, &given.ids)),
            Call::Secrets { event, limit } => self.secrets(who, *event, *limit),
            Call::GetMany(names) => self.get_many(who, names),
            Call::ProjectTags => Ok(self.project_tags(who)),
            Call::Find { find, limit, offset } => self.find(who, find, (*limit, *offset)),
            Call::Count(find) => self.count(who, find),
            Call::CreateEvent { event, types, on } => self.create_event(*event, types, *on),
            Call::UpdateEvent { event, types, on, target } => {
                self.update_event(*event, (types.as_deref(), *on, *target))
            }
            Call::DeleteEvent(event) => self.delete_event(*event),
            Call::Event(event) => self.event(*event),
            Call::Events { limit } => self.events(*limit),
            Call::Deliver(mood) => Ok(self.deliver(*mood, given.commits)),
            Call::Notices { limit } => self.notices(*limit),
            Call::RotateDue => Ok(self.rotate_due(&given.ids)),
            Call::RotationsDue => Ok(self.shown_rotations_due()),
            Call::Tasks { name, status, limit } => self.tasks(*name, *status, *limit),
            Call::CreateKey { alias } => self.create_key(*alias, &given.id),
            Call::SetKey { key, enabled } => self.set_key(*key, *enabled),
            Call::DeleteKey(key) => self.delete_key(*key),
            Call::Keys => Ok(self.shown_keys()),
            Call::Sweep => Ok(self.sweep()),
            Call::NextDue => Ok(format!("{:?}", self.next_due())),
            Call::Prune { age } => Ok(self.prune(self.now - age)),
            Call::Tick(tick) => {
                self.now += self.millis_of(*tick);
                Ok(String::new())
            }
            Call::Reopen { settings, .. } => {
                self.settings = *settings;
                Ok(String::new())
            }
            _ => Ok(String::new()),
        })
    }

    /// How far a tick moves the clock.
    pub fn millis_of(&self, tick: Tick) -> i64 {
        let to = |at: Option<i64>, more: i64| at.map_or(0, |at| at + more - self.now);
        match tick {
            Tick::By(millis) => millis,
            Tick::ToDue(more) => to(self.next_moment(), more),
            Tick::ToEndOfRecord(more) => to(self.end_of_record(), more),
        }
    }
}

/// Whether a caller may not make a call, whatever is there (csms.md 3.9).
fn is_denied(who: Who, call: &Call) -> bool {
    if let Some(action) = call.lists() {
        return !NAMES.iter().any(|name| may(who, action, name));
    }
    let Some(needs) = call.needs() else { return false };
    if matches!(call, Call::ScheduleDeletion { days, .. } if !(7..=30).contains(days)) {
        // There is no such window, so the call is not even made.
        return false;
    }
    let may = |action: &&str| may(who, action, NAMES[needs.name]);
    !needs.one_of.iter().any(may) || !needs.all.iter().all(may)
}
