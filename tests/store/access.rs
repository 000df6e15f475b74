//! Sessions: what principals may do, and that nothing is done, read or told that they may not.

use std::{collections::BTreeSet, fs};

use strongroom::{
    Action, AuditQuery, Error, ErrorKind, EventType, EventUpdate, FindSecrets, KeyId, KeyPage,
    KmsContext, ListEvents, ListNotifications, ListSecrets, ListTasks, PasswordPolicy,
    PasswordRequest, Policy, Position, Preconditions, RecoveryWindow, RestoreOptions,
    RotateOptions, RotationRules, SchedulerOptions, SecretBlob, SecretState, SecretType,
    SecretUpdate, StageMove, Statement, Tag, TagFilter, Unlock, VersionRef, VersionUpdate,
};

use super::{
    events::{create_event, event, new_event, subscribed},
    notifications::Recorder,
    *,
};

/// Every method of the handle, by its name, called on a secret "s" that can be rotated.
type Call = fn(&SecretStore) -> Result<(), Error>;

#[rustfmt::skip]
const CALLS: &[(&str, Action, Call)] = &[
    ("create_secret", Action::CreateSecret, |s| s.create_secret(NewSecret::new(name("new"), text("x"))).map(drop)),
    ("create_secrets", Action::CreateSecret, |s| s.create_secrets([NewSecret::new(name("new"), text("x"))]).map(drop)),
    ("secret", Action::GetSecret, |s| s.secret(&name("s")).map(drop)),
    ("secrets", Action::ListSecrets, |s| s.secrets(&ListSecrets::new()).map(drop)),
    ("names", Action::ListSecrets, |s| s.names(&ListSecrets::new()).map(drop)),
    ("update_secret", Action::UpdateSecret, |s| s.update_secret(&name("s"), &SecretUpdate::new().description("x".parse()?)).map(drop)),
    ("delete_secret", Action::DeleteSecret, |s| s.delete_secret(&name("s"))),
    ("delete_secret_if", Action::DeleteSecret, |s| s.delete_secret_if(&name("s"), &Preconditions::none())),
    ("put_version", Action::CreateVersion, |s| s.put_version(&name("s"), NewVersion::new(account("x"))).map(drop)),
    ("get", Action::GetVersion, |s| s.get(&name("s")).map(drop)),
    ("version", Action::GetVersion, |s| s.version(&name("s"), &VersionRef::Latest).map(drop)),
    ("versions", Action::ListVersions, |s| s.versions(&name("s"), &ListVersions::new()).map(drop)),
    ("generate_password", Action::GeneratePassword, |s| s.generate_password(&PasswordRequest::new()).map(drop)),
    ("generate_password_by", Action::GeneratePassword, |s| s.generate_password_by(&PasswordPolicy::uri_safe()).map(drop)),
    ("tasks", Action::ListTasks, |s| s.tasks(&ListTasks::new()).map(drop)),
    ("backup", Action::BackupStore, |s| s.backup(&mut std::io::sink(), |_| {}).map(drop)),
    ("rotations_due", Action::Maintain, |s| s.rotations_due().map(drop)),
    ("rotate_due", Action::Maintain, |s| s.rotate_due().map(drop)),
    ("start_scheduler", Action::Maintain, |s| s.start_scheduler(SchedulerOptions::new()).map(drop)),
    // No rotation is under way or failed: past the permission, that is what they say.
    ("cancel_rotation", Action::ControlRotation, |s| but_for(ErrorKind::NotFound, s.cancel_rotation(&name("s")).map(drop))),
    ("cancel_rotation_if", Action::ControlRotation, |s| but_for(ErrorKind::NotFound, s.cancel_rotation_if(&name("s"), NONE).map(drop))),
    ("resume_rotation", Action::ControlRotation, |s| but_for(ErrorKind::Constraint, s.resume_rotation(&name("s")).map(drop))),
    ("resume_rotation_if", Action::ControlRotation, |s| but_for(ErrorKind::Constraint, s.resume_rotation_if(&name("s"), NONE).map(drop))),
    ("update_version", Action::UpdateVersion, |s| s.update_version(&name("s"), &VersionRef::Latest, later()).map(drop)),
    ("update_version_if", Action::UpdateVersion, |s| s.update_version_if(&name("s"), &VersionRef::Latest, later(), &Preconditions::none()).map(drop)),
    ("update_version_with", Action::UpdateVersion, |s| s.update_version_with(&name("s"), &VersionRef::Latest, &VersionUpdate::new().expires(later())).map(drop)),
    ("stage", Action::GetStage, |s| s.stage(&name("s"), &Stage::Current).map(drop)),
    ("move_stage", Action::CreateStage, |s| s.move_stage(&name("s"), &stage("blue"), v(1)).map(drop)),
    ("move_stage_if", Action::CreateStage, |s| s.move_stage_if(&name("s"), &stage("blue"), v(1), &Preconditions::none()).map(drop)),
    ("delete_stage", Action::DeleteStage, |s| s.delete_stage(&name("s"), &stage("green"))),
    ("delete_stage_if", Action::DeleteStage, |s| s.delete_stage_if(&name("s"), &stage("green"), &Preconditions::none())),
    ("rotate", Action::RotateSecret, |s| s.rotate(&name("s")).map(drop)),
    ("rotate_with", Action::RotateSecret, |s| s.rotate_with(&name("s"), &RotateOptions::new()).map(drop)),
    ("add_key_slot", Action::Maintain, |s| s.add_key_slot(&Unlock::from(key(1)), &Unlock::from(key(2)), "").map(drop)),
    ("remove_key_slot", Action::Maintain, |s| s.remove_key_slot(1)),
    ("anchor", Action::Maintain, |s| s.anchor().map(drop)),
    ("verify", Action::Maintain, |s| s.verify().map(drop)),
    ("verify_with", Action::Maintain, |s| s.verify_with(|_| {}).map(drop)),
    ("checkpoint", Action::Maintain, |s| s.checkpoint()),
    ("compact", Action::Maintain, |s| s.compact().map(drop)),
    ("close", Action::Maintain, |s| s.clone().close()),
    ("audit", Action::ReadAudit, |s| s.audit(&AuditQuery::new()).map(drop)),
    ("prune_audit", Action::PruneAudit, |s| s.prune_audit(later()).map(drop)),
    ("position", Action::Subscribe, |s| s.position().map(drop)),
    ("oldest_position", Action::Subscribe, |s| s.oldest_position().map(drop)),
    ("subscribe", Action::Subscribe, |s| s.subscribe(Position::START).map(drop)),
    ("create_event", Action::CreateEvent, |s| s.create_event(&new_event("e", &[EventType::Rotated])).map(drop)),
    ("event", Action::GetEvent, |s| but_for(ErrorKind::NotFound, s.event(&event("e")).map(drop))),
    ("events", Action::ListEvents, |s| s.events(&ListEvents::new()).map(drop)),
    ("update_event", Action::UpdateEvent, |s| but_for(ErrorKind::NotFound, s.update_event(&event("e"), &EventUpdate::new()).map(drop))),
    ("delete_event", Action::DeleteEvent, |s| but_for(ErrorKind::NotFound, s.delete_event(&event("e")))),
    ("notification_records", Action::ListNotificationRecords, |s| s.notification_records(&ListNotifications::new()).map(drop)),
    ("deliver_notifications", Action::Maintain, |s| but_for(ErrorKind::InvalidArgument, s.deliver_notifications().map(drop))),
    ("backup_secret", Action::GetSecret, |s| s.backup_secret(&name("s")).map(drop)),
    ("restore_secret", Action::CreateSecret, |s| s.restore_secret(&a_blob()).map(drop)),
    ("restore_secret_with", Action::CreateSecret, |s| s.restore_secret_with(&a_blob(), &RestoreOptions::new()).map(drop)),
    ("blob_key", Action::GetVersion, |s| s.blob_key(&a_blob()).map(drop)),
    ("get_many", Action::BatchGetValue, |s| s.get_many(&[name("s")]).map(drop)),
    ("move_stages", Action::CreateStage, |s| s.move_stages(&[StageMove::new(name("s"), stage("blue"), v(1))]).map(drop)),
    ("create_key", Action::ManageKeys, |s| s.create_key("new").map(drop)),
    ("enable_key", Action::ManageKeys, |s| s.enable_key(&a_key())),
    ("disable_key", Action::ManageKeys, |s| s.disable_key(&a_key())),
    ("delete_key", Action::ManageKeys, |s| s.delete_key(&a_key())),
    ("list_keys", Action::ListKeys, |s| s.list_keys(&KeyPage::new()).map(drop)),
    ("describe_key", Action::GetKey, |s| s.describe_key(&KeyId::default_key()).map(drop)),
    ("create_data_key", Action::CreateDataKey, |s| s.create_data_key(&KeyId::default_key(), 32, &KmsContext::default()).map(drop)),
    ("decrypt_data_key", Action::DecryptDataKey, |s| s.decrypt_data_key(&KeyId::default_key(), &[], &KmsContext::default()).map(drop)),
    ("session", Action::OpenSession, |s| s.session("bob".parse()?, []).map(drop)),
    ("schedule_deletion", Action::DeleteSecret, |s| s.schedule_deletion(&name("s"), RecoveryWindow::default()).map(drop)),
    ("schedule_deletion_if", Action::DeleteSecret, |s| s.schedule_deletion_if(&name("s"), RecoveryWindow::default(), NONE).map(drop)),
    ("cancel_deletion", Action::DeleteSecret, |s| s.schedule_deletion(&name("s"), RecoveryWindow::default()).and_then(|_| s.cancel_deletion(&name("s"))).map(drop)),
    ("cancel_deletion_if", Action::DeleteSecret, |s| s.schedule_deletion(&name("s"), RecoveryWindow::default()).and_then(|_| s.cancel_deletion_if(&name("s"), NONE)).map(drop)),
    ("set_state", Action::SetState, |s| s.set_state(&name("s"), SecretState::Disabled).map(drop)),
    ("set_state_if", Action::SetState, |s| s.set_state_if(&name("s"), SecretState::Disabled, NONE).map(drop)),
    ("protect_from_purge", Action::SetState, |s| s.protect_from_purge(&name("s")).map(drop)),
    ("protect_from_purge_if", Action::SetState, |s| s.protect_from_purge_if(&name("s"), NONE).map(drop)),
    ("disable_version", Action::SetVersionState, |s| s.disable_version(&name("s"), v(1)).map(drop)),
    ("disable_version_if", Action::SetVersionState, |s| s.disable_version_if(&name("s"), v(1), NONE).map(drop)),
    ("enable_version", Action::SetVersionState, |s| s.enable_version(&name("s"), v(1)).map(drop)),
    ("enable_version_if", Action::SetVersionState, |s| s.enable_version_if(&name("s"), v(1), NONE).map(drop)),
    ("destroy_version", Action::DestroyVersion, |s| s.destroy_version(&name("s"), v(1)).map(drop)),
    ("destroy_version_if", Action::DestroyVersion, |s| s.destroy_version_if(&name("s"), v(1), NONE).map(drop)),
    ("schedule_destruction", Action::DestroyVersion, |s| s.schedule_destruction(&name("s"), v(1), later()).map(drop)),
    ("schedule_destruction_if", Action::DestroyVersion, |s| s.schedule_destruction_if(&name("s"), v(1), later(), NONE).map(drop)),
    ("cancel_destruction", Action::DestroyVersion, |s| s.cancel_destruction(&name("s"), v(1)).map(drop)),
    ("cancel_destruction_if", Action::DestroyVersion, |s| s.cancel_destruction_if(&name("s"), v(1), NONE).map(drop)),
    ("sweep", Action::Maintain, |s| s.sweep().map(drop)),
    ("next_due", Action::Maintain, |s| s.next_due().map(drop)),
    ("tags", Action::ListTags, |s| s.tags(&name("s")).map(drop)),
    ("project_tags", Action::ListTags, |s| s.project_tags().map(drop)),
    ("add_tag", Action::CreateTag, |s| s.add_tag(&name("s"), Tag::new("a", "")?)),
    ("add_tags", Action::CreateTag, |s| s.add_tags(&name("s"), [Tag::new("a", "")?])),
    ("add_tags_if", Action::CreateTag, |s| s.add_tags_if(&name("s"), [Tag::new("a", "")?], NONE)),
    ("remove_tag", Action::DeleteTag, |s| s.remove_tag(&name("s"), &"team".parse()?)),
    ("remove_tag_if", Action::DeleteTag, |s| s.remove_tag_if(&name("s"), &"team".parse()?, NONE)),
    ("remove_tags", Action::DeleteTag, |s| s.remove_tags(&name("s"), [TagFilter::any("team".parse()?)])),
    ("remove_tags_if", Action::DeleteTag, |s| s.remove_tags_if(&name("s"), [TagFilter::any("team".parse()?)], NONE)),
    ("find_secrets", Action::ListSecrets, |s| s.find_secrets(&FindSecrets::new()).map(drop)),
    ("count_secrets", Action::ListSecrets, |s| s.count_secrets(&FindSecrets::new()).map(drop)),
    ("secret_by_id", Action::GetSecret, |s| s.secret_by_id("00000000-0000-4000-8000-000000000000").map(drop)),
];

