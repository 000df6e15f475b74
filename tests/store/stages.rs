//! Labels: show, move, delete.

use strongroom::{Error, ErrorKind, Limits, Missing, Rule, Stage, Timestamp};

use super::*;

/// csms.md 2.3; 8.1 rows 4, 8, 9 and 12.
#[test]
fn labels_move_by_the_rules() {
    // Each from `v1 v2[SYSPREVIOUS] v3[SYSCURRENT] v4[blue]`.
    let cases: &[(&str, &[(&str, u64)], &str)] = &[
        (
            "SYSCURRENT drags SYSPREVIOUS",
            &[("SYSCURRENT", 1)],
            "v1[SYSCURRENT] v2 v3[SYSPREVIOUS] v4[blue]",
        ),
        (
            "SYSCURRENT to the previous one: they change places",
            &[("SYSCURRENT", 2)],
            "v1 v2[SYSCURRENT] v3[SYSPREVIOUS] v4[blue]",
        ),
        (
            "SYSCURRENT to a labelled one",
            &[("SYSCURRENT", 4)],
            "v1 v2 v3[SYSPREVIOUS] v4[SYSCURRENT blue]",
        ),
        (
            "SYSCURRENT to and fro",
            &[("SYSCURRENT", 1), ("SYSCURRENT", 3)],
            "v1[SYSPREVIOUS] v2 v3[SYSCURRENT] v4[blue]",
        ),
        (
            "SYSPREVIOUS by hand",
            &[("SYSPREVIOUS", 1)],
            "v1[SYSPREVIOUS] v2 v3[SYSCURRENT] v4[blue]",
        ),
        (
            "SYSPREVIOUS onto the current one",
            &[("SYSPREVIOUS", 3)],
            "v1 v2 v3[SYSCURRENT SYSPREVIOUS] v4[blue]",
        ),
        (
            "and SYSCURRENT away from it",
            &[("SYSPREVIOUS", 3), ("SYSCURRENT", 1)],
            "v1[SYSCURRENT] v2 v3[SYSPREVIOUS] v4[blue]",
        ),
        ("a label moved", &[("blue", 1)], "v1[blue] v2[SYSPREVIOUS] v3[SYSCURRENT] v4"),
        ("a label made", &[("green", 1)], "v1[green] v2[SYSPREVIOUS] v3[SYSCURRENT] v4[blue]"),
        (
            "SYSPENDING and another SYS name by the user",
            &[("SYSPENDING", 1), ("SYSX", 1)],
            "v1[SYSPENDING SYSX] v2[SYSPREVIOUS] v3[SYSCURRENT] v4[blue]",
        ),
        (
            "names in another case are others",
            &[("BLUE", 1), ("syscurrent", 1)],
            "v1[BLUE syscurrent] v2[SYSPREVIOUS] v3[SYSCURRENT] v4[blue]",
        ),
    ];
    let fresh = Fresh::new();
    for (n, (what, moves, want)) in cases.iter().enumerate() {
        let secret = create(&fresh, &format!("s{n}"));
        for labels in ["", "", "blue"] {
            put(&fresh, &secret, labels);
        }
        for (label, to) in *moves {
            let info = fresh.move_stage(&secret, &stage(label), v(*to)).unwrap();
            assert_eq!(info, fresh.stage(&secret, &stage(label)).unwrap(), "case: {what}");
            let parts = (info.secret_name(), info.stage().as_str(), info.version_id());
            assert_eq!(parts, (&secret, *label, v(*to)), "case: {what}");
        }
        assert_eq!(picture(&fresh, &secret), *want, "case: {what}");
        let current = fresh.stage(&secret, &Stage::Current).unwrap().version_id();
        assert_eq!(fresh.secret(&secret).unwrap().current_version(), Some(current));
        assert_eq!(fresh.get(&secret).unwrap().id(), current, "case: {what}");
    }
}

/// 8.1 row 4.
#[test]
fn a_label_that_is_there_already_stays_and_nothing_is_written() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "SYSCURRENT blue");
    let before = (fresh.secret(&secret).unwrap(), seq(&fresh), picture(&fresh, &secret));
    clock.advance_ms(60_000);
    for (label, at) in [("SYSCURRENT", 2), ("SYSPREVIOUS", 1), ("blue", 2)] {
        let shown = fresh.stage(&secret, &stage(label)).unwrap();
        assert_eq!(fresh.move_stage(&secret, &stage(label), v(at)).unwrap(), shown, "{label}");
    }
    let after = (fresh.secret(&secret).unwrap(), seq(&fresh), picture(&fresh, &secret));
    assert_eq!(after, before);
}

