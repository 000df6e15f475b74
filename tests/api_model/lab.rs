//! A store and the model side by side.

use proptest::prelude::*;
use strongroom::{
    AuditQuery, AuditRecord, Builder, ErrorKind, HasKey, Limits, ListEvents, ListSecrets,
    NotificationTarget, Position, RecoveryWindow, SecretBlob, SecretState, SecretStore, Timestamp,
    testing::ManualClock,
};
use tempfile::TempDir;

use crate::{
    ask::{Asker, Given, seq},
    calls::{Answer, Call, DAY, NAMES, Reference, Settings, Step, done},
    count, count_end,
    model::{Entry, LABELS_MAX, Model, Row, VALUE_LEN_MAX, VERSIONS_MAX},
    notifier::Recorder,
    people, support,
};

const START_MS: i64 = 1_700_000_000_250;

/// What a sequence begins with.
const FIRST: Settings = Settings { enforce_validity: false, audit_reads: false };

/// Longer than anything is kept or waited for.
const LONG_MS: i64 = 160 * DAY;

/// A store on disk, its clock, what its notifier was told, and backups of single secrets.
pub struct Lab {
    store: Option<SecretStore>,
    clock: ManualClock,
    recorder: Recorder,
    settings: Settings,
    blobs: Vec<(SecretBlob, (Entry, usize))>,
    /// The store's last commit before the sequence.
    base: u64,
    dir: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        let (dir, recorder) = (support::scratch(), Recorder::default());
        let clock = ManualClock::at(Timestamp::from_millis(START_MS));
        let settings = FIRST;
        let store = builder(&clock, &recorder, settings).create(dir.path().join("store")).unwrap();
        // How far notifications have come is noted from the first event on, there or not.
        let target = NotificationTarget::new("urn", "to").unwrap();
        let types = strongroom::EventType::ALL.iter().copied();
        let first = strongroom::NewEvent::new("first".parse().unwrap(), types, target);
        store.create_event(&first).unwrap();
        let (store, blobs, base) = (Some(store), Vec::new(), 0);
        let mut lab = Self { store, clock, recorder, settings, blobs, base, dir };
        lab.clear();
        lab
    }

    fn store(&self) -> &SecretStore {
        self.store.as_ref().expect("open")
    }

    fn reopen(&mut self, close: bool, settings: Settings) {
        let store = self.store.take().expect("open");
        if close {
            store.close().unwrap();
        } else {
            drop(store);
        }
        self.settings = settings;
        let builder = builder(&self.clock, &self.recorder, settings);
        self.store = Some(builder.open(self.dir.path().join("store")).unwrap());
    }

    pub fn sequence(&mut self, steps: &[Step]) -> Result<(), TestCaseError> {
        self.blobs.clear();
        let now = strongroom::Clock::now(&self.clock).as_millis();
        let mut model = Model::new(now, self.settings);
        for (n, step) in steps.iter().enumerate() {
            let (got, want) = self.both(step, &mut model);
            count(&step.call, &got);
            prop_assert_eq!(got, want, "step {}: {:?}", n, step);
            if matches!(step.call, Call::Reopen { .. }) {
                self.compare(&mut model)?;
            }
        }
        self.compare(&mut model)?;
        self.compare_logs(&model)?;
        model.log.iter().for_each(|row| count_end("log", row.operation.to_string()));
        self.clear();
        Ok(())
    }

    /// Makes the call on both sides. The answers are texts.
    fn both(&mut self, step: &Step, model: &mut Model) -> (Answer, Answer) {
        match &step.call {
            Call::Tick(tick) => self.clock.advance_ms(model.millis_of(*tick)),
            Call::Reopen { close, settings } => self.reopen(*close, *settings),
            Call::MoveMany(moves) => {
                // In which order secrets are looked at is open, so those that are gone go before.
                for name in moves.iter().map(|it| it.name) {
                    let step = Step { who: None, call: Call::Secret(name) };
                    let (got, want) = self.both(&step, model);
                    if got != want {
                        return (got, want);
                    }
                }
            }
            _ => {}
        }
        let session = step.who.filter(|_| step.call.is_open());
        let session = session.map(|who| people::session(self.store(), who));
        let blob = match &step.call {
            Call::Restore { blob, .. } => self.blobs.get(*blob),
            _ => None,
        };
        let asker = Asker {
            store: session.as_ref().unwrap_or(self.store()),
            model,
            recorder: &self.recorder,
            base: self.base,
            blob: blob.map(|(blob, _)| blob),
        };
        let mut given = Given::default();
        let got = asker.ask(&step.call, &mut given).unwrap_or_else(done);
        drop(session);
        for (name, version, text) in &given.read {
            if !model.learn(*name, *version, text) {
                return (got, Err(format!("a value that v{version} cannot have: {text}")));
            }
        }
        if let Call::MoveMany(moves) = &step.call {
            let want = model.move_many(moves).map_err(|refused| refused.join(" or "));
            let is_one = |got: &String, want: &String| want.split(" or ").any(|it| it == got);
            return match (&got, &want) {
                (Err(one), Err(several)) if is_one(one, several) => (got.clone(), got),
                _ => (got, want),
            };
        }
        let packed = blob.map(|(_, packed)| packed.clone());
        let (want, packed) = model.answer(step, &given, packed.as_ref());
        if let (Some(blob), Some(entry), Call::Backup(name)) = (given.blob, packed, &step.call) {
            self.blobs.push((blob, (entry, *name)));
        }
        (got, want)
    }

    /// Everything that can be seen of the store against the model.
    fn compare(&mut self, model: &mut Model) -> Result<(), TestCaseError> {
        let mut calls = vec![Call::NextDue, Call::RotationsDue];
        for name in 0..NAMES.len() {
            calls.extend([Call::Secret(name), Call::Versions(name), Call::Tags(name)]);
            let numbers = model.entry(name).map(Entry::numbers).unwrap_or_default();
            let read = |id| Call::Read { name, reference: Reference::Id(id) };
            calls.extend(numbers.into_iter().map(read));
            calls.push(Call::Get(name));
        }
        let (event, name, status, limit) = (None, None, None, None);
        calls.extend([Call::Secrets { event, limit }, Call::Events { limit }, Call::Keys]);
        calls.extend([Call::Notices { limit: Some(1000) }, Call::Tasks { name, status, limit }]);
        calls.extend([Call::ProjectTags, Call::NextDue]);
        for call in calls {
            let step = Step { who: None, call };
            let (got, want) = self.both(&step, model);
            prop_assert_eq!(got, want, "compared: {:?}", step.call);
        }
        Ok(())
    }

    /// The audit log and the feed of changes tell exactly what was done, and all can be verified.
    fn compare_logs(&self, model: &Model) -> Result<(), TestCaseError> {
        let store = self.store();
        let page = store.audit(&AuditQuery::new().limit(1000)).unwrap();
        prop_assert!(!page.has_more());
        let got = in_order(page.items().iter().map(|record| self.shown(record)));
        let kept = &model.log[model.cut..];
        prop_assert_eq!(got, in_order(kept.iter().map(shown)));

        let first = kept[0].commit - 1;
        let last = kept[kept.len() - 1].commit;
        for from in [0, first, first.midpoint(last), last] {
            let position: Position = format!("{}:end", self.base + from).parse().unwrap();
            let feed = store.subscribe(position);
            if from < first {
                prop_assert_eq!(feed.unwrap_err().kind(), ErrorKind::Pruned);
                continue;
            }
            let (mut feed, mut changes) = (feed.unwrap(), Vec::new());
            while let Some(record) = feed.next_within(std::time::Duration::ZERO).unwrap() {
                changes.push(self.shown(&record));
            }
            let behind = kept.iter().filter(|row| row.commit > from && row.operation.is_change());
            prop_assert_eq!(in_order(changes), in_order(behind.map(shown)), "from {}", from);
        }
        let verified = store.verify().unwrap();
        let verified = (verified.secrets, verified.versions, verified.audit_records);
        prop_assert_eq!(verified, model.verified());
        Ok(())
    }

    fn shown(&self, record: &AuditRecord) -> (u64, String) {
        let commit = record.position().commit() - self.base;
        let (secret, version) = (record.secret_name(), record.version());
        let secret = secret.map(|name| name.as_str()).unwrap_or_default();
        let version = version.map(|id| id.number());
        let (time, actor) = (record.time().as_millis(), record.actor());
        (commit, format!("{} {secret} {version:?} {actor:?} {time}", record.operation()))
    }

    /// Leaves the store empty, for the next sequence: no secret, event, key or record of old.
    fn clear(&mut self) {
        self.reopen(true, FIRST);
        let store = self.store();
        for secret in store.secrets(&ListSecrets::new()).unwrap().items() {
            let name = secret.name();
            if !secret.is_purge_protected() {
                store.delete_secret(name).unwrap();
            } else if secret.state() != SecretState::PendingDeletion {
                store.set_state(name, SecretState::Enabled).unwrap();
                store.schedule_deletion(name, RecoveryWindow::SHORTEST).unwrap();
            }
        }
        self.clock.advance_ms(LONG_MS);
        store.sweep().unwrap();
        for event in store.events(&ListEvents::new()).unwrap().items() {
            store.delete_event(event.name()).unwrap();
        }
        for key in store.list_keys(&strongroom::KeyPage::new()).unwrap().keys {
            if store.disable_key(&key.id).is_ok() {
                store.delete_key(&key.id).unwrap();
            }
        }
        let mut before = 0;
        while seq(store) > before {
            before = seq(store);
            store.notification_records(&strongroom::ListNotifications::new()).unwrap();
            store.deliver_notifications().unwrap();
        }
        let pruned = store.prune_audit(Timestamp::from_millis(i64::MAX)).unwrap();
        assert!(pruned.records > 0 && !pruned.held_back, "{pruned:?}");
        self.base = seq(store) - 1;
        self.recorder.begin(self.base);
    }
}