/// What the calls with preconditions require here.
const NONE: &Preconditions = &Preconditions::none();

/// Methods that cannot refuse: what they tell is looked at by a test of its own.
const OTHERS: &[&str] = &["builder", "key_slots", "principal"];

/// The result, with what the store of these tests has nothing for taken as a success.
fn but_for(kind: ErrorKind, result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(err) if err.kind() == kind => Ok(()),
        other => other,
    }
}

/// The backup of a secret of another store.
fn a_blob() -> SecretBlob {
    let fresh = Fresh::new();
    let secret = create(&fresh, "elsewhere");
    fresh.backup_secret(&secret).unwrap()
}

fn a_key() -> KeyId {
    "bb6a3d22-dc93-47ac-b5bd-88df7ad35f1e".parse().unwrap()
}

fn later() -> Timestamp {
    Timestamp::from_millis(START_MS + 1_000_000)
}

/// A store with a secret "s" that can be rotated, at v3, with a label "green".
fn with_secret() -> Fresh {
    let (fresh, _) = Fresh::at_a_standstill();
    let secret = create_rotatable(&fresh, "s");
    fresh.rotate(&secret).unwrap();
    fresh.rotate(&secret).unwrap();
    fresh.move_stage(&secret, &stage("green"), v(2)).unwrap();
    fresh.add_tag(&secret, Tag::new("team", "x").unwrap()).unwrap();
    fresh
}

