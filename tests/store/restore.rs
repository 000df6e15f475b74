//! One secret as a backup, and restored: csms.md 2.6 and rows 46 to 49 of 8.2.

use std::{str::FromStr as _, sync::Arc, thread};

use strongroom::{
    BlobKey, NameSyntax, RecoveryWindow, RestoreOptions, SecretBlob, SecretState, Tag, VersionRef,
    testing::FaultyDisk,
};

use super::*;

/// A secret with several versions, labels, an expiry, and numbers that were used up.
fn eventful(store: &SecretStore, of: &str) -> SecretName {
    let secret = create(store, of);
    put(store, &secret, "");
    put(store, &secret, "blue green");
    let bytes =
        NewVersion::new(SecretValue::from_bytes(vec![0xfe, 0xff, 0])).stages([stage("bin")]);
    store.put_version(&secret, bytes.expires(Timestamp::from_millis(4_000_000_000_000))).unwrap();
    put(store, &secret, "SYSPENDING");
    secret
}

/// Everything that a restored secret has in common with the one that was backed up.
fn likeness(store: &SecretStore, secret: &SecretName) -> Vec<String> {
    let about = store.secret(secret).unwrap();
    let mut likeness = vec![format!(
        "{} {} {:?} {} {} {:?}",
        about.secret_type(),
        about.description().as_str(),
        about.created(),
        about.updated().as_millis(),
        picture(store, secret),
        about.rotated(),
    )];
    for version in store.versions(secret, &ListVersions::new().limit(1000)).unwrap().items() {
        let read = store.version(secret, &VersionRef::Id(version.id())).unwrap();
        let (created, expires) = (version.created(), version.expires());
        let value = (read.value().kind(), read.value().expose());
        likeness.push(format!("{created:?} {expires:?} {value:?}"));
    }
    likeness
}

fn with_key(key: BlobKey) -> RestoreOptions {
    RestoreOptions::new().key(key)
}

#[test]
fn row_48_everything_but_the_id_comes_back_and_numbers_are_not_used_again() {
    let (mut fresh, clock) = Fresh::at_a_standstill();
    let secret = create_rotatable(&fresh, "orders");
    fresh.rotate(&secret).unwrap();
    let plain = eventful(&fresh, "plain");
    for of in [&secret, &plain] {
        clock.advance_ms(1_000_000);
        let (before, id) = (likeness(&fresh, of), fresh.secret(of).unwrap().id());
        let revision = fresh.secret(of).unwrap().revision();
        let next = fresh.secret(of).unwrap();
        let blob = fresh.backup_secret(of).unwrap();
        fresh.delete_secret(of).unwrap();
        let restored = fresh.restore_secret(&blob).unwrap();
        assert_eq!(likeness(&fresh, of), before, "{of}");
        assert_ne!(restored.id(), id);
        assert!(restored.revision() > revision, "{of}: what was true of the old one, is of this");
        assert_eq!(restored.name(), next.name());
    }
    let before = [likeness(&fresh, &secret), likeness(&fresh, &plain)];
    fresh = fresh.reopened();
    assert_eq!([likeness(&fresh, &secret), likeness(&fresh, &plain)], before);
    assert_eq!(put(&fresh, &plain, ""), 6, "the number that the old one would have given");
    assert_eq!(fresh.rotate(&secret).unwrap().version_id(), v(3));
    fresh.verify().unwrap();
}

#[test]
fn numbers_of_dropped_versions_are_not_used_again_after_a_restore() {
    let fresh = Fresh::limited(Limits::default().with_versions_max(2).unwrap());
    let secret = create(&fresh, "s");
    for _ in 0..5 {
        put(&fresh, &secret, "");
    }
    let blob = fresh.backup_secret(&secret).unwrap();
    fresh.delete_secret(&secret).unwrap();
    fresh.restore_secret(&blob).unwrap();
    assert_eq!(picture(&fresh, &secret), "v5[SYSPREVIOUS] v6[SYSCURRENT]");
    assert_eq!(put(&fresh, &secret, ""), 7);
}

