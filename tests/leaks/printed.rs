//! What public types print: none shows a value, password, token, passphrase or key.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
};

use strongroom::{
    Action, AuditOperation, AuditQuery, Description, Effect, EnterpriseProjectId, Error, ErrorKind,
    EventName, EventType, EventUpdate, Expect, FindSecrets, FunctionUrn, KeyPage, KmsContext,
    Limit, Limits, ListEvents, ListNotifications, ListSecrets, ListTasks, ListVersions, Missing,
    NameSyntax, NewEvent, NewSecret, NewVersion, Notification, NotificationTarget, Notifier,
    NotifyError, PasswordPolicy, PasswordPolicyName, PasswordRequest, Policy, Position,
    Preconditions, RecoveryWindow, RequestToken, RestoreOptions, Retention, RotateOptions,
    RotationConfig, RotationPeriod, RotationRules, SchedulerOptions, SecretState, SecretStore,
    SecretString, SecretSubType, SecretType, SecretUpdate, SecretValue, SignClass, Stage,
    StageMove, StateRefusal, SystemClock, Tag, TagFilter, TaskStatus, Timestamp, Unlock, Verify,
    VersionId, VersionRef, VersionRefusal, VersionState, VersionUpdate, testing::ManualClock,
};

use crate::{
    interface::TYPES,
    needles::Needles,
    support::{self, Random, key, key_bytes, name},
    written::word,
};

/// Things in words, by the name of their type.
struct Printed {
    needles: Needles,
    said: Vec<(&'static str, String)>,
}

impl Printed {
    fn add<T: Debug>(&mut self, thing: &T) {
        self.said.push((std::any::type_name::<T>(), format!("{thing:?} {thing:#?}")));
    }

    fn check(&self) {
        for (what, said) in &self.said {
            assert!(!said.trim().is_empty(), "{what} prints nothing");
            assert_eq!(self.needles.found_in_text(said), None, "{what}: {said}");
        }
    }

    /// Fails if something of a public type was not printed.
    fn is_whole(&self) {
        let elsewhere = |name: &str| name.ends_with("Error") || BARE.contains(&name);
        for name in TYPES.iter().filter(|name| !elsewhere(name)) {
            let all = || self.said.iter().map(|(what, _)| *what);
            let words =
                |what: &str, name: &str| what.split([':', '<', '>', '&']).any(|it| it == name);
            // An alias of another crate's.
            let name = if *name == "SecretString" { "SecretBox" } else { name };
            assert!(all().any(|what| words(what, name)), "no {name} was printed");
        }
    }
}

/// Types that this test has none of. They hold names, numbers and fixed words: errors are looked at by
/// a test of their own.
const BARE: [&str; 5] = ["Cause", "Damage", "HasKey", "Loss", "NoKey"];

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Vec<Notification>>>);

impl Notifier for Keeper {
    fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        self.0.lock().unwrap().push(notification.clone());
        Ok(())
    }
}

/// What the log, the feed and notifications say of a secret called `watched` with this value.
fn add_history(printed: &mut Printed, store: &SecretStore, keeper: &Keeper, value: SecretValue) {
    let target = NotificationTarget::new("id", "name").unwrap();
    let event: EventName = "event".parse().unwrap();
    let new = NewEvent::new(event.clone(), EventType::ALL.iter().copied(), target.clone());
    let made = store.create_event(&new).unwrap();
    let mut feed = store.subscribe(Position::START).unwrap();
    let watched = NewSecret::new(name("watched"), value).event_subscriptions([event.clone()]);
    store.create_secret(watched).unwrap();
    let delivered = store.deliver_notifications().unwrap();
    macro_rules! add { ($($thing:expr),* $(,)?) => { $( printed.add(&$thing); )* }; }
    add![event, new, made, target, made.state(), made.event_types()[0], EventUpdate::new()];
    add![delivered, keeper.0.lock().unwrap()[0], keeper.0.lock().unwrap()[0].content()];
    let records = store.notification_records(&ListNotifications::new()).unwrap();
    add![records.items()[0], records.items()[0].status(), ListNotifications::new()];
    add![ListEvents::new(), store.events(&ListEvents::new()).unwrap(), AuditQuery::new()];
    add![feed.next().unwrap().unwrap(), feed, feed.reached(), AuditOperation::CreateEvent];
    add![store.audit(&AuditQuery::new()).unwrap()];
    add![store.prune_audit(Timestamp::from_millis(1)).unwrap()];
}

