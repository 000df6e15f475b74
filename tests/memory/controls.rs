//! The search finds what is left on purpose: freed, on a stack, in a block, in a part, or by the fault
//! that leaves values unwiped.

use std::hint::black_box;

use strongroom::SecretValue;

use crate::{
    canary::{self, Canary},
    child::{deep, scenario},
    support,
};

/// As much as is copied at once on this machine.
const PART: std::ops::Range<usize> = 11..19;

#[test]
fn what_is_freed_as_it_was_is_found() {
    scenario("controls::what_is_freed_as_it_was_is_found", |stage| {
        let value = Canary::text(&mut stage.random);
        let mut grown = value.within("@");
        drop(stage.look());
        grown.reserve(4096);
        assert_eq!(stage.look().freed, [(0, 1)], "a buffer that grew");
        drop(grown);
        assert_eq!(stage.look().freed, [(0, 1)], "a string");
        deep(|| drop(black_box(value.within("@")[PART].to_owned())));
        let found = stage.look().freed;
        assert_eq!(found, [(0, 2)], "a part of it");
    });
}

#[test]
fn what_stays_in_a_block_is_found() {
    scenario("controls::what_stays_in_a_block_is_found", |stage| {
        let (value, key) = (Canary::text(&mut stage.random), Canary::bytes(&mut stage.random));
        stage.nothing_left("registering");
        let (text, bytes) = (value.within("at the end: @"), key.boxed());
        let places = stage.look().places;
        assert_eq!(places.iter().map(|place| place.pieces).collect::<Vec<_>>(), [25, 25]);
        assert_eq!(places.iter().map(|place| place.canary).collect::<Vec<_>>(), [0, 1]);
        drop(bytes);
        assert_eq!(stage.look().places.len(), 1, "the wiped one is gone");
        drop(SecretValue::from_string(text));
        stage.nothing_left("wiping");
    });
}

#[test]
fn what_stays_on_a_stack_is_found() {
    scenario("controls::what_stays_on_a_stack_is_found", |stage| {
        let value = Canary::bytes(&mut stage.random);
        deep(|| {
            let copy: [u8; canary::LEN] = **value.boxed();
            black_box(&copy);
        });
        let found = stage.look();
        assert!(found.places.iter().any(|place| place.pieces == 25), "{found:?}");
        assert_eq!(found.freed, []);
    });
}

#[test]
fn what_was_freed_before_it_was_known_is_found() {
    scenario("controls::what_was_freed_before_it_was_known_is_found", |stage| {
        canary::hoard(true);
        let made = SecretValue::from_bytes(format!("{:064x}", stage.random.next()));
        drop(black_box(String::from_utf8(made.expose().to_vec()).unwrap()));
        canary::hoard(false);
        Canary::learn(made.expose());
        drop(made);
        let found = stage.look();
        assert!(found.places.iter().any(|place| place.pieces == 57), "{found:?}");
    });
}

#[test]
#[cfg(feature = "planted-faults")]
fn values_that_are_dropped_unwiped_are_found() {
    for test in [
        "values::a_value_that_was_put_leaves_nothing",
        "values::a_value_that_was_read_leaves_nothing",
        "values::a_panic_of_the_caller_leaves_nothing",
        "values::a_rotation_leaves_neither_the_old_nor_the_new_password",
    ] {
        support::catches("Wipe", test);
    }
}