/// A session with what these statements allow everywhere.
fn session(store: &SecretStore, actions: &[&str]) -> SecretStore {
    let statements = (!actions.is_empty()).then(|| Statement::allow(actions).unwrap());
    let policy = statements.map(|statement| Policy::new([statement]).unwrap());
    store.session("ann".parse().unwrap(), policy).unwrap()
}

fn narrow(store: &SecretStore, actions: &[&str], names: &[&str]) -> SecretStore {
    let statement = Statement::allow(actions).unwrap().on(names).unwrap();
    store.session("ann".parse().unwrap(), [Policy::new([statement]).unwrap()]).unwrap()
}

/// A session that may do everything but these to secrets of these names.
fn all_but(store: &SecretStore, actions: &[&str], names: &[&str]) -> SecretStore {
    let (all, but) = (Statement::allow(&["*"]).unwrap(), Statement::deny(actions).unwrap());
    let policy = Policy::new([all, but.on(names).unwrap()]).unwrap();
    store.session("ann".parse().unwrap(), [policy]).unwrap()
}

#[track_caller]
fn denied<T>(result: Result<T, Error>) -> Action {
    match result.err().expect("it should have been denied") {
        Error::Denied { principal, action, .. } => {
            assert_eq!(principal, "ann");
            action
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_without_rights_may_do_nothing_and_changes_nothing() {
    let fresh = with_secret();
    let (nobody, before) = (session(&fresh, &[]), (seq(&fresh), picture(&fresh, &name("s"))));
    for (method, action, call) in CALLS {
        let wanted = match *method {
            // For either of two permissions: the one that is named is the usual one.
            "move_stage" | "move_stage_if" | "move_stages" => Action::CreateStage,
            _ => *action,
        };
        assert_eq!(denied(call(&nobody)), wanted, "{method}");
    }
    assert_eq!(nobody.key_slots(), []);
    assert_eq!((seq(&fresh), picture(&fresh, &name("s"))), before);
}

/// Denied even if it would fail anyhow: nothing is looked at before.
#[test]
fn a_refusal_does_not_tell_whether_a_secret_is_there() {
    let (full, fresh) = (with_secret(), Fresh::new());
    for (method, _, call) in CALLS {
        let (there, not_there) = (session(&full, &[]), session(&fresh, &[]));
        let told = |store| call(store).unwrap_err().to_string();
        assert_eq!(told(&there), told(&not_there), "{method}");
    }
    let some = narrow(&full, &["csms:*", "kms:cmk:*"], &["other-*"]);
    let named = |secret: &str| some.get(&name(secret)).map(drop).unwrap_err().to_string();
    assert_eq!(named("s"), "ann lacks the permission csms:secret:getVersion on secret s");
    assert_eq!(named("nil"), "ann lacks the permission csms:secret:getVersion on secret nil");
}

#[test]
fn with_the_permission_of_its_name_and_what_that_takes_each_call_goes_through() {
    let needs: &[(Action, &[&str])] = &[
        (Action::CreateVersion, &["kms:cmk:createDataKey"]),
        (Action::GetVersion, &["kms:cmk:decryptDataKey"]),
        (Action::BatchGetValue, &["kms:cmk:decryptDataKey"]),
        (Action::RotateSecret, &["rds:password:update", "kms:cmk:*"]),
    ];
    for (method, action, call) in CALLS.iter().filter(|(_, of, _)| *of != Action::OpenSession) {
        let fresh = with_secret();
        if *method == "remove_key_slot" {
            fresh.add_key_slot(&Unlock::from(key(1)), &Unlock::from(key(2)), "").unwrap();
        }
        let more = needs.iter().find(|(of, _)| of == action).map_or(&[][..], |(_, more)| more);
        let mut actions = vec![action.as_str()];
        actions.extend(more);
        // What it asks for need not be there.
        let missing = [
            "blob_key",
            "decrypt_data_key",
            "delete_key",
            "disable_key",
            "enable_key",
            "restore_secret",
            "restore_secret_with",
        ];
        match call(&session(&fresh, &actions)) {
            Ok(()) => {}
            Err(err) if missing.contains(method) && err.kind() != ErrorKind::Denied => {}
            Err(err) => panic!("{method}: {err}"),
        }

        // And with everything but that.
        let all = Statement::allow(&["*"]).unwrap();
        let but = Statement::deny(&[action.as_str()]).unwrap();
        let policy = Policy::new([all, but]).unwrap();
        let fresh = with_secret();
        let rest = fresh.session("ann".parse().unwrap(), [policy]).unwrap();
        assert_eq!(denied(call(&rest)), *action, "{method}");
    }
}

/// The table is compared with the source: a method that is not in it has no right to be there.
#[test]
fn the_table_of_methods_is_complete() {
    let mut methods = BTreeSet::new();
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for part in text.split("\nimpl SecretStore {\n").skip(1) {
            let body = part.split("\n}\n").next().unwrap();
            let names = body.split("\n    pub fn ").skip(1);
            let word = |text: &str| text.split(['(', '<']).next().unwrap().to_owned();
            methods.extend(names.map(word));
        }
    }
    let listed: BTreeSet<String> = CALLS
        .iter()
        .map(|(method, ..)| (*method).to_owned())
        .chain(OTHERS.iter().map(|method| (*method).to_owned()))
        .collect();
    assert_eq!(listed, methods);
}

#[test]
fn only_the_embedder_makes_sessions() {
    let fresh = Fresh::new();
    let all = session(&fresh, &["*"]);
    assert_eq!(denied(all.session("bob".parse().unwrap(), [])), Action::OpenSession);
    assert_eq!(denied(all.session("bob".parse().unwrap(), [])), Action::OpenSession);
    assert_eq!(all.principal().map(ToString::to_string), Some("ann".to_owned()));
    assert_eq!(fresh.principal(), None);
    let policy = || Policy::FULL_ACCESS.parse::<Policy>().unwrap();
    let many = |count| fresh.session("ann".parse().unwrap(), (0..count).map(|_| policy()));
    assert!(many(32).is_ok());
    assert_eq!(kind_of(many(33)), ErrorKind::LimitExceeded);
}

#[test]
fn a_session_keeps_the_store_open_and_closes_it_only_if_it_may() {
    let Fresh { store, path, dir: _dir } = Fresh::new();
    create(&store, "s");
    let ann = session(&store, &["csms:*", "kms:cmk:*"]);
    drop(store);
    assert_eq!(current(&ann, &name("s")), "one");
    assert_eq!(kind_of(builder().open(&path)), ErrorKind::Locked);
    assert_eq!(denied(ann.clone().close()), Action::Maintain);
    assert_eq!(current(&ann, &name("s")), "one", "still open");
    drop(ann);
    let again = builder().open(&path).unwrap();
    session(&again, &["strongroom:store:maintain"]).close().unwrap();
    assert_eq!(kind_of(again.get(&name("s"))), ErrorKind::InvalidState);
}

#[test]
fn a_listing_has_what_may_be_listed_and_tells_of_nothing_else() {
    let fresh = Fresh::new();
    for secret in ["a-1", "a-2", "a-3", "b-1", "b-2", "c-1"] {
        create(&fresh, secret);
    }
    let list = |session: &SecretStore, list: &ListSecrets| {
        let page = session.names(list).unwrap();
        let same: Vec<SecretName> =
            session.secrets(list).unwrap().items().iter().map(|s| s.name().clone()).collect();
        assert_eq!(page.items(), same);
        let names: Vec<&str> = page.items().iter().map(SecretName::as_str).collect();
        (names.join(" "), page.has_more())
    };
    let ones = narrow(&fresh, &["csms:secret:list"], &["*-1"]);
    let cases = [
        (ListSecrets::new(), "a-1 b-1 c-1", false),
        (ListSecrets::new().limit(2), "a-1 b-1", true),
        (ListSecrets::new().limit(3), "a-1 b-1 c-1", false),
        (ListSecrets::new().limit(2).marker(name("b-1")), "c-1", false),
        (ListSecrets::new().limit(1).marker(name("a-1")), "b-1", true),
        (ListSecrets::new().prefix("b"), "b-1", false),
        (ListSecrets::new().prefix("d"), "", false),
    ];
    for (request, want, more) in cases {
        assert_eq!(list(&ones, &request), (want.to_owned(), more), "{request:?}");
    }
    let other = narrow(&fresh, &["csms:secret:list"], &["x-*"]);
    assert_eq!(list(&other, &ListSecrets::new()), (String::new(), false));
}

/// More secrets than the store looks at in one go.
#[test]
fn a_listing_goes_on_behind_many_that_may_not_be_listed() {
    let fresh = Fresh::new();
    let secrets = (0..2_100).map(|n| NewSecret::new(name(&format!("s-{n:04}")), text("x")));
    fresh.create_secrets(secrets).unwrap();
    let few = narrow(&fresh, &["csms:secret:list"], &["s-???9"]);
    let (mut listed, mut request) = (0, ListSecrets::new().limit(7));
    loop {
        let page = few.names(&request).unwrap();
        listed += page.items().len();
        let Some(last) = page.items().last().filter(|_| page.has_more()) else { break };
        request = request.marker(last.clone());
    }
    assert_eq!(listed, 210);
    let last = narrow(&fresh, &["csms:secret:list"], &["s-2099"]);
    let page = last.names(&ListSecrets::new().limit(1)).unwrap();
    assert_eq!((page.items().len(), page.has_more()), (1, false));
}

/// The five of the RotateSecret page, in its order.
const DATABASE: [&str; 5] = [
    "rds:password:update",
    "kms:cmk:get",
    "kms:cmk:list",
    "kms:cmk:createDataKey",
    "kms:cmk:decryptDataKey",
];

#[test]
fn rotating_a_database_secret_takes_five_permissions_more_and_the_first_that_lacks_is_named() {
    let fresh = Fresh::new();
    let types = [
        ("rds", SecretType::RdsFg),
        ("gauss", SecretType::GaussDbFg),
        ("own", SecretType::rotatable("mongo").unwrap()),
    ];
    for (secret, secret_type) in types {
        let new = NewSecret::new(name(secret), account("first")).secret_type(secret_type);
        fresh.create_secret(new).unwrap();
        for missing in 0..=DATABASE.len() {
            let mut actions = vec!["csms:secret:rotate"];
            actions.extend(
                DATABASE
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| *at != missing)
                    .map(|(_, action)| *action),
            );
            let before = picture(&fresh, &name(secret));
            let result = session(&fresh, &actions).rotate(&name(secret));
            match DATABASE.get(missing) {
                Some(action) => {
                    assert_eq!(denied(result).as_str(), *action, "{secret}");
                    assert_eq!(picture(&fresh, &name(secret)), before);
                }
                None => assert_eq!(result.unwrap().version_id(), v(2)),
            }
        }
        let none = session(&fresh, &["csms:secret:rotate"]).rotate(&name(secret));
        assert_eq!(denied(none), Action::SetDatabasePassword, "the first of them");
        let five = session(&fresh, &DATABASE).rotate(&name(secret));
        assert_eq!(denied(five), Action::RotateSecret);
    }
    // They may be given for this secret alone.
    let mut actions = DATABASE.to_vec();
    actions.push("csms:secret:rotate");
    let narrow = narrow(&fresh, &actions, &["rds"]);
    assert_eq!(narrow.rotate(&name("rds")).unwrap().version_id(), v(3));
    assert_eq!(denied(narrow.rotate(&name("gauss"))), Action::RotateSecret);
    // A secret that cannot be rotated at all says so, whatever else is lacking.
    create(&fresh, "common");
    let rotate = session(&fresh, &["csms:secret:rotate"]).rotate(&name("common"));
    assert_eq!(kind_of(rotate), ErrorKind::Constraint);
}

#[test]
fn a_new_label_takes_another_permission_than_one_that_moves() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "");
    let create = session(&fresh, &["csms:secret:createStage"]);
    let update = session(&fresh, &["csms:secretStage:update"]);
    let blue = stage("blue");
    assert_eq!(denied(update.move_stage(&secret, &blue, v(1))), Action::CreateStage);
    assert_eq!(picture(&fresh, &secret), "v1[SYSPREVIOUS] v2[SYSCURRENT]");
    create.move_stage(&secret, &blue, v(1)).unwrap();
    assert_eq!(denied(create.move_stage(&secret, &blue, v(2))), Action::UpdateStage);
    update.move_stage(&secret, &blue, v(2)).unwrap();
    assert_eq!(picture(&fresh, &secret), "v1[SYSPREVIOUS] v2[SYSCURRENT blue]");
}

