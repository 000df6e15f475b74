//! Automatic rotations and their tasks: rows 60 to 67 of csms.md 8.3.

use std::thread;

use strongroom::{
    Builder, Error, ErrorKind, HasKey, Limits, ListTasks, Missing, NewSecret, RotationRules,
    RotationTask, SecretState, SecretUpdate, TaskId, TaskStatus,
};

use super::*;

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

/// A new password makes the value of [`account`] longer than this.
fn tight() -> Limits {
    Limits::default().with_value_len_max_bytes(63).unwrap()
}

fn failing(clock: &ManualClock) -> Builder<HasKey> {
    builder().clock(clock.clone()).limits(tight())
}

fn working(clock: &ManualClock) -> Builder<HasKey> {
    builder().clock(clock.clone())
}

/// A store in which rotations fail, and its clock.
fn with_failures() -> (Fresh, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_millis(START_MS));
    (Fresh::with(failing(&clock)), clock)
}

/// Creates a secret that is rotated every six hours.
fn automatic(store: &SecretStore, secret: &str) -> SecretName {
    let rules = RotationRules::new().automatic(true).period("6h".parse().unwrap());
    let new = NewSecret::new(name(secret), account("first")).secret_type(SecretType::RdsFg);
    store.create_secret(new.rotation(rules)).unwrap();
    name(secret)
}

/// Names of what was rotated, and of what failed.
fn rotate_due(store: &SecretStore) -> (Vec<String>, Vec<String>) {
    let done = store.rotate_due().unwrap();
    let rotated = done.rotated().iter().map(|it| it.secret_name().to_string()).collect();
    let failed = done.failed().iter().map(|it| it.secret_name().to_string()).collect();
    (rotated, failed)
}

fn due(store: &SecretStore) -> Vec<String> {
    store.rotations_due().unwrap().iter().map(ToString::to_string).collect()
}

fn tasks(store: &SecretStore, list: &ListTasks) -> Vec<RotationTask> {
    store.tasks(list).unwrap().items().to_vec()
}

fn only(store: &SecretStore) -> RotationTask {
    let tasks = tasks(store, &ListTasks::new());
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    tasks.into_iter().next().unwrap()
}

/// When it is rotated next, in milliseconds after the start.
fn next(store: &SecretStore, secret: &SecretName) -> Option<i64> {
    let next = store.secret(secret).unwrap().next_rotation();
    next.map(|at| at.as_millis() - (START_MS - 250))
}

#[test]
fn rows_57_and_60_what_is_due_is_rotated_once_in_order_and_by_the_store() {
    let (mut fresh, clock) = Fresh::at_a_standstill();
    let (a, b) = (automatic(&fresh, "a"), automatic(&fresh, "b"));
    create_rotatable(&fresh, "manual");
    clock.advance_ms(HOUR);
    fresh.rotate(&a).unwrap();
    assert_eq!(rotate_due(&fresh), (vec![], vec![]), "nothing is due");
    clock.advance_ms(5 * HOUR - 251);
    assert_eq!(due(&fresh), Vec::<String>::new(), "a millisecond early");
    clock.advance_ms(1);
    assert_eq!(due(&fresh), ["b"]);
    fresh = fresh.reopened_with(working(&clock));
    assert_eq!(due(&fresh), ["b"], "after opening");
    clock.advance_ms(HOUR);
    assert_eq!(due(&fresh), ["b", "a"], "the longest due first");
    assert_eq!(rotate_due(&fresh), (vec!["b".to_owned(), "a".to_owned()], vec![]));
    assert_eq!(rotate_due(&fresh), (vec![], vec![]), "once");
    assert_eq!(picture(&fresh, &b), "v1[SYSPREVIOUS] v2[SYSCURRENT]");
    assert_eq!(next(&fresh, &b), Some(13 * HOUR), "a period after the rotation");
    assert_ne!(current(&fresh, &b), account("first").expose_str().unwrap());
}

