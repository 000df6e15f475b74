//! The store's answer to a call, as text.

use strongroom::{
    Error, EventName, EventState, EventUpdate, FindSecrets, KeyId, KeyPage, ListEvents,
    ListNotifications, ListSecrets, ListTasks, ListVersions, NewEvent, NewSecret, NewVersion,
    NotificationTarget, Preconditions, RecoveryWindow, RestoreOptions, Retention, RotateOptions,
    RotationRules, SecretBlob, SecretName, SecretStore, SecretType, SecretUpdate, SecretValue,
    Stage, StageMove, Tag, TagFilter, Timestamp, Version, VersionId, VersionRef,
};

use crate::{
    calls::{
        ALIASES, Answer, Before, Call, EVENTS, Filter, Find, Keep, LABELS, NAMES, New, PERIODS,
        Reference, Rules, TAG_KEYS, TAG_VALUES, TARGETS, Update,
    },
    model::{Ids, Model},
    notifier::Recorder,
    shown,
    shown::answer,
};

/// What the store made up, so that the model cannot know it.
#[derive(Debug, Default)]
pub struct Given {
    /// Of a secret, a key or a task; nothing if it made none.
    pub id: String,
    /// Of several, by secret.
    pub ids: Ids,
    /// How many commits it made.
    pub commits: u64,
    /// Values that were read: secret, version, text.
    pub read: Vec<(usize, u64, String)>,
    pub blob: Option<SecretBlob>,
}

/// Somebody's handle of the store, and what calls are made up from.
pub struct Asker<'a> {
    pub store: &'a SecretStore,
    pub model: &'a Model,
    pub recorder: &'a Recorder,
    /// The store's last commit before the sequence.
    pub base: u64,
    pub blob: Option<&'a SecretBlob>,
}