#[test]
fn many_secrets_are_created_as_far_as_they_may_be() {
    let fresh = Fresh::new();
    let some = narrow(&fresh, &["csms:secret:create"], &["a*"]);
    let new = ["a1", "b1", "a2"].map(|secret| NewSecret::new(name(secret), text("x")));
    let loaded = some.create_secrets(new).unwrap();
    assert_eq!(loaded.created(), 2);
    let refused: Vec<_> =
        loaded.refused().iter().map(|of| (of.position(), of.error().kind())).collect();
    assert_eq!(refused, [(1, ErrorKind::Denied)]);
    assert_eq!(fresh.names(&ListSecrets::new()).unwrap().items(), [name("a1"), name("a2")]);
}

/// Who may create secrets and not tag them does not tag them by creating them.
#[test]
fn creating_a_secret_with_tags_takes_the_permission_to_tag() {
    let fresh = Fresh::new();
    let tagged = |secret: &str| {
        NewSecret::new(name(secret), text("x")).tags([Tag::new("team", "x").unwrap()])
    };
    let creator = session(&fresh, &["csms:secret:create"]);
    assert_eq!(denied(creator.create_secret(tagged("s"))), Action::CreateTag);
    let loaded = creator.create_secrets([tagged("s")]).unwrap();
    assert_eq!(loaded.refused()[0].error().kind(), ErrorKind::Denied);
    creator.create_secret(NewSecret::new(name("t"), text("x")).tags([])).unwrap();
    let both = session(&fresh, &["csms:secret:create", "csms:secret:createTag"]);
    both.create_secret(tagged("s")).unwrap();
    assert_eq!(fresh.tags(&name("s")).unwrap().len(), 1);
}

