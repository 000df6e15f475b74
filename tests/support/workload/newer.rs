//! The newer calls: states, tags, destroyed versions, labels of several secrets, events and what they
//! tell, keys, the log that is cut, a secret copied by its backup.

use std::collections::{BTreeMap, BTreeSet};

use strongroom::{
    EventType, KeyId, KeyInfo, KeyPage, KeyState, ListEvents, ListVersions, NewEvent,
    NotificationTarget, RecoveryWindow, RestoreOptions, Secret, SecretName, SecretState,
    SecretStore, SecretUpdate, StageMove, Tag, Timestamp, VersionId, VersionState,
};

use super::{Entry, Model, Outcome, rotatable};

/// The key of the one tag that a secret may have.
const TAG: &str = "call";

/// One call.
#[derive(Clone, Debug)]
pub enum Newer {
    Tag(String),
    Untag(String),
    /// Disabled, frozen, or to be deleted; then nothing else is done with it but the next one.
    Suspend(String, State),
    Resume(String),
    /// A label on the newest versions of all secrets that are enabled.
    MoveTogether(Vec<(String, u64)>),
    Destroy(String, u64),
    Disable(String, u64),
    Enable(String, u64),
    Subscribe(String, bool),
    CreateEvent,
    DeleteEvent,
    Deliver,
    Prune,
    /// A key that nothing is under: made, disabled, deleted, one after the other.
    NextOfKey,
    /// To another name, by a backup.
    Copy(String, String),
}

/// The states of a secret.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum State {
    #[default]
    Enabled,
    Disabled,
    Frozen,
    Pending,
}

/// What there is of a thread beside its secrets.
#[derive(Clone, Debug, Default)]
pub struct NewerModel {
    pub event: bool,
    /// Whether it is enabled.
    pub key: Option<bool>,
    /// How many changes there were of which somebody is to be told.
    pub fired: usize,
    /// Some of these may not have been told yet.
    pub pending: bool,
}

/// What there is of a secret beside labels and values.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NewerEntry {
    state: State,
    tag: Option<String>,
    subscribed: bool,
    disabled: BTreeSet<u64>,
    destroyed: BTreeSet<u64>,
}

/// Events and keys that a store has, by their names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FoundNewer {
    events: BTreeSet<String>,
    keys: BTreeMap<String, bool>,
}

