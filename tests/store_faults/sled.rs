//! Calls into sled fail or panic. sled reads and writes files of its own, so the file port does not
//! reach them: the calls themselves are made to fail, before they did anything or after they did all.

use super::*;

/// Calls that change the state: after a failed one nothing more may be written to it.
const CHANGING: [StateCall; 6] = [
    StateCall::Apply,
    StateCall::ApplyApart,
    StateCall::ApplyLarge,
    StateCall::Close,
    StateCall::Size,
    StateCall::Sync,
];

/// Steps between which everything is read. The large value and the old ones are in the state alone.
const READ_AFTER: [&str; 3] = ["rotate", "create another", "delete"];

/// An error and a panic, before and after, once and lasting. The position is set later.
fn faults(only: Option<StateCall>) -> Vec<Failure> {
    let mut all = Vec::new();
    for error in [Some(io::ErrorKind::Other), None] {
        for moment in [Moment::Before, Moment::After] {
            for lasting in [false, true] {
                all.push(Failure::Sled(StateFault { at: 0, lasting, only, moment, error }));
            }
        }
    }
    all
}

#[test]
fn a_store_is_created_wholly_or_not_at_all_when_sled_fails_or_panics() {
    let (mut runs, mut kinds) = (0, 0);
    for failure in faults(None) {
        runs += each_position(failure, (0, 0), "create, sled", |at| creation_fails(failure, at));
        kinds += 1;
    }
    assert!(runs >= 40, "only {runs} positions: the run does too little");
    println!("create, sled: {runs} failures, {kinds} kinds");
}

#[test]
fn an_opening_in_which_sled_fails_or_panics_changes_nothing_that_was_acknowledged() {
    let template = template(&CALLS);
    let (_dir, path) = copied(&template);
    let store = open(&path);
    all(&AFTERWARDS, &store);
    // As a crash leaves it, so that the journal has something to bring back.
    let left = scratch();
    copy_dir(&path, &left.path().join("store"));
    let wanted = content(&store).unwrap();
    drop(store);
    let mut runs = 0;
    for failure in faults(None) {
        let case = |at| opening_fails(&left, &wanted, failure, at);
        runs += each_position(failure, (0, 0), "open, sled", case);
    }
    assert!(runs >= 80, "only {runs} positions: the run does too little");
    println!("open, sled: {runs} failures");
}

#[test]
fn calls_end_in_errors_and_lose_nothing_when_sled_fails_or_panics() {
    let empty = template(&[]);
    let wanted = contents_behind_each_call(&empty);
    let mut runs = [0, 0];
    for only in CHANGING {
        for failure in faults(Some(only)) {
            let case = |at| sled_fails(&empty, &wanted, (failure, only), at);
            runs[0] += each_position(failure, (0, 0), "calls, sled", case);
        }
    }
    for (failure, only) in [StateCall::Read, StateCall::Scan]
        .into_iter()
        .flat_map(|only| faults(Some(only)).into_iter().map(move |failure| (failure, only)))
    {
        // What a call that only reads did before it failed makes no difference.
        if !matches!(failure, Failure::Sled(StateFault { moment: Moment::After, .. })) {
            let case = |at| sled_fails(&empty, &wanted, (failure, only), at);
            runs[1] += each_position(failure, (0, 0), "calls, sled", case);
        }
    }
    assert!(runs[0] >= 100 && runs[1] >= 50, "{runs:?} positions: the run does too little");
    let [changing, reading] = runs;
    println!("calls, sled: {changing} failures of changing calls, {reading} of reading ones");
}

/// What is there before the first call and behind each, made passwords left out.
fn contents_behind_each_call(template: &TempDir) -> Vec<String> {
    let (_dir, path) = copied(template);
    let store = open(&path);
    let mut contents = vec![unnamed(&content(&store).unwrap())];
    for (what, step) in &CALLS {
        step(&store).unwrap_or_else(|err| panic!("{what}: {err:?}"));
        contents.push(unnamed(&content(&store).unwrap()));
    }
    store.close().unwrap();
    contents
}

/// Says how many calls into sled failed.
fn sled_fails(
    template: &TempDir,
    wanted: &[String],
    (failure, only): (Failure, StateCall),
    at: u64,
) -> u64 {
    let (_dir, path) = copied(template);
    let disk = FaultyDisk::new(None);
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    failure.set(&disk, at);
    let typed = |kind| {
        assert!(kind == ErrorKind::Poisoned || failure.may_give(kind), "{kind:?}");
        assert!(disk.failed() > 0, "{kind:?} and no call failed");
    };
    let (mut done, mut refused) = (0, false);
    for (what, step) in &CALLS {
        if let Err(err) = step(&store) {
            typed(err.kind());
            refused = true;
            break;
        }
        done += 1;
        if READ_AFTER.contains(what) {
            // With the state caught up, so that it is asked and not the memory of what it lacks yet.
            match store.verify().and_then(|_| content(&store)) {
                Ok(found) => assert_eq!(unnamed(&found), wanted[done], "after {what}"),
                Err(err) => typed(err.kind()),
            }
        }
    }
    let failed_open = disk.failed();
    // Waits for the thread in the background.
    let moved = store.checkpoint().map_err(|err| err.kind());
    let failed = disk.failed();
    // The disk is well again; the handle knows what it may still do.
    disk.set(None);
    let probe = store.create_secret(NewSecret::new(name("probe"), value("p")));
    if let Err(err) = &probe {
        assert_eq!(err.kind(), ErrorKind::Poisoned, "a write after a failure");
    }
    if failed > 0 && CHANGING.contains(&only) {
        assert!(probe.is_err(), "a write after a failure of {only:?}");
        assert!(refused || moved.is_err(), "nobody was told of a failure of {only:?}");
    }
    if failed_open == 0 {
        assert!(!refused, "refused, and nothing failed");
    }
    if probe.is_ok() {
        store.delete_secret(&name("probe")).unwrap();
    }
    let live = content(&store).unwrap();
    let is_after = |calls: usize| wanted.get(calls).is_some_and(|it| *it == unnamed(&live));
    assert!(is_after(done) || (refused && is_after(done + 1)), "{done} calls done:\n{live}");

    if only == StateCall::Close {
        failure.set(&disk, at);
    }
    let closed = store.close().map_err(|err| err.kind());
    if probe.is_err() {
        assert!(closed.is_err(), "closing does not tell of the failure");
    }
    let failed = if only == StateCall::Close { disk.failed() } else { failed };
    let found = sound(&path);
    // The key file is written before the commit that binds it, so a refused change of it may be there.
    let refused_is_there = refused && wanted.get(done + 1) == Some(&unnamed(&found));
    assert!(found == live || refused_is_there, "before and after opening:\n{live}\n{found}");
    failed
}
