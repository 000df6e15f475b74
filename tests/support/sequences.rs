//! Sequences of calls, drawn and run: what the tests against models share.
#![allow(unreachable_pub, reason = "a module of each test binary")]

use std::{cell::RefCell, env, thread};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};

const THREADS: u32 = 2;

/// Sequences that one store on disk sees before it is replaced: making one costs most.
const SEQUENCES_A_STORE: u32 = 40;

/// How many sequences, and how often one that fails is made shorter: each try that fails too costs a store.
#[derive(Clone, Copy)]
pub struct Sequences {
    pub count: u32,
    pub shrink_iters_max: u32,
}

impl Sequences {
    /// Runs them, in labs that `lab` makes, and gives how many they were: `STRONGROOM_SEQUENCES=n` says
    /// otherwise, and `STRONGROOM_SEED=n` draws others.
    pub fn run<S: Strategy, L>(
        self,
        steps: impl Fn() -> S + Sync,
        lab: impl Fn() -> L + Sync,
        sequence: impl Fn(&mut L, &S::Value) -> Result<(), TestCaseError> + Sync,
    ) -> u32 {
        let number = |key: &str, default: u32| {
            env::var(key).map_or(default, |text| text.parse().expect("a number"))
        };
        let (seed, count) =
            (number("STRONGROOM_SEED", 1), number("STRONGROOM_SEQUENCES", self.count));
        let (steps, lab, sequence) = (&steps, &lab, &sequence);
        let cases = count.div_ceil(THREADS);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let kept = RefCell::new(None);
                    let mut runner = self.runner((seed, thread), cases);
                    let result = runner.run(&steps(), |steps| {
                        let (mut here, seen) = kept.take().unwrap_or_else(|| (lab(), 0));
                        sequence(&mut here, &steps)?;
                        // A store that failed is not used again.
                        kept.replace((seen + 1 < SEQUENCES_A_STORE).then_some((here, seen + 1)));
                        Ok(())
                    });
                    if let Err(err) = result {
                        panic!("STRONGROOM_SEED={seed}, thread {thread}: {err}");
                    }
                });
            }
        });
        count
    }

    fn runner(self, (seed, thread): (u32, u32), cases: u32) -> TestRunner {
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_iters: self.shrink_iters_max,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&seed.to_le_bytes());
        bytes[4..8].copy_from_slice(&thread.to_le_bytes());
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }
}