#[test]
#[expect(clippy::too_many_lines, reason = "something of every type")]
fn nothing_secret_is_printed() {
    let mut random = Random::new(support::seed());
    let words: [String; 5] = std::array::from_fn(|_| word(&mut random));
    let [value, password, token, phrase, other] = words;
    let mut printed = Printed { needles: Needles::default(), said: Vec::new() };
    for word in [&value, &password, &token, &phrase, &other] {
        printed.needles.add(word);
    }
    printed.needles.add(key_bytes(1));
    let text = || SecretValue::from_string(value.clone());
    let token = || -> RequestToken { token.parse().unwrap() };
    let phrase = || SecretString::from(phrase.clone());
    let with = || SecretStore::builder().master_key(key(1));
    let (dir, keeper) = (support::scratch(), Keeper::default());
    let store = with().notifier(keeper.clone()).create(dir.path().join("s")).unwrap();
    let new = || NewSecret::new(name("s"), text()).token(token());
    let secret = store.create_secret(new()).unwrap();
    let account = format!(r#"{{"users":[{{"name":"app","password":"{password}"}}]}}"#);
    let account = NewSecret::new(name("a"), SecretValue::from_string(account));
    store.create_secret(account.secret_type(SecretType::RdsFg)).unwrap();
    let rotation = store.rotate(&name("a")).unwrap();
    let made = store.get(&name("a")).unwrap();
    printed.needles.add(made.value().expose_str().unwrap().rsplit('"').nth(1).unwrap());
    let slot = store.add_key_slot(&key(1).into(), &phrase().into(), "label").unwrap();
    let version = store.version(&name("s"), &VersionRef::Latest).unwrap();

    macro_rules! add { ($($thing:expr),* $(,)?) => { $( printed.add(&$thing); )* }; }
    add![text(), SecretValue::from_bytes(other.clone()), SecretValue::from_bytes(key_bytes(1))];
    add![version, version.value(), version.metadata(), made, rotation, new(), secret, slot];
    add![NewVersion::new(text()).token(token()).stages([Stage::Pending])];
    add![RotateOptions::new().token(token()), token(), Preconditions::none().if_revision(1)];
    add![store, store.clone(), SecretStore::builder(), with(), with().limits(Limits::default())];
    add![
        SecretStore::builder().passphrase(phrase()),
        SecretStore::builder().unlock(phrase().into())
    ];
    add![key(1), Unlock::MasterKey(key(1)), Unlock::Passphrase(phrase()), phrase()];
    add![store.secrets(&ListSecrets::new()).unwrap(), ListSecrets::new().prefix("s")];
    add![store.versions(&name("s"), &ListVersions::new()).unwrap(), ListVersions::new()];
    add![store.stage(&name("s"), &Stage::Current).unwrap(), store.key_slots()];
    add![store.anchor().unwrap(), store.verify().unwrap(), store.names(&ListSecrets::new())];
    store.add_tag(&name("s"), Tag::new("team", "billing").unwrap()).unwrap();
    let (tags, all_tags) = (store.tags(&name("s")).unwrap(), store.project_tags().unwrap());
    add![tags[0], tags[0].key(), tags[0].value(), all_tags[0], store.sweep().unwrap()];
    let project: EnterpriseProjectId = "0".parse().unwrap();
    add![TagFilter::any(tags[0].key().clone()), FindSecrets::new(), project];
    add![RecoveryWindow::default(), Retention::default()];
    add![PasswordPolicy::uri_safe(), SecretUpdate::new(), VersionUpdate::new()];
    add![SystemClock, Verify::Eager];
    add_rotations(&mut printed, &store, &value);
    let loaded = store.create_secrets([new(), NewSecret::new(name("s"), text())]).unwrap();
    add![loaded.refused()[0].error(), loaded.refused()[0], loaded, store.compact().unwrap()];
    let policy: Policy = Policy::READ_ONLY_ACCESS.parse().unwrap();
    let session = store.session("ann".parse().unwrap(), [policy.clone()]).unwrap();
    add![policy.statements()[0], policy, session.principal().unwrap(), session, Effect::Deny];
    add![Action::GetVersion, SecretState::Enabled, VersionState::Enabled, StateRefusal::NotEnabled];
    add![VersionRefusal::Destroyed, session.get(&name("s")).unwrap_err()];
    add_history(&mut printed, &store, &keeper, text());
    add_copies_and_keys(&mut printed, &store);
    let store_error = store.get(&name("nobody")).unwrap_err();
    drop((session, store));
    let salvage = with().salvage(dir.path().join("s")).unwrap();
    add![
        salvage.secrets()[0],
        salvage.secrets(),
        salvage.damage(),
        salvage.completeness(),
        salvage
    ];
    printed.said.push(("Salvage", salvage.to_string()));
    add![salvage.get(&name("s")).unwrap()];
    add![Limit::Tags, Expect::StoreId([7; 16]), NameSyntax::default(), Missing::Secret(name("s"))];
    let (custom, label) =
        ("word".parse::<Stage>().unwrap(), SecretType::rotatable("kind").unwrap());
    if let (Stage::Custom(custom), SecretType::Custom(label)) = (&custom, &label) {
        printed.add(custom);
        printed.add(label);
    }
    add![
        Limits::default(),
        custom,
        label,
        Description::default(),
        Timestamp::from_millis(1),
        ErrorKind::Random
    ];
    add![VersionRef::Latest, store_error, text().kind(), version.id(), name("s")];
    printed.check();
    printed.is_whole();

    let count = printed.said.len();
    printed.said.push(("a control", value.clone()));
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| printed.check()));
    assert!(found.is_err(), "a word that is printed is not found");
    let (words, _) = printed.needles.len();
    println!("{count} things printed, {words} words in none");
}