#[test]
fn row_46_a_secret_of_that_name_is_never_overwritten() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let blob = fresh.backup_secret(&secret).unwrap();
    put(&fresh, &secret, "");
    let before = seq(&fresh);
    assert_eq!(kind_of(fresh.restore_secret(&blob)), ErrorKind::AlreadyExists);
    assert_eq!(
        (seq(&fresh), picture(&fresh, &secret).as_str()),
        (before, "v1[SYSPREVIOUS] v2[SYSCURRENT]")
    );
    // Under another name it stands beside the first.
    let options = RestoreOptions::new().name(name("t"));
    assert_eq!(fresh.restore_secret_with(&blob, &options).unwrap().name(), &name("t"));
    assert_eq!(kind_of(fresh.restore_secret_with(&blob, &options)), ErrorKind::AlreadyExists);
    assert_eq!(
        (current(&fresh, &secret), current(&fresh, &name("t"))),
        ("more".into(), "one".into())
    );
    let restored = fresh.secret(&name("t")).unwrap();
    assert_ne!(restored.id(), fresh.secret(&secret).unwrap().id());
}

#[test]
fn row_47_another_store_needs_the_key_of_the_backup() {
    let (here, there) = (Fresh::new(), Fresh::new());
    let secret = eventful(&here, "s");
    let (blob, other) =
        (here.backup_secret(&secret).unwrap(), here.backup_secret(&secret).unwrap());
    assert_ne!(blob, other, "each has a key of its own");
    // The same master key, but another store.
    let before = seq(&there);
    assert_eq!(kind_of(there.restore_secret(&blob)), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(there.blob_key(&blob)), ErrorKind::InvalidArgument);
    let wrong = [here.blob_key(&other).unwrap(), BlobKey::from_bytes(&[0; 32])];
    for key in wrong {
        let refused = there.restore_secret_with(&blob, &with_key(key));
        assert_eq!(kind_of(refused), ErrorKind::Tampered);
    }
    assert_eq!(seq(&there), before);
    let key = here.blob_key(&blob).unwrap();
    let key = BlobKey::from_bytes(key.expose());
    there.restore_secret_with(&blob, &with_key(key)).unwrap();
    assert_eq!(likeness(&there, &secret), likeness(&here, &secret));
    let there = there.reopened();
    assert_eq!(likeness(&there, &secret), likeness(&here, &secret));
    there.verify().unwrap();
}

#[test]
fn row_34_a_missing_secret_has_no_backup() {
    let fresh = Fresh::new();
    let before = seq(&fresh);
    assert_eq!(kind_of(fresh.backup_secret(&name("none"))), ErrorKind::NotFound);
    assert_eq!(seq(&fresh), before);
}

#[test]
fn a_backup_and_a_restore_are_one_commit_each_and_the_key_none() {
    let fresh = Fresh::new();
    let secret = eventful(&fresh, "s");
    let before = seq(&fresh);
    let blob = fresh.backup_secret(&secret).unwrap();
    assert_eq!(seq(&fresh), before + 1, "an audit record tells of the export");
    fresh.blob_key(&blob).unwrap();
    assert_eq!(seq(&fresh), before + 1);
    fresh.restore_secret_with(&blob, &RestoreOptions::new().name(name("t"))).unwrap();
    assert_eq!(seq(&fresh), before + 2);
    fresh.verify().unwrap();
}

/// The text with one sign made another one.
fn with_sign(text: &str, at: usize, sign: char) -> String {
    text.char_indices().map(|(n, old)| if n == at { sign } else { old }).collect()
}

