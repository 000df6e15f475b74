//! Versions: store, read, list, expire. Row numbers are those of csms.md 8.1.

use strongroom::{
    Error, ErrorKind, Limit, Limits, ListVersions, Missing, NewSecret, NewVersion, SecretType,
    SecretUpdate, Stage, Timestamp, ValueKind, VersionRef,
};

use super::*;

/// Row 1.
#[test]
fn the_21st_version_drops_the_oldest_without_a_label() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for _ in 2..=20 {
        put(&fresh, &secret, "");
    }
    assert!(picture(&fresh, &secret).starts_with("v1 v2 v3 "), "20 versions are kept");
    put(&fresh, &secret, "");
    let shown = picture(&fresh, &secret);
    assert!(shown.starts_with("v2 v3 ") && shown.ends_with("v20[SYSPREVIOUS] v21[SYSCURRENT]"));
    let err = fresh.version(&secret, &v(1).into()).unwrap_err();
    let Error::NotFound(missing) = err else { panic!("{err:?}") };
    assert_eq!(missing, Missing::Version(secret, v(1)));
    assert_eq!(fresh.verify().unwrap().versions, 20, "the dropped value is gone from the disk");
}

/// Row 1.
#[test]
fn a_labelled_version_is_never_dropped() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for n in 2..=11 {
        put(&fresh, &secret, &format!("label{n}"));
    }
    for _ in 0..40 {
        put(&fresh, &secret, "");
    }
    let shown = picture(&fresh, &secret);
    for n in 2..=11 {
        assert!(shown.contains(&format!("v{n}[label{n}]")), "{shown}");
    }
    assert_eq!(shown.split("] v").count(), 12, "{shown}");
    assert_eq!(fresh.verify().unwrap().versions, 20);
}

/// Row 1: limits that leave no version without a label.
#[test]
fn a_version_that_finds_no_room_is_refused() {
    let limits = Limits::default().with_versions_max(2).unwrap();
    let fresh = Fresh::limited(limits);
    let secret = create(&fresh, "s");
    put(&fresh, &secret, "blue");
    let (shown, before) = (picture(&fresh, &secret), seq(&fresh));
    let third = NewVersion::new(text("x")).stages(stages("green"));
    assert_eq!(kind_of(fresh.put_version(&secret, third)), ErrorKind::Constraint);
    assert_eq!((picture(&fresh, &secret), seq(&fresh)), (shown, before));
    // Taking the label of another version makes room.
    assert_eq!(put(&fresh, &secret, "blue"), 3);
    assert_eq!(picture(&fresh, &secret), "v1[SYSCURRENT] v3[blue]");
}

#[test]
fn a_limit_that_was_lowered_drops_versions_with_the_next_one() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for _ in 2..=15 {
        put(&fresh, &secret, "");
    }
    let limits = Limits::default().with_versions_max(3).unwrap();
    let fresh = fresh.reopened_with(builder().limits(limits));
    assert_eq!(fresh.verify().unwrap().versions, 15);
    put(&fresh, &secret, "");
    assert_eq!(picture(&fresh, &secret), "v14 v15[SYSPREVIOUS] v16[SYSCURRENT]");
    assert_eq!(fresh.verify().unwrap().versions, 3);
}

/// Rows 2 and 17.
#[test]
fn versions_without_a_label_stay_and_can_be_read_and_listed() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for _ in 2..=6 {
        put(&fresh, &secret, "");
    }
    let want = "v1 v2 v3 v4 v5[SYSPREVIOUS] v6[SYSCURRENT]";
    assert_eq!(picture(&fresh, &secret), want);
    let fresh = fresh.reopened();
    assert_eq!(picture(&fresh, &secret), want);
    let first = fresh.version(&secret, &v(1).into()).unwrap();
    assert_eq!(first.value().expose_str(), Some("one"));
    assert!(first.metadata().stages().is_empty());
}

