//! Whether and when a secret is rotated by itself: rows 53 to 60 of csms.md 8.3.

use strongroom::{
    Error, ErrorKind, Limits, NewSecret, RotationConfig, RotationRules, Secret, SecretSubType,
    SecretUpdate,
};

use super::*;

const HOUR: i64 = 3_600_000;

/// [`START_MS`] in whole seconds.
const START_S: i64 = START_MS - START_MS % 1000;

fn rules(automatic: bool, period: &str) -> RotationRules {
    let rules = RotationRules::new().automatic(automatic);
    if period.is_empty() { rules } else { rules.period(period.parse().unwrap()) }
}

fn new(secret: &str, rules: RotationRules) -> NewSecret {
    NewSecret::new(name(secret), account("first")).secret_type(SecretType::RdsFg).rotation(rules)
}

fn update(store: &SecretStore, secret: &SecretName, rules: RotationRules) -> Secret {
    store.update_secret(secret, &SecretUpdate::new().rotation(rules)).unwrap()
}

/// When it is rotated next, in milliseconds after the start.
fn next(secret: &Secret) -> Option<i64> {
    secret.next_rotation().map(|at| at.as_millis() - START_S)
}

fn period(secret: &Secret) -> &str {
    secret.rotation_period().map_or("", |period| period.as_str())
}

#[test]
fn rows_53_and_54_common_secrets_are_not_rotated() {
    let (fresh, _) = Fresh::at_a_standstill();
    let secret = create(&fresh, "s");
    let before = seq(&fresh);
    assert_eq!(kind_of(fresh.rotate(&secret)), ErrorKind::Constraint, "row 53");
    let rotated = SecretUpdate::new().rotation(rules(true, "1d"));
    let err = fresh.update_secret(&secret, &rotated).unwrap_err();
    let Error::Constraint { name, rule } = &err else { panic!("{err:?}") };
    assert!(name == &secret && rule.to_string().contains("COMMON"), "row 54: {rule}");
    let other = NewSecret::new(name.clone(), text("x")).rotation(rules(true, "1d"));
    fresh.delete_secret(&secret).unwrap();
    assert_eq!(kind_of(fresh.create_secret(other)), ErrorKind::Constraint, "row 54: new");
    assert_eq!(kind_of(fresh.secret(&secret)), ErrorKind::NotFound);
    assert_eq!(seq(&fresh), before + 1, "nothing was written but the deletion");
    // What does nothing is taken, since clients send it.
    let off = NewSecret::new(secret, text("x")).rotation(rules(false, "1d"));
    assert_eq!(next(&fresh.create_secret(off).unwrap()), None);
}

#[test]
fn row_55_automatic_rotation_takes_a_period() {
    let (fresh, _) = Fresh::at_a_standstill();
    let got = fresh.create_secret(new("s", rules(true, "")));
    assert_eq!(kind_of(got), ErrorKind::InvalidArgument);
    let secret = create_rotatable(&fresh, "s");
    let before = (seq(&fresh), fresh.secret(&secret).unwrap());
    let got = fresh.update_secret(&secret, &SecretUpdate::new().rotation(rules(true, "")));
    assert_eq!(kind_of(got), ErrorKind::InvalidArgument);
    assert_eq!((seq(&fresh), fresh.secret(&secret).unwrap()), before, "nothing changed");
}

#[test]
fn rows_56_and_57_the_first_time_is_a_period_after_it_was_switched_on() {
    let (fresh, clock) = Fresh::at_a_standstill();
    let made = fresh.create_secret(new("a", rules(true, "0360m"))).unwrap();
    assert_eq!((made.auto_rotation(), period(&made), next(&made)), (true, "0360m", Some(6 * HOUR)));
    let secret = create_rotatable(&fresh, "b");
    let plain = fresh.secret(&secret).unwrap();
    assert_eq!((plain.auto_rotation(), period(&plain), next(&plain)), (false, "", None));
    clock.advance_ms(HOUR);
    let on = update(&fresh, &secret, rules(true, "8760h"));
    assert_eq!((on.auto_rotation(), period(&on), next(&on)), (true, "8760h", Some(8761 * HOUR)));
    assert_eq!(current(&fresh, &secret), account("first").expose_str().unwrap());
}