/// What a session did is there when the store is opened again, by the embedder or another session.
#[test]
fn what_a_session_did_lasts() {
    let fresh = Fresh::new();
    let ann = session(&fresh, &["csms:secret:create*", "kms:cmk:createDataKey"]);
    ann.create_secret(NewSecret::new(name("s"), text("one"))).unwrap();
    ann.put_version(&name("s"), NewVersion::new(text("two"))).unwrap();
    assert_eq!(denied(ann.get(&name("s"))), Action::GetVersion);
    drop(ann);
    let fresh = fresh.reopened();
    assert_eq!(current(&fresh, &name("s")), "two");
    fresh.verify().unwrap();
    let ann = session(&fresh, &["csms:secret:getVersion"]);
    assert_eq!(denied(ann.get(&name("s"))), Action::DecryptDataKey);
}

/// Whatever lists rows about secrets, with its action and the secrets that the rows are about.
type Listing = fn(&SecretStore) -> Vec<Option<SecretName>>;

fn of_secrets(names: impl IntoIterator<Item = SecretName>) -> Vec<Option<SecretName>> {
    names.into_iter().map(Some).collect()
}

#[rustfmt::skip]
const LISTINGS: &[(&str, Action, Listing)] = &[
    ("secrets", Action::ListSecrets, |s| of_secrets(s.secrets(&ListSecrets::new()).unwrap().items().iter().map(|it| it.name().clone()))),
    ("names", Action::ListSecrets, |s| of_secrets(s.names(&ListSecrets::new()).unwrap().into_items())),
    ("secrets of an event", Action::ListSecrets, |s| of_secrets(s.names(&ListSecrets::new().event_name(event("all"))).unwrap().into_items())),
    ("find_secrets", Action::ListSecrets, |s| of_secrets(s.find_secrets(&FindSecrets::new()).unwrap().items().iter().map(|it| it.name().clone()))),
    // Each has a tag whose value is its name.
    ("project_tags", Action::ListTags, |s| of_secrets(s.project_tags().unwrap().iter().flat_map(|it| it.values().to_vec()).map(|it| name(it.as_str())))),
    ("tasks", Action::ListTasks, |s| of_secrets(s.tasks(&ListTasks::new()).unwrap().items().iter().map(|it| it.secret_name().clone()))),
    ("audit", Action::ReadAudit, |s| s.audit(&AuditQuery::new()).unwrap().items().iter().map(|it| it.secret_name().cloned()).collect()),
    ("audit, newest first", Action::ReadAudit, |s| s.audit(&AuditQuery::new().newest_first()).unwrap().items().iter().map(|it| it.secret_name().cloned()).collect()),
    ("subscribe", Action::Subscribe, |s| {
        let mut changes = s.subscribe(Position::START).unwrap();
        let next = || changes.next_within(std::time::Duration::ZERO).unwrap();
        std::iter::from_fn(next).map(|it| it.secret_name().cloned()).collect()
    }),
    ("notification_records", Action::ListNotificationRecords, |s| of_secrets(s.notification_records(&ListNotifications::new()).unwrap().items().iter().map(|it| it.secret_name().clone()))),
];

