//! What emulators of secret managers got wrong, and users reported: labels, tokens, listings. Each case
//! is named after the report.

use strongroom::{ErrorKind, ListSecrets, RecoveryWindow, RotateOptions, VersionRef};

use super::*;

#[test]
fn labels_end_up_where_they_belong() {
    type Step = fn(&SecretStore, &SecretName);
    let cases: &[(&str, Step, &str)] = &[
        (
            "moto#4906: a custom label is taken from the old version",
            |s, n| {
                put(s, n, "blue");
                put(s, n, "blue");
            },
            "v1[SYSCURRENT] v2 v3[blue]",
        ),
        (
            "localstack#10083: moving a custom label leaves SYSPREVIOUS",
            |s, n| {
                put(s, n, "");
                put(s, n, "blue");
                s.move_stage(n, &stage("blue"), v(1)).unwrap();
                s.move_stage(n, &stage("blue"), v(2)).unwrap();
            },
            "v1[SYSPREVIOUS] v2[SYSCURRENT blue] v3",
        ),
        ("moto#9488, #9451: the first value is current", |_, _| {}, "v1[SYSCURRENT]"),
        (
            "floci#522: a put with SYSPENDING moves nothing else",
            |s, n| {
                put(s, n, "");
                put(s, n, "SYSPENDING");
            },
            "v1[SYSPREVIOUS] v2[SYSCURRENT] v3[SYSPENDING]",
        ),
        (
            "spring-cloud-config#2104: a custom label stays when SYSCURRENT moves away",
            |s, n| {
                put(s, n, "SYSCURRENT blue");
                put(s, n, "");
            },
            "v1 v2[SYSPREVIOUS blue] v3[SYSCURRENT]",
        ),
        (
            "SYSCURRENT by hand drags SYSPREVIOUS",
            |s, n| {
                put(s, n, "");
                put(s, n, "");
                s.move_stage(n, &Stage::Current, v(1)).unwrap();
            },
            "v1[SYSCURRENT] v2 v3[SYSPREVIOUS]",
        ),
    ];
    let fresh = Fresh::new();
    for (at, (what, step, want)) in cases.iter().enumerate() {
        let secret = create(&fresh, &format!("s{at}"));
        step(&fresh, &secret);
        assert_eq!(picture(&fresh, &secret), *want, "case: {what}");
    }
    let fresh = fresh.reopened();
    for (at, (what, _, want)) in cases.iter().enumerate() {
        assert_eq!(picture(&fresh, &name(&format!("s{at}"))), *want, "case: {what}, reopened");
    }
}

/// moto#8504, floci#1519: no version is ever without a value, also in the course of a rotation.
#[test]
fn every_version_that_is_listed_has_a_value() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    for _ in 0..3 {
        fresh.rotate(&secret).unwrap();
    }
    let page = fresh.versions(&secret, &ListVersions::new()).unwrap();
    for version in page.items() {
        let read = fresh.version(&secret, &version.id().into()).unwrap();
        assert!(read.value().expose_str().is_some_and(|text| !text.is_empty()), "{}", version.id());
    }
}

/// moto#7347: a rotation happens when it is asked for. vault-secrets-operator and others: readers that
/// pin a label see the new value at once.
#[test]
fn a_rotation_is_there_when_the_call_returns() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let before = current(&fresh, &secret);
    assert_eq!(fresh.rotate(&secret).unwrap().version_id(), v(2));
    assert_ne!(current(&fresh, &secret), before);
    let previous = fresh.version(&secret, &VersionRef::Stage(Stage::Previous)).unwrap();
    assert_eq!(previous.value().expose_str(), Some(&*before));
}

/// moto#9012, localstack#5299: a token makes create, put and rotate happen once.
#[test]
fn a_token_counts() {
    let fresh = Fresh::new();
    let new = || {
        NewSecret::new(name("s"), account("one"))
            .secret_type(SecretType::RdsFg)
            .token(token("create"))
    };
    let made = fresh.create_secret(new()).unwrap();
    assert_eq!(fresh.create_secret(new()).unwrap(), made);
    let secret = name("s");
    let put = || NewVersion::new(account("two")).token(token("put"));
    let first = fresh.put_version(&secret, put()).unwrap();
    assert_eq!(fresh.put_version(&secret, put()).unwrap().id(), first.id());
    let rotate = RotateOptions::new().token(token("rotate"));
    let rotated = fresh.rotate_with(&secret, &rotate).unwrap();
    assert_eq!(fresh.rotate_with(&secret, &rotate).unwrap(), rotated);
    assert_eq!(picture(&fresh, &secret), "v1 v2[SYSPREVIOUS] v3[SYSCURRENT]");
    let other = NewVersion::new(account("three")).token(token("put"));
    assert_eq!(kind_of(fresh.put_version(&secret, other)), ErrorKind::Conflict);
}

/// moto#8335: deleted secrets do not come up in lists; those that are to be deleted do.
#[test]
fn a_deleted_secret_is_in_no_list() {
    let fresh = Fresh::new();
    let (gone, pending) = (create(&fresh, "gone"), create(&fresh, "pending"));
    fresh.delete_secret(&gone).unwrap();
    fresh.schedule_deletion(&pending, RecoveryWindow::default()).unwrap();
    let page = fresh.secrets(&ListSecrets::new()).unwrap();
    assert_eq!(page.items().iter().map(|it| it.name().as_str()).collect::<Vec<_>>(), ["pending"]);
    assert_eq!(fresh.count_secrets(&strongroom::FindSecrets::new()).unwrap(), 1);
}
