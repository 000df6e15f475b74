//! Where a store is, who has it open, how it is found again, and how that it is another or an older
//! one is noticed.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        process::CommandExt as _,
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use strongroom::{
    Anchor, Error, ErrorKind, Expect, ListSecrets, NewSecret, SecretStore, Verify,
    testing::{Fault, FaultyDisk, Operation},
};

use super::*;

/// Tells a process that it is the child of a test, and what it is to do.
const ERRAND: &str = "STRONGROOM_TEST_ERRAND";

/// This program again, to do an errand instead of the tests.
fn child(program: &Path, errand: &str, path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["opening::an_errand_of_another_test", "--exact", "--ignored", "--nocapture"]);
    command.args(["--test-threads", "1"]);
    command.env(ERRAND, format!("{errand}:{}", path.display()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// What the child says of an errand.
fn answer(child: &mut Child) -> String {
    let stdout = BufReader::new(child.stdout.as_mut().unwrap());
    let said = stdout.lines().map_while(Result::ok);
    said.filter_map(|line| line.split_once("answer: ").map(|(_, said)| said.to_owned()))
        .next()
        .expect("the child gives an answer")
}

fn ask(mut command: Command) -> String {
    let mut child = command.spawn().unwrap();
    let said = answer(&mut child);
    assert!(child.wait().unwrap().success());
    said
}

#[test]
#[ignore = "run by other tests, as another process"]
fn an_errand_of_another_test() {
    let Ok(errand) = env::var(ERRAND) else { return };
    let (what, path) = errand.split_once(':').unwrap();
    let opened = match what {
        "create" => builder().create(path),
        _ => builder().open(path),
    };
    let said = match &opened {
        Ok(_) => "Ok".to_owned(),
        Err(err) => format!("{:?}", err.kind()),
    };
    if what == "hold" {
        create(opened.as_ref().unwrap(), "written-by-the-child");
    }
    writeln!(io::stdout(), "answer: {said}").unwrap();
    if what == "hold" {
        // Until killed, with a write that was acknowledged and a store that was never closed.
        let _ = io::stdin().read(&mut [0]);
        panic!("the parent kills this process");
    }
}

#[test]
fn what_is_no_store_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::create_dir(dir.path().join("foreign")).unwrap();
    fs::write(dir.path().join("foreign/notes.txt"), "mine").unwrap();
    fs::write(dir.path().join("file"), "mine").unwrap();
    fs::create_dir_all(dir.path().join("dbonly/db")).unwrap();
    let before = files(dir.path());
    let cases = [
        "missing",
        "empty",
        "foreign",
        "file",
        "file/below",
        "dbonly",
        "missing/below",
        "dangling",
    ];
    for what in cases {
        let path = dir.path().join(what);
        let err = builder().open(&path).unwrap_err();
        let Error::NotAStore { path: named } = err else { panic!("case: {what}: {err:?}") };
        assert_eq!(named, path, "case: {what}");
    }
    for what in ["foreign", "file", "dbonly"] {
        let path = dir.path().join(what);
        let created = kind_of(builder().create(&path));
        assert_eq!(created, ErrorKind::AlreadyExists, "case: {what}");
        let opened = kind_of(builder().open_or_create(&path));
        assert_eq!(opened, ErrorKind::NotAStore, "case: {what}");
    }
    // The parent must be there; it is not made.
    let orphan = dir.path().join("missing/below");
    for got in [builder().create(&orphan), builder().open_or_create(&orphan)] {
        let err = got.unwrap_err();
        let Error::Storage { source } = err else { panic!("{err:?}") };
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
    }
    assert!(files(dir.path()) == before, "nothing was made or changed");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

#[test]
fn a_store_is_made_where_nothing_or_an_empty_directory_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("empty")).unwrap();
    for (what, open_or_create) in [("new", false), ("new2", true), ("empty", false)] {
        let path = dir.path().join(what);
        let store =
            if open_or_create { builder().open_or_create(&path) } else { builder().create(&path) };
        create(&store.unwrap(), "s");
        let err = builder().create(&path).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::AlreadyExists, "case: {what}");
        let store = builder().open_or_create(&path).unwrap();
        assert_eq!(current(&store, &name("s")), "one", "case: {what}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary directory is left");
}