/// Secrets "a-1", "b-1" and "hidden" with everything that is listed: tags, tasks, subscriptions, records.
fn with_rows() -> Fresh {
    let fresh = Fresh::with(builder().notifier(Recorder::default()));
    create_event(&fresh, "all");
    for secret in ["a-1", "b-1", "hidden"] {
        let new = NewSecret::new(name(secret), account("x")).secret_type(SecretType::RdsFg);
        let new = new.event_subscriptions([event("all")]);
        fresh.create_secret(new.tags([Tag::new("of", secret).unwrap()])).unwrap();
        fresh.rotate(&name(secret)).unwrap();
    }
    fresh.deliver_notifications().unwrap();
    fresh
}

/// A secret that is denied by name is in none of them, and one that is not allowed neither.
#[test]
fn no_listing_shows_a_row_about_a_secret_that_the_caller_may_not_see() {
    let fresh = with_rows();
    for (listing, action, rows) in LISTINGS {
        let all = rows(&fresh);
        let about = |rows: &[Option<SecretName>]| -> BTreeSet<Option<SecretName>> {
            rows.iter().cloned().collect()
        };
        let secrets = |of: &[&str]| -> BTreeSet<Option<SecretName>> {
            of.iter().map(|it| Some(name(it))).collect()
        };
        let mut want = secrets(&["a-1", "b-1", "hidden"]);
        // Creating store and event, delivering notifications.
        let of_store = matches!(action, Action::ReadAudit | Action::Subscribe);
        want.extend(of_store.then_some(None));
        assert_eq!(about(&all), want, "{listing}");

        let ann = all_but(&fresh, &[action.as_str()], &["hid*"]);
        want.remove(&Some(name("hidden")));
        let shown = rows(&ann);
        assert_eq!(about(&shown), want, "{listing}, denied by name");
        let others: Vec<_> =
            all.iter().filter(|it| **it != Some(name("hidden"))).cloned().collect();
        assert_eq!(shown, others, "{listing}: everything else, in order");

        let narrow = narrow(&fresh, &[action.as_str()], &["a-*"]);
        assert_eq!(about(&rows(&narrow)), secrets(&["a-1"]), "{listing}, allowed by name");
        let nobody = self::narrow(&fresh, &[action.as_str()], &["nobody"]);
        assert_eq!(rows(&nobody), [], "{listing}: none of what there is");
        // Denied for something else, it is shown.
        let ann = all_but(&fresh, &["csms:secret:delete"], &["hidden"]);
        assert_eq!(rows(&ann), all, "{listing}");
    }
}