#[test]
fn a_label_shows_when_it_came_to_its_version() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    clock.advance_ms(5_000);
    put(&fresh, &secret, "blue");
    clock.advance_ms(5_000);
    fresh.move_stage(&secret, &Stage::Current, v(2)).unwrap();
    let fresh = fresh.reopened();
    let want = [("SYSCURRENT", 10), ("SYSPREVIOUS", 10), ("blue", 5)];
    for (label, second) in want {
        let info = fresh.stage(&secret, &stage(label)).unwrap();
        let moved = Timestamp::from_millis((1_700_000_000 + second) * 1000);
        assert_eq!(info.updated(), moved, "{label}");
    }
}

/// csms.md 2.3, 8.1 row 12.
#[test]
fn labels_of_users_can_be_deleted_and_the_built_in_ones_cannot() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "");
    put(&fresh, &secret, "blue SYSPENDING SYSX");
    let before = (fresh.secret(&secret).unwrap(), seq(&fresh));
    for label in [Stage::Current, Stage::Previous] {
        let err = fresh.delete_stage(&secret, &label).unwrap_err();
        let Error::Constraint { name, rule } = err else { panic!("{err:?}") };
        assert_eq!((name, rule), (secret.clone(), Rule::BuiltInStage(label)));
    }
    assert_eq!((fresh.secret(&secret).unwrap(), seq(&fresh)), before);
    for label in ["blue", "SYSPENDING", "SYSX"] {
        fresh.delete_stage(&secret, &stage(label)).unwrap();
        let again = fresh.delete_stage(&secret, &stage(label)).unwrap_err();
        let Error::NotFound(missing) = again else { panic!("{again:?}") };
        assert_eq!(missing, Missing::Stage(secret.clone(), stage(label)));
    }
    let want = "v1[SYSPREVIOUS] v2[SYSCURRENT] v3";
    assert_eq!(picture(&fresh, &secret), want);
    assert_eq!(picture(&fresh.reopened(), &secret), want);
}

#[test]
fn sysprevious_cannot_be_deleted_even_when_it_is_nowhere() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    assert_eq!(kind_of(fresh.stage(&secret, &Stage::Previous)), ErrorKind::NotFound);
    assert_eq!(kind_of(fresh.delete_stage(&secret, &Stage::Previous)), ErrorKind::Constraint);
}

/// 8.1 row 13.
#[test]
fn a_label_is_not_put_on_a_version_that_is_not_there() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for _ in 0..20 {
        put(&fresh, &secret, "");
    }
    let (shown, before) = (picture(&fresh, &secret), seq(&fresh));
    for (what, to) in [("dropped", 1), ("to come", 22), ("the last number", 9_999_999_999)] {
        for label in [Stage::Current, stage("blue")] {
            let err = fresh.move_stage(&secret, &label, v(to)).unwrap_err();
            let Error::NotFound(missing) = err else { panic!("case: {what}: {err:?}") };
            assert_eq!(missing, Missing::Version(secret.clone(), v(to)), "case: {what}");
        }
    }
    assert_eq!((picture(&fresh, &secret), seq(&fresh)), (shown, before));
}

/// 8.1 rows 10 and 11.
#[test]
fn a_secret_has_at_most_12_labels_the_built_in_ones_included() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for n in 2..=12 {
        fresh.move_stage(&secret, &stage(&format!("l{n}")), v(1)).unwrap();
    }
    put(&fresh, &secret, "l2");
    let (shown, before) = (picture(&fresh, &secret), seq(&fresh));
    // SYSCURRENT would drag a SYSPREVIOUS along that is not there yet.
    for (label, to) in [(stage("l13"), 1), (Stage::Previous, 1), (Stage::Current, 2)] {
        let err = fresh.move_stage(&secret, &label, v(to)).unwrap_err();
        let Error::LimitExceeded { asked: 13, max: 12, .. } = err else { panic!("{err:?}") };
    }
    let rotated = NewVersion::new(text("x"));
    assert_eq!(kind_of(fresh.put_version(&secret, rotated)), ErrorKind::LimitExceeded);
    assert_eq!((picture(&fresh, &secret), seq(&fresh)), (shown, before));
    fresh.delete_stage(&secret, &stage("l12")).unwrap();
    fresh.move_stage(&secret, &Stage::Current, v(2)).unwrap();
    assert_eq!(fresh.stage(&secret, &Stage::Previous).unwrap().version_id(), v(1));
}

#[test]
fn labels_beyond_a_limit_that_was_lowered_can_be_moved() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "a b c d");
    let limits = Limits::default().with_labels_max(3).unwrap();
    let fresh = fresh.reopened_with(builder().limits(limits));
    fresh.move_stage(&secret, &stage("a"), v(1)).unwrap();
    assert_eq!(kind_of(fresh.move_stage(&secret, &stage("e"), v(1))), ErrorKind::LimitExceeded);
    assert_eq!(picture(&fresh, &secret), "v1[SYSCURRENT a] v2[b c d]");
}