#[test]
fn a_rotation_that_succeeds_at_once_is_one_commit_and_a_task() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let (a, manual) = (automatic(&fresh, "a"), create_rotatable(&fresh, "manual"));
    let before = seq(&fresh);
    let rotation = fresh.rotate(&manual).unwrap();
    assert_eq!(seq(&fresh), before + 1);
    assert_eq!(rotation.to_json(), r#"{"version_id":"v2","secret_name":"manual"}"#);
    clock.advance_ms(6 * HOUR);
    let done = fresh.rotate_due().unwrap();
    assert_eq!(seq(&fresh), before + 2);
    let tasks = tasks(&fresh, &ListTasks::new());
    let ids: Vec<TaskId> = tasks.iter().map(RotationTask::id).collect();
    assert_eq!(ids, [done.rotated()[0].task_id(), rotation.task_id()], "the newest first");
    for (task, secret) in tasks.iter().zip([&a, &manual]) {
        assert_eq!((task.secret_name(), task.status()), (secret, TaskStatus::Success));
        assert_eq!((task.attempts(), task.error(), task.version_id()), (1, None, Some(v(2))));
        assert_eq!(task.error_code(), None);
        assert_eq!((task.ended_at(), task.next_attempt()), (Some(task.begun()), None));
    }
    let options = || strongroom::RotateOptions::new().token(token("t"));
    let first = fresh.rotate_with(&manual, &options()).unwrap();
    let again = fresh.rotate_with(&manual, &options()).unwrap();
    assert_eq!(first, again, "a repetition tells of the same task");
}

#[test]
fn rows_61_to_64_an_attempt_that_fails_opens_a_task_that_is_tried_again() {
    let (mut fresh, clock) = with_failures();
    let secret = automatic(&fresh, "s");
    clock.advance_ms(6 * HOUR);
    let before = seq(&fresh);
    let done = fresh.rotate_due().unwrap();
    assert_eq!(seq(&fresh), before + 1, "the task is one commit");
    let [failed] = done.failed() else { panic!("{done:?}") };
    assert_eq!(failed.error().kind(), ErrorKind::LimitExceeded);
    for reopened in [false, true] {
        let task = only(&fresh);
        assert_eq!((Some(task.id()), task.status()), (failed.task_id(), TaskStatus::Running));
        assert_eq!((task.attempts(), task.version_id(), task.ended_at()), (1, None, None));
        assert!(task.error().unwrap().contains("63 allowed"), "{task:?}");
        assert_eq!(task.next_attempt(), failed.next_attempt().map(Timestamp::whole_seconds));
        assert_eq!(next(&fresh, &secret), Some(6 * HOUR + MINUTE), "reopened: {reopened}");
        let err = fresh.rotate(&secret).unwrap_err();
        let Error::Constraint { rule, .. } = &err else { panic!("{err:?}") };
        assert!(rule.to_string().contains(&task.id().to_string()), "row 61: {rule}");
        assert_eq!(picture(&fresh, &secret), "v1[SYSCURRENT]", "row 62");
        assert_eq!(rotate_due(&fresh), (vec![], vec![]), "not before its time");
        fresh = fresh.reopened_with(working(&clock));
    }
    clock.advance_ms(MINUTE);
    let done = fresh.rotate_due().unwrap();
    assert_eq!(done.rotated().len(), 1);
    assert_eq!(done.rotated()[0].task_id(), failed.task_id().unwrap());
    let task = only(&fresh);
    assert_eq!((task.status(), task.attempts(), task.error()), (TaskStatus::Success, 2, None));
    assert_eq!(task.ended_at().unwrap().as_millis() - task.begun().as_millis(), MINUTE);
    assert_eq!(picture(&fresh, &secret), "v1[SYSPREVIOUS] v2[SYSCURRENT]");
    fresh.rotate(&secret).unwrap();
    fresh.verify().unwrap();
}

