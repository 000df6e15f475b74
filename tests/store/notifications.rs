//! Notifications: what is told, to whom, how often, and what is recorded of it.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use strongroom::{
    AuditOperation, AuditQuery, ErrorKind, EventState, EventType, EventUpdate, ListNotifications,
    NewSecret, Notification, NotificationRecord, NotificationStatus, Notifier, NotifyError,
    SecretUpdate,
};

use super::{
    events::{create_event, event, new_event, subscribed},
    *,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Keeps what it is told, and answers as it is set to.
#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    told: Vec<Notification>,
    /// What it answers next, first the last of them; then it succeeds.
    answers: Vec<NotifyError>,
    dies: bool,
    /// Files to be copied while it is told, as if the process died there.
    copies: Option<(PathBuf, PathBuf)>,
}

impl Notifier for Recorder {
    fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        let mut told = self.0.lock().unwrap_or_else(|dead| dead.into_inner());
        told.told.push(notification.clone());
        if let Some((from, to)) = told.copies.take() {
            copy_dir(&from, &to);
        }
        assert!(!told.dies, "as told to");
        told.answers.pop().map_or(Ok(()), Err)
    }
}

impl Recorder {
    fn set(&self, set: impl FnOnce(&mut Told)) {
        set(&mut self.0.lock().unwrap_or_else(|dead| dead.into_inner()));
    }

    /// What it was told since this was asked last: `EVENT_TYPE secret version`.
    pub(super) fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        self.set(|it| told = std::mem::take(&mut it.told));
        told.iter()
            .map(|it| {
                let version = it.version().map(|id| format!(" {id}")).unwrap_or_default();
                format!("{} {}{version}", it.event_type(), it.secret_name())
            })
            .collect()
    }
}

fn with_recorder() -> (Fresh, Recorder, ManualClock) {
    let clock = ManualClock::at(Timestamp::from_millis(START_MS));
    let recorder = Recorder::default();
    let fresh = Fresh::with(builder().clock(clock.clone()).notifier(recorder.clone()));
    (fresh, recorder, clock)
}

fn recorded(store: &SecretStore) -> Vec<NotificationRecord> {
    let (mut found, mut list) = (Vec::new(), ListNotifications::new().limit(2));
    loop {
        let page = store.notification_records(&list).unwrap();
        let Some(last) = page.items().last() else { return found };
        list = list.marker(last.position());
        found.extend(page.into_items());
    }
}

fn statuses(store: &SecretStore) -> Vec<&'static str> {
    recorded(store).iter().map(|record| record.status().as_str()).collect()
}

/// csms.md 8.3 row 69, 8.4 rows 70 and 72.
#[test]
fn each_change_that_an_event_fires_for_is_told_once_and_recorded() {
    let (fresh, recorder, clock) = with_recorder();
    create_event(&fresh, "all");
    let secret = name("s");
    let new = NewSecret::new(secret.clone(), account("x")).event_subscriptions([event("all")]);
    fresh.create_secret(new.secret_type(SecretType::RdsFg)).unwrap();
    create(&fresh, "unsubscribed");
    fresh.put_version(&secret, NewVersion::new(account("y"))).unwrap();
    fresh.rotate(&secret).unwrap();
    fresh.move_stage(&secret, &stage("blue"), v(1)).unwrap();
    fresh.update_secret(&secret, &SecretUpdate::new().description("d".parse().unwrap())).unwrap();
    fresh.delete_secret(&secret).unwrap();
    let delivered = fresh.deliver_notifications().unwrap();
    assert_eq!((delivered.sent, delivered.failed, delivered.invalid), (4, 0, 0));
    let want = [
        "SECRET_VERSION_CREATED s v1",
        "SECRET_VERSION_CREATED s v2",
        "SECRET_ROTATED s v3",
        "SECRET_DELETED s",
    ];
    assert_eq!(recorder.told(), want);
    assert_eq!(statuses(&fresh), ["SUCCESS"; 4]);
    let (before, records) = (seq(&fresh), recorded(&fresh));
    for _ in 0..3 {
        assert_eq!(fresh.deliver_notifications().unwrap(), Default::default());
    }
    assert_eq!((recorder.told().len(), seq(&fresh)), (0, before), "nothing new, nothing written");
    let fresh = fresh.reopened_with(builder().clock(clock).notifier(recorder));
    assert_eq!(fresh.deliver_notifications().unwrap(), Default::default());
    assert_eq!(seq(&fresh), before);
    fresh.verify().unwrap();
    let notified = AuditQuery::new().operation(AuditOperation::Notify);
    assert_eq!(fresh.audit(&notified).unwrap().items().len(), 4);
    let last = records.last().unwrap();
    assert_eq!((last.event_name(), last.trigger_event_type()), ("all", EventType::Deleted));
    assert_eq!((last.secret_name(), last.secret_type()), (&secret, &SecretType::RdsFg));
    assert_eq!((last.target_id(), last.target_name()), ("urn:smn:region-1:topic", "topic"));
    assert_eq!(last.created(), Timestamp::from_millis(START_MS).whole_seconds());
}