impl Asker<'_> {
    /// `None` for a call that is not made through a handle.
    pub fn ask(&self, call: &Call, given: &mut Given) -> Option<Answer> {
        let asked = self.of_secrets(call, given);
        let asked = asked.or_else(|| self.of_versions(call, given));
        let asked = asked.or_else(|| self.of_labels(call)).or_else(|| self.of_tags(call));
        let asked = asked.or_else(|| self.of_events(call, given));
        let asked = asked.or_else(|| self.of_rotation(call, given));
        asked.or_else(|| self.of_keys(call, given)).or_else(|| self.of_store(call, given))
    }

    fn of_secrets(&self, call: &Call, given: &mut Given) -> Option<Answer> {
        let (store, shown) = (self.store, |secret| shown::secret(&secret));
        Some(match call {
            Call::Create(new) => {
                let made = store.create_secret(self.new_secret(new));
                given.id = made.as_ref().map(|secret| secret.id()).unwrap_or_default();
                answer(made, shown)
            }
            Call::Load(news) => {
                let loaded = store.create_secrets(news.iter().map(|new| self.new_secret(new)));
                answer(loaded, |loaded| {
                    let is_made =
                        |at: &usize| loaded.refused().iter().all(|it| it.position() != *at);
                    for at in (0..news.len()).filter(is_made) {
                        let name = news[at].name;
                        let id = store.secret(&named(name)).map(|it| it.id()).unwrap_or_default();
                        given.ids.insert(NAMES[name].to_owned(), id);
                    }
                    let refused = loaded.refused().iter();
                    let refused = refused.map(|it| (it.position(), shown::refused(it.error())));
                    format!("{} {:?}", loaded.created(), refused.collect::<Vec<_>>())
                })
            }
            Call::Secret(name) => answer(store.secret(&named(*name)), shown),
            Call::Secrets { event, limit } => {
                let mut list = ListSecrets::new();
                if let Some(event) = event {
                    list = list.event_name(event_named(*event));
                }
                if let Some(limit) = limit {
                    list = list.limit(*limit);
                }
                answer(store.secrets(&list), |page| shown::page(&page, shown::secret))
            }
            Call::Update { name, to, before } => {
                let update = self.update(to).preconditions(self.preconditions(*before, *name));
                answer(store.update_secret(&named(*name), &update), shown)
            }
            Call::ScheduleDeletion { name, days } => {
                let window = RecoveryWindow::from_days(*days).map_err(Error::from);
                let secret = window.and_then(|it| store.schedule_deletion(&named(*name), it));
                answer(secret, shown)
            }
            Call::CancelDeletion(name) => answer(store.cancel_deletion(&named(*name)), shown),
            Call::Delete { name, before } => {
                let conditions = self.preconditions(*before, *name);
                done(store.delete_secret_if(&named(*name), &conditions))
            }
            Call::SetState { name, state } => answer(store.set_state(&named(*name), *state), shown),
            Call::Protect(name) => answer(store.protect_from_purge(&named(*name)), shown),
            _ => return None,
        })
    }

    fn new_secret(&self, new: &New) -> NewSecret {
        let kind = if new.rotatable { SecretType::RdsFg } else { SecretType::Common };
        let made = NewSecret::new(named(new.name), SecretValue::from_string(new.value.text()))
            .secret_type(kind)
            .event_subscriptions(new.events.iter().map(|event| event_named(*event)))
            .retention(retention(new.keep))
            .rotation(rules(new.rules))
            .kms_key_id(self.key(new.key));
        if new.protected { made.purge_protected() } else { made }
    }

    fn update(&self, to: &Update) -> SecretUpdate {
        let mut update = SecretUpdate::new().rotation(rules(to.rules));
        if let Some(text) = to.description {
            update = update.description(text.parse().unwrap());
        }
        if let Some(events) = &to.events {
            update = update.event_subscriptions(events.iter().map(|event| event_named(*event)));
        }
        if let Some(keep) = to.keep {
            update = update.retention(retention(keep));
        }
        if let Some(key) = to.key {
            update = update.kms_key_id(self.key(key));
        }
        update
    }

    fn key(&self, key: Option<usize>) -> KeyId {
        key.map_or_else(KeyId::default_key, |at| self.model.key_id(at).parse().unwrap())
    }

    fn preconditions(&self, before: Before, name: usize) -> Preconditions {
        match before {
            Before::Anything => Preconditions::none(),
            Before::Revision(more) => {
                Preconditions::none().if_revision(self.model.revision(name) + more)
            }
            Before::Current(version) => Preconditions::none().if_version(v(version)),
        }
    }

    fn of_versions(&self, call: &Call, given: &mut Given) -> Option<Answer> {
        let (store, shown) = (self.store, |row| shown::metadata(&row));
        let mut read = |name: usize, got: Result<Version, Error>| {
            answer(got, |got| {
                given.read.push((name, got.id().number(), shown::text_of(&got).to_owned()));
                shown::version(&got)
            })
        };
        Some(match call {
            Call::Put { name, value, labels, expires, not_before } => {
                let value = SecretValue::from_string(value.text());
                let mut new = NewVersion::new(value).stages(labels.iter().map(|at| label(*at)));
                if let Some(after) = expires {
                    new = new.expires(self.in_millis(*after));
                }
                if let Some(after) = not_before {
                    new = new.not_before(self.in_millis(*after));
                }
                answer(store.put_version(&named(*name), new), shown)
            }
            Call::Get(name) => read(*name, store.get(&named(*name))),
            Call::Read { name, reference } => {
                read(*name, store.version(&named(*name), &reference_of(*reference)))
            }
            Call::GetMany(names) => {
                let asked: Vec<SecretName> = names.iter().map(|name| named(*name)).collect();
                answer(store.get_many(&asked), |values| {
                    let texts =
                        names.iter().zip(values.into_items()).map(|(name, item)| match item {
                            Ok(got) => read(*name, Ok(got)).expect("it was read"),
                            Err(refused) => shown::refused(refused.error()),
                        });
                    format!("{:?}", texts.collect::<Vec<_>>())
                })
            }
            Call::Versions(name) => {
                answer(store.versions(&named(*name), &ListVersions::new()), |page| {
                    let rows: Vec<String> = page.items().iter().map(shown::metadata).collect();
                    format!("{rows:?}")
                })
            }
            Call::Expire { name, reference, expires } => {
                let time = expires.map_or(Timestamp::from_millis(0), |it| self.in_millis(it));
                let reference = reference_of(*reference);
                answer(store.update_version(&named(*name), &reference, time), shown)
            }
            Call::Disable { name, version } => {
                answer(store.disable_version(&named(*name), v(*version)), shown)
            }
            Call::Enable { name, version } => {
                answer(store.enable_version(&named(*name), v(*version)), shown)
            }
            Call::Destroy { name, version } => {
                answer(store.destroy_version(&named(*name), v(*version)), shown)
            }
            Call::ScheduleDestruction { name, version, after } => {
                let (version, at) = (v(*version), self.in_millis(*after));
                answer(store.schedule_destruction(&named(*name), version, at), shown)
            }
            Call::CancelDestruction { name, version } => {
                answer(store.cancel_destruction(&named(*name), v(*version)), shown)
            }
            _ => return None,
        })
    }

    fn in_millis(&self, after: i64) -> Timestamp {
        Timestamp::from_millis(self.model.now + after)
    }

    fn of_labels(&self, call: &Call) -> Option<Answer> {
        let store = self.store;
        Some(match call {
            Call::Stage { name, label: at } => {
                answer(store.stage(&named(*name), &label(*at)), |info| shown::stage(&info))
            }
            Call::Move { name, label: at, to } => {
                let moved = store.move_stage(&named(*name), &label(*at), v(*to));
                answer(moved, |info| shown::stage(&info))
            }
            Call::MoveMany(moves) => {
                let moves = moves.iter().map(|it| {
                    StageMove::new(named(it.name), label(it.label), v(it.to))
                        .preconditions(self.preconditions(it.before, it.name))
                });
                answer(store.move_stages(&moves.collect::<Vec<_>>()), |infos| {
                    format!("{:?}", infos.iter().map(shown::stage).collect::<Vec<_>>())
                })
            }
            Call::Unlabel { name, label: at } => {
                done(store.delete_stage(&named(*name), &label(*at)))
            }
            _ => return None,
        })
    }

    fn of_tags(&self, call: &Call) -> Option<Answer> {
        let store = self.store;
        Some(match call {
            Call::AddTags { name, tags } => {
                let tags =
                    tags.iter().map(|(key, at)| Tag::new(TAG_KEYS[*key], TAG_VALUES[*at]).unwrap());
                done(store.add_tags(&named(*name), tags))
            }
            Call::RemoveTag { name, key } => {
                done(store.remove_tag(&named(*name), &TAG_KEYS[*key].parse().unwrap()))
            }
            Call::RemoveTags { name, filters } => {
                done(store.remove_tags(&named(*name), filters.iter().map(filter)))
            }
            Call::Tags(name) => answer(store.tags(&named(*name)), |tags| {
                let pairs = tags.iter().map(|tag| (tag.key().as_str(), tag.value().as_str()));
                format!("{:?}", pairs.collect::<Vec<_>>())
            }),
            Call::ProjectTags => answer(store.project_tags(), |all| {
                let rows = all.iter().map(|row| {
                    let values: Vec<&str> = row.values().iter().map(|it| it.as_str()).collect();
                    (row.key().as_str(), values)
                });
                format!("{:?}", rows.collect::<Vec<_>>())
            }),
            Call::Find { find, limit, offset } => {
                let mut asked = find_secrets(find).offset(*offset);
                if let Some(limit) = limit {
                    asked = asked.limit(*limit);
                }
                answer(store.find_secrets(&asked), |page| shown::page(&page, shown::secret))
            }
            Call::Count(find) => {
                answer(store.count_secrets(&find_secrets(find)), |count| count.to_string())
            }
            _ => return None,
        })
    }

    fn of_events(&self, call: &Call, given: &mut Given) -> Option<Answer> {
        let store = self.store;
        let target = |at: usize| NotificationTarget::new(TARGETS[at], "to").unwrap();
        let state = |on: bool| if on { EventState::Enabled } else { EventState::Disabled };
        Some(match call {
            Call::CreateEvent { event, types, on } => {
                let new = NewEvent::new(event_named(*event), types.iter().copied(), target(0));
                answer(store.create_event(&new.state(state(*on))), |it| shown::event(&it))
            }
            Call::UpdateEvent { event, types, on, target: to } => {
                let mut update = EventUpdate::new();
                if let Some(types) = types {
                    update = update.event_types(types.iter().copied());
                }
                if let Some(on) = on {
                    update = update.state(state(*on));
                }
                if let Some(to) = to {
                    update = update.target(target(*to));
                }
                let updated = store.update_event(&event_named(*event), &update);
                answer(updated, |it| shown::event(&it))
            }
            Call::DeleteEvent(event) => done(store.delete_event(&event_named(*event))),
            Call::Event(event) => answer(store.event(&event_named(*event)), |it| shown::event(&it)),
            Call::Events { limit } => {
                let list = limit.map_or_else(ListEvents::new, |it| ListEvents::new().limit(it));
                answer(store.events(&list), |page| shown::page(&page, shown::event))
            }
            Call::Deliver(mood) => {
                // Waits until the state has all records, so that the old ones are found.
                store.notification_records(&ListNotifications::new()).unwrap();
                let before = seq(store);
                self.recorder.set(*mood);
                let delivered = store.deliver_notifications();
                let told = self.recorder.take();
                given.commits = seq(store) - before;
                answer(delivered, |it| format!("{} {} {} {told:?}", it.sent, it.failed, it.invalid))
            }
            Call::Notices { limit } => {
                let list = ListNotifications::new();
                let list = limit.map_or(list, |limit| list.limit(limit));
                answer(store.notification_records(&list), |page| {
                    shown::page(&page, |it| shown::notice(it, self.base))
                })
            }
            _ => return None,
        })
    }

    fn of_rotation(&self, call: &Call, given: &mut Given) -> Option<Answer> {
        let (store, shown) = (self.store, |secret| shown::secret(&secret));
        Some(match call {
            Call::Rotate { name, before } => {
                let options = RotateOptions::new();
                let options = options.preconditions(self.preconditions(*before, *name));
                let rotated = store.rotate_with(&named(*name), &options);
                given.id = rotated.as_ref().map(|it| it.task_id().to_string()).unwrap_or_default();
                answer(rotated, |it| shown::rotation(&it))
            }
            Call::RotateDue => answer(store.rotate_due(), |due| {
                let done = due.rotated().iter().map(|it| (it.secret_name(), Some(it.task_id())));
                let failed = due.failed().iter().map(|it| (it.secret_name(), it.task_id()));
                let ids = done.chain(failed).filter_map(|(name, id)| Some((name, id?)));
                given.ids = ids.map(|(name, id)| (name.to_string(), id.to_string())).collect();
                shown::rotations(&due)
            }),
            Call::RotationsDue => answer(store.rotations_due(), |names| {
                format!("{:?}", names.iter().map(SecretName::as_str).collect::<Vec<_>>())
            }),
            Call::CancelRotation(name) => answer(store.cancel_rotation(&named(*name)), shown),
            Call::ResumeRotation(name) => answer(store.resume_rotation(&named(*name)), shown),
            Call::Tasks { name, status, limit } => {
                let mut list = ListTasks::new();
                if let Some(name) = name {
                    list = list.secret(named(*name));
                }
                if let Some(status) = status {
                    list = list.status(*status);
                }
                if let Some(limit) = limit {
                    list = list.limit(*limit);
                }
                answer(store.tasks(&list), |page| {
                    let rows: Vec<String> = page.items().iter().map(shown::task).collect();
                    format!("{rows:?} {} {}", page.total(), page.has_more())
                })
            }
            _ => return None,
        })
    }

    fn of_keys(&self, call: &Call, given: &mut Given) -> Option<Answer> {
        let (store, id) = (self.store, |at: &usize| self.key(Some(*at)));
        Some(match call {
            Call::CreateKey { alias } => {
                let made = store.create_key(ALIASES[*alias]);
                given.id = made.as_ref().map(|key| key.id.to_string()).unwrap_or_default();
                answer(made, |key| shown::key(&key))
            }
            Call::SetKey { key, enabled: true } => done(store.enable_key(&id(key))),
            Call::SetKey { key, enabled: false } => done(store.disable_key(&id(key))),
            Call::DeleteKey(key) => done(store.delete_key(&id(key))),
            Call::Keys => answer(store.list_keys(&KeyPage::new()), |list| {
                let own = list.keys.iter().filter(|key| !is_default(key));
                let mut shown: Vec<String> = own.map(shown::key).collect();
                shown.sort();
                format!("{shown:?}")
            }),
            _ => return None,
        })
    }

    fn of_store(&self, call: &Call, given: &mut Given) -> Option<Answer> {
        let store = self.store;
        Some(match call {
            Call::Backup(name) => answer(store.backup_secret(&named(*name)), |blob| {
                given.blob = Some(blob);
                String::new()
            }),
            Call::Restore { name, .. } => {
                let Some(blob) = self.blob else { return Some(Ok(String::new())) };
                let options = RestoreOptions::new();
                let options = match name {
                    Some(name) => options.name(named(*name)),
                    None => options,
                };
                let restored = store.restore_secret_with(blob, &options);
                given.id = restored.as_ref().map(|it| it.id()).unwrap_or_default();
                answer(restored, |secret| shown::secret(&secret))
            }
            Call::Sweep => answer(store.sweep(), |swept| {
                format!(
                    "{} {} {} {} {}",
                    swept.deletions,
                    swept.destructions,
                    swept.expired,
                    swept.near_expiry,
                    swept.outlived
                )
            }),
            Call::NextDue => {
                answer(store.next_due(), |at| format!("{:?}", at.map(Timestamp::as_millis)))
            }
            Call::Prune { age } => answer(store.prune_audit(self.in_millis(-age)), |pruned| {
                format!("{} {} {}", pruned.commits, pruned.records, pruned.held_back)
            }),
            Call::Checkpoint => done(store.checkpoint()),
            Call::Compact => done(store.compact().map(drop)),
            _ => return None,
        })
    }
}