#[test]
fn directories_and_files_are_for_their_owner_alone() {
    let fresh = Fresh::new();
    create(&fresh, "s");
    fresh.checkpoint().unwrap();
    let fresh = fresh.reopened();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut directories = vec![fresh.path];
    while let Some(dir) = directories.pop() {
        assert_eq!(mode(&dir), 0o700, "{}", dir.display());
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
}

#[test]
fn a_path_may_end_with_a_slash_be_relative_or_lead_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let up: PathBuf = env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
    let relative = up.join(root.strip_prefix("/").unwrap()).join("store");
    let slash = PathBuf::from(format!("{}/store/", root.display()));
    symlink(&root, root.join("link")).unwrap();
    symlink(root.join("store"), root.join("store-link")).unwrap();
    let dotted = root.join("link/../").join(root.file_name().unwrap()).join("./store");
    for path in [&slash, &relative, &root.join("store"), &root.join("link/store"), &dotted] {
        builder().create(path).unwrap_or_else(|err| panic!("{}: {err:?}", path.display()));
        for other in [&slash, &relative, &root.join("link/store"), &root.join("store-link")] {
            builder().open(other).unwrap().close().unwrap();
        }
        fs::remove_dir_all(root.join("store")).unwrap();
    }
    let program = env::current_exe().unwrap();
    for text in ["bare", "bare2/", "./bare3"] {
        for errand in ["create", "open"] {
            let mut command = child(&program, errand, Path::new(text));
            command.current_dir(&root);
            assert_eq!(ask(command), "Ok", "{errand} {text}");
        }
        builder().open(root.join(text)).unwrap();
    }
}

#[test]
fn an_open_store_is_locked_for_everybody_else() {
    let fresh = Fresh::new();
    let program = env::current_exe().unwrap();
    let alias = fresh.dir.path().join("alias");
    symlink(&fresh.path, &alias).unwrap();
    for path in [&fresh.path, &alias] {
        let err = builder().open(path).unwrap_err();
        let Error::Locked { path: named } = err else { panic!("{err:?}") };
        assert_eq!(&named, path);
        assert_eq!(kind_of(builder().open_or_create(path)), ErrorKind::Locked);
        assert_eq!(ask(child(&program, "open", path)), "Locked", "in another process");
    }
    create(&fresh, "s");
    let Fresh { store, path, dir: _dir } = fresh;
    store.close().unwrap();
    assert_eq!(ask(child(&program, "open", &path)), "Ok");
    assert_eq!(current(&builder().open(&path).unwrap(), &name("s")), "one");
}

#[test]
fn a_store_whose_process_was_killed_is_free_and_has_all_that_was_acknowledged() {
    let Fresh { store, path, dir: _dir } = Fresh::new();
    store.close().unwrap();
    let mut holder = child(&env::current_exe().unwrap(), "hold", &path).spawn().unwrap();
    assert_eq!(answer(&mut holder), "Ok");
    assert_eq!(kind_of(builder().open(&path)), ErrorKind::Locked);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let store = builder().open(&path).unwrap();
    assert_eq!(current(&store, &name("written-by-the-child")), "one");
    store.verify().unwrap();
}

#[test]
fn a_closed_store_can_be_opened_again_at_once() {
    let mut fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    for number in 2..=51 {
        assert_eq!(fresh.rotate(&secret).unwrap().version_id(), v(number));
        fresh = fresh.reopened();
    }
    assert_eq!(fresh.get(&secret).unwrap().id(), v(51));
    fresh.verify().unwrap();
}

#[test]
fn an_anchor_is_met_by_the_same_store_as_it_is_or_further_on() {
    let fresh = Fresh::new();
    let mut anchors = vec![fresh.anchor().unwrap()];
    let secret = create_rotatable(&fresh, "s");
    let mut fresh = fresh;
    for _ in 0..3 {
        anchors.push(fresh.anchor().unwrap());
        fresh.rotate(&secret).unwrap();
        anchors.push(fresh.anchor().unwrap());
        assert!(anchors.is_sorted_by_key(Anchor::seq));
        for anchor in &anchors {
            let text = anchor.to_string();
            let parsed: Anchor = text.parse().unwrap();
            assert_eq!((&parsed, text.len()), (anchor, 91));
            fresh = fresh.reopened_with(builder().expect(Expect::Anchor(parsed)));
        }
        assert_eq!(fresh.anchor().unwrap(), *anchors.last().unwrap(), "opening is no commit");
    }
    let id = anchors[0].store_id();
    fresh.reopened_with(builder().expect(Expect::StoreId(id)));
}

