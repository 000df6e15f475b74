//! Values and passwords.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use strongroom::{
    Builder, Clock, ErrorKind, HasKey, Limits, NewSecret, NewVersion, Preconditions, RequestToken,
    RotateOptions, SecretStore, SecretType, SecretValue, Stage as Label, Timestamp, VersionRef,
};

use crate::{
    canary::{self, Canary},
    child::{Stage, deep, scenario},
    support::{key, name},
};

const ACCOUNT: &str = r#"{"users":[{"name":"app","password":"@","host":"db"}],"port":5432}"#;
/// JSON that has to be unescaped to be read.
const ESCAPED: &str = r#"{"users" : [ {"name":"a\u0070p", "password" : "\"\u00e9@\n@"} ]}"#;

fn builder() -> Builder<HasKey> {
    SecretStore::builder().master_key(key(1)).state_cache_bytes(1 << 20)
}

fn new_store(stage: &Stage<'_>) -> SecretStore {
    builder().create(stage.dir.join("store")).unwrap()
}

fn create(store: &SecretStore, value: SecretValue) {
    store.create_secret(NewSecret::new(name("s"), value)).unwrap();
}

fn create_account(store: &SecretStore, value: SecretValue) {
    let new = NewSecret::new(name("s"), value).secret_type(SecretType::RdsFg);
    store.create_secret(new).unwrap();
}

fn text(canary: &Canary, pattern: &str) -> SecretValue {
    SecretValue::from_string(canary.within(pattern))
}

#[test]
fn a_value_that_was_put_leaves_nothing() {
    scenario("values::a_value_that_was_put_leaves_nothing", |stage| {
        let words: [Canary; 4] = std::array::from_fn(|_| Canary::text(&mut stage.random));
        let store = new_store(stage);
        deep(|| create(&store, text(&words[0], "@")));
        stage.nothing_left("creating");
        deep(|| store.put_version(&name("s"), NewVersion::new(text(&words[1], "@")))).unwrap();
        stage.nothing_left("putting");
        deep(|| {
            let value = SecretValue::from_bytes(words[2].within("\u{0}@\u{0}@"));
            let token: RequestToken = "token".parse().unwrap();
            let new = NewVersion::new(value).token(token).stages([Label::Pending]);
            store.put_version(&name("s"), new).unwrap();
        });
        stage.nothing_left("putting bytes with a token");
        let long = "-".repeat(190) + "@";
        deep(|| {
            let new = NewVersion::new(text(&words[3], &long.repeat(140)));
            store.put_version(&name("s"), new).unwrap();
        });
        stage.nothing_left("putting a long value");
        deep(|| store.checkpoint().unwrap());
        stage.nothing_left("a checkpoint");
        deep(|| store.close().unwrap());
        stage.nothing_left("closing");
    });
}

#[test]
fn a_value_that_was_read_leaves_nothing() {
    scenario("values::a_value_that_was_read_leaves_nothing", |stage| {
        let word = Canary::text(&mut stage.random);
        let store = new_store(stage);
        create(&store, text(&word, "@"));
        deep(|| assert!(word.is(store.get(&name("s")).unwrap().value().expose())));
        stage.nothing_left("reading");
        deep(|| {
            let version = store.version(&name("s"), &VersionRef::Stage(Label::Current)).unwrap();
            let value = version.into_value();
            assert!(word.is(value.expose_str().unwrap().as_bytes()));
            assert!(value.ct_eq(&store.get(&name("s")).unwrap().into_value()));
        });
        stage.nothing_left("reading, taking out and comparing");
        deep(|| store.close().unwrap());
        let store = deep(|| builder().open(stage.dir.join("store")).unwrap());
        deep(|| assert!(word.is(store.get(&name("s")).unwrap().value().expose())));
        deep(|| store.verify().unwrap());
        stage.nothing_left("opening again, reading, and checking everything");
        drop(store);
        stage.nothing_left("dropping the handle");
        let salvage = deep(|| builder().salvage(stage.dir.join("store")).unwrap());
        deep(|| assert!(word.is(salvage.get(&name("s")).unwrap().value().expose())));
        stage.nothing_left("salvaging and reading");
        let mended = deep(|| salvage.write_to(stage.dir.join("mended")).unwrap());
        deep(|| assert!(word.is(mended.get(&name("s")).unwrap().value().expose())));
        deep(|| mended.close().unwrap());
        stage.nothing_left("writing what was salvaged");
    });
}

