//! Tags and searches. Row numbers are those of csms.md 8.4.

use strongroom::{
    AuditQuery, ErrorKind, FindSecrets, RecoveryWindow, SecretUpdate, Tag, TagFilter, TagValues,
};

use super::*;

/// Tags from a text like `a=1 b=`.
fn tags(list: &str) -> Vec<Tag> {
    let pairs = list.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(key, value)| Tag::new(key, value).unwrap()).collect()
}

/// Filters from a text like `a=1,2 b`.
fn filters(list: &str) -> Vec<TagFilter> {
    let filter = |text: &str| {
        let (key, values) = text.split_once('=').unwrap_or((text, ""));
        let any = TagFilter::any(key.parse().unwrap());
        let values = values.split(',').filter(|value| !value.is_empty());
        values.fold(any, |filter, value| filter.or_value(value.parse().unwrap()).unwrap())
    };
    list.split_whitespace().map(filter).collect()
}

fn shown(store: &SecretStore, secret: &SecretName) -> String {
    let tags = store.tags(secret).unwrap();
    let pairs: Vec<_> = tags.iter().map(|tag| format!("{}={}", tag.key(), tag.value())).collect();
    pairs.join(" ")
}

fn twenty() -> String {
    (0..20).map(|n| format!("k{n:02}=v ")).collect::<String>().trim().to_owned()
}

#[test]
fn tags_are_added_replaced_and_removed() {
    let fresh = Fresh::new();
    type Call = fn(&SecretStore, &SecretName) -> Result<(), Error>;
    let rows: &[(&str, &str, Call, Result<&str, ErrorKind>)] = &[
        ("one more", "a=1", |s, n| s.add_tag(n, Tag::new("b", "")?), Ok("a=1 b=")),
        ("row 77: the same key", "a=1", |s, n| s.add_tag(n, Tag::new("a", "2")?), Ok("a=2")),
        ("several", "b=1", |s, n| s.add_tags(n, tags("c=1 a=1 b=2")), Ok("a=1 b=2 c=1")),
        (
            "a key twice",
            "a=1",
            |s, n| s.add_tags(n, tags("b=1 b=2")),
            Err(ErrorKind::InvalidArgument),
        ),
        ("none", "a=1", |s, n| s.add_tags(n, []), Err(ErrorKind::InvalidArgument)),
        (
            "row 78: a batch above 20",
            "k20=x",
            |s, n| s.add_tags(n, tags(&twenty())),
            Err(ErrorKind::LimitExceeded),
        ),
        (
            "21 in one request",
            "a=1",
            |s, n| s.add_tags(n, tags(&format!("{} k20=x", twenty()))),
            Err(ErrorKind::LimitExceeded),
        ),
        ("remove", "a=1 b=2", |s, n| s.remove_tag(n, &"a".parse()?), Ok("b=2")),
        (
            "row 79: remove a missing one",
            "a=1",
            |s, n| s.remove_tag(n, &"b".parse()?),
            Err(ErrorKind::NotFound),
        ),
        ("row 79: in a batch", "a=1 b=2", |s, n| s.remove_tags(n, filters("b c")), Ok("a=1")),
        ("row 80: its value", "a=1 b=2", |s, n| s.remove_tags(n, filters("a=1 b=1")), Ok("b=2")),
    ];
    for (at, (what, before, call, want)) in rows.iter().enumerate() {
        let secret = create(&fresh, &format!("s{at}"));
        fresh.add_tags(&secret, tags(before)).unwrap();
        let seq_before = seq(&fresh);
        let got = call(&fresh, &secret).map_err(|err| err.kind());
        assert_eq!(got, want.map(drop), "case: {what}");
        assert_eq!(shown(&fresh, &secret), want.unwrap_or(before), "case: {what}");
        assert_eq!(seq(&fresh), seq_before + u64::from(want.is_ok()), "case: {what}");
    }
    let full = create(&fresh, "full");
    fresh.add_tags(&full, tags(&twenty())).unwrap();
    let before = seq(&fresh);
    assert_eq!(kind_of(fresh.add_tag(&full, Tag::new("x", "").unwrap())), ErrorKind::LimitExceeded);
    fresh.add_tags(&full, tags(&twenty())).unwrap();
    assert_eq!(seq(&fresh), before, "all are there already");
    let fresh = fresh.reopened();
    assert_eq!(shown(&fresh, &full), twenty());
    fresh.verify().unwrap();
}