/// Neither pages nor counts nor markers tell that there is more.
#[test]
fn pages_and_counts_are_those_of_what_is_shown() {
    let fresh = with_rows();
    let ann = narrow(
        &fresh,
        &["csms::listTasks", "strongroom:audit:read", "csms::listNotificationRecords"],
        &["?-1"],
    );
    let page = ann.tasks(&ListTasks::new().limit(1)).unwrap();
    assert_eq!((page.total(), page.items().len(), page.has_more()), (2, 1, true));
    let marker = page.items()[0].id();
    let page = ann.tasks(&ListTasks::new().limit(1).marker(marker)).unwrap();
    assert_eq!((page.total(), page.items().len(), page.has_more()), (2, 1, false));
    let hidden = fresh.tasks(&ListTasks::new().secret(name("hidden"))).unwrap();
    let hidden = hidden.items()[0].id();
    assert!(ann.tasks(&ListTasks::new().id(hidden)).unwrap().items().is_empty());
    let behind = ann.tasks(&ListTasks::new().marker(hidden));
    assert_eq!(kind_of(behind), ErrorKind::InvalidArgument, "there is no such task for him");
    let (mut pages, mut query) = (0, AuditQuery::new().limit(1));
    loop {
        let page = ann.audit(&query).unwrap();
        pages += page.items().len();
        let Some(last) = page.items().last().filter(|_| page.has_more()) else { break };
        query = query.marker(last.position());
    }
    assert_eq!(pages, 4, "created and rotated, twice");
    assert!(ann.audit(&AuditQuery::new().secret(name("hidden"))).unwrap().items().is_empty());
    let page = ann.notification_records(&ListNotifications::new().limit(4)).unwrap();
    assert_eq!((page.items().len(), page.has_more()), (4, false));
}

/// An event in use is not deleted, and by whom it is used is told to who may know.
#[test]
fn an_event_in_use_does_not_tell_a_name_that_may_not_be_listed() {
    let fresh = Fresh::new();
    create_event(&fresh, "all");
    fresh.create_secret(subscribed("hidden", "all")).unwrap();
    let told = |store: &SecretStore| store.delete_event(&event("all")).unwrap_err().to_string();
    assert_eq!(told(&fresh), "invalid event: secret hidden subscribes to all");
    let deleter = session(&fresh, &["csms::deleteEvent"]);
    assert_eq!(told(&deleter), "invalid event: a secret subscribes to all");
}

