//! Rotation; and what makes writes safe to repeat and to race: tokens and preconditions.

use std::{collections::HashSet, thread};

use strongroom::{
    Error, ErrorKind, Limits, ListVersions, NewSecret, NewVersion, PasswordPolicy, Preconditions,
    RequestToken, RotateOptions, SecretName, SecretStore, SecretType, SecretUpdate, SecretValue,
    Stage, Timestamp, VersionRef,
};

use super::*;

/// Whether a password keeps a policy, counted here anew.
fn keeps(policy: &PasswordPolicy, password: &str) -> bool {
    let count = |is: fn(&char) -> bool| password.chars().filter(is).count();
    password.chars().count() == policy.length()
        && password.chars().all(|c| c.is_ascii_alphanumeric() || policy.specials().contains(c))
        && count(char::is_ascii_uppercase) >= policy.upper_min()
        && count(char::is_ascii_lowercase) >= policy.lower_min()
        && count(char::is_ascii_digit) >= policy.digit_min()
        && count(char::is_ascii_punctuation) >= policy.special_min()
        && (!policy.first_is_letter() || password.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// What stands between these two in `value`.
fn between<'a>(value: &'a str, before: &str, after: &str) -> &'a str {
    value.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).expect("the rest is kept")
}

#[test]
fn every_type_but_common_gets_a_new_password_and_keeps_the_rest_byte_for_byte() {
    let shapes = [
        (r#"{"users":[{"name":"app","password":""#, "old", r#""}]}"#),
        ("{ \"users\" :\n[\t{\"password\": \"", "", "\" , \"name\":\"app\"} ]\r\n}  "),
        (
            r#"{"host":"a\u0062\/","port":5432.0e1,"users":[{"x":[{}],"name":"\u0061pp","password":""#,
            r#"o\"l\u0064"#,
            r#"","n":null,"\u00e9":"password"}],"password":"kept","z":-0}"#,
        ),
    ];
    let custom = SecretType::rotatable("REDIS-ACL").unwrap();
    let policy = PasswordPolicy::default();
    let fresh = Fresh::new();
    for (kind, secret_type) in [SecretType::RdsFg, SecretType::GaussDbFg, custom].iter().enumerate()
    {
        for (shape, (before, old, after)) in shapes.iter().enumerate() {
            let secret = name(&format!("s{kind}-{shape}"));
            let value = format!("{before}{old}{after}");
            let new = NewSecret::new(secret.clone(), text(&value)).secret_type(secret_type.clone());
            fresh.create_secret(new).unwrap();
            let mut passwords = HashSet::from([(*old).to_owned()]);
            for number in 2..=4 {
                let rotation = fresh.rotate(&secret).unwrap();
                assert_eq!((rotation.secret_name(), rotation.version_id()), (&secret, v(number)));
                let value = current(&fresh, &secret);
                let password = between(&value, before, after).to_owned();
                assert!(keeps(&policy, &password), "{secret}: {password}");
                assert!(!password.to_lowercase().contains("app"), "the account's name is in it");
                assert!(passwords.insert(password), "{secret}: a password came twice");
            }
            assert_eq!(picture(&fresh, &secret), "v1 v2 v3[SYSPREVIOUS] v4[SYSCURRENT]");
        }
    }
}

#[test]
fn passwords_follow_the_policy_of_the_handle() {
    let policies = [
        PasswordPolicy::uri_safe(),
        PasswordPolicy::huawei_rds_common().with_length(32).unwrap(),
        PasswordPolicy::huawei_rds_postgres().with_first_letter(true).unwrap(),
        PasswordPolicy::huawei_rds_mysql().with_length(128).unwrap().with_minima(9, 8, 7).unwrap(),
        PasswordPolicy::uri_safe().with_specials("\"\\'/", 2).unwrap().with_length(16).unwrap(),
        PasswordPolicy::uri_safe().with_specials("", 0).unwrap(),
    ];
    let mut fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    for policy in policies {
        fresh = fresh.reopened_with(builder().password_policy(policy.clone()));
        for _ in 0..20 {
            fresh.rotate(&secret).unwrap();
            let value = current(&fresh, &secret);
            let quoted = between(&value, r#"{"users":[{"name":"app","password":""#, r#""}]}"#);
            let password = quoted.replace(r#"\""#, "\"").replace(r"\\", "\\");
            assert!(keeps(&policy, &password), "{policy:?}: {password}");
        }
    }
}

#[test]
fn a_common_secret_is_not_rotated_and_nothing_changes() {
    let fresh = Fresh::new();
    let secret = name("s");
    fresh.create_secret(NewSecret::new(secret.clone(), account("kept"))).unwrap();
    let before = (fresh.secret(&secret).unwrap(), seq(&fresh), picture(&fresh, &secret));
    let options = RotateOptions::new().token(token("t"));
    for got in [fresh.rotate(&secret), fresh.rotate_with(&secret, &options)] {
        let err = got.unwrap_err();
        let Error::Constraint { name, rule } = &err else { panic!("{err:?}") };
        assert!(name == &secret && rule.to_string().contains("COMMON"), "{rule}");
    }
    let after = (fresh.secret(&secret).unwrap(), seq(&fresh), picture(&fresh, &secret));
    assert_eq!(after, before);
    assert!(current(&fresh, &secret).contains("kept"));
}

#[test]
fn a_value_without_the_shape_is_refused_at_creation_and_later() {
    let several = r#"{"users":[{"name":"a","password":"b"},{"name":"c","password":"d"}]}"#;
    let cases: [(&str, SecretValue); 17] = [
        ("binary", SecretValue::from_bytes(account("x").expose())),
        ("empty", text("")),
        ("no JSON", text("password")),
        ("cut off", text(r#"{"users":[{"name":"app","password":"MARK"}]"#)),
        ("more behind it", text(r#"{"users":[{"name":"app","password":"MARK"}]} x"#)),
        ("an array", text(r#"[{"name":"app","password":"MARK"}]"#)),
        ("no users", text(r#"{"name":"app","password":"MARK"}"#)),
        ("users is no array", text(r#"{"users":{"name":"app","password":"MARK"}}"#)),
        ("no account", text(r#"{"users":[]}"#)),
        ("several accounts", text(several)),
        ("an account that is no object", text(r#"{"users":["MARK"]}"#)),
        ("no name", text(r#"{"users":[{"password":"MARK"}]}"#)),
        ("an empty name", text(r#"{"users":[{"name":"","password":"MARK"}]}"#)),
        ("a number for a name", text(r#"{"users":[{"name":7,"password":"MARK"}]}"#)),
        ("no password", text(r#"{"users":[{"name":"MARK"}]}"#)),
        ("null for a password", text(r#"{"users":[{"name":"MARK","password":null}]}"#)),
        (
            "a member twice",
            text(r#"{"users":[{"name":"a","password":"MARK","p\u0061ssword":"MARK"}]}"#),
        ),
    ];
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "good");
    let before = (fresh.secret(&secret).unwrap(), seq(&fresh));
    for (what, value) in cases {
        let copy = match value.expose_str() {
            Some(same) => text(same),
            None => SecretValue::from_bytes(value.expose()),
        };
        let new = NewSecret::new(name("bad"), copy).secret_type(SecretType::GaussDbFg);
        let made = fresh.create_secret(new).map(drop);
        let put = fresh.put_version(&secret, NewVersion::new(value)).map(drop);
        for got in [made, put] {
            let err = got.unwrap_err();
            assert_eq!(err.kind(), ErrorKind::Constraint, "case: {what}");
            assert!(!format!("{err} {err:?}").contains("MARK"), "case: {what}: {err}");
        }
    }
    assert_eq!((fresh.secret(&secret).unwrap(), seq(&fresh)), before);
    assert_eq!(kind_of(fresh.secret(&name("bad"))), ErrorKind::NotFound);
}

#[test]
fn forty_rotations_keep_twenty_versions() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    fresh.move_stage(&secret, &stage("first"), v(1)).unwrap();
    for number in 2..=41 {
        assert_eq!(fresh.rotate(&secret).unwrap().version_id(), v(number));
        let page = fresh.versions(&secret, &ListVersions::new()).unwrap();
        let want = usize::try_from(number).unwrap().min(20);
        assert_eq!(page.items().len(), want, "after {number}");
        let behind = |stage: &Stage| fresh.stage(&secret, stage).unwrap().version_id();
        assert_eq!(behind(&Stage::Current), v(number));
        assert_eq!(behind(&Stage::Previous), v(number - 1));
    }
    assert!(picture(&fresh, &secret).starts_with("v1[first] v23 v24 "));
    assert_eq!(fresh.verify().unwrap().versions, 20);
}

#[test]
fn a_rotation_starts_from_the_current_version_and_leaves_other_labels() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let other = r#"{"users":[{"name":"other","password":"x"}],"more":1}"#;
    fresh.put_version(&secret, NewVersion::new(text(other))).unwrap();
    let pending = NewVersion::new(account("pending")).stages(stages("SYSPENDING blue"));
    fresh.put_version(&secret, pending).unwrap();
    fresh.move_stage(&secret, &Stage::Current, v(1)).unwrap();
    fresh.rotate(&secret).unwrap();
    assert!(current(&fresh, &secret).contains(r#""name":"app""#), "made from v1");
    assert_eq!(picture(&fresh, &secret), "v1[SYSPREVIOUS] v2 v3[SYSPENDING blue] v4[SYSCURRENT]");
    let rotated = fresh.secret(&secret).unwrap().rotated();
    assert!(rotated.is_some());
    put_account(&fresh, &secret);
    assert_eq!(fresh.reopened().secret(&secret).unwrap().rotated(), rotated);
}

fn put_account(store: &SecretStore, secret: &SecretName) {
    store.put_version(secret, NewVersion::new(account("by hand"))).unwrap();
}

#[test]
fn a_rotation_that_a_limit_forbids_writes_nothing() {
    // A value at the limit, whose new password is longer than the old one.
    let value_len = account("short").measured_len();
    let limits = Limits::default().with_value_len_max_bytes(value_len + 18).unwrap();
    let fresh = Fresh::limited(limits);
    let secret = name("long");
    let new = NewSecret::new(secret.clone(), account("short")).secret_type(SecretType::RdsFg);
    fresh.create_secret(new).unwrap();
    let full = create_rotatable(&fresh, "full");
    for n in 0..11 {
        fresh.move_stage(&full, &stage(&format!("l{n}")), v(1)).unwrap();
    }
    let before = seq(&fresh);
    for secret in [&secret, &full] {
        assert_eq!(kind_of(fresh.rotate(secret)), ErrorKind::LimitExceeded);
        assert_eq!(picture(&fresh, secret).split(' ').next().unwrap().get(..3), Some("v1["));
    }
    assert_eq!(seq(&fresh), before);
}

#[test]
fn the_answer_of_a_rotation_in_json_is_that_of_the_rest_operation() {
    let fresh = Fresh::new();
    for text in ["Test", "a-b_C9", "_"] {
        let secret = create_rotatable(&fresh, text);
        for number in 2..=11 {
            let want = format!(r#"{{"version_id":"v{number}","secret_name":"{text}"}}"#);
            assert_eq!(fresh.rotate(&secret).unwrap().to_json(), want);
        }
    }
}

#[test]
fn many_threads_rotate_one_secret_and_each_call_makes_its_own_version() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let mut numbers: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let rotate = |_| fresh.rotate(&secret).unwrap().version_id().number();
                    let mine: Vec<u64> = (0..50).map(rotate).collect();
                    assert!(mine.is_sorted(), "a later call has a greater number");
                    mine
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (2..=401).collect::<Vec<u64>>());
    let shown = picture(&fresh, &secret);
    assert!(shown.starts_with("v382 ") && shown.ends_with("v400[SYSPREVIOUS] v401[SYSCURRENT]"));
    let fresh = fresh.reopened();
    assert_eq!(picture(&fresh, &secret), shown);
    fresh.verify().unwrap();
}

#[test]
fn a_request_token_is_1_to_128_visible_signs_of_ascii() {
    let cases = [
        ("a uuid", "0b6e1b3c-3a8f-4d7e-9d55-0a3f2f1c4b2a".to_owned(), true),
        ("one sign", "!".to_owned(), true),
        ("the longest", "~".repeat(128), true),
        ("one more", "~".repeat(129), false),
        ("nothing", String::new(), false),
        ("a space", "a b".to_owned(), false),
        ("a line feed", "a\n".to_owned(), false),
        ("delete", "\u{7f}".to_owned(), false),
        ("beyond ASCII", "\u{e9}".to_owned(), false),
    ];
    for (what, text, good) in cases {
        let got = text.parse::<RequestToken>();
        assert_eq!(got.is_ok(), good, "case: {what}");
        assert!(got.is_ok_and(|token| token.as_str() == text) || !good, "case: {what}");
    }
}

#[test]
fn a_repeated_request_does_nothing_and_gives_the_same_answer() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let secret = name("s");
    let create = |store: &SecretStore| {
        let new = NewSecret::new(secret.clone(), account("first")).secret_type(SecretType::RdsFg);
        store.create_secret(new.token(token("create")))
    };
    let expires = Timestamp::from_millis(2_000_000_000_000);
    let put = |store: &SecretStore| {
        let new = NewVersion::new(account("put")).stages(stages("SYSCURRENT blue"));
        store.put_version(&secret, new.expires(expires).token(token("put")))
    };
    let rotate = |store: &SecretStore| {
        store.rotate_with(&secret, &RotateOptions::new().token(token("rotate")))
    };
    let made = create(&fresh).unwrap();
    let version = put(&fresh).unwrap();
    let rotation = rotate(&fresh).unwrap();
    assert_eq!((version.id(), rotation.version_id()), (v(2), v(3)));

    let (before, written) = (fresh.secret(&secret).unwrap(), seq(&fresh));
    clock.advance_ms(10_000_000);
    let mut fresh = fresh;
    for _ in 0..2 {
        let again = create(&fresh).unwrap();
        assert_eq!((again.id(), again.revision()), (made.id(), before.revision()));
        assert_eq!(put(&fresh).unwrap().id(), version.id());
        assert_eq!(rotate(&fresh).unwrap(), rotation);
        assert_eq!((fresh.secret(&secret).unwrap(), seq(&fresh)), (before.clone(), written));
        fresh = fresh.reopened();
    }
    fresh.rotate(&secret).unwrap();
    assert_eq!(rotate(&fresh).unwrap(), rotation, "whatever came after it");
    fresh.delete_secret(&secret).unwrap();
    assert_ne!(create(&fresh).unwrap().id(), made.id(), "a new secret knows no tokens");
}

#[test]
fn a_token_of_one_request_is_refused_for_another() {
    let fresh = Fresh::new();
    let secret = name("s");
    let first = NewSecret::new(secret.clone(), account("first")).secret_type(SecretType::RdsFg);
    fresh.create_secret(first.token(token("create"))).unwrap();
    let later = Timestamp::from_millis(9_000_000_000_000);
    let new = || NewVersion::new(account("put")).token(token("put"));
    fresh.put_version(&secret, new()).unwrap();
    fresh.rotate_with(&secret, &RotateOptions::new().token(token("rotate"))).unwrap();
    let before = (fresh.secret(&secret).unwrap(), seq(&fresh));

    let with = |value: SecretValue, text: &str| NewVersion::new(value).token(token(text));
    let puts = [
        ("another value", with(account("other"), "put")),
        ("other labels", new().stages([Stage::Pending])),
        ("its default label, named", new().stages([Stage::Current])),
        ("another expiry", new().expires(later)),
        ("the token of the creation", with(account("put"), "create")),
        ("the token of the rotation", with(account("put"), "rotate")),
    ];
    for (what, put) in puts {
        assert_eq!(kind_of(fresh.put_version(&secret, put)), ErrorKind::Conflict, "case: {what}");
    }
    for text in ["put", "create"] {
        let options = RotateOptions::new().token(token(text));
        assert_eq!(kind_of(fresh.rotate_with(&secret, &options)), ErrorKind::Conflict, "{text}");
    }
    let of = |value: SecretValue, text: &str| {
        NewSecret::new(secret.clone(), value).secret_type(SecretType::RdsFg).token(token(text))
    };
    let creations = [
        ("another value", of(account("other"), "create"), ErrorKind::Conflict),
        (
            "another type",
            of(account("first"), "create").secret_type(SecretType::Common),
            ErrorKind::Conflict,
        ),
        ("the token of the put", of(account("first"), "put"), ErrorKind::Conflict),
        ("a token never seen", of(account("first"), "new"), ErrorKind::AlreadyExists),
    ];
    for (what, new, want) in creations {
        assert_eq!(kind_of(fresh.create_secret(new)), want, "case: {what}");
    }
    assert_eq!((fresh.secret(&secret).unwrap(), seq(&fresh)), before);

    // Another secret's tokens are its own affair.
    let other = create_rotatable(&fresh, "other");
    fresh.rotate_with(&other, &RotateOptions::new().token(token("put"))).unwrap();
}

#[test]
fn text_and_bytes_that_are_equal_are_two_requests() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let with = |value: SecretValue| NewVersion::new(value).token(token("t"));
    fresh.put_version(&secret, with(text("same"))).unwrap();
    let binary = with(SecretValue::from_bytes(*b"same"));
    assert_eq!(kind_of(fresh.put_version(&secret, binary)), ErrorKind::Conflict);
}

#[test]
fn the_last_32_tokens_are_remembered() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let rotate = |n: u64| {
        let options = RotateOptions::new().token(token(&format!("t{n}")));
        fresh.rotate_with(&secret, &options).unwrap().version_id()
    };
    for n in 0..32 {
        assert_eq!(rotate(n), v(n + 2));
    }
    for n in 0..32 {
        assert_eq!(rotate(n), v(n + 2), "t{n} is remembered, though v2 is dropped");
    }
    assert_eq!(rotate(32), v(34));
    assert_eq!(rotate(1), v(3), "the second oldest is remembered");
    assert_eq!(rotate(0), v(35), "the oldest was forgotten, and the request is a new one");
}

/// The version of a request can be dropped before its token is forgotten. A repetition makes no second
/// one all the same.
#[test]
fn a_repeated_request_whose_version_was_dropped_makes_no_other() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let put_once = || fresh.put_version(&secret, NewVersion::new(text("once")).token(token("t")));
    put_once().unwrap();
    for _ in 0..25 {
        put(&fresh, &secret, "");
    }
    let before = seq(&fresh);
    match put_once() {
        Ok(version) => assert_eq!(version.id(), v(2)),
        Err(err) => assert_eq!(err.kind(), ErrorKind::NotFound),
    }
    assert_eq!(seq(&fresh), before);
}

#[test]
fn a_refused_request_does_not_use_up_its_token() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let wrong = Preconditions::none().if_version(v(9));
    let options = RotateOptions::new().token(token("t"));
    let refused = fresh.rotate_with(&secret, &options.clone().preconditions(wrong));
    assert_eq!(kind_of(refused), ErrorKind::Conflict);
    assert_eq!(fresh.rotate_with(&secret, &options).unwrap().version_id(), v(2));
    // What was done is not judged again, so a repetition does not fail on its own success.
    let once = options.preconditions(Preconditions::none().if_version(v(1)));
    assert_eq!(fresh.rotate_with(&secret, &once).unwrap().version_id(), v(2));
}

#[test]
fn of_many_equal_requests_at_once_one_is_carried_out() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    for round in 0..20_u64 {
        let options = RotateOptions::new().token(token(&format!("t{round}")));
        let numbers: HashSet<u64> = thread::scope(|scope| {
            let rotate = || fresh.rotate_with(&secret, &options).unwrap().version_id().number();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(rotate)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(numbers, HashSet::from([round + 2]));
    }
    let made: HashSet<String> = thread::scope(|scope| {
        let create = || {
            let new = NewSecret::new(name("new"), text("one")).token(token("t"));
            fresh.create_secret(new).unwrap().id()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.len(), 1);
}

#[test]
fn every_write_that_takes_preconditions_keeps_them() {
    type Write = fn(&SecretStore, &SecretName, Preconditions) -> Result<(), Error>;
    let writes: [(&str, Write); 7] = [
        ("update_secret", |store, it, if_| {
            let update = SecretUpdate::new().description("new".parse().unwrap());
            store.update_secret(it, &update.preconditions(if_)).map(drop)
        }),
        ("put_version", |store, it, if_| {
            store.put_version(it, NewVersion::new(account("x")).preconditions(if_)).map(drop)
        }),
        ("update_version_if", |store, it, if_| {
            let later = Timestamp::from_millis(9_000_000_000_000);
            store.update_version_if(it, &VersionRef::Latest, later, &if_).map(drop)
        }),
        ("move_stage_if", |store, it, if_| {
            store.move_stage_if(it, &Stage::Current, v(1), &if_).map(drop)
        }),
        ("delete_stage_if", |store, it, if_| store.delete_stage_if(it, &stage("blue"), &if_)),
        ("rotate_with", |store, it, if_| {
            store.rotate_with(it, &RotateOptions::new().preconditions(if_)).map(drop)
        }),
        ("delete_secret_if", |store, it, if_| store.delete_secret_if(it, &if_)),
    ];
    let fresh = Fresh::new();
    for (n, (what, write)) in writes.into_iter().enumerate() {
        let secret = create_rotatable(&fresh, &format!("s{n}"));
        fresh.rotate(&secret).unwrap();
        fresh.move_stage(&secret, &stage("blue"), v(1)).unwrap();
        let (before, written) = (fresh.secret(&secret).unwrap(), seq(&fresh));
        let revision = before.revision();
        let none = Preconditions::none();
        let refused = [
            ("an old revision", none.if_revision(revision - 1)),
            ("a revision to come", none.if_revision(revision + 1)),
            ("another version", none.if_version(v(1))),
            ("one of two", none.if_revision(revision).if_version(v(3))),
            ("the other of two", none.if_revision(1).if_version(v(2))),
        ];
        for (which, preconditions) in refused {
            let got = write(&fresh, &secret, preconditions);
            assert_eq!(kind_of(got), ErrorKind::Conflict, "case: {what}, {which}");
            assert_eq!(seq(&fresh), written, "case: {what}, {which}");
        }
        assert_eq!(fresh.secret(&secret).unwrap(), before, "case: {what}");
        write(&fresh, &secret, none.if_revision(revision).if_version(v(2))).unwrap();
        assert_eq!(seq(&fresh), written + 1, "case: {what}");
    }
}

#[test]
fn preconditions_hold_for_writes_that_would_change_nothing() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let wrong = Preconditions::none().if_revision(7);
    let update = SecretUpdate::new().preconditions(wrong);
    assert_eq!(kind_of(fresh.update_secret(&secret, &update)), ErrorKind::Conflict);
    let moved = fresh.move_stage_if(&secret, &Stage::Current, v(1), &wrong);
    assert_eq!(kind_of(moved), ErrorKind::Conflict);
}

#[test]
fn of_many_who_write_on_one_revision_one_succeeds() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    for _ in 0..20 {
        let revision = fresh.secret(&secret).unwrap().revision();
        let options =
            RotateOptions::new().preconditions(Preconditions::none().if_revision(revision));
        let won: usize = thread::scope(|scope| {
            let rotate = || match fresh.rotate_with(&secret, &options) {
                Ok(_) => 1,
                Err(err) => {
                    assert_eq!(err.kind(), ErrorKind::Conflict);
                    0
                }
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(rotate)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
        assert_eq!(fresh.secret(&secret).unwrap().revision(), revision + 1);
    }
}