#[test]
fn rows_58_to_60_a_schedule_follows_its_rules_and_the_last_rotation() {
    let (mut fresh, clock) = Fresh::at_a_standstill();
    let secret = name("s");
    fresh.create_secret(new("s", rules(true, "6h"))).unwrap();
    for reopened in [false, true] {
        if reopened {
            fresh.delete_secret(&secret).unwrap();
            clock.advance_ms(-15 * HOUR);
            fresh.create_secret(new("s", rules(true, "6h"))).unwrap();
        }
        let at = |store: Fresh, millis: i64| -> Fresh {
            clock.advance_ms(millis);
            if reopened { store.reopened_with(builder().clock(clock.clone())) } else { store }
        };
        fresh = at(fresh, HOUR);
        let longer = update(&fresh, &secret, RotationRules::new().period("24h".parse().unwrap()));
        assert_eq!(next(&longer), Some(24 * HOUR), "row 58: from switching on, not from now");
        fresh = at(fresh, HOUR);
        fresh.rotate(&secret).unwrap();
        let rotated = fresh.secret(&secret).unwrap();
        assert_eq!(next(&rotated), Some(26 * HOUR), "row 60: a manual rotation counts");
        fresh = at(fresh, 11 * HOUR);
        let shorter = update(&fresh, &secret, rules(true, "6h"));
        assert_eq!(next(&shorter), Some(8 * HOUR), "row 58: it may have passed");
        let off = update(&fresh, &secret, rules(false, ""));
        assert_eq!((off.auto_rotation(), period(&off), next(&off)), (false, "6h", None), "row 59");
        fresh = at(fresh, 2 * HOUR);
        let on = update(&fresh, &secret, rules(true, ""));
        assert_eq!(next(&on), Some(21 * HOUR), "row 57: on again");
    }
}

#[test]
fn an_update_that_changes_no_rule_writes_nothing() {
    let (fresh, clock) = Fresh::at_a_standstill();
    fresh.create_secret(new("s", rules(true, "1d"))).unwrap();
    let before = (seq(&fresh), fresh.secret(&name("s")).unwrap());
    clock.advance_ms(HOUR);
    for same in [RotationRules::new(), rules(true, ""), rules(true, "1d")] {
        update(&fresh, &name("s"), same);
    }
    assert_eq!((seq(&fresh), fresh.secret(&name("s")).unwrap()), before);
    update(&fresh, &name("s"), rules(true, "24h"));
    assert_eq!(period(&fresh.secret(&name("s")).unwrap()), "24h", "row 56: the text as given");
}

#[test]
fn configuration_and_function_are_kept_as_given() {
    let (mut fresh, _) = Fresh::at_a_standstill();
    let text = r#" {"rds_instance_id": "in01", "Secret_sub_type": "MultiUser", "x": [1]}"#;
    let config: RotationConfig = text.parse().unwrap();
    let urn = "urn:fss:{region}:46b6f338:function:default:test2-0:latest";
    let rules = RotationRules::new().function_urn(urn.parse().unwrap());
    fresh.create_secret(new("s", rules).rotation_config(config)).unwrap();
    for _ in 0..2 {
        let secret = fresh.secret(&name("s")).unwrap();
        let config = secret.rotation_config().unwrap();
        assert_eq!(config.as_str(), text, "row 7.19: the string as given");
        let read = (config.instance_id(), config.sub_type());
        assert_eq!(read, (Some("in01"), Some(SecretSubType::MultiUser)));
        assert_eq!(secret.rotation_func_urn().unwrap().as_str(), urn);
        fresh = fresh.reopened();
    }
    let other = RotationRules::new().function_urn("urn:other".parse().unwrap());
    let changed = update(&fresh, &name("s"), other);
    assert_eq!(changed.rotation_func_urn().unwrap().as_str(), "urn:other");
    assert_eq!(changed.rotation_config().unwrap().as_str(), text, "it cannot be changed");
}

#[test]
fn a_configuration_is_mandatory_if_the_store_says_so() {
    let strict = Fresh::limited(Limits::default().with_rotation_config_required(true));
    let custom = SecretType::rotatable("REDIS-ACL").unwrap();
    let cases = [
        ("COMMON", SecretType::Common, true),
        ("RDS-FG", SecretType::RdsFg, false),
        ("GaussDB-FG", SecretType::GaussDbFg, false),
        ("custom", custom, true),
    ];
    for (what, secret_type, without) in cases {
        let new = |at: &str| {
            let new = NewSecret::new(name(&format!("{what}-{at}")), account("x"));
            new.secret_type(secret_type.clone())
        };
        let got = strict.create_secret(new("without"));
        match without {
            true => assert!(got.is_ok(), "case: {what}"),
            false => assert_eq!(kind_of(got), ErrorKind::InvalidArgument, "case: {what}"),
        }
        let with = new("with").rotation_config("{}".parse().unwrap());
        assert!(strict.create_secret(with).is_ok(), "case: {what}");
        assert!(Fresh::new().create_secret(new("lenient")).is_ok(), "case: {what}");
    }
}