#[test]
fn a_backup_of_which_a_sign_was_changed_or_cut_off_is_refused_and_nothing_is_written() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let blob = fresh.backup_secret(&secret).unwrap();
    let key = fresh.blob_key(&blob).unwrap();
    let (options, text) = (with_key(key), blob.as_str());
    fresh.delete_secret(&secret).unwrap();
    let before = seq(&fresh);
    let refused = |text: &str, what: &str| {
        let Ok(bad) = text.parse::<SecretBlob>() else { return };
        let kind = kind_of(fresh.restore_secret(&bad));
        assert!(
            matches!(kind, ErrorKind::Tampered | ErrorKind::InvalidArgument),
            "{what}: {kind:?}"
        );
        assert_eq!(
            kind_of(fresh.restore_secret_with(&bad, &options)),
            ErrorKind::Tampered,
            "{what}"
        );
    };
    let mut tried = 0;
    for (at, old) in text.char_indices() {
        // The sign beside it in the alphabet: in the last bits, and one of another value altogether.
        for new in ['A', 'B', '_', 'q'].into_iter().filter(|new| *new != old) {
            refused(&with_sign(text, at, new), &format!("{new} at {at}"));
            tried += 1;
        }
        refused(&text[..at], &format!("cut at {at}"));
    }
    for more in ["A", "AA", "AAA", "AAAA", "AAAAAAAA"] {
        refused(&format!("{text}{more}"), more);
    }
    assert!(tried > 3 * text.len(), "{tried}");
    assert_eq!(seq(&fresh), before);
    assert_eq!(fresh.verify().unwrap().secrets, 0);
    fresh.restore_secret_with(&blob, &options).unwrap();
}

#[test]
fn nothing_of_the_secret_can_be_read_in_its_backup() {
    let fresh = Fresh::new();
    let words = ["Zq7pXwNaMe", "Zq7pXwVaLuE", "Zq7pXwLaBeL", "Zq7pXwDeScR"];
    let [of, value, label, described] = words;
    let new = NewSecret::new(name(of), text(value)).description(described.parse().unwrap());
    fresh.create_secret(new).unwrap();
    fresh.put_version(&name(of), NewVersion::new(text(value)).stages([stage(label)])).unwrap();
    let blob = fresh.backup_secret(&name(of)).unwrap();
    let key = fresh.blob_key(&blob).unwrap();
    let mut said = format!("{blob:?} {key:?} {:?}", SecretBlob::from_str("x"));
    write!(said, "{:?}", with_key(key)).unwrap();
    // The text as it is and as the bytes that it stands for.
    let body = blob.as_str().strip_prefix("ssb1:").unwrap();
    let bytes = <base64ct::Base64UrlUnpadded as base64ct::Encoding>::decode_vec(body).unwrap();
    for word in words {
        let found = |bytes: &[u8]| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(
            !found(blob.as_str().as_bytes()) && !found(&bytes) && !said.contains(word),
            "{word}"
        );
    }
}

#[test]
fn what_the_store_could_not_hold_is_refused() {
    let wide = Limits::default()
        .with_value_len_max_bytes(100_000)
        .and_then(|limits| limits.with_versions_max(30))
        .and_then(|limits| limits.with_labels_max(20))
        .unwrap()
        .with_name_syntax(NameSyntax::WithDots);
    let here = Fresh::limited(wide);
    let long = name("long");
    here.create_secret(NewSecret::new(long.clone(), text(&"x".repeat(40_000)))).unwrap();
    let many = create(&here, "many");
    (0..24).for_each(|_| _ = put(&here, &many, ""));
    let labelled = create(&here, "labelled");
    let labels: Vec<String> = (0..12).map(|n| format!("label-{n}")).collect();
    for label in &labels {
        here.move_stage(&labelled, &stage(label), v(1)).unwrap();
    }
    let dotted = SecretName::with_syntax("a.b", NameSyntax::WithDots).unwrap();
    here.create_secret(NewSecret::new(dotted.clone(), text("x"))).unwrap();
    let usual = create(&here, "usual");
    let narrow = Fresh::limited(Limits::default().with_secrets_max(Some(1)));
    let cases = [
        (&long, ErrorKind::LimitExceeded),
        (&many, ErrorKind::LimitExceeded),
        (&labelled, ErrorKind::LimitExceeded),
        (&dotted, ErrorKind::InvalidArgument),
    ];
    let restore = |secret: &SecretName, options: RestoreOptions| {
        let blob = here.backup_secret(secret).unwrap();
        let key = here.blob_key(&blob).unwrap();
        narrow.restore_secret_with(&blob, &options.key(key))
    };
    let before = seq(&narrow);
    for (secret, want) in cases {
        assert_eq!(kind_of(restore(secret, RestoreOptions::new())), want, "{secret}");
    }
    assert_eq!(seq(&narrow), before);
    restore(&usual, RestoreOptions::new()).unwrap();
    let one_more = restore(&usual, RestoreOptions::new().name(name("other")));
    assert_eq!(kind_of(one_more), ErrorKind::LimitExceeded, "the quota");
}

