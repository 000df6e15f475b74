//! A store does what the documents say, whatever is asked of it in whatever order while time goes by.
//!
//! `tests/store_model.rs` does this for versions, labels, tokens and preconditions; here it is the rest
//! of the API, most of which moves with the clock: deletions and destructions that fall due, expiry,
//! retention, automatic rotation with its failures, notifications; and tags, keys, backups of single
//! secrets, sessions, the audit log with the feed of changes. The model is a plain map that follows
//! csms.md 1 to 4 and 8 and the public documents, written down a second time; every answer is compared,
//! as a text of all that can be seen or as the error's kind and code, and after each sequence the whole
//! store and its log.
//!
//! The sequences come from a fixed seed; `STRONGROOM_SEED=n` sets another, `STRONGROOM_SEQUENCES=n` how
//! many. A failure prints the seed and the shortest sequence that still fails.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

mod ask;
mod calls;
mod draw;
mod ends;
mod lab;
mod model;
mod notifier;
mod people;
mod refusals;
#[path = "../support/sequences.rs"]
mod sequences;
mod shown;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, sync::Mutex};

use crate::{calls::Answer, calls::Call, draw::steps, lab::Lab, sequences::Sequences};

const SEQUENCES: u32 = 1000;

/// A sequence that fails is shortened so often: each try that fails too costs a new store.
const SHRINK_ITERS_MAX: u32 = 1000;

/// How often each call ended how, so that the sequences can be seen to reach the edges.
static ENDS: Mutex<BTreeMap<(String, String), u64>> = Mutex::new(BTreeMap::new());

#[test]
fn a_store_does_what_the_documents_say_whatever_is_asked_while_time_goes_by() {
    let sequences = Sequences { count: SEQUENCES, shrink_iters_max: SHRINK_ITERS_MAX };
    let sequences = sequences.run(steps, Lab::new, |lab, steps| lab.sequence(steps));
    let ends = ENDS.lock().unwrap();
    for ((call, end), times) in ends.iter() {
        println!("{call:>19} {end:<30} {times}");
    }
    for (call, wanted) in ends::ENDS {
        for end in *wanted {
            let seen = ends.contains_key(&((*call).to_owned(), (*end).to_owned()));
            assert!(sequences < 500 || seen, "{call} never ended so: {end}");
        }
    }
}

/// Counts how a call ended; what is done by the clock, by what was done.
fn count(call: &Call, end: &Answer) {
    let parts = |text: &str, words: &[&'static str]| -> Vec<String> {
        let counts = text.split(' ').map(|part| part != "0" && part != "[]");
        let done = counts.zip(words).filter(|(done, _)| *done);
        done.map(|(_, word)| (*word).to_owned()).collect()
    };
    let ends = match (call, end) {
        (_, Err(refused)) => vec![refused.clone()],
        (Call::Sweep, Ok(text)) => {
            parts(text, &["deletions", "destructions", "expired", "near expiry", "outlived"])
        }
        (Call::Deliver(_), Ok(text)) => parts(text, &["sent", "failed", "invalid"]),
        _ => vec!["ok".to_owned()],
    };
    let word = call.word();
    ends.into_iter().for_each(|end| count_end(&word, end));
}

fn count_end(of: &str, end: String) {
    *ENDS.lock().unwrap().entry((of.to_owned(), end)).or_default() += 1;
}
