//! Passwords that callers ask for: every option of GenerateRandomPassword.

use std::collections::HashSet;

use strongroom::{
    ErrorKind, Missing, PasswordPolicy, PasswordPolicyName, PasswordRequest, ValueKind,
};

use super::*;

fn password(store: &SecretStore, request: &PasswordRequest) -> String {
    let value = store.generate_password(request).unwrap();
    assert_eq!(value.kind(), ValueKind::Text);
    value.expose_str().unwrap().to_owned()
}

#[test]
fn options_say_what_a_password_is_made_of() {
    type Change = fn(PasswordRequest) -> PasswordRequest;
    let (fresh, base) = (Fresh::new(), PasswordRequest::new().length(2000));
    let punctuation = |c: char| c.is_ascii_punctuation();
    // Two thousand signs hold every one of some 90, but once in 10^7 runs.
    let cases: &[(&str, Change, fn(char) -> bool, usize)] = &[
        ("row 66: all classes by default", |r| r, |c| c.is_ascii_graphic(), 94),
        ("exclude_lowercase", |r| r.exclude_lowercase(true), |c| !c.is_ascii_lowercase(), 68),
        ("exclude_uppercase", |r| r.exclude_uppercase(true), |c| !c.is_ascii_uppercase(), 68),
        ("exclude_numbers", |r| r.exclude_numbers(true), |c| !c.is_ascii_digit(), 84),
        ("exclude_punctuation", |r| r.exclude_punctuation(true), |c| c.is_alphanumeric(), 62),
        ("exclude_characters", |r| r.exclude_characters("aZ9~ "), |c| !"aZ9~ ".contains(c), 90),
        ("include_space", |r| r.include_space(true), |c| c == ' ' || c.is_ascii_graphic(), 95),
        (
            "only punctuation",
            |r| {
                let r = r.exclude_lowercase(true).exclude_uppercase(true);
                r.exclude_numbers(true)
            },
            punctuation,
            32,
        ),
    ];
    for (what, change, allowed, signs) in cases {
        let made = password(&fresh, &change(base.clone()));
        assert_eq!(made.len(), 2000, "case: {what}");
        assert!(made.chars().all(allowed), "case: {what}: {made}");
        assert_eq!(made.chars().collect::<HashSet<_>>().len(), *signs, "case: {what}");
    }
}

#[test]
fn row_66_the_default_is_32_signs_and_no_two_are_alike() {
    let fresh = Fresh::new();
    let before = seq(&fresh);
    let made: HashSet<String> =
        (0..1000).map(|_| password(&fresh, &PasswordRequest::default())).collect();
    assert!(made.len() == 1000 && made.iter().all(|it| it.len() == 32));
    assert_eq!(seq(&fresh), before, "nothing is written");
}

/// Without the requirement a password of four signs has all four types once in 15 times, so that two
/// hundred of them all have them by chance is out of the question.
#[test]
fn each_included_type_occurs_if_that_is_required() {
    let fresh = Fresh::new();
    let request = PasswordRequest::new().length(4).include_space(true);
    let request = request.require_each_included_type(true);
    for _ in 0..200 {
        let made = password(&fresh, &request);
        let has = |is: fn(&char) -> bool| made.chars().any(|c| is(&c));
        assert!(has(char::is_ascii_lowercase) && has(char::is_ascii_uppercase), "{made}");
        assert!(has(char::is_ascii_digit) && has(char::is_ascii_punctuation), "{made}");
    }
    let two = request.exclude_numbers(true).exclude_punctuation(true).length(2);
    for _ in 0..200 {
        let made = password(&fresh, &two);
        assert!(made.chars().any(|c| c.is_ascii_lowercase()), "{made}");
        assert!(made.chars().any(|c| c.is_ascii_uppercase()), "{made}");
    }
}

/// What the operating system gives comes through evenly: of 94 signs over 200,000 places, each comes
/// 2128 times, give or take 46; six times that happens to one of them once in 10^7 runs.
#[test]
fn signs_come_equally_often() {
    let fresh = Fresh::new();
    let mut counts = [0_i64; 256];
    for _ in 0..50 {
        let request = PasswordRequest::new().length(4000);
        password(&fresh, &request).bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    }
    for sign in b'!'..=b'~' {
        let off = (counts[usize::from(sign)] - 200_000 / 94).abs();
        assert!(off < 6 * 46, "{}: {off} off", char::from(sign));
    }
}

