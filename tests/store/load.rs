//! Many secrets created at once.

use std::thread;

use strongroom::{
    ErrorKind, Limits, ListSecrets, Loaded, NameSyntax, NewSecret, SecretType, Stage,
};

use super::*;

/// A secret called `secret-<number>`, with a value that tells the number.
fn numbered(number: usize) -> NewSecret {
    let secret = NewSecret::new(name(&format!("secret-{number:05}")), account(&number.to_string()));
    secret.secret_type(SecretType::RdsFg)
}

/// The names and values of all secrets.
fn everything(store: &SecretStore) -> Vec<(String, String)> {
    let (mut all, mut list) = (Vec::new(), ListSecrets::new().limit(1000));
    loop {
        let page = store.names(&list).unwrap();
        for name in page.items() {
            let version = store.get(name).unwrap();
            assert_eq!(version.metadata().stages(), [Stage::Current], "{name}");
            all.push((name.to_string(), version.value().expose_str().unwrap().to_owned()));
        }
        match page.items().last().filter(|_| page.has_more()) {
            Some(last) => list = list.marker(last.clone()),
            None => return all,
        }
    }
}

#[test]
fn thousands_of_secrets_are_all_there_also_after_reopening() {
    const COUNT: usize = 3_000;
    let mut fresh = Fresh::new();
    let loaded = fresh.create_secrets((0..COUNT).map(numbered)).unwrap();
    assert_eq!((loaded.created(), loaded.refused().len()), (COUNT, 0));
    let before = everything(&fresh);
    assert_eq!(before.len(), COUNT);
    for (number, (name, text)) in before.iter().enumerate() {
        assert_eq!(*name, format!("secret-{number:05}"));
        assert!(text.contains(&format!("\"{number}\"")), "{name}: {text}");
    }
    fresh = fresh.reopened();
    assert_eq!(everything(&fresh), before);
    let checked = fresh.verify().unwrap();
    assert_eq!(checked.secrets, COUNT as u64);
}

#[test]
fn what_is_refused_is_told_with_its_position_and_keeps_nothing_else_out() {
    let fresh = Fresh::new();
    create(&fresh, "there");
    let plain = |of: &str| NewSecret::new(name(of), text("x"));
    let shaped = |of: &str| plain(of).secret_type(SecretType::RdsFg);
    let with_dot = SecretName::with_syntax("a.b", NameSyntax::WithDots).unwrap();
    let cases = [
        ("new", plain("a"), None),
        ("not the shape of its type", shaped("b"), Some(ErrorKind::Constraint)),
        ("there before", plain("there"), Some(ErrorKind::AlreadyExists)),
        ("new after one that is refused", plain("c"), None),
        ("made just before", plain("c"), Some(ErrorKind::AlreadyExists)),
        (
            "a name of another syntax",
            NewSecret::new(with_dot, text("x")),
            Some(ErrorKind::InvalidArgument),
        ),
        (
            "too long",
            NewSecret::new(name("d"), text(&"x".repeat(40_000))),
            Some(ErrorKind::LimitExceeded),
        ),
        ("the same one right", plain("d"), None),
        ("made much before", plain("a"), Some(ErrorKind::AlreadyExists)),
    ];
    let wanted: Vec<(usize, ErrorKind)> = cases
        .iter()
        .enumerate()
        .filter_map(|(position, (_, _, refused))| Some((position, (*refused)?)))
        .collect();
    let loaded = fresh.create_secrets(cases.map(|(_, new, _)| new)).unwrap();
    let refused: Vec<(usize, ErrorKind)> =
        loaded.refused().iter().map(|one| (one.position(), one.error().kind())).collect();
    assert_eq!((loaded.created(), refused), (3, wanted));
    assert_eq!(loaded.refused()[1].name().as_str(), "there");
    let names: Vec<String> = everything(&fresh).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "c", "d", "there"]);
}

#[test]
fn the_same_request_again_counts_what_it_made_before() {
    let fresh = Fresh::new();
    let all = || (0..5).map(|n| numbered(n).token(token(&format!("load-{n}"))));
    assert_eq!(fresh.create_secrets(all()).unwrap().created(), 5);
    let again = fresh.create_secrets(all()).unwrap();
    assert_eq!((again.created(), again.refused().len()), (5, 0));
    let before = seq(&fresh);
    fresh.create_secrets(all()).unwrap();
    assert_eq!(seq(&fresh), before, "nothing was written");
}

#[test]
fn a_quota_holds_for_many_as_for_one() {
    let fresh = Fresh::limited(Limits::default().with_secrets_max(Some(3)));
    let loaded = fresh.create_secrets((0..5).map(numbered)).unwrap();
    let refused: Vec<(usize, ErrorKind)> =
        loaded.refused().iter().map(|one| (one.position(), one.error().kind())).collect();
    let limit = ErrorKind::LimitExceeded;
    assert_eq!((loaded.created(), refused), (3, vec![(3, limit), (4, limit)]));
}

/// Two loads of the same names at once: each name is created by exactly one of them.
#[test]
fn of_two_loads_at_once_each_secret_is_created_by_one() {
    const COUNT: usize = 800;
    let fresh = Fresh::new();
    let loads: Vec<_> = thread::scope(|scope| {
        let store = &fresh.store;
        let orders: [Vec<usize>; 2] = [(0..COUNT).collect(), (0..COUNT).rev().collect()];
        let handles = orders.map(|order| {
            scope.spawn(move || store.create_secrets(order.into_iter().map(numbered)).unwrap())
        });
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert_eq!(loads.iter().map(Loaded::created).sum::<usize>(), COUNT);
    assert_eq!(loads.iter().map(|load| load.refused().len()).sum::<usize>(), COUNT);
    assert_eq!(everything(&fresh).len(), COUNT);
    fresh.verify().unwrap();
}

#[test]
fn none_and_a_closed_store() {
    let fresh = Fresh::new();
    assert_eq!(fresh.create_secrets([]).unwrap().created(), 0);
    fresh.store.clone().close().unwrap();
    let err = fresh.create_secrets([numbered(1)]).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidState);
}