/// Searches and tags of the whole store tell of what the caller may list, and nothing else.
#[test]
fn searches_leave_out_what_may_not_be_listed() {
    let fresh = Fresh::new();
    for secret in ["a-1", "b-1"] {
        let secret = create(&fresh, secret);
        fresh.add_tag(&secret, Tag::new("of", secret.as_str()).unwrap()).unwrap();
    }
    let some =
        narrow(&fresh, &["csms:secret:list", "csms:secret:listTags", "csms:secret:get"], &["a-*"]);
    let found = some.find_secrets(&FindSecrets::new()).unwrap();
    assert_eq!(found.items().iter().map(|it| it.name().as_str()).collect::<Vec<_>>(), ["a-1"]);
    assert_eq!(some.count_secrets(&FindSecrets::new()).unwrap(), 1);
    let tags = some.project_tags().unwrap();
    assert_eq!(tags[0].values(), ["a-1".parse().unwrap()]);
    let id = |secret: &str| fresh.secret(&name(secret)).unwrap().id();
    assert!(some.secret_by_id(&id("a-1")).unwrap().is_some());
    assert!(some.secret_by_id(&id("b-1")).unwrap().is_none());
}

/// A retention takes old versions for good, which who may only update could not do one by one.
#[test]
fn setting_a_retention_takes_the_permission_to_destroy_versions() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "");
    put(&fresh, &secret, "");
    let update = || {
        SecretUpdate::new().retention(strongroom::Retention::default().with_versions(2).unwrap())
    };
    let refused = session(&fresh, &["csms:secret:update"]).update_secret(&secret, &update());
    let Error::Denied { action, .. } = refused.unwrap_err() else { panic!("not denied") };
    assert_eq!(action, Action::DestroyVersion);
    assert_eq!(picture(&fresh, &secret), "v1 v2[SYSPREVIOUS] v3[SYSCURRENT]");
    let both = session(&fresh, &["csms:secret:update", "strongroom:secret:destroyVersion"]);
    both.update_secret(&secret, &update()).unwrap();
    assert_eq!(picture(&fresh, &secret), "v2[SYSPREVIOUS] v3[SYSCURRENT]");
}

/// Under a name of his own he could have read it, though he may not under the old one.
#[test]
fn a_secret_restored_under_another_name_is_not_read_by_who_may_not_read_it() {
    let fresh = with_secret();
    let other = fresh
        .session(
            "ann".parse().unwrap(),
            [
                "csms:secret:get on s",
                "csms:secret:create on mine",
                "csms:secret:getVersion on mine",
            ]
            .map(|allowed| {
                let (action, on) = allowed.split_once(" on ").unwrap();
                Policy::new([Statement::allow(&[action]).unwrap().on(&[on]).unwrap()]).unwrap()
            }),
        )
        .unwrap();
    let (blob, before) = (other.backup_secret(&name("s")).unwrap(), seq(&fresh));
    let mine = || RestoreOptions::new().name(name("mine"));
    let refused = other.restore_secret_with(&blob, &mine()).unwrap_err();
    assert!(matches!(&refused, Error::Denied { secret: None, .. }), "{refused:?}");
    assert_eq!(denied::<()>(Err(refused)), Action::GetVersion);
    assert_eq!(seq(&fresh), before, "nothing was written");
    // Who has the key has the values.
    let with_key = mine().key(fresh.blob_key(&blob).unwrap());
    other.restore_secret_with(&blob, &with_key).unwrap();
    let reader = session(&fresh, &["csms:secret:create", "csms:secret:getVersion", "kms:cmk:*"]);
    reader.restore_secret_with(&blob, &RestoreOptions::new().name(name("his"))).unwrap();
}

/// A backup is sealed: what it is of is told to nobody who may not do anything with it.
#[test]
fn a_refusal_about_a_backup_does_not_name_its_secret() {
    let fresh = with_secret();
    let blob = fresh.backup_secret(&name("s")).unwrap();
    fresh.delete_secret(&name("s")).unwrap();
    let ann = all_but(&fresh, &["*"], &["s"]);
    for refused in [ann.restore_secret(&blob).map(drop), ann.blob_key(&blob).map(drop)] {
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, Error::Denied { secret: None, .. }), "{refused:?}");
    }
}

#[test]
fn a_session_rotates_what_is_due_but_for_what_its_policies_deny() {
    let (fresh, clock) = Fresh::at_a_standstill();
    for secret in ["prod-db", "test-db"] {
        let rules = RotationRules::new().automatic(true).period("6h".parse().unwrap());
        let new = NewSecret::new(name(secret), account("first")).secret_type(SecretType::RdsFg);
        fresh.create_secret(new.rotation(rules)).unwrap();
    }
    clock.advance_ms(6 * 3_600_000);
    let operator = all_but(&fresh, &["*"], &["prod-*"]);
    assert_eq!(operator.rotations_due().unwrap(), [name("test-db")]);
    assert_eq!(operator.rotate_due().unwrap().rotated().len(), 1);
    assert_eq!(fresh.rotations_due().unwrap(), [name("prod-db")]);
}