#[test]
fn an_older_copy_is_noticed_by_its_anchor_and_only_by_that() {
    let fresh = Fresh::new();
    let secret = create_rotatable(&fresh, "s");
    let (then, id) = (seq(&fresh), fresh.anchor().unwrap().store_id());
    let Fresh { store, path, dir } = fresh;
    store.close().unwrap();
    let copy = dir.path().join("copy");
    copy_dir(&path, &copy);
    let store = builder().open(&path).unwrap();
    store.rotate(&secret).unwrap();
    let anchor = store.anchor().unwrap();
    store.close().unwrap();

    let before = files(&copy);
    let opened = builder().expect(Expect::Anchor(anchor)).open(&copy);
    let err = opened.unwrap_err();
    let Error::Rollback { found, expected } = err else { panic!("{err:?}") };
    assert_eq!((found, expected), (then, anchor.seq()));
    assert!(files(&copy).len() == before.len());
    for expect in [Expect::Nothing, Expect::StoreId(id)] {
        builder().expect(expect).open(&copy).unwrap();
    }
    builder().expect(Expect::Anchor(anchor)).open(&path).unwrap();
}

#[test]
fn a_copy_that_went_on_by_itself_is_noticed() {
    let Fresh { store, path, dir } = Fresh::new();
    let secret = create_rotatable(&store, "s");
    let common = store.anchor().unwrap();
    store.close().unwrap();
    let fork = dir.path().join("fork");
    copy_dir(&path, &fork);
    let run = |path: &Path, times: usize| -> Anchor {
        let store = builder().open(path).unwrap();
        (0..times).for_each(|_| drop(store.rotate(&secret).unwrap()));
        let anchor = store.anchor().unwrap();
        store.close().unwrap();
        anchor
    };
    let own = run(&path, 3);
    for (what, times) in [("as long", 3), ("longer", 5)] {
        let forked = run(&fork, times);
        assert!(forked.seq() >= own.seq());
        let err = builder().expect(Expect::Anchor(own)).open(&fork).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Rollback, "case: {what}");
    }
    for path in [&path, &fork] {
        builder().expect(Expect::Anchor(common)).open(path).unwrap();
    }
    builder().expect(Expect::Anchor(own)).open(&path).unwrap();
}

#[test]
fn another_store_than_expected_is_refused_and_left_alone() {
    let (one, other) = (Fresh::new(), Fresh::new());
    let anchor = other.anchor().unwrap();
    assert_ne!(anchor.store_id(), one.anchor().unwrap().store_id());
    let Fresh { store, path, dir: _dir } = one;
    create(&store, "s");
    store.close().unwrap();
    let before = files(&path);
    for expect in [Expect::Anchor(anchor), Expect::StoreId(anchor.store_id())] {
        for verify in [Verify::Eager, Verify::Deferred] {
            let opened = builder().expect(expect).verify(verify).open(&path);
            assert_eq!(kind_of(opened), ErrorKind::WrongStore);
        }
    }
    assert!(files(&path) == before);
    builder().open(&path).unwrap();
}

#[test]
fn a_text_is_an_anchor_only_as_it_was_written() {
    let text = Fresh::new().anchor().unwrap().to_string();
    let bad = [
        String::new(),
        "ssa1:".to_owned(),
        text[..90].to_owned(),
        format!("{text}A"),
        format!("{text}="),
        text.replace("ssa1", "ssa2"),
        text.to_uppercase(),
        format!(" {text}"),
        format!("{text}\n"),
    ];
    for text in bad {
        let err = text.parse::<Anchor>().map_err(Error::from);
        assert_eq!(kind_of(err), ErrorKind::InvalidArgument, "{text:?}");
    }
}