/// csms.md 1.8.
#[test]
fn the_content_is_json_as_in_the_example() {
    let (fresh, _, clock) = with_recorder();
    create_event(&fresh, "all");
    fresh.create_secret(subscribed("s", "all")).unwrap();
    clock.advance_ms(61_500);
    let expires = Timestamp::from_millis(START_MS + DAY_MS);
    let id = fresh.secret(&name("s")).unwrap().id();
    fresh.put_version(&name("s"), NewVersion::new(text("x")).expires(expires)).unwrap();
    fresh.delete_secret(&name("s")).unwrap();
    fresh.deliver_notifications().unwrap();
    let contents: Vec<String> =
        recorded(&fresh).iter().map(|record| record.content().to_owned()).collect();
    let made = format!(
        r#"{{"eventName":"all","eventType":"SECRET_VERSION_CREATED","eventTime":"2023-11-14T22:14:21.750Z","data":{{"secretId":"{id}","secretName":"s","createTime":"2023-11-14T22:13:20.000Z","updateTime":"2023-11-14T22:14:21.000Z","versionId":"v2","versionExpireTime":"2023-11-15T22:13:20.000Z"}}}}"#
    );
    let gone = format!(
        r#"{{"eventName":"all","eventType":"SECRET_DELETED","eventTime":"2023-11-14T22:14:21.750Z","data":{{"secretId":"{id}","secretName":"s","createTime":"2023-11-14T22:13:20.000Z","updateTime":"2023-11-14T22:14:21.000Z"}}}}"#
    );
    assert_eq!(contents[1], made);
    assert_eq!(contents[2], gone);
    for content in contents {
        serde_json::from_str::<serde::de::IgnoredAny>(&content).unwrap();
    }
}

#[test]
fn what_is_not_subscribed_disabled_or_of_another_type_is_not_told_later_either() {
    let (fresh, recorder, _) = with_recorder();
    fresh.create_event(&new_event("rotations", &[EventType::Rotated])).unwrap();
    create_event(&fresh, "all");
    fresh.create_secret(subscribed("other-type", "rotations")).unwrap();
    let off = EventUpdate::new().state(EventState::Disabled);
    fresh.update_event(&event("all"), &off).unwrap();
    fresh.create_secret(subscribed("disabled", "all")).unwrap();
    let early = create(&fresh, "early");
    fresh.deliver_notifications().unwrap();
    fresh.update_event(&event("all"), &EventUpdate::new().state(EventState::Enabled)).unwrap();
    let all = EventUpdate::new().event_types(EventType::ALL.iter().copied());
    fresh.update_event(&event("rotations"), &all).unwrap();
    fresh.update_secret(&early, &SecretUpdate::new().event_subscriptions([event("all")])).unwrap();
    fresh.deliver_notifications().unwrap();
    assert!(recorder.told().is_empty());
    put(&fresh, &early, "");
    // Unsubscribed before it was told, but not when it happened.
    fresh.update_secret(&early, &SecretUpdate::new().event_subscriptions([])).unwrap();
    put(&fresh, &early, "");
    fresh.deliver_notifications().unwrap();
    assert_eq!(recorder.told(), ["SECRET_VERSION_CREATED early v2"]);
}