/// Limits under which a secret can be larger than one commit, and than a backup may be.
fn huge() -> Limits {
    let limits = Limits::default().with_value_len_max_bytes(1 << 20).unwrap();
    limits.with_versions_max(128).unwrap()
}

/// A secret with `count` versions of nearly 1 MiB.
fn large(store: &SecretStore, count: u8) -> SecretName {
    let value = |n: u8| SecretValue::from_bytes(vec![n; 780_000]);
    store.create_secret(NewSecret::new(name("large"), value(1))).unwrap();
    for n in 2..=count {
        store.put_version(&name("large"), NewVersion::new(value(n))).unwrap();
    }
    name("large")
}

#[test]
fn a_backup_has_at_most_5_mib() {
    let fresh = Fresh::limited(huge());
    let secret = large(&fresh, 4);
    assert!(fresh.backup_secret(&secret).unwrap().as_str().len() > 4_000_000);
    fresh.put_version(&secret, NewVersion::new(SecretValue::from_bytes(vec![5; 780_000]))).unwrap();
    let before = seq(&fresh);
    match fresh.backup_secret(&secret).unwrap_err() {
        Error::LimitExceeded { asked, max, .. } => assert!(asked > max && max == 5 * 1024 * 1024),
        other => panic!("{other}"),
    }
    assert_eq!(seq(&fresh), before);
}

#[test]
fn a_secret_that_is_larger_than_a_commit_comes_back_whole() {
    let fresh = Fresh::limited(huge());
    let secret = large(&fresh, 4);
    let (blob, before) = (fresh.backup_secret(&secret).unwrap(), likeness(&fresh, &secret));
    fresh.delete_secret(&secret).unwrap();
    let at = seq(&fresh);
    fresh.restore_secret(&blob).unwrap();
    assert!(seq(&fresh) > at + 1, "it should have taken several commits");
    assert_eq!(likeness(&fresh, &secret), before);
    assert_eq!(fresh.verify().unwrap().versions, 4);
    let fresh = fresh.reopened_with(builder().limits(huge()));
    assert_eq!(likeness(&fresh, &secret), before);
    fresh.verify().unwrap();
}

/// Two restore the same large secret at once: one of them, and nothing is left of what the other wrote.
#[test]
fn of_two_restores_of_a_large_secret_one_wins_and_the_other_leaves_nothing() {
    let fresh = Fresh::limited(huge());
    let secret = large(&fresh, 4);
    let blob = fresh.backup_secret(&secret).unwrap();
    fresh.delete_secret(&secret).unwrap();
    let won: usize = thread::scope(|scope| {
        let restores = [0; 3].map(|_| scope.spawn(|| fresh.restore_secret(&blob)));
        let kinds = restores.map(|it| it.join().unwrap().map_err(|err| err.kind()));
        assert!(kinds.iter().all(|it| matches!(it, Ok(_) | Err(ErrorKind::AlreadyExists))));
        kinds.iter().filter(|it| it.is_ok()).count()
    });
    assert_eq!(won, 1);
    assert_eq!(fresh.verify().unwrap().versions, 4);
    fresh.reopened_with(builder().limits(huge())).verify().unwrap();
}