impl Newer {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tag(_) | Self::Untag(_) => "tags",
            Self::Suspend(..) | Self::Resume(_) => "states",
            Self::MoveTogether(_) => "labels together",
            Self::Destroy(..) | Self::Disable(..) | Self::Enable(..) => "states of versions",
            Self::Subscribe(..) | Self::CreateEvent | Self::DeleteEvent => "events",
            Self::Deliver => "deliveries",
            Self::Prune => "cuts of the log",
            Self::NextOfKey => "keys",
            Self::Copy(..) => "copies",
        }
    }

    /// The call by a number below 28, if it is a newer one that can be made.
    pub fn draw(model: &Model, name: &str, chance: u64) -> Option<Self> {
        let entry = &model.secrets[name];
        let (own, newer) = (|| name.to_owned(), &entry.newer);
        if newer.state != State::Enabled {
            return Some(Self::Resume(own()));
        }
        Some(match chance {
            0 if newer.tag.is_some() => Self::Untag(own()),
            0 | 1 => Self::Tag(own()),
            2 => Self::Suspend(own(), State::Disabled),
            3 => Self::Suspend(own(), State::Frozen),
            4 => Self::Suspend(own(), State::Pending),
            5 | 6 => {
                let enabled =
                    model.secrets.iter().filter(|(_, it)| it.newer.state == State::Enabled);
                Self::MoveTogether(enabled.map(|(name, it)| (name.clone(), newest(it))).collect())
            }
            7 => Self::Destroy(own(), unused(entry)?),
            8 => match newer.disabled.first() {
                Some(version) => Self::Enable(own(), *version),
                None => Self::Disable(own(), unused(entry)?),
            },
            9 | 10 if model.newer.event => Self::Subscribe(own(), !newer.subscribed),
            9 | 10 => Self::CreateEvent,
            11 => {
                let subscribed = model.secrets.values().any(|it| it.newer.subscribed);
                let may_go = model.newer.event && !subscribed && !model.newer.pending;
                may_go.then_some(Self::DeleteEvent)?
            }
            12 | 13 => Self::Deliver,
            14 => Self::Prune,
            15 => Self::NextOfKey,
            16 => {
                let free = (0..super::NAMES).map(|n| format!("t{}-n{n}", model.thread));
                let mut free = free.filter(|to| rotatable(to) == rotatable(name));
                Self::Copy(own(), free.find(|to| !model.secrets.contains_key(to))?)
            }
            _ => return None,
        })
    }

    pub fn make(&self, store: &SecretStore, model: &Model) -> Outcome<()> {
        let named = |name: &str| name.parse::<SecretName>();
        let v = |n: u64| VersionId::from_number(n).expect("a version");
        match self {
            Self::Tag(name) => store.add_tag(&named(name)?, Tag::new(TAG, &tagged(model.next))?)?,
            Self::Untag(name) => store.remove_tag(&named(name)?, &TAG.parse()?)?,
            Self::Suspend(name, state) => suspend(store, &named(name)?, *state)?,
            Self::Resume(name) => match model.secrets[name].newer.state {
                State::Pending => drop(store.cancel_deletion(&named(name)?)?),
                _ => drop(store.set_state(&named(name)?, SecretState::Enabled)?),
            },
            Self::MoveTogether(all) => {
                let to = |(name, version): &(String, u64)| -> Outcome<StageMove> {
                    Ok(StageMove::new(named(name)?, super::blue(), v(*version)))
                };
                let moves: Outcome<Vec<StageMove>> = all.iter().map(to).collect();
                store.move_stages(&moves?)?;
            }
            Self::Destroy(name, n) => drop(store.destroy_version(&named(name)?, v(*n))?),
            Self::Disable(name, n) => drop(store.disable_version(&named(name)?, v(*n))?),
            Self::Enable(name, n) => drop(store.enable_version(&named(name)?, v(*n))?),
            Self::Subscribe(name, to) => {
                let events = if *to { vec![event(model.thread).parse()?] } else { Vec::new() };
                let update = SecretUpdate::new().event_subscriptions(events);
                store.update_secret(&named(name)?, &update)?;
            }
            Self::CreateEvent => {
                let target = NotificationTarget::new("urn", "somebody")?;
                let types = EventType::ALL.iter().copied();
                store.create_event(&NewEvent::new(event(model.thread).parse()?, types, target))?;
            }
            Self::DeleteEvent => store.delete_event(&event(model.thread).parse()?)?,
            Self::Deliver => drop(store.deliver_notifications()?),
            Self::Prune => drop(store.prune_audit(Timestamp::from_millis(i64::MAX))?),
            Self::NextOfKey => next_of_key(store, model)?,
            Self::Copy(from, to) => {
                let blob = store.backup_secret(&named(from)?)?;
                store.restore_secret_with(&blob, &RestoreOptions::new().name(named(to)?))?;
            }
        }
        Ok(())
    }

    /// What it does to what is there, as call `n`.
    pub(super) fn apply(&self, model: &mut Model, n: u64) {
        match self {
            Self::Tag(name) => model.entry(name).newer.tag = Some(tagged(n)),
            Self::Untag(name) => model.entry(name).newer.tag = None,
            Self::Suspend(name, state) => model.entry(name).newer.state = *state,
            Self::Resume(name) => model.entry(name).newer.state = State::Enabled,
            Self::MoveTogether(all) => {
                for (name, version) in all {
                    model.entry(name).labels.insert(super::blue(), *version);
                }
            }
            Self::Destroy(name, version) => {
                let newer = &mut model.entry(name).newer;
                newer.disabled.remove(version);
                newer.destroyed.insert(*version);
            }
            Self::Disable(name, version) => {
                model.entry(name).newer.disabled.insert(*version);
            }
            Self::Enable(name, version) => {
                model.entry(name).newer.disabled.remove(version);
            }
            Self::Subscribe(name, to) => model.entry(name).newer.subscribed = *to,
            Self::CreateEvent => model.newer.event = true,
            Self::DeleteEvent => model.newer.event = false,
            Self::Deliver => model.newer.pending = false,
            Self::Prune => {}
            Self::NextOfKey => {
                model.newer.key = match model.newer.key {
                    None => Some(true),
                    Some(true) => Some(false),
                    Some(false) => None,
                };
            }
            Self::Copy(from, to) => {
                let mut copy = model.secrets[from].clone();
                (copy.newer.tag, copy.newer.subscribed) = (None, false);
                model.secrets.insert(to.clone(), copy);
            }
        }
    }
}