/// Rows 3, 5, 6, 8, 9, 12.
#[test]
fn the_labels_of_a_new_version_go_where_they_are_told() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("default", &[""], "v1[SYSPREVIOUS] v2[SYSCURRENT]"),
        ("default twice", &["", ""], "v1 v2[SYSPREVIOUS] v3[SYSCURRENT]"),
        ("SYSCURRENT listed", &["SYSCURRENT"], "v1[SYSPREVIOUS] v2[SYSCURRENT]"),
        ("SYSCURRENT and more", &["SYSCURRENT b a"], "v1[SYSPREVIOUS] v2[SYSCURRENT a b]"),
        ("SYSCURRENT not listed", &["blue"], "v1[SYSCURRENT] v2[blue]"),
        ("a label taken", &["blue", "blue"], "v1[SYSCURRENT] v2 v3[blue]"),
        ("pending by the user", &["SYSPENDING"], "v1[SYSCURRENT] v2[SYSPENDING]"),
        ("another SYS name", &["SYSTEM"], "v1[SYSCURRENT] v2[SYSTEM]"),
        ("SYSPREVIOUS alone", &["SYSPREVIOUS"], "v1[SYSCURRENT] v2[SYSPREVIOUS]"),
        ("both built-ins", &["SYSCURRENT SYSPREVIOUS"], "v1 v2[SYSCURRENT SYSPREVIOUS]"),
        (
            "current after pending",
            &["SYSPENDING", ""],
            "v1[SYSPREVIOUS] v2[SYSPENDING] v3[SYSCURRENT]",
        ),
        ("case counts", &["Blue", "blue"], "v1[SYSCURRENT] v2[Blue] v3[blue]"),
    ];
    let fresh = Fresh::new();
    for (n, (what, puts, want)) in cases.iter().enumerate() {
        let secret = create(&fresh, &format!("s{n}"));
        for labels in *puts {
            put(&fresh, &secret, labels);
        }
        assert_eq!(picture(&fresh, &secret), *want, "case: {what}");
    }
}

/// Rows 7, 10 and 11.
#[test]
fn a_list_of_labels_that_breaks_a_rule_is_refused_and_nothing_written() {
    let eleven: Vec<String> = (0..11).map(|n| format!("l{n}")).collect();
    let eleven = eleven.join(" ");
    let cases: &[(&str, &str, ErrorKind)] = &[
        ("a label twice", "blue green blue", ErrorKind::InvalidArgument),
        ("SYSCURRENT twice", "SYSCURRENT SYSCURRENT", ErrorKind::InvalidArgument),
        ("13 labels in all", &format!("{eleven} l11"), ErrorKind::LimitExceeded),
        ("13 in the list", &format!("{eleven} l11 SYSCURRENT"), ErrorKind::LimitExceeded),
        ("13 with the one dragged", &format!("{eleven} SYSCURRENT"), ErrorKind::LimitExceeded),
    ];
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let before = (fresh.secret(&secret).unwrap(), seq(&fresh));
    for (what, list, want) in cases {
        let new = NewVersion::new(text("x")).stages(stages(list));
        assert_eq!(kind_of(fresh.put_version(&secret, new)), *want, "case: {what}");
    }
    let (asked, what) = (13, Limit::LabelsInRequest);
    let new = NewVersion::new(text("x")).stages(stages(&format!("{eleven} l11 l12")));
    let err = fresh.put_version(&secret, new).unwrap_err();
    let Error::LimitExceeded { what: got, asked: got_asked, max: 12 } = err else {
        panic!("{err:?}")
    };
    assert_eq!((got, got_asked), (what, asked));
    assert_eq!((fresh.secret(&secret).unwrap(), seq(&fresh)), before);
    // Twelve are allowed: eleven more beside SYSCURRENT.
    put(&fresh, &secret, &eleven);
    assert_eq!(fresh.stage(&secret, &stage("l10")).unwrap().version_id(), v(2));
}