#[test]
fn a_notifier_that_fails_is_asked_three_times_and_one_that_says_invalid_once() {
    use NotifyError::{Invalid, Retry};
    let cases: [(&str, &[NotifyError], usize, NotificationStatus); 5] = [
        ("it works", &[], 1, NotificationStatus::Success),
        ("once it does not", &[Retry], 2, NotificationStatus::Success),
        ("twice", &[Retry, Retry], 3, NotificationStatus::Success),
        ("it never works", &[Retry, Retry, Retry], 3, NotificationStatus::Fail),
        ("no such target", &[Invalid], 1, NotificationStatus::Invalid),
    ];
    let (fresh, recorder, _) = with_recorder();
    create_event(&fresh, "all");
    for (n, (what, answers, times, want)) in cases.into_iter().enumerate() {
        fresh.create_secret(subscribed(&format!("s{n}"), "all")).unwrap();
        recorder.set(|it| it.answers = answers.to_vec());
        let delivered = fresh.deliver_notifications().unwrap();
        let counts = [delivered.sent, delivered.failed, delivered.invalid];
        assert_eq!(counts.iter().sum::<u64>(), 1, "case: {what}");
        assert_eq!(recorder.told().len(), times, "case: {what}");
        assert_eq!(recorded(&fresh).last().unwrap().status(), want, "case: {what}");
        // Whatever became of it, it is over.
        fresh.deliver_notifications().unwrap();
        assert!(recorder.told().is_empty(), "case: {what}");
    }
    assert_eq!(statuses(&fresh), ["SUCCESS", "SUCCESS", "SUCCESS", "FAIL", "INVALID"]);
}

#[test]
fn a_crash_between_telling_and_noting_tells_again_and_records_once() {
    let (fresh, recorder, _) = with_recorder();
    create_event(&fresh, "all");
    fresh.create_secret(subscribed("a", "all")).unwrap();
    fresh.create_secret(subscribed("b", "all")).unwrap();
    let copy = fresh.dir.path().join("copy");
    // The files as they are while the first one is told.
    recorder.set(|it| it.copies = Some((fresh.path.clone(), copy.clone())));
    fresh.deliver_notifications().unwrap();
    assert_eq!(recorder.told().len(), 2);
    let store = builder().notifier(recorder.clone()).open(&copy).unwrap();
    assert!(recorded(&store).is_empty());
    store.deliver_notifications().unwrap();
    let both = ["SECRET_VERSION_CREATED a v1", "SECRET_VERSION_CREATED b v1"];
    assert_eq!(recorder.told(), both);
    assert_eq!(recorded(&store).len(), 2);
}

#[test]
fn without_a_notifier_or_an_event_nothing_is_told() {
    let fresh = Fresh::new();
    assert_eq!(kind_of(fresh.deliver_notifications()), ErrorKind::InvalidArgument);
    let (fresh, recorder, _) = with_recorder();
    create(&fresh, "s");
    let before = seq(&fresh);
    assert_eq!(fresh.deliver_notifications().unwrap(), Default::default());
    assert_eq!((seq(&fresh), recorder.told().len()), (before, 0));
    let list = ListNotifications::new().limit(1001);
    assert_eq!(kind_of(fresh.notification_records(&list)), ErrorKind::InvalidArgument);
}

/// csms.md 1.8, 1.12.
#[test]
fn records_are_kept_for_three_months() {
    let (fresh, _, clock) = with_recorder();
    create_event(&fresh, "all");
    for n in 0..3 {
        fresh.create_secret(subscribed(&format!("s{n}"), "all")).unwrap();
        fresh.deliver_notifications().unwrap();
        clock.advance_ms(40 * DAY_MS);
    }
    // The first is 120 days old, the second 80.
    assert_eq!(recorded(&fresh).len(), 2, "it is not shown any more, although still there");
    fresh.deliver_notifications().unwrap();
    clock.advance_ms(-30 * DAY_MS);
    assert_eq!(recorded(&fresh).len(), 2, "it is gone");
    let before = seq(&fresh);
    fresh.deliver_notifications().unwrap();
    assert_eq!(seq(&fresh), before);
    fresh.reopened().verify().unwrap();
}