impl Model {
    /// Counts a change of which somebody is told, if the secret subscribes.
    pub(super) fn fires(&mut self, name: &str) {
        if self.secrets[name].newer.subscribed {
            self.newer.fired += 1;
            self.newer.pending = true;
        }
    }

    /// How many changes of the thread's secrets somebody is to be told of.
    pub fn fired(&self) -> usize {
        self.newer.fired
    }
}

impl NewerModel {
    /// As it is seen in a store: whether there is the event, and the key.
    pub(super) fn seen(&self) -> (bool, Option<bool>) {
        (self.event, self.key)
    }
}

impl NewerEntry {
    pub(super) fn of(store: &SecretStore, secret: &Secret) -> Outcome<Self> {
        let state = match secret.state() {
            SecretState::Disabled => State::Disabled,
            SecretState::Frozen => State::Frozen,
            SecretState::PendingDeletion => State::Pending,
            _ => State::Enabled,
        };
        let tags = store.tags(secret.name())?;
        let mut entry = Self {
            state,
            tag: tags.first().map(|tag| tag.value().as_str().to_owned()),
            subscribed: !secret.event_subscriptions().is_empty(),
            ..Self::default()
        };
        for version in store.versions(secret.name(), &ListVersions::new())?.items() {
            let numbers = match version.state() {
                VersionState::Disabled => &mut entry.disabled,
                VersionState::Destroyed => &mut entry.destroyed,
                VersionState::Enabled => continue,
                _ => return Err("a state that is not known".into()),
            };
            numbers.insert(version.id().number());
        }
        Ok(entry)
    }

    pub(super) fn can_be_read(&self, version: u64) -> bool {
        let kept = !self.disabled.contains(&version) && !self.destroyed.contains(&version);
        kept && self.state == State::Enabled
    }

    pub(super) fn forget(&mut self, version: u64) {
        self.disabled.remove(&version);
        self.destroyed.remove(&version);
    }
}

impl FoundNewer {
    pub(super) fn of(store: &SecretStore) -> Outcome<Self> {
        let events = store.events(&ListEvents::new())?.into_items();
        let keys = store.list_keys(&KeyPage::new())?.keys.into_iter();
        let one = |key: KeyInfo| Some((key.alias?, key.state == KeyState::Enabled));
        Ok(Self {
            events: events.iter().map(|event| event.name().to_string()).collect(),
            keys: keys.filter_map(one).collect(),
        })
    }

    /// A thread's event and key.
    pub(super) fn of_thread(&self, thread: u64) -> (bool, Option<bool>) {
        let key = self.keys.get(&alias(thread)).copied();
        (self.events.contains(&event(thread)), key)
    }
}

fn suspend(store: &SecretStore, name: &SecretName, state: State) -> Outcome<()> {
    match state {
        State::Enabled => store.set_state(name, SecretState::Enabled)?,
        State::Disabled => store.set_state(name, SecretState::Disabled)?,
        State::Frozen => store.set_state(name, SecretState::Frozen)?,
        State::Pending => store.schedule_deletion(name, RecoveryWindow::SHORTEST)?,
    };
    Ok(())
}

fn next_of_key(store: &SecretStore, model: &Model) -> Outcome<()> {
    let id = || -> Outcome<KeyId> {
        let mut keys = store.list_keys(&KeyPage::new())?.keys.into_iter();
        let own = alias(model.thread);
        Ok(keys.find(|key| key.alias.as_ref() == Some(&own)).ok_or("there is no key")?.id)
    };
    match model.newer.key {
        None => drop(store.create_key(&alias(model.thread))?),
        Some(true) => store.disable_key(&id()?)?,
        Some(false) => store.delete_key(&id()?)?,
    }
    Ok(())
}

/// The newest version.
fn newest(entry: &Entry) -> u64 {
    entry.versions.keys().last().copied().expect("a version")
}

/// A version without a label, not destroyed, and not the newest.
fn unused(entry: &Entry) -> Option<u64> {
    let labelled = |id: &u64| entry.labels.values().any(|at| at == id);
    let free = |id: &u64| !labelled(id) && !entry.newer.destroyed.contains(id);
    entry.versions.keys().copied().find(|id| free(id) && *id != newest(entry))
}

fn tagged(n: u64) -> String {
    format!("of-{n}")
}

fn event(thread: u64) -> String {
    format!("event-{thread}")
}

fn alias(thread: u64) -> String {
    format!("key-{thread}")
}