/// Rows 13 and 14.
#[test]
fn a_missing_version_or_label_is_not_found() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let no_version = Missing::Version(secret.clone(), v(7));
    let no_label = Missing::Stage(secret.clone(), stage("blue"));
    let no_previous = Missing::Stage(secret.clone(), Stage::Previous);
    let later = Timestamp::from_millis(9_000_000_000_000);
    let cases: [(&str, Result<(), Error>, Missing); 7] = [
        ("read by number", fresh.version(&secret, &v(7).into()).map(drop), no_version.clone()),
        (
            "read by label",
            fresh.version(&secret, &stage("blue").into()).map(drop),
            no_label.clone(),
        ),
        (
            "read before there is a previous one",
            fresh.version(&secret, &Stage::Previous.into()).map(drop),
            no_previous,
        ),
        (
            "expiry by number",
            fresh.update_version(&secret, &v(7).into(), later).map(drop),
            no_version.clone(),
        ),
        (
            "expiry by label",
            fresh.update_version(&secret, &stage("blue").into(), later).map(drop),
            no_label.clone(),
        ),
        ("a label moved", fresh.move_stage(&secret, &stage("b"), v(7)).map(drop), no_version),
        ("a label shown", fresh.stage(&secret, &stage("blue")).map(drop), no_label),
    ];
    for (what, got, want) in cases {
        let err = got.unwrap_err();
        let Error::NotFound(missing) = err else { panic!("case: {what}: {err:?}") };
        assert_eq!(missing, want, "case: {what}");
    }
}

/// Rows 15 and 16.
#[test]
fn latest_is_the_current_version_and_not_the_newest() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let pending = NewVersion::new(text("pending")).stages([Stage::Pending]);
    fresh.put_version(&secret, pending).unwrap();
    let latest = fresh.version(&secret, &VersionRef::Latest).unwrap();
    assert_eq!((latest.id(), latest.value().expose_str()), (v(1), Some("one")));
    assert_eq!(fresh.get(&secret).unwrap().id(), v(1));
    let by_label = fresh.version(&secret, &Stage::Pending.into()).unwrap();
    assert_eq!(by_label.value().expose_str(), Some("pending"));
    let later = Timestamp::from_millis(9_000_000_000_000);
    let updated = fresh.update_version(&secret, &VersionRef::Latest, later).unwrap();
    assert_eq!((updated.id(), updated.expires()), (v(1), Some(later)));
    let pending = fresh.version(&secret, &v(2).into()).unwrap();
    assert_eq!(pending.metadata().expires(), None);
}

/// Rows 18 to 20.
#[test]
fn an_expiry_is_taken_cut_cleared_or_refused() {
    let now = START_MS;
    let cases: &[(&str, i64, Result<Option<i64>, ()>)] = &[
        ("zero clears", 0, Ok(None)),
        ("the next second", now + 750, Ok(Some(1_700_000_001_000))),
        ("cut to the second", now + 1_749, Ok(Some(1_700_000_001_000))),
        ("later in this second", now + 749, Err(())),
        ("now", now, Err(())),
        ("long ago", 1, Err(())),
        ("negative", -1, Err(())),
        ("the last", 9_999_999_999_999, Ok(Some(9_999_999_999_000))),
        ("behind the last", 10_000_000_000_000, Err(())),
        ("the end of the range", i64::MAX, Err(())),
        ("its beginning", i64::MIN, Err(())),
    ];
    let (fresh, _clock) = Fresh::at_a_standstill();
    for (n, (what, millis, want)) in cases.iter().enumerate() {
        let secret = create(&fresh, &format!("s{n}"));
        let asked = Timestamp::from_millis(*millis);
        let before = seq(&fresh);
        let put = fresh.put_version(&secret, NewVersion::new(text("x")).expires(asked));
        let updated = fresh.update_version(&secret, &v(1).into(), asked);
        for got in [put, updated] {
            match (got, want) {
                (Ok(version), Ok(want)) => {
                    let got = version.expires().map(Timestamp::as_millis);
                    assert_eq!(got, *want, "case: {what}");
                }
                (Err(err), Err(())) => {
                    assert_eq!(err.kind(), ErrorKind::InvalidArgument, "case: {what}");
                    assert_eq!(seq(&fresh), before, "case: {what}");
                }
                (got, want) => panic!("case: {what}: {got:?}, not {want:?}"),
            }
        }
    }
}