/// Batches, backups, keys of the key manager, codes.
fn add_copies_and_keys(printed: &mut Printed, store: &SecretStore) {
    macro_rules! add { ($($thing:expr),* $(,)?) => { $( printed.add(&$thing); )* }; }
    add![store.get_many(&[name("s"), name("nobody")]).unwrap()];
    add![StageMove::new(name("s"), Stage::Pending, VersionId::FIRST)];
    let blob = store.backup_secret(&name("s")).unwrap();
    let blob_key = store.blob_key(&blob).unwrap();
    printed.needles.add(blob_key.expose());
    add![blob_key, blob, RestoreOptions::new().key(store.blob_key(&blob).unwrap())];
    add![store.backup(&mut std::io::sink(), |_| {}).unwrap()];
    let key = store.create_key("orders").unwrap();
    let data_key = store.create_data_key(&key.id, 32, &KmsContext::default()).unwrap();
    printed.needles.add(data_key.plaintext.expose());
    add![key.id, key.state, key, data_key, KmsContext::default(), KeyPage::new()];
    add![store.list_keys(&KeyPage::new()).unwrap()];
    let refused = store.delete_stage(&name("s"), &Stage::Current).unwrap_err();
    add![refused.code()];
    let Error::Constraint { rule, .. } = refused else { panic!("{refused:?}") };
    add![rule];
}

/// A token need not be secret, but it is not written to disk in the clear either, and logs are on disk.
#[test]
fn a_request_prints_its_name_and_neither_value_nor_token() {
    let token: RequestToken = "token-1".parse().unwrap();
    let new = NewSecret::new(name("billing"), SecretValue::from_string("ZqMk")).token(token);
    let said = format!("{new:?}");
    assert!(said.contains("billing") && said.contains("SecretValue(..)"), "{said}");
    assert!(said.contains("RequestToken(..)"), "{said}");
    assert!(!said.contains("ZqMk") && !said.contains("token-1"), "{said}");
}

/// Rotations by the clock, that fail and are listed, and passwords on request.
fn add_rotations(printed: &mut Printed, store: &SecretStore, value: &str) {
    macro_rules! add { ($($thing:expr),* $(,)?) => { $( printed.add(&$thing); )* }; }
    let asked = PasswordRequest::new().exclude_characters(value);
    let made = store.generate_password(&asked).unwrap();
    let called: PasswordPolicyName = "mysql".parse().unwrap();
    add![PasswordRequest::new().policy_name(called.clone()), called];
    printed.needles.add(made.expose_str().unwrap());
    let rules = RotationRules::new().automatic(true).period("1d".parse().unwrap());
    let urn: FunctionUrn = "urn:f".parse().unwrap();
    let config: RotationConfig = r#"{"SecretSubType":"SingleUser"}"#.parse().unwrap();
    let period: RotationPeriod = "1d".parse().unwrap();
    add![asked, made, rules, urn, config, period, SignClass::Number, SecretSubType::MultiUser];
    let page = store.tasks(&ListTasks::new()).unwrap();
    add![ListTasks::new(), page.items()[0], page.items()[0].id(), page, TaskStatus::Failed];

    let dir = support::scratch();
    let clock = ManualClock::at(Timestamp::from_millis(0));
    let account = format!(r#"{{"users":[{{"name":"app","password":"{value}"}}]}}"#);
    let limits = Limits::default().with_value_len_max_bytes(account.len()).unwrap();
    let policy = PasswordPolicy::uri_safe().with_length(128).unwrap();
    let with = SecretStore::builder().master_key(key(1)).limits(limits).password_policy(policy);
    let failing = with.clock(clock.clone()).create(dir.path().join("s")).unwrap();
    for secret in ["a", "b"] {
        let new = NewSecret::new(name(secret), SecretValue::from_string(account.clone()));
        let new = new.secret_type(SecretType::RdsFg).rotation(rules.clone());
        failing.create_secret(new).unwrap();
    }
    clock.advance_ms(2 * 86_400_000);
    let done = failing.rotate_due().unwrap();
    add![done.failed()[0], done.failed()[0].error(), done];
    clock.advance_ms(2 * 86_400_000);
    let scheduler = failing.start_scheduler(SchedulerOptions::new()).unwrap();
    let errors = (0..10_000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        Some(scheduler.take_errors()).filter(|errors| !errors.is_empty())
    });
    add![errors.unwrap()[0], SchedulerOptions::new(), scheduler];
}