pub fn seq(store: &SecretStore) -> u64 {
    store.anchor().unwrap().seq()
}

fn done(result: Result<(), Error>) -> Answer {
    answer(result, |()| String::new())
}

fn is_default(key: &strongroom::KeyInfo) -> bool {
    key.alias.as_deref() == Some(KeyId::DEFAULT_ALIAS)
}

fn named(name: usize) -> SecretName {
    NAMES[name].parse().unwrap()
}

fn event_named(event: usize) -> EventName {
    EVENTS[event].parse().unwrap()
}

fn label(at: usize) -> Stage {
    LABELS[at].parse().unwrap()
}

fn v(number: u64) -> VersionId {
    VersionId::from_number(number).unwrap()
}

fn reference_of(reference: Reference) -> VersionRef {
    match reference {
        Reference::Id(id) => VersionRef::Id(v(id)),
        Reference::Label(at) => VersionRef::Stage(label(at)),
        Reference::Latest => VersionRef::Latest,
    }
}

fn retention(keep: Keep) -> Retention {
    let retention = Retention::default();
    let retention = keep.versions.map_or(Ok(retention), |it| retention.with_versions(it)).unwrap();
    keep.days.map_or(Ok(retention), |days| retention.with_days(days)).unwrap()
}

fn rules(rules: Rules) -> RotationRules {
    let mut made = RotationRules::new();
    if let Some(automatic) = rules.automatic {
        made = made.automatic(automatic);
    }
    if let Some(period) = rules.period {
        made = made.period(PERIODS[period].0.parse().unwrap());
    }
    made
}

fn filter(filter: &Filter) -> TagFilter {
    let any = TagFilter::any(TAG_KEYS[filter.key].parse().unwrap());
    let values = filter.values.iter().map(|at| TAG_VALUES[*at].parse().unwrap());
    values.fold(any, |filter, value| filter.or_value(value).unwrap())
}

fn find_secrets(find: &Find) -> FindSecrets {
    let asked = find.filters.iter().map(filter).fold(FindSecrets::new(), FindSecrets::tag);
    find.part.map_or(asked.clone(), |part| asked.name_part(part))
}