fn shown(row: &Row) -> (u64, String) {
    let secret = row.secret.unwrap_or_default();
    let (version, actor, time) = (row.version, row.actor, row.time);
    (row.commit, format!("{} {secret} {version:?} {actor:?} {time}", row.operation))
}

/// Records by their commits: in which order those of one commit stand is open.
fn in_order(records: impl IntoIterator<Item = (u64, String)>) -> Vec<(u64, String)> {
    let mut records: Vec<(u64, String)> = records.into_iter().collect();
    let is_sorted = records.is_sorted_by_key(|(commit, _)| *commit);
    assert!(is_sorted, "the log is not in order: {records:?}");
    records.sort();
    records
}

fn builder(clock: &ManualClock, recorder: &Recorder, settings: Settings) -> Builder<HasKey> {
    let limits = Limits::default().with_versions_max(VERSIONS_MAX).unwrap();
    let limits = limits.with_labels_max(LABELS_MAX).unwrap();
    let limits = limits.with_value_len_max_bytes(VALUE_LEN_MAX).unwrap();
    SecretStore::builder()
        .master_key(support::key(1))
        .limits(limits)
        .clock(clock.clone())
        .notifier(recorder.clone())
        .enforce_validity(settings.enforce_validity)
        .audit_reads(settings.audit_reads)
}