#[test]
fn a_refused_value_leaves_nothing() {
    scenario("values::a_refused_value_leaves_nothing", |stage| {
        let word = Canary::text(&mut stage.random);
        let small = Limits::default().with_value_len_max_bytes(120).unwrap();
        let store = builder().limits(small).create(stage.dir.join("store")).unwrap();
        create(&store, SecretValue::from_string("first"));
        let put = |value: SecretValue| NewVersion::new(value);
        let token: RequestToken = "token".parse().unwrap();
        let used = put(SecretValue::from_string("with a token")).token(token.clone());
        store.put_version(&name("s"), used).unwrap();
        let stale = Preconditions::none().if_revision(77);
        let cases: [(&str, ErrorKind, NewVersion); 5] = [
            ("too long", ErrorKind::LimitExceeded, put(text(&word, "@@@@"))),
            ("too late", ErrorKind::Conflict, put(text(&word, "@")).preconditions(stale)),
            ("another token", ErrorKind::Conflict, put(text(&word, "@")).token(token)),
            (
                "expired",
                ErrorKind::InvalidArgument,
                put(text(&word, "@")).expires(Timestamp::from_millis(1)),
            ),
            (
                "a label twice",
                ErrorKind::InvalidArgument,
                put(text(&word, "@")).stages([Label::Pending, Label::Pending]),
            ),
        ];
        for (what, kind, new) in cases {
            // The error outlives the look: it holds nothing either.
            let err = deep(|| store.put_version(&name("s"), new)).unwrap_err();
            assert_eq!(err.kind(), kind, "{what}");
            if what == "a label twice" {
                stage.nothing_left(what);
            }
        }
        let shapes = [
            "@",
            r#"{"users":[{"name":"app","password":["@"]}]}"#,
            r#"{"users":[{"name":"app","@":"@"}]}"#,
            r#"{"users":"@","password":"@"}"#,
            r#"{"users":[{"name":"app","password":"@"},{"name":"@"}]}"#,
            r#"{"users":[{"name":"app","password":"@}"#,
            r#"{"users":[{"name":"app","password":"\ud800@"}]}"#,
        ];
        for shape in shapes {
            let err = deep(|| {
                let new = NewSecret::new(name("account"), text(&word, shape));
                store.create_secret(new.secret_type(SecretType::RdsFg)).unwrap_err()
            });
            assert_eq!(err.kind(), ErrorKind::Constraint, "{shape}");
        }
        stage.nothing_left("values of a wrong shape");
        let err = deep(|| store.put_version(&name("nobody"), put(text(&word, "@")))).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NotFound);
        deep(|| store.clone().close().unwrap());
        let err = deep(|| store.put_version(&name("s"), put(text(&word, "@")))).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidState);
        stage.nothing_left("values for no secret, and for a closed store");
    });
}

/// A clock that panics when it is asked for the given time.
struct Panicking(AtomicU64);

impl Clock for Panicking {
    fn now(&self) -> Timestamp {
        assert_ne!(self.0.fetch_sub(1, Ordering::SeqCst), 0, "of the caller's clock");
        Timestamp::from_millis(1_700_000_000_000)
    }
}

#[test]
fn a_panic_of_the_caller_leaves_nothing() {
    scenario("values::a_panic_of_the_caller_leaves_nothing", |stage| {
        let word = Canary::text(&mut stage.random);
        drop(new_store(stage));
        let mut panics = 0;
        for calls in 0..6 {
            let store = builder().clock(Panicking(AtomicU64::new(calls)));
            let outcome = deep(|| {
                catch_unwind(AssertUnwindSafe(|| {
                    let store = store.open(stage.dir.join("store")).unwrap();
                    let secret = format!("s-{calls}").parse().unwrap();
                    store.create_secret(NewSecret::new(secret, text(&word, "@"))).unwrap();
                    let secret = format!("s-{calls}").parse().unwrap();
                    let new = NewVersion::new(text(&word, "@"));
                    store.put_version(&secret, new).unwrap();
                    store.get(&secret).unwrap()
                }))
            });
            panics += usize::from(outcome.is_err());
            drop(outcome);
            stage.nothing_left("a panic of the clock");
        }
        assert!((1..6).contains(&panics), "{panics} of 6 panicked");

        let store = builder().open(stage.dir.join("store")).unwrap();
        let secret = name("s-5");
        let outcome = deep(|| {
            catch_unwind(AssertUnwindSafe(|| {
                let version = store.get(&secret).unwrap();
                assert!(word.is(version.value().expose()));
                store.verify_with(|_| panic!("of the caller's progress")).unwrap();
            }))
        });
        assert!(outcome.is_err());
        stage.nothing_left("a panic while a value is held");
    });
}

#[test]
fn a_rotation_leaves_neither_the_old_nor_the_new_password() {
    let test = "values::a_rotation_leaves_neither_the_old_nor_the_new_password";
    scenario(test, |stage| {
        let (first, second) = (Canary::text(&mut stage.random), Canary::text(&mut stage.random));
        let store = new_store(stage);
        create_account(&store, text(&first, ACCOUNT));
        rotate(stage, &store, "the first rotation");
        rotate(stage, &store, "the second rotation");
        let new = NewVersion::new(text(&second, ESCAPED));
        deep(|| store.put_version(&name("s"), new)).unwrap();
        rotate(stage, &store, "rotating a value with escapes");
        deep(|| store.close().unwrap());
        stage.nothing_left("closing");
    });
}

/// Keeps all that is freed while the new password is not known, so that it is looked through after.
fn rotate(stage: &mut Stage<'_>, store: &SecretStore, what: &str) {
    canary::hoard(true);
    let options = RotateOptions::new().token(what.replace(' ', "-").parse().unwrap());
    deep(|| store.rotate_with(&name("s"), &options)).unwrap();
    canary::hoard(false);
    deep(|| {
        let value = store.get(&name("s")).unwrap();
        let text = value.value().expose_str().unwrap();
        let (_, password) = text.split_once(r#""password""#).unwrap();
        let password = password.split('"').nth(1).unwrap();
        assert_eq!(password.len(), 24);
        Canary::learn(password.as_bytes());
    });
    stage.nothing_left(what);
}

#[test]
fn a_deleted_secret_leaves_nothing() {
    scenario("values::a_deleted_secret_leaves_nothing", |stage| {
        let word = Canary::text(&mut stage.random);
        let store = new_store(stage);
        create_account(&store, text(&word, ACCOUNT));
        for _ in 0..25 {
            deep(|| store.put_version(&name("s"), NewVersion::new(text(&word, ACCOUNT)))).unwrap();
        }
        stage.nothing_left("dropping old versions");
        deep(|| store.delete_secret(&name("s")).unwrap());
        stage.nothing_left("deleting");
        assert_eq!(store.get(&name("s")).unwrap_err().kind(), ErrorKind::NotFound);
        deep(|| store.close().unwrap());
        stage.nothing_left("closing");
    });
}