#[test]
fn a_store_that_is_checked_later_answers_at_once_and_lists_and_writes_when_it_is() {
    let fresh = Fresh::new();
    let names: Vec<_> = (0..200).map(|n| create(&fresh, &format!("s{n:03}"))).collect();
    let mut fresh = fresh;
    for round in 2..12 {
        fresh = fresh.reopened_with(builder().verify(Verify::Deferred));
        match round % 5 {
            0 => assert_eq!(put(&fresh, &names[7], ""), round / 5 + 1),
            1 => {
                let page = fresh.names(&ListSecrets::new().limit(1000)).unwrap();
                assert_eq!(page.items(), names);
            }
            2 => {
                let err = fresh.create_secret(NewSecret::new(names[0].clone(), text("x")));
                assert_eq!(kind_of(err), ErrorKind::AlreadyExists);
            }
            3 => assert_eq!(fresh.verify().unwrap().secrets, 200),
            _ => {}
        }
        for secret in names.iter().skip(8) {
            assert_eq!(current(&fresh, secret), "one");
        }
        assert_eq!(kind_of(fresh.get(&name("missing"))), ErrorKind::NotFound);
    }
}

/// Removes secrets from the state behind the store's back, from one of its trees or both.
fn delete_heads(path: &Path, trees: &[&str]) {
    let db = sled::Config::new()
        .path(path.join("db"))
        .segment_size(2 * 1024 * 1024)
        .flush_every_ms(None)
        .open()
        .unwrap();
    for name in trees {
        let tree = db.open_tree(name).unwrap();
        // More than the journal can still bring back.
        for key in tree.iter().keys().take(8) {
            tree.remove(key.unwrap()).unwrap();
        }
    }
    db.flush().unwrap();
}

/// A closed store of 50 secrets whose journal no longer has their creation.
fn store_with_a_short_journal() -> (PathBuf, TempDir) {
    let Fresh { store, path, dir } = Fresh::new();
    for n in 0..50 {
        create(&store, &format!("s{n}"));
    }
    for n in 0..3 {
        store.checkpoint().unwrap();
        create(&store, &format!("z{n}"));
    }
    store.close().unwrap();
    (path, dir)
}

#[test]
fn a_secret_that_was_removed_from_the_state_is_missed_while_opening() {
    for trees in [&["secrets"][..], &["stages"], &["secrets", "stages"]] {
        let (path, _dir) = store_with_a_short_journal();
        builder().open(&path).unwrap().close().unwrap();
        delete_heads(&path, trees);
        assert_eq!(kind_of(builder().open(&path)), ErrorKind::Tampered, "{trees:?}");
    }
}

#[test]
fn a_secret_that_was_removed_from_the_state_is_missed_by_the_check_in_the_background() {
    let (path, _dir) = store_with_a_short_journal();
    delete_heads(&path, &["secrets", "stages"]);
    let store = builder().verify(Verify::Deferred).open(&path).unwrap();
    assert_eq!(kind_of(store.names(&ListSecrets::new())), ErrorKind::Tampered);
    // From then on nothing is answered.
    assert_eq!(kind_of(store.get(&name("s1"))), ErrorKind::Tampered);
    assert_eq!(kind_of(store.secrets(&ListSecrets::new())), ErrorKind::Tampered);
    assert_eq!(kind_of(store.anchor()), ErrorKind::Tampered);
    let write = store.create_secret(NewSecret::new(name("new"), text("x")));
    assert_eq!(kind_of(write), ErrorKind::Tampered);
    assert_eq!(kind_of(store.close()), ErrorKind::Poisoned);
}

/// Values are not in the sum that is checked while opening: each is checked when it is read.
#[test]
fn a_value_that_was_removed_from_the_state_is_missed_when_it_is_read() {
    let (path, _dir) = store_with_a_short_journal();
    delete_heads(&path, &["versions"]);
    let store = builder().open(&path).unwrap();
    // Keys of values are in the order of their creation.
    assert_eq!(kind_of(store.get(&name("s3"))), ErrorKind::Tampered);
    assert_eq!(kind_of(store.verify()), ErrorKind::Tampered);
}