#[test]
fn row_63_after_three_attempts_it_has_failed_and_is_due_a_period_later() {
    let (mut fresh, clock) = with_failures();
    let secret = automatic(&fresh, "s");
    clock.advance_ms(6 * HOUR);
    let mut id = None;
    for (attempt, wait) in [(1, MINUTE), (2, 4 * MINUTE), (3, 0)] {
        let done = fresh.rotate_due().unwrap();
        let [failed] = done.failed() else { panic!("{attempt}: {done:?}") };
        assert_eq!(id.get_or_insert(failed.task_id().unwrap()), &failed.task_id().unwrap());
        assert_eq!(failed.next_attempt().is_some(), attempt < 3, "{attempt}");
        if attempt < 3 {
            clock.advance_ms(wait - 1);
            assert_eq!(due(&fresh), Vec::<String>::new(), "{attempt}: a millisecond early");
            clock.advance_ms(1);
            assert_eq!(due(&fresh), ["s"], "{attempt}");
        }
        fresh = fresh.reopened_with(failing(&clock));
    }
    let task = only(&fresh);
    assert_eq!((Some(task.id()), task.status(), task.attempts()), (id, TaskStatus::Failed, 3));
    assert!(task.error().unwrap().contains("63 allowed"));
    assert_eq!(
        next(&fresh, &secret),
        Some(12 * HOUR + 5 * MINUTE),
        "a period after it was given up"
    );
    assert_eq!((due(&fresh), picture(&fresh, &secret)), (vec![], "v1[SYSCURRENT]".to_owned()));
    // A manual rotation goes its own way, and is refused for its own reason.
    assert_eq!(kind_of(fresh.rotate(&secret)), ErrorKind::LimitExceeded);
    clock.advance_ms(6 * HOUR);
    assert_eq!(rotate_due(&fresh), (vec![], vec!["s".to_owned()]), "another task");
    assert_eq!(tasks(&fresh, &ListTasks::new()).len(), 2);
    fresh = fresh.reopened_with(working(&clock));
    clock.advance_ms(MINUTE);
    assert_eq!(rotate_due(&fresh), (vec!["s".to_owned()], vec![]));
    fresh.verify().unwrap();
}

/// csms.md 1.9: `task_error_code` beside `task_error_msg`, of a task under way and of one that ended.
#[test]
fn a_task_tells_the_code_of_its_error_beside_the_words() {
    type Cause = fn(&SecretStore);
    let no_cause: Cause = |_| {};
    let disable: Cause = |store| {
        let keys = store.list_keys(&strongroom::KeyPage::new()).unwrap().keys;
        let key = keys.iter().find(|key| key.alias.as_deref() == Some("orders")).unwrap();
        store.disable_key(&key.id).unwrap();
    };
    let cases =
        [("too long a value", no_cause, "CSMS.0002"), ("a disabled key", disable, "CSMS.0401")];
    for (what, cause, code) in cases {
        let (mut fresh, clock) = with_failures();
        let key = fresh.create_key("orders").unwrap().id;
        let rules = RotationRules::new().automatic(true).period("6h".parse().unwrap());
        let new = NewSecret::new(name("s"), account("first")).secret_type(SecretType::RdsFg);
        fresh.create_secret(new.rotation(rules).kms_key_id(key)).unwrap();
        cause(&fresh);
        clock.advance_ms(6 * HOUR);
        for (attempt, status) in
            [(1, TaskStatus::Running), (2, TaskStatus::Running), (3, TaskStatus::Failed)]
        {
            let done = fresh.rotate_due().unwrap();
            let [failed] = done.failed() else { panic!("{what}: {done:?}") };
            assert_eq!(failed.error().code().code, code, "case: {what}");
            fresh = fresh.reopened_with(failing(&clock));
            let task = only(&fresh);
            assert_eq!((task.status(), task.attempts()), (status, attempt), "case: {what}");
            assert_eq!(task.error_code(), Some(failed.error().code()), "case: {what}");
            assert_eq!(task.error(), Some(&*failed.error().to_string()), "case: {what}");
            clock.advance_ms(4 * MINUTE);
        }
    }
    let (fresh, clock) = with_failures();
    let secret = automatic(&fresh, "s");
    clock.advance_ms(6 * HOUR);
    fresh.rotate_due().unwrap();
    fresh.resume_rotation(&secret).unwrap();
    assert!(only(&fresh).error_code().is_some());
    fresh.cancel_rotation(&secret).unwrap();
    assert_eq!((only(&fresh).error(), only(&fresh).error_code()), (Some("cancelled"), None));
}