/// csms.md 1.6, and 3.1: a secret has its tags from its first moment on, in one commit.
#[test]
fn a_secret_is_created_with_its_tags_in_one_commit() {
    let fresh = Fresh::new();
    let new = |secret: &str, list: &str| NewSecret::new(name(secret), text("x")).tags(tags(list));
    let before = seq(&fresh);
    fresh.create_secret(new("a", "team=x stage=prod")).unwrap();
    assert_eq!(seq(&fresh), before + 1);
    assert_eq!(shown(&fresh, &name("a")), "stage=prod team=x");
    let log = fresh.audit(&AuditQuery::new().secret(name("a"))).unwrap();
    let told: Vec<&str> = log.items().iter().map(|it| it.operation().as_str()).collect();
    assert_eq!(told, ["createSecret"]);
    let before = seq(&fresh);
    fresh.add_tags(&name("a"), tags("team=x stage=prod")).unwrap();
    assert_eq!(seq(&fresh), before, "kept as any others: they are there already");

    let loaded = fresh.create_secrets([new("b", "team=y"), new("c", ""), new("d", &twenty())]);
    assert_eq!(loaded.unwrap().created(), 3);
    assert_eq!(shown(&fresh, &name("b")), "team=y");
    assert_eq!(shown(&fresh, &name("c")), "");
    let found = fresh.find_secrets(&FindSecrets::new().tag(filters("team").remove(0))).unwrap();
    assert_eq!(found.items().len(), 2);
    let fresh = fresh.reopened();
    assert_eq!(shown(&fresh, &name("a")), "stage=prod team=x");
    assert_eq!(shown(&fresh, &name("d")), twenty());
    // Nothing else of it is another than without tags.
    fresh.update_secret(&name("a"), &SecretUpdate::new()).unwrap();
    fresh.remove_tag(&name("a"), &"team".parse().unwrap()).unwrap();
    assert_eq!(shown(&fresh, &name("a")), "stage=prod");
    fresh.verify().unwrap();
}

#[test]
fn a_secret_with_tags_that_break_a_rule_is_not_created() {
    let fresh = Fresh::new();
    let cases = [
        ("a key twice", "a=1 b=2 a=1".to_owned(), ErrorKind::InvalidArgument),
        ("21 tags", format!("{} k20=x", twenty()), ErrorKind::LimitExceeded),
    ];
    let before = seq(&fresh);
    for (what, list, want) in cases {
        let new = || NewSecret::new(name("s"), text("x")).tags(tags(&list));
        assert_eq!(kind_of(fresh.create_secret(new())), want, "case: {what}");
        let loaded = fresh.create_secrets([new()]).unwrap();
        assert_eq!(loaded.refused()[0].error().kind(), want, "case: {what}");
    }
    assert_eq!(seq(&fresh), before);
    assert_eq!(kind_of(fresh.secret(&name("s"))), ErrorKind::NotFound);
}