#[test]
fn the_log_is_not_cut_over_what_is_still_to_be_told() {
    let (fresh, recorder, clock) = with_recorder();
    let end = Timestamp::from_millis(i64::MAX);
    create(&fresh, "before");
    create_event(&fresh, "all");
    let pruned = fresh.prune_audit(end).unwrap();
    assert!(pruned.records == 3 && !pruned.held_back, "{pruned:?}");
    clock.advance_ms(1000);
    create(&fresh, "unsubscribed");
    fresh.create_secret(subscribed("s", "all")).unwrap();
    fresh.delete_secret(&name("s")).unwrap();
    let pruned = fresh.prune_audit(end).unwrap();
    assert!(pruned.records == 2 && pruned.held_back, "{pruned:?}");
    let again = fresh.prune_audit(end).unwrap();
    assert!(again.records == 0 && again.held_back, "{again:?}");
    let young = fresh.prune_audit(Timestamp::from_millis(START_MS)).unwrap();
    assert!(!young.held_back, "it would not go anyway");
    let fresh = fresh.reopened_with(builder().clock(clock).notifier(recorder.clone()));
    fresh.deliver_notifications().unwrap();
    assert_eq!(recorder.told(), ["SECRET_VERSION_CREATED s v1", "SECRET_DELETED s"]);
    let pruned = fresh.prune_audit(end).unwrap();
    assert!(pruned.records > 2 && !pruned.held_back, "{pruned:?}");
    fresh.verify().unwrap();
    // Without events nothing is held back, and the next first event begins anew.
    fresh.create_secret(subscribed("t", "all")).unwrap();
    fresh.delete_secret(&name("t")).unwrap();
    fresh.delete_event(&event("all")).unwrap();
    assert!(!fresh.prune_audit(end).unwrap().held_back);
    create_event(&fresh, "all");
    fresh.create_secret(subscribed("u", "all")).unwrap();
    fresh.deliver_notifications().unwrap();
    assert_eq!(recorder.told(), ["SECRET_VERSION_CREATED u v1"]);
}

/// It ended the thread of the scheduler, and with it all that is done in the background.
#[test]
fn a_notifier_that_panics_has_failed_and_nothing_else_has() {
    let (fresh, recorder, _) = with_recorder();
    create_event(&fresh, "all");
    fresh.create_secret(subscribed("s", "all")).unwrap();
    recorder.set(|it| it.dies = true);
    assert_eq!(fresh.deliver_notifications().unwrap().failed, 1);
    assert_eq!((recorder.told().len(), statuses(&fresh)), (3, vec!["FAIL"]));
    recorder.set(|it| it.dies = false);
    put(&fresh, &name("s"), "");
    assert_eq!(fresh.deliver_notifications().unwrap().sent, 1);
}

/// Whoever lost was told that the store is poisoned, or that it was tampered with.
#[test]
fn deliveries_first_events_and_cuts_of_the_log_do_not_disturb_each_other() {
    let (fresh, _, _) = with_recorder();
    create_event(&fresh, "all");
    fresh.delete_event(&event("all")).unwrap();
    let secret = create(&fresh, "s");
    let (end, done) = (Timestamp::from_millis(i64::MAX), AtomicBool::new(false));
    let until_done = |what: &dyn Fn(&SecretStore)| {
        while !done.load(Ordering::Relaxed) {
            what(&fresh);
        }
    };
    thread::scope(|scope| {
        let threads = [
            scope.spawn(|| until_done(&|store| _ = store.deliver_notifications().unwrap())),
            scope.spawn(|| until_done(&|store| _ = store.prune_audit(end).unwrap())),
            scope.spawn(|| until_done(&|store| _ = put(store, &secret, ""))),
        ];
        for _ in 0..300 {
            let made = fresh.create_event(&new_event("all", EventType::ALL));
            let deleted = fresh.delete_event(&event("all"));
            if let Err(err) = made.map(drop).and(deleted) {
                done.store(true, Ordering::Relaxed);
                panic!("{err:?}");
            }
        }
        done.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    fresh.verify().unwrap();
}