/// Rows 18 and 20.
#[test]
fn an_expired_version_can_be_read_and_its_expiry_set_anew_or_cleared() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    let soon = Timestamp::from_millis(1_700_000_002_000);
    fresh.put_version(&secret, NewVersion::new(text("two")).expires(soon)).unwrap();
    clock.advance_ms(3_600_000);
    let read = fresh.get(&secret).unwrap();
    assert_eq!(read.metadata().expires(), Some(soon));
    assert_eq!(read.into_value().expose_str(), Some("two"));
    assert_eq!(
        kind_of(fresh.update_version(&secret, &v(2).into(), soon)),
        ErrorKind::InvalidArgument
    );
    let cleared = fresh.update_version(&secret, &v(2).into(), Timestamp::from_millis(0)).unwrap();
    assert_eq!(cleared.expires(), None);

    let (before, written) = (fresh.secret(&secret).unwrap(), seq(&fresh));
    fresh.update_version(&secret, &v(2).into(), Timestamp::from_millis(0)).unwrap();
    assert_eq!((fresh.secret(&secret).unwrap(), seq(&fresh)), (before, written), "no change");
    assert_eq!(fresh.reopened().get(&secret).unwrap().metadata(), &cleared);
}

/// Row 21.
#[test]
fn the_same_value_stored_again_makes_another_version() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for want in 2..=5 {
        let made = fresh.put_version(&secret, NewVersion::new(text("one"))).unwrap();
        assert_eq!(made.id(), v(want));
    }
}

/// Rows 22 to 24: bytes are handed over as they are, so there is no base64 to be invalid.
#[test]
fn values_are_measured_as_text_or_as_base64() {
    let limits = Limits::default().with_value_len_max_bytes(8).unwrap();
    let (default, small) = (Fresh::new(), Fresh::limited(limits));
    let long = |len: usize| SecretValue::from_string("x".repeat(len));
    let bytes = |len: usize| SecretValue::from_bytes(vec![0xff; len]);
    let wide = || SecretValue::from_string("\u{4e2d}\u{4e2d}\u{e9}".to_owned());
    let cases: [(&str, &Fresh, SecretValue, bool); 13] = [
        ("empty text", &default, long(0), true),
        ("empty bytes", &default, bytes(0), true),
        ("the longest text", &default, long(32_768), true),
        ("one more", &default, long(32_769), false),
        ("the longest binary", &default, bytes(24_576), true),
        ("one more byte", &default, bytes(24_577), false),
        ("every byte", &default, SecretValue::from_bytes((0..=255).collect::<Vec<u8>>()), true),
        ("zeros and quotes", &default, text("\0\"\\\u{7f}\u{10ffff}"), true),
        ("eight signs", &small, long(8), true),
        ("nine signs", &small, long(9), false),
        ("three signs of eight bytes", &small, wide(), true),
        ("six bytes", &small, bytes(6), true),
        ("seven bytes", &small, bytes(7), false),
    ];
    for (n, (what, fresh, value, fits)) in cases.into_iter().enumerate() {
        let (kept, kind) = (value.expose().to_vec(), value.kind());
        let copy = |kind| match kind {
            ValueKind::Text => text(std::str::from_utf8(&kept).unwrap()),
            _ => SecretValue::from_bytes(kept.clone()),
        };
        let (secret, before) = (name(&format!("s{n}")), seq(fresh));
        if fits {
            fresh.create_secret(NewSecret::new(secret.clone(), copy(kind))).unwrap();
            fresh.put_version(&secret, NewVersion::new(value)).unwrap();
            for number in [1, 2] {
                let read = fresh.version(&secret, &v(number).into()).unwrap().into_value();
                assert!(read.ct_eq(&copy(kind)), "case: {what}");
            }
            continue;
        }
        for got in [
            fresh.create_secret(NewSecret::new(secret.clone(), copy(kind))).map(drop),
            fresh.put_version(&name("s0"), NewVersion::new(copy(kind))).map(drop),
        ] {
            let err = got.unwrap_err();
            let Error::LimitExceeded { asked, max, .. } = err else { panic!("{what}: {err:?}") };
            assert!(asked == value.measured_len() && asked > max, "case: {what}");
        }
        assert_eq!(seq(fresh), before, "case: {what}");
    }
}