/// The process dies in every call to the disk of a restore that takes several commits.
#[test]
fn a_restore_that_is_cut_off_leaves_the_whole_secret_or_nothing() {
    let (disk, fresh) = (FaultyDisk::new(None), Fresh::limited(huge()));
    let secret = large(&fresh, 3);
    let before = likeness(&fresh, &secret);
    let blob = fresh.backup_secret(&secret).unwrap();
    fresh.delete_secret(&secret).unwrap();
    fresh.store.clone().close().unwrap();
    let (mut whole, mut none, mut step) = (0, 0, 0);
    loop {
        let copy = fresh.dir.path().join(format!("copy-{step}"));
        copy_dir(&fresh.path, &copy);
        let with = || builder().limits(huge());
        disk.set(None);
        let store = with().disk(Arc::new(disk.clone())).open(&copy).unwrap();
        disk.crash(step);
        let restored = store.restore_secret(&blob).is_ok();
        drop(store);
        disk.set(None);
        let store = with().open(&copy).unwrap();
        match store.secret(&secret) {
            Ok(_) => {
                assert_eq!(likeness(&store, &secret), before, "step {step}");
                whole += 1;
            }
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::NotFound, "step {step}");
                assert!(!restored, "step {step}: it was acknowledged and is gone");
                none += 1;
                let left = store.compact().unwrap().record_bytes;
                assert!(left < 500_000, "step {step}: {left} bytes of a secret that is not there");
                // Nothing is in the way of another attempt.
                store.restore_secret(&blob).unwrap();
            }
        }
        assert_eq!(store.verify().unwrap().versions, 3, "step {step}");
        drop(store);
        fs::remove_dir_all(&copy).unwrap();
        if restored {
            break;
        }
        step += 1;
    }
    assert!(none >= 3 && whole >= 1, "{none} without it, {whole} with it");
}

#[test]
fn a_closed_store_neither_backs_up_nor_restores() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let blob = fresh.backup_secret(&secret).unwrap();
    fresh.store.clone().close().unwrap();
    assert_eq!(kind_of(fresh.backup_secret(&secret)), ErrorKind::InvalidState);
    assert_eq!(kind_of(fresh.restore_secret(&blob)), ErrorKind::InvalidState);
}

#[test]
fn row_49_values_are_exported_only_while_they_may_be_read() {
    let fresh = Fresh::new();
    let secret = create(&fresh, "s");
    let tag = Tag::new("team", "billing").unwrap();
    fresh.add_tags(&secret, [tag]).unwrap();
    let blob = fresh.backup_secret(&secret).unwrap();
    let refused = |what: &str| {
        let before = seq(&fresh);
        assert_eq!(kind_of(fresh.backup_secret(&secret)), ErrorKind::SecretState, "{what}");
        let batch = fresh.get_many(std::slice::from_ref(&secret)).unwrap();
        let told: Vec<ErrorKind> = batch.refused().map(|it| it.error().kind()).collect();
        assert_eq!(told, [ErrorKind::SecretState], "{what}");
        assert_eq!(seq(&fresh), before, "{what}");
    };
    for state in [SecretState::Disabled, SecretState::Frozen] {
        fresh.set_state(&secret, state).unwrap();
        refused(state.as_str());
    }
    fresh.set_state(&secret, SecretState::Enabled).unwrap();
    fresh.schedule_deletion(&secret, RecoveryWindow::default()).unwrap();
    refused("scheduled to be deleted");
    // Row 48: enabled, without tags.
    let options = RestoreOptions::new().name(name("t"));
    let restored = fresh.restore_secret_with(&blob, &options).unwrap();
    assert_eq!(
        (restored.state(), fresh.tags(&name("t")).unwrap().len()),
        (SecretState::Enabled, 0)
    );
    fresh.verify().unwrap();
}
