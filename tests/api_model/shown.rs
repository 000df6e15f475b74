//! What the store answers, as text of the same form as the model's.

use strongroom::{
    DueRotations, Error, Event, EventState, KeyInfo, KeyState, NotificationRecord, Page, Rotation,
    RotationPeriod, RotationTask, Secret, SecretType, Stage, StageInfo, Timestamp, Version,
    VersionMetadata,
};

use crate::calls::Answer;

pub fn refused(err: &Error) -> String {
    format!("{:?} {}", err.kind(), err.code().code)
}

pub fn answer<T>(result: Result<T, Error>, show: impl FnOnce(T) -> String) -> Answer {
    result.map(show).map_err(|err| refused(&err))
}

fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millis)
}

pub fn secret(it: &Secret) -> String {
    let rotatable = *it.secret_type() == SecretType::RdsFg;
    let what = format!("{rotatable} {} {:?}", it.state(), it.description().to_string());
    let (created, updated) = (it.created().as_millis(), it.updated().as_millis());
    let (rotated, deletion) = (millis(it.rotated()), millis(it.scheduled_deletion()));
    let times = format!("{created} {updated} {rotated:?} {deletion:?}");
    let (current, revision) = (it.current_version().expect("always one"), it.revision());
    let event = it.event_subscriptions().first();
    let (versions, days) = (it.retention().versions(), it.retention().days());
    let keep = format!("{} {versions:?} {days:?}", it.is_purge_protected());
    let period = it.rotation_period().map(RotationPeriod::as_str);
    let next = millis(it.next_rotation());
    let rotation = format!("{} {period:?} {next:?}", it.auto_rotation());
    let (name, id, key) = (it.name(), it.id(), it.kms_key_id());
    format!("{name} {id} {what} {times} {current} {revision} {event:?} {keep} {rotation} {key:?}")
}

pub fn metadata(it: &VersionMetadata) -> String {
    let labels: Vec<&str> = it.stages().iter().map(Stage::as_str).collect();
    let (from, to) = (millis(it.not_before()), millis(it.expires()));
    let end = millis(it.scheduled_destruction());
    let times = format!("{} {from:?} {to:?} {end:?}", it.created().as_millis());
    format!("{} {times} {} {:?} {labels:?}", it.id(), it.state(), it.kms_key_id())
}

pub fn version(it: &Version) -> String {
    format!("{} {}", metadata(it.metadata()), text_of(it))
}

pub fn text_of(it: &Version) -> &str {
    it.value().expose_str().expect("text")
}

pub fn stage(info: &StageInfo) -> String {
    format!("{} {} {}", info.stage(), info.version_id(), info.updated().as_millis())
}

pub fn page<T>(page: &Page<T>, show: impl Fn(&T) -> String) -> String {
    let rows: Vec<String> = page.items().iter().map(show).collect();
    format!("{rows:?} {}", page.has_more())
}

pub fn event(it: &Event) -> String {
    let (types, on) = (it.event_types(), it.state() == EventState::Enabled);
    let (created, updated) = (it.created().as_millis(), it.updated().as_millis());
    format!("{} {types:?} {on} {} {created} {updated}", it.name(), it.target().id())
}

/// `base` is the store's last commit before the sequence.
pub fn notice(it: &NotificationRecord, base: u64) -> String {
    let rotatable = *it.secret_type() == SecretType::RdsFg;
    let version = it.content().split_once(r#""versionId":"v"#);
    let version = version.and_then(|(_, rest)| rest.split_once('"')).map(|(number, _)| number);
    let version: Option<u64> = version.map(|number| number.parse().expect("a number"));
    let of = format!("{} {rotatable} {version:?}", it.secret_name());
    let (commit, kind) = (it.position().commit() - base, it.trigger_event_type());
    let (created, status) = (it.created().as_millis(), it.status().as_str());
    format!("{commit} {} {kind} {of} {} {created} {status}", it.event_name(), it.target_id())
}

pub fn rotation(it: &Rotation) -> String {
    format!("{} {} {}", it.secret_name(), it.version_id(), it.task_id())
}

pub fn rotations(it: &DueRotations) -> String {
    let done: Vec<String> = it.rotated().iter().map(rotation).collect();
    let failed = it.failed().iter().map(|failed| {
        let id = failed.task_id().map(|id| id.to_string()).unwrap_or_default();
        let (refused, next) = (refused(failed.error()), millis(failed.next_attempt()));
        format!("{} {refused} {id} {next:?}", failed.secret_name())
    });
    format!("{done:?} {:?}", failed.collect::<Vec<_>>())
}

pub fn task(it: &RotationTask) -> String {
    let error = it.error().map(|text| if text == "cancelled" { text } else { "why" });
    let (begun, ended) = (it.begun().as_millis(), millis(it.ended_at()));
    let (next, version) = (millis(it.next_attempt()), it.version_id().map(|id| id.number()));
    let what = format!("{} {} {}", it.id(), it.secret_name(), it.status());
    format!("{what} {begun} {ended:?} {next:?} {} {error:?} {version:?}", it.attempts())
}

pub fn key(it: &KeyInfo) -> String {
    let (alias, enabled) = (it.alias.as_deref().unwrap_or_default(), it.state == KeyState::Enabled);
    format!("{} {alias:?} {enabled}", it.id)
}