#[test]
fn one_that_fails_does_not_stop_the_others() {
    let (fresh, clock) = with_failures();
    // The account in the middle has a shorter name, so that its new value fits.
    let rules = RotationRules::new().automatic(true).period("6h".parse().unwrap());
    for (secret, account) in [("a", "application"), ("b", ""), ("c", "application")] {
        let value = text(&format!(r#"{{"users":[{{"name":"x{account}","password":"p"}}]}}"#));
        let new = NewSecret::new(name(secret), value).secret_type(SecretType::RdsFg);
        fresh.create_secret(new.rotation(rules.clone())).unwrap();
    }
    clock.advance_ms(6 * HOUR);
    let (rotated, failed) = rotate_due(&fresh);
    assert_eq!((rotated, failed), (vec!["b".to_owned()], vec!["a".to_owned(), "c".to_owned()]));
}

#[test]
fn a_rotation_is_cancelled_and_resumed() {
    let (mut fresh, clock) = with_failures();
    let secret = automatic(&fresh, "s");
    let missing = name("missing");
    assert_eq!(kind_of(fresh.cancel_rotation(&missing)), ErrorKind::NotFound);
    assert_eq!(kind_of(fresh.resume_rotation(&missing)), ErrorKind::NotFound);
    let err = fresh.cancel_rotation(&secret).unwrap_err();
    assert!(matches!(err, Error::NotFound(Missing::Task(_))), "{err:?}");
    assert_eq!(kind_of(fresh.resume_rotation(&secret)), ErrorKind::Constraint);
    clock.advance_ms(6 * HOUR);
    fresh.rotate_due().unwrap();
    let id = only(&fresh).id();

    let resumed = fresh.resume_rotation(&secret).unwrap();
    assert_eq!(resumed.next_rotation().unwrap().as_millis(), START_MS - 250 + 6 * HOUR);
    let before = seq(&fresh);
    fresh.resume_rotation(&secret).unwrap();
    assert_eq!(seq(&fresh), before, "it is due already");
    assert_eq!(rotate_due(&fresh).1, ["s"], "tried at once");
    assert_eq!((only(&fresh).id(), only(&fresh).attempts()), (id, 2));

    let cancelled = fresh.cancel_rotation(&secret).unwrap();
    assert_eq!(cancelled.next_rotation().unwrap().as_millis(), START_MS - 250 + 12 * HOUR);
    fresh = fresh.reopened_with(working(&clock));
    let task = only(&fresh);
    assert_eq!((task.id(), task.status(), task.attempts()), (id, TaskStatus::Failed, 2));
    assert_eq!(task.error(), Some("cancelled"));
    assert_eq!(due(&fresh), Vec::<String>::new());

    fresh.resume_rotation(&secret).unwrap();
    assert_eq!(rotate_due(&fresh), (vec!["s".to_owned()], vec![]), "it does not wait a period");
    assert_eq!(kind_of(fresh.resume_rotation(&secret)), ErrorKind::Constraint, "rotated since");
}

#[test]
fn switching_off_does_not_end_a_task_and_a_removed_secret_has_none() {
    let (fresh, clock) = with_failures();
    let secret = automatic(&fresh, "s");
    clock.advance_ms(6 * HOUR);
    fresh.rotate_due().unwrap();
    let off = SecretUpdate::new().rotation(RotationRules::new().automatic(false));
    fresh.update_secret(&secret, &off).unwrap();
    clock.advance_ms(MINUTE);
    assert_eq!(due(&fresh), ["s"]);
    fresh.cancel_rotation(&secret).unwrap();
    assert_eq!(next(&fresh, &secret), None);
    assert_eq!(kind_of(fresh.resume_rotation(&secret)), ErrorKind::Constraint, "switched off");
    let on = SecretUpdate::new().rotation(RotationRules::new().automatic(true));
    fresh.update_secret(&secret, &on).unwrap();
    clock.advance_ms(6 * HOUR);
    fresh.rotate_due().unwrap();
    fresh.delete_secret(&secret).unwrap();
    let running = ListTasks::new().status(TaskStatus::Running);
    assert_eq!(tasks(&fresh, &running), []);
    assert_eq!(due(&fresh), Vec::<String>::new());
}

#[test]
fn row_67_a_secret_that_is_not_enabled_is_not_rotated() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = automatic(&fresh, "s");
    clock.advance_ms(6 * HOUR);
    assert_eq!(due(&fresh), ["s"]);
    fresh.set_state(&secret, SecretState::Disabled).unwrap();
    assert_eq!(kind_of(fresh.rotate(&secret)), ErrorKind::SecretState, "DISABLED");
    assert_eq!((due(&fresh), rotate_due(&fresh)), (vec![], (vec![], vec![])));
    fresh.set_state(&secret, SecretState::Enabled).unwrap();
    assert_eq!(due(&fresh), ["s"], "enabled again it is due");
    fresh.schedule_deletion(&secret, strongroom::RecoveryWindow::default()).unwrap();
    assert_eq!(kind_of(fresh.rotate(&secret)), ErrorKind::SecretState, "PENDING_DELETE");
    assert_eq!((due(&fresh), rotate_due(&fresh)), (vec![], (vec![], vec![])));
}

#[test]
fn a_task_of_a_disabled_secret_waits_and_is_still_listed() {
    let (mut fresh, clock) = with_failures();
    let secret = automatic(&fresh, "s");
    clock.advance_ms(6 * HOUR);
    fresh.rotate_due().unwrap();
    fresh.set_state(&secret, SecretState::Disabled).unwrap();
    clock.advance_ms(HOUR);
    for _ in 0..2 {
        assert_eq!((due(&fresh), only(&fresh).status()), (vec![], TaskStatus::Running));
        fresh = fresh.reopened_with(failing(&clock));
    }
    fresh.cancel_rotation(&secret).unwrap();
    assert_eq!(only(&fresh).status(), TaskStatus::Failed);
}

#[test]
fn tasks_are_filtered_and_paged() {
    let (mut fresh, clock) = with_failures();
    for secret in ["a", "b", "c"] {
        automatic(&fresh, secret);
    }
    clock.advance_ms(6 * HOUR);
    fresh.rotate_due().unwrap();
    fresh.cancel_rotation(&name("b")).unwrap();
    fresh = fresh.reopened_with(working(&clock));
    let manual = create_rotatable(&fresh, "manual");
    for _ in 0..3 {
        clock.advance_ms(1000);
        fresh.rotate(&manual).unwrap();
    }
    let all = tasks(&fresh, &ListTasks::new());
    assert_eq!(all.len(), 6);
    assert!(all.windows(2).all(|pair| pair[0].begun() >= pair[1].begun()), "the newest first");
    let count = |list: ListTasks| tasks(&fresh, &list).len();
    let cases = [
        ("of a secret", ListTasks::new().secret(manual.clone()), 3),
        ("of another", ListTasks::new().secret(name("a")), 1),
        ("of none", ListTasks::new().secret(name("x")), 0),
        ("running", ListTasks::new().status(TaskStatus::Running), 2),
        ("failed", ListTasks::new().status(TaskStatus::Failed), 1),
        ("successes", ListTasks::new().status(TaskStatus::Success), 3),
        ("both", ListTasks::new().secret(name("b")).status(TaskStatus::Failed), 1),
        ("neither", ListTasks::new().secret(name("b")).status(TaskStatus::Running), 0),
        ("by id", ListTasks::new().id(all[4].id()), 1),
    ];
    for (what, list, want) in cases {
        assert_eq!(count(list), want, "case: {what}");
    }
    let mut seen = Vec::new();
    let mut list = ListTasks::new().limit(4);
    for (items, more) in [(4, true), (2, false)] {
        let page = fresh.tasks(&list).unwrap();
        assert_eq!((page.items().len(), page.has_more(), page.total()), (items, more, 6));
        seen.extend(page.items().to_vec());
        list = ListTasks::new().limit(4).marker(seen.last().unwrap().id());
    }
    assert_eq!(seen, all);
    let none: TaskId = "00000000-0000-0000-0000-000000000000".parse().unwrap();
    let refused = [
        ("an id and a secret", ListTasks::new().id(all[0].id()).secret(manual)),
        ("an id and a status", ListTasks::new().id(all[0].id()).status(TaskStatus::Failed)),
        ("an id and a limit", ListTasks::new().id(all[0].id()).limit(1)),
        ("a marker that is not there", ListTasks::new().marker(none)),
        ("no task a page", ListTasks::new().limit(0)),
        ("too many", ListTasks::new().limit(1001)),
    ];
    for (what, list) in refused {
        assert_eq!(kind_of(fresh.tasks(&list)), ErrorKind::InvalidArgument, "case: {what}");
    }
}

#[test]
fn row_65_tasks_are_told_of_for_three_months() {
    const DAY: i64 = 24 * HOUR;
    let (mut fresh, clock) = Fresh::at_a_standstill();
    let secret = create_rotatable(&fresh, "s");
    // Some days apart, so that the search for the first one has something to do.
    for _ in 0..40 {
        clock.advance_ms(3 * DAY);
        fresh.rotate(&secret).unwrap();
        fresh.put_version(&secret, NewVersion::new(account("x"))).unwrap();
    }
    for _ in 0..2 {
        // Those of the last 92 days: 0, 3, ..., 90 days ago.
        assert_eq!(tasks(&fresh, &ListTasks::new()).len(), 31);
        fresh = fresh.reopened_with(working(&clock));
    }
    clock.advance_ms(2 * DAY);
    assert_eq!(tasks(&fresh, &ListTasks::new()).len(), 31);
    clock.advance_ms(1);
    assert_eq!(tasks(&fresh, &ListTasks::new()).len(), 30);
}

#[test]
fn what_is_due_is_rotated_once_however_many_ask() {
    let (fresh, clock) = Fresh::at_a_standstill();
    for secret in 0..20 {
        automatic(&fresh, &format!("s{secret}"));
    }
    clock.advance_ms(6 * HOUR);
    let rotated: usize = thread::scope(|scope| {
        let store = &*fresh;
        let ask = move || store.rotate_due().unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(done.iter().all(|done| done.failed().is_empty()), "{done:?}");
        done.iter().map(|done| done.rotated().len()).sum()
    });
    assert_eq!(rotated, 20);
    for secret in 0..20 {
        assert_eq!(picture(&fresh, &name(&format!("s{secret}"))), "v1[SYSPREVIOUS] v2[SYSCURRENT]");
    }
}

/// What else is due of a secret does not make its rotation the longer due one.
#[test]
fn the_rotation_that_is_due_the_longest_comes_first_whatever_else_is_due_of_a_secret() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let (first, second) = (automatic(&fresh, "first"), name("second"));
    clock.advance_ms(HOUR);
    automatic(&fresh, "second");
    let soon = Timestamp::from_millis(START_MS + 2 * HOUR);
    fresh.update_version(&second, &v(1).into(), soon).unwrap();
    clock.advance_ms(7 * HOUR);
    assert_eq!(due(&fresh), [first.as_str(), second.as_str()]);
}

/// Row 35 of csms.md 8.2, as for every other listing.
#[test]
fn a_secret_whose_deletion_is_due_has_no_rotation_under_way() {
    let (fresh, clock) = with_failures();
    let secret = automatic(&fresh, "s");
    clock.advance_ms(6 * HOUR);
    fresh.rotate_due().unwrap();
    fresh.schedule_deletion(&secret, strongroom::RecoveryWindow::SHORTEST).unwrap();
    assert_eq!(only(&fresh).status(), TaskStatus::Running);
    clock.advance_ms(7 * 24 * HOUR);
    assert_eq!(tasks(&fresh, &ListTasks::new()), []);
}