/// Rows 77, 83, 84.
#[test]
fn tags_of_the_store_come_and_go_with_those_of_its_secrets() {
    let fresh = Fresh::new();
    let (a, b) = (create(&fresh, "a"), create(&fresh, "b"));
    fresh.add_tags(&a, tags("team=x stage=prod")).unwrap();
    fresh.add_tags(&b, tags("team=w")).unwrap();
    let all = || {
        let row = |it: &TagValues| {
            let values: Vec<&str> = it.values().iter().map(|value| value.as_str()).collect();
            format!("{}={}", it.key(), values.join(","))
        };
        fresh.project_tags().unwrap().iter().map(row).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(all(), "stage=prod team=w,x");
    fresh.schedule_deletion(&a, RecoveryWindow::default()).unwrap();
    assert_eq!(shown(&fresh, &a), "stage=prod team=x", "row 84: read");
    for refused in [
        fresh.add_tags(&a, tags("b=1")),
        fresh.remove_tag(&a, &"team".parse().unwrap()),
        fresh.remove_tags(&a, filters("team")),
    ] {
        assert_eq!(kind_of(refused), ErrorKind::SecretState, "row 84: write");
    }
    fresh.delete_secret(&a).unwrap();
    assert_eq!(all(), "team=w");
    fresh.remove_tags(&b, filters("team")).unwrap();
    assert_eq!(all(), "", "row 83");
    let missing = name("missing");
    assert_eq!(kind_of(fresh.tags(&missing)), ErrorKind::NotFound);
    assert_eq!(kind_of(fresh.add_tags(&missing, tags("a=1"))), ErrorKind::NotFound);
}

/// Rows 81 and 82, and csms.md 3.4.
#[test]
fn secrets_are_found_by_tags_and_parts_of_names() {
    let fresh = Fresh::new();
    let all = [
        ("billing-db", "team=a stage=prod"),
        ("billing-web", "team=a stage=test"),
        ("Orders-db", "team=b stage=prod"),
        ("plain", ""),
    ];
    for (secret, list) in all {
        let secret = create(&fresh, secret);
        if !list.is_empty() {
            fresh.add_tags(&secret, tags(list)).unwrap();
        }
    }
    let find = |list: &str| filters(list).into_iter().fold(FindSecrets::new(), FindSecrets::tag);
    let rows = [
        ("all", FindSecrets::new(), "Orders-db billing-db billing-web plain"),
        ("a key with any value", find("team"), "Orders-db billing-db billing-web"),
        ("one value", find("team=a"), "billing-db billing-web"),
        ("values are alternatives", find("team=a,b"), "Orders-db billing-db billing-web"),
        ("keys must all match", find("team=a,b stage=prod"), "Orders-db billing-db"),
        ("a value that nobody has", find("team=c"), ""),
        ("a key that nobody has", find("owner"), ""),
        ("row 81: a part", FindSecrets::new().name_part("-db"), "Orders-db billing-db"),
        ("row 81: large and small", FindSecrets::new().name_part("orders"), ""),
        ("3.4: an empty part", FindSecrets::new().name_part(""), ""),
        ("both", find("stage=prod").name_part("bill"), "billing-db"),
    ];
    let names = |find: &FindSecrets| {
        let page = fresh.find_secrets(find).unwrap();
        let names: Vec<&str> = page.items().iter().map(|it| it.name().as_str()).collect();
        (names.join(" "), page.has_more())
    };
    for (what, find, want) in rows {
        assert_eq!(names(&find), (want.to_owned(), false), "case: {what}");
        let count = want.split_whitespace().count();
        let asked = find.limit(1).offset(3);
        assert_eq!(fresh.count_secrets(&asked).unwrap(), count, "case: {what}, row 82");
    }
    let page = |limit, offset| names(&FindSecrets::new().limit(limit).offset(offset));
    assert_eq!(page(2, 0), ("Orders-db billing-db".to_owned(), true));
    assert_eq!(page(2, 2), ("billing-web plain".to_owned(), false));
    assert_eq!(page(1000, 3), ("plain".to_owned(), false));
    assert_eq!(page(1, 4), (String::new(), false));
    for limit in [0, 1001] {
        let find = FindSecrets::new().limit(limit);
        assert_eq!(kind_of(fresh.find_secrets(&find)), ErrorKind::InvalidArgument);
    }
    let eleven = (0..11).map(|n| format!("k{n} ")).collect::<String>();
    assert_eq!(kind_of(fresh.find_secrets(&find(&eleven))), ErrorKind::LimitExceeded);
    assert_eq!(kind_of(fresh.count_secrets(&find("a=1 a=2"))), ErrorKind::InvalidArgument);
}

/// csms.md 3.4: ten on a page unless a number is named.
#[test]
fn a_page_of_found_secrets_has_ten() {
    let fresh = Fresh::new();
    for n in 0..11 {
        create(&fresh, &format!("s{n}"));
    }
    let page = fresh.find_secrets(&FindSecrets::new()).unwrap();
    assert_eq!((page.items().len(), page.has_more()), (10, true));
}

/// csms.md 1.1: calls about tags name a secret by its id.
#[test]
fn secrets_are_found_by_id_while_they_are_there() {
    let fresh = Fresh::new();
    let first = fresh.create_secret(NewSecret::new(name("a"), text("x"))).unwrap();
    assert_eq!(fresh.secret_by_id(&first.id()).unwrap(), Some(first.clone()));
    let second = fresh.create_secret(NewSecret::new(name("b"), text("x"))).unwrap();
    assert_eq!(fresh.secret_by_id(&second.id()).unwrap(), Some(second.clone()), "made later");
    fresh.delete_secret(&name("a")).unwrap();
    let again = fresh.create_secret(NewSecret::new(name("a"), text("x"))).unwrap();
    assert_eq!(fresh.secret_by_id(&first.id()).unwrap(), None, "another one of its name");
    assert_eq!(fresh.secret_by_id(&again.id()).unwrap().as_ref(), Some(&again));
    let fresh = fresh.reopened();
    assert_eq!(fresh.secret_by_id(&second.id()).unwrap().unwrap().name(), second.name());
    let upper = first.id().to_uppercase();
    for wrong in ["", "a", &first.id()[1..], &first.id().replace('-', "0"), "not-a-uuid", &upper] {
        let digits_only = wrong == upper && !wrong.bytes().any(|byte| byte.is_ascii_alphabetic());
        if !digits_only {
            assert_eq!(kind_of(fresh.secret_by_id(wrong)), ErrorKind::InvalidArgument, "{wrong}");
        }
    }
}

#[test]
fn an_enterprise_project_is_set_at_creation() {
    let fresh = Fresh::new();
    let new = NewSecret::new(name("a"), text("x")).enterprise_project_id("0".parse().unwrap());
    let made = fresh.create_secret(new).unwrap();
    assert_eq!(made.enterprise_project_id(), Some("0".parse().unwrap()));
    let fresh = fresh.reopened();
    assert_eq!(fresh.secret(&name("a")).unwrap(), made);
    create(&fresh, "b");
    assert_eq!(fresh.secret(&name("b")).unwrap().enterprise_project_id(), None);
}