#[test]
fn what_cannot_be_made_is_refused() {
    let fresh = Fresh::new();
    let none = PasswordRequest::new().exclude_lowercase(true).exclude_uppercase(true);
    let none = none.exclude_numbers(true).exclude_punctuation(true);
    let each = PasswordRequest::new().require_each_included_type(true);
    let cases = [
        ("no sign", PasswordRequest::new().length(0)),
        ("more than 4096", PasswordRequest::new().length(4097)),
        ("very many", PasswordRequest::new().length(usize::MAX)),
        ("nothing to draw from", none),
        ("four types in three signs", each.clone().length(3)),
        ("no digit is left", each.exclude_characters("0123456789")),
        ("too many excluded", PasswordRequest::new().exclude_characters("x".repeat(4097))),
    ];
    for (what, request) in cases {
        let got = fresh.generate_password(&request);
        assert_eq!(kind_of(got), ErrorKind::InvalidArgument, "case: {what}");
    }
    assert_eq!(password(&fresh, &PasswordRequest::new().length(4096)).len(), 4096);
    assert_eq!(password(&fresh, &PasswordRequest::new().length(1)).len(), 1);
}

#[test]
fn a_policy_of_rotations_makes_one_too() {
    let fresh = Fresh::new();
    let policy = PasswordPolicy::uri_safe().with_length(40).unwrap();
    let made = fresh.generate_password_by(&policy).unwrap();
    let made = made.expose_str().unwrap();
    assert_eq!(made.len(), 40);
    assert!(made.chars().all(|c| c.is_ascii_alphanumeric() || "-_~".contains(c)), "{made}");
}

fn policy_name(text: &str) -> PasswordPolicyName {
    text.parse().unwrap()
}

/// `password_policy_name` of csms.md 3.8.
#[test]
fn a_policy_is_asked_for_by_the_name_that_the_store_was_given() {
    let marked = PasswordPolicy::uri_safe().with_length(60).unwrap().with_specials("#", 1).unwrap();
    let policies = || {
        builder()
            .named_password_policy(policy_name("long"), PasswordPolicy::default())
            .named_password_policy(policy_name("marked"), marked.clone())
            .named_password_policy(
                policy_name("long"),
                PasswordPolicy::uri_safe().with_length(40).unwrap(),
            )
    };
    let fresh = Fresh::with(policies());
    let before = seq(&fresh);
    let by = |name: &str| PasswordRequest::new().policy_name(policy_name(name));
    for _ in 0..20 {
        let made = password(&fresh, &by("marked"));
        assert!(made.len() == 60 && made.contains('#'), "{made}");
    }
    assert_eq!(password(&fresh, &by("long")).len(), 40, "the later one of a name");
    let missing = |store: &SecretStore, name: &str| match store.generate_password(&by(name)) {
        Err(Error::NotFound(Missing::PasswordPolicy(name))) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(&fresh, "Long"), "Long", "capital letters are others");
    let both = by("long").length(50);
    assert_eq!(kind_of(fresh.generate_password(&both)), ErrorKind::InvalidArgument);
    let unknown = by("nil").exclude_numbers(true);
    assert_eq!(kind_of(fresh.generate_password(&unknown)), ErrorKind::InvalidArgument);
    assert_eq!(seq(&fresh), before);
    let fresh = fresh.reopened();
    assert_eq!(missing(&fresh, "long"), "long", "it belongs to the handle, not to the store");
    let fresh = fresh.reopened_with(policies());
    assert_eq!(password(&fresh, &by("long")).len(), 40);
}

#[test]
fn nothing_of_a_password_or_a_request_is_printed() {
    let fresh = Fresh::new();
    let request = PasswordRequest::new().exclude_characters("SECRET");
    assert!(!format!("{request:?}").contains("SECRET"));
    let value = fresh.generate_password(&request).unwrap();
    assert_eq!(format!("{value:?}"), "SecretValue(..)");
}