#[test]
fn values_of_a_mebibyte_survive_reopening() {
    const MIB: usize = 1024 * 1024;
    let limits = Limits::default().with_value_len_max_bytes(MIB).unwrap();
    let fresh = Fresh::limited(limits);
    let pattern = |len: usize, seed: usize| -> Vec<u8> {
        (0..len).map(|at| (at.wrapping_mul(31).wrapping_add(seed) >> 3) as u8).collect()
    };
    let long = "\u{e9}".repeat(MIB / 2);
    let secret = name("large");
    fresh.create_secret(NewSecret::new(secret.clone(), text(&long))).unwrap();
    for seed in 2..=4 {
        let value = SecretValue::from_bytes(pattern(786_432, seed));
        fresh.put_version(&secret, NewVersion::new(value)).unwrap();
    }
    let more = NewVersion::new(SecretValue::from_bytes(vec![0; 786_433]));
    assert_eq!(kind_of(fresh.put_version(&secret, more)), ErrorKind::LimitExceeded);
    // What may be stored is a setting of the handle; what is there can be read by any.
    let mut fresh = fresh.reopened();
    for _ in 0..2 {
        let first = fresh.version(&secret, &v(1).into()).unwrap();
        assert!(first.value().expose_str() == Some(&*long));
        for seed in 2..=4 {
            let read = fresh.version(&secret, &v(seed as u64).into()).unwrap();
            assert!(read.value().expose() == pattern(786_432, seed), "v{seed}");
        }
        assert_eq!(fresh.verify().unwrap().versions, 4);
        fresh = fresh.reopened();
    }
    fresh.delete_secret(&secret).unwrap();
    assert_eq!(fresh.verify().unwrap().versions, 0);
}

#[test]
fn the_largest_secret_that_all_limits_allow_can_be_kept() {
    let limits = Limits::default().with_versions_max(128).unwrap().with_labels_max(32).unwrap();
    let fresh = Fresh::limited(limits);
    let secret = name(&"n".repeat(64));
    let new = NewSecret::new(secret.clone(), account("x")).secret_type(SecretType::GaussDbFg);
    fresh.create_secret(new).unwrap();
    let update = SecretUpdate::new().description("d".repeat(2048).parse().unwrap());
    fresh.update_secret(&secret, &update).unwrap();
    for n in 0..29 {
        fresh.move_stage(&secret, &stage(&format!("{n:0>64}")), v(1)).unwrap();
    }
    for n in 0..140 {
        let new = NewVersion::new(account("x")).token(token(&format!("{n:x>128}")));
        fresh.put_version(&secret, new).unwrap();
    }
    fresh.move_stage(&secret, &stage("last"), v(1)).unwrap();
    let full = fresh.move_stage(&secret, &stage("more"), v(1));
    assert_eq!(kind_of(full), ErrorKind::LimitExceeded);
    let shown = picture(&fresh, &secret);
    let fresh = fresh.reopened_with(builder().limits(limits));
    assert_eq!(picture(&fresh, &secret), shown);
    assert_eq!(fresh.verify().unwrap().versions, 128);
    assert_eq!(fresh.rotate(&secret).unwrap().version_id(), v(142));
}

#[test]
fn numbers_are_never_used_again() {
    let mut fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for round in 0..4_u64 {
        for n in 1..=10 {
            assert_eq!(put(&fresh, &secret, ""), round * 10 + n + 1);
        }
        fresh = fresh.reopened();
    }
    let gone = fresh.version(&secret, &v(21).into());
    assert_eq!(kind_of(gone), ErrorKind::NotFound);
    assert_eq!(fresh.version(&secret, &v(22).into()).unwrap().id(), v(22));
}