#[test]
fn a_store_that_may_only_be_read_is_not_opened_and_not_changed() {
    let Fresh { store, path, dir } = Fresh::new();
    create(&store, "s");
    store.close().unwrap();
    let program = dir.path().join("tests");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let set_modes = |dir_mode: u32, file_mode: u32| {
        let set = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&path, dir_mode);
        for below in ["journal", "db", "db/blobs"] {
            set(&path.join(below), dir_mode);
        }
        files(&path).iter().for_each(|(file, _)| set(file, file_mode));
    };
    set_modes(0o555, 0o444);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let before = files(dir.path());
    let mut command = child(&program, "open", &path);
    // Root may write everything, so it goes on as nobody.
    if fs::metadata(&path).unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    command.current_dir("/");
    assert_eq!(ask(command), "Storage");
    assert!(files(dir.path()) == before);
    set_modes(0o700, 0o600);
    assert_eq!(current(&builder().open(&path).unwrap(), &name("s")), "one");
}

#[test]
fn a_directory_that_may_not_be_written_gets_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("tests");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    fs::create_dir(dir.path().join("parent")).unwrap();
    for (path, mode) in [("parent", 0o555), ("", 0o755), ("tests", 0o755)] {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(dir.path().join(path), mode).unwrap();
    }
    let mut command = child(&program, "create", &dir.path().join("parent/store"));
    if fs::metadata(dir.path()).unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    }
    command.current_dir("/");
    assert_eq!(ask(command), "Storage");
    assert_eq!(fs::read_dir(dir.path().join("parent")).unwrap().count(), 0);
}

/// How many writes it takes to open a store and create `count` secrets.
fn writes_of(path: &Path, count: usize) -> u64 {
    let never = Fault {
        at: u64::MAX,
        lasting: true,
        only: Some(Operation::Write),
        error: io::ErrorKind::StorageFull,
    };
    let disk = FaultyDisk::new(Some(never));
    let store = builder().disk(Arc::new(disk.clone())).open(path).unwrap();
    (0..count).for_each(|n| drop(create(&store, &format!("counted{n}"))));
    let count = disk.count();
    store.close().unwrap();
    count
}

#[test]
fn a_full_disk_fails_a_write_stops_all_others_and_loses_nothing() {
    let Fresh { store, path, dir: _dir } = Fresh::new();
    store.close().unwrap();
    let (opening, with_three) = (writes_of(&path, 0), writes_of(&path, 3));
    assert!(with_three >= opening + 3, "every creation is a write");
    let fault = Fault {
        at: with_three,
        lasting: true,
        only: Some(Operation::Write),
        error: io::ErrorKind::StorageFull,
    };
    let disk = FaultyDisk::new(Some(fault));
    let store = builder().disk(Arc::new(disk.clone())).open(&path).unwrap();
    let mut acknowledged = Vec::new();
    let err = loop {
        let secret = name(&format!("s{}", acknowledged.len()));
        match store.create_secret(NewSecret::new(secret.clone(), text("kept"))) {
            Ok(_) => acknowledged.push(secret),
            Err(err) => break err,
        }
        assert!(acknowledged.len() < 100);
    };
    assert!(disk.failed() > 0 && !acknowledged.is_empty());
    let Error::Storage { source } = &err else { panic!("{err:?}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);

    let anchor = store.anchor().unwrap();
    let failed = disk.failed();
    let writes: [(&str, Result<(), Error>); 5] = [
        ("create", store.create_secret(NewSecret::new(name("n"), text("x"))).map(drop)),
        ("put", store.put_version(&acknowledged[0], NewVersion::new(text("x"))).map(drop)),
        ("delete", store.delete_secret(&acknowledged[0])),
        ("checkpoint", store.checkpoint()),
        ("slot", store.add_key_slot(&key(1).into(), &key(2).into(), "").map(drop)),
    ];
    for (what, got) in writes {
        assert_eq!(kind_of(got), ErrorKind::Poisoned, "case: {what}");
    }
    assert_eq!(disk.failed(), failed, "nothing was tried again");
    for secret in &acknowledged {
        assert_eq!(current(&store, secret), "kept", "reads go on");
    }
    assert_eq!(store.names(&ListSecrets::new().prefix("s")).unwrap().items(), acknowledged);
    let _ = store.close();

    let store: SecretStore = builder().expect(Expect::Anchor(anchor)).open(&path).unwrap();
    for secret in &acknowledged {
        assert_eq!(current(&store, secret), "kept");
    }
    create(&store, "afterwards");
    store.verify().unwrap();
}
