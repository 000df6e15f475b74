//! Group commit: many threads ask, one of them commits for all that wait.
//!
//! A thread that finds nobody at work leads: it takes everything that waits, its own request among
//! them, and commits it as one. Whoever came meanwhile forms the next group, and the first of them
//! leads it.

use std::{mem, sync::Arc};

use parking_lot::{Condvar, Mutex};

use crate::Outcome;

/// The queue of those that wait for a commit.
pub struct GroupCommit<Request, Answer> {
    line: Mutex<Line<Request, Answer>>,
}

struct Line<Request, Answer> {
    waiting: Vec<(Request, Arc<Seat<Answer>>)>,
    led: bool,
}

/// Where one thread waits.
struct Seat<Answer> {
    turn: Mutex<Turn<Answer>>,
    called: Condvar,
}

enum Turn<Answer> {
    Wait,
    Lead,
    Done(Result<Answer, String>),
}

impl<Request, Answer> GroupCommit<Request, Answer> {
    pub fn new() -> Self {
        Self { line: Mutex::new(Line { waiting: Vec::new(), led: false }) }
    }

    /// Has `request` committed by `commit`, which gives one answer for each request, in order.
    pub fn submit(
        &self,
        request: Request,
        commit: impl FnOnce(Vec<Request>) -> Outcome<Vec<Answer>>,
    ) -> Outcome<Answer> {
        let seat = Arc::new(Seat { turn: Mutex::new(Turn::Wait), called: Condvar::new() });
        let leads = {
            let mut line = self.line.lock();
            line.waiting.push((request, Arc::clone(&seat)));
            !mem::replace(&mut line.led, true)
        };
        if !leads && let Some(done) = seat.wait() {
            return done.map_err(Into::into);
        }
        let group = mem::take(&mut self.line.lock().waiting);
        let (requests, seats): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let answers = commit(requests);
        self.hand_over();
        deliver(answers, &seats);
        match mem::replace(&mut *seat.turn.lock(), Turn::Wait) {
            Turn::Done(answer) => answer.map_err(Into::into),
            Turn::Wait | Turn::Lead => Err("the group was not answered".into()),
        }
    }

    fn hand_over(&self) {
        let mut line = self.line.lock();
        match line.waiting.first() {
            Some((_, next)) => next.call(Turn::Lead),
            None => line.led = false,
        }
    }
}

impl<Answer> Seat<Answer> {
    /// Waits for the answer; `None` is to lead.
    fn wait(&self) -> Option<Result<Answer, String>> {
        let mut turn = self.turn.lock();
        loop {
            match mem::replace(&mut *turn, Turn::Wait) {
                Turn::Wait => self.called.wait(&mut turn),
                Turn::Lead => return None,
                Turn::Done(answer) => return Some(answer),
            }
        }
    }

    fn call(&self, turn: Turn<Answer>) {
        *self.turn.lock() = turn;
        self.called.notify_one();
    }
}

fn deliver<Answer>(answers: Outcome<Vec<Answer>>, seats: &[Arc<Seat<Answer>>]) {
    match answers {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for seat in seats {
                let answer = answers.next().ok_or_else(|| "an answer is missing".to_owned());
                seat.call(Turn::Done(answer));
            }
        }
        Err(err) => {
            for seat in seats {
                seat.call(Turn::Done(Err(err.to_string())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn each_gets_its_own_answer_and_groups_form() {
        const THREADS: usize = 16;
        const TURNS: usize = 50;
        let (queue, groups) = (GroupCommit::new(), AtomicUsize::new(0));
        let alone = AtomicBool::new(true);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (queue, groups, alone) = (&queue, &groups, &alone);
                scope.spawn(move || {
                    for turn in 0..TURNS {
                        let asked = thread * 1_000 + turn;
                        let answer = queue.submit(asked, |group| {
                            assert!(alone.swap(false, Ordering::SeqCst), "two lead at once");
                            groups.fetch_add(1, Ordering::SeqCst);
                            thread::sleep(Duration::from_micros(200));
                            alone.store(true, Ordering::SeqCst);
                            Ok(group.into_iter().map(|asked| asked * 2).collect())
                        });
                        assert_eq!(answer.unwrap(), asked * 2);
                    }
                });
            }
        });
        let groups = groups.into_inner();
        assert!(groups < THREADS * TURNS / 2, "{groups} groups for {} requests", THREADS * TURNS);
        assert!(queue.line.lock().waiting.is_empty() && !queue.line.lock().led);
    }

    #[test]
    fn a_failure_reaches_all_of_its_group_and_nobody_later() {
        let queue = GroupCommit::<u8, u8>::new();
        assert!(queue.submit(1, |_| Err("no disk".into())).is_err());
        assert!(queue.submit(1, |_| Ok(Vec::new())).is_err());
        assert_eq!(queue.submit(1, Ok).unwrap(), 1);
    }
}