/// csms.md 3.1: versions sort by their time, so no two may have the same; inside, times are
/// milliseconds, and the last one of a second shows that.
#[test]
fn times_of_creation_increase_even_when_the_clock_does_not() {
    const LAST_MS: i64 = 1_700_000_000_999;
    let moves: [(&str, i64); 4] = [
        ("stands still", 0),
        ("goes back an hour", -3_600_000),
        ("back to 1970", -LAST_MS),
        ("leaps back", -i64::MAX / 2),
    ];
    for (what, by) in moves {
        let clock = ManualClock::at(Timestamp::from_millis(LAST_MS));
        let fresh = Fresh::with(builder().clock(clock.clone()));
        let secret = create_rotatable(&fresh, "s");
        clock.advance_ms(by);
        fresh.put_version(&secret, NewVersion::new(account("x"))).unwrap();
        fresh.rotate(&secret).unwrap();
        let fresh = fresh.reopened_with(builder().clock(clock));
        fresh.rotate(&secret).unwrap();
        let page = fresh.versions(&secret, &ListVersions::new()).unwrap();
        let times: Vec<i64> = page.items().iter().map(|it| it.created().as_millis()).collect();
        assert_eq!(times[..2], [1_700_000_000_000, 1_700_000_001_000], "case: {what}");
        assert!(times.is_sorted(), "case: {what}: {times:?}");
    }
}

#[test]
fn times_are_whole_seconds() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = create_rotatable(&fresh, "s");
    clock.advance_ms(1_234);
    fresh.rotate(&secret).unwrap();
    let later = Timestamp::from_millis(START_MS + 77_777);
    fresh.update_version(&secret, &v(2).into(), later).unwrap();
    let shown = fresh.secret(&secret).unwrap();
    let version = fresh.get(&secret).unwrap();
    let times = [
        ("secret created", Some(shown.created()), 1_700_000_000_000),
        ("secret updated", Some(shown.updated()), 1_700_000_001_000),
        ("secret rotated", shown.rotated(), 1_700_000_001_000),
        ("version created", Some(version.metadata().created()), 1_700_000_001_000),
        ("version expires", version.metadata().expires(), 1_700_000_078_000),
        (
            "label moved",
            Some(fresh.stage(&secret, &Stage::Current).unwrap().updated()),
            1_700_000_001_000,
        ),
    ];
    for (what, got, want) in times {
        assert_eq!(got.map(Timestamp::as_millis), Some(want), "case: {what}");
    }
}

#[test]
fn versions_are_listed_in_pages_by_their_numbers() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    for _ in 0..11 {
        put(&fresh, &secret, "");
    }
    let limits = Limits::default().with_versions_max(5).unwrap();
    let fresh = fresh.reopened_with(builder().limits(limits));
    put(&fresh, &secret, "");
    let cases: &[(&str, Option<u64>, Option<usize>, &[u64], bool)] = &[
        ("all", None, None, &[9, 10, 11, 12, 13], false),
        ("the first two", None, Some(2), &[9, 10], true),
        ("the next two", Some(10), Some(2), &[11, 12], true),
        ("the last", Some(12), Some(2), &[13], false),
        ("behind the last", Some(13), Some(2), &[], false),
        ("after one that was dropped", Some(3), Some(1), &[9], true),
        ("after one that never was", Some(9_999_999_999), Some(1), &[], false),
        ("the largest page", None, Some(1000), &[9, 10, 11, 12, 13], false),
    ];
    for (what, marker, limit, want, has_more) in cases {
        let mut list = ListVersions::new();
        if let Some(marker) = marker {
            list = list.marker(v(*marker));
        }
        if let Some(limit) = limit {
            list = list.limit(*limit);
        }
        let page = fresh.versions(&secret, &list).unwrap();
        let got: Vec<u64> = page.items().iter().map(|it| it.id().number()).collect();
        assert_eq!((&got[..], page.has_more()), (*want, *has_more), "case: {what}");
    }
    for limit in [0, 1001, usize::MAX] {
        let list = ListVersions::new().limit(limit);
        assert_eq!(kind_of(fresh.versions(&secret, &list)), ErrorKind::InvalidArgument);
    }
}
