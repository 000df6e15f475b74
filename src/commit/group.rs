//! Group commit: of the writers that wait, one leads and commits for all, the others sleep.

use std::{collections::VecDeque, fmt, sync::Arc};

use parking_lot::{Condvar, Mutex};

/// How many groups one thread leads at most while others wait.
const GROUPS_MAX: usize = 8;

/// From how many that wait on the leader goes on. To hand the lead on means to wake a thread, for which
/// all wait, and long where there are many threads for few processors.
const CROWD: usize = 4;

/// A queue of items that are worked off in groups by one of those who bring them.
pub(crate) struct GroupQueue<T, R> {
    state: Mutex<State<T, R>>,
}

struct State<T, R> {
    waiting: VecDeque<(T, Arc<Ticket<R>>)>,
    /// Somebody leads, and hands the lead on when he is done.
    led: bool,
}

/// What a waiting writer sleeps on.
struct Ticket<R> {
    turn: Mutex<Turn<R>>,
    changed: Condvar,
}

enum Turn<R> {
    Wait,
    Lead,
    Done(R),
}

impl<T, R> GroupQueue<T, R> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), led: false }) }
    }

    /// Brings `item` and waits for its result.
    ///
    /// `take` is asked of each item in turn whether it still fits into the group, of which it keeps count
    /// in the `W`; the first is always taken. `work` is called by one thread at a time; it gives a result
    /// for each item, in their order, and must not panic.
    pub(crate) fn submit<W: Default>(
        &self,
        item: T,
        take: impl Fn(&mut W, &T) -> bool,
        work: impl Fn(Vec<T>) -> Vec<R>,
    ) -> Option<R> {
        let ticket = Arc::new(Ticket { turn: Mutex::new(Turn::Wait), changed: Condvar::new() });
        let must_wait = {
            let mut state = self.state.lock();
            state.waiting.push_back((item, Arc::clone(&ticket)));
            std::mem::replace(&mut state.led, true)
        };
        if must_wait && let Turn::Done(result) = ticket.wait() {
            return Some(result);
        }
        self.lead(take, work);
        match ticket.wait() {
            Turn::Done(result) => Some(result),
            _ => None,
        }
    }

    /// Works off groups, the leader's own item being in the first, and hands the lead on.
    fn lead<W: Default>(&self, take: impl Fn(&mut W, &T) -> bool, work: impl Fn(Vec<T>) -> Vec<R>) {
        for group in 1..=GROUPS_MAX {
            let (items, tickets): (Vec<T>, Vec<_>) = self.gather(&take).into_iter().unzip();
            let results = work(items);
            let led_on = group < GROUPS_MAX && self.goes_on();
            if !led_on {
                // The next group is on its way to the disk while this one's threads are woken.
                self.hand_on();
            }
            for (ticket, result) in tickets.iter().zip(results) {
                ticket.turn(Turn::Done(result));
            }
            if !led_on {
                return;
            }
        }
    }

    /// The next group.
    fn gather<W: Default>(&self, take: impl Fn(&mut W, &T) -> bool) -> Vec<(T, Arc<Ticket<R>>)> {
        let (mut group, mut weight) = (Vec::new(), W::default());
        let mut state = self.state.lock();
        while let Some((item, _)) = state.waiting.front() {
            if !take(&mut weight, item) && !group.is_empty() {
                break;
            }
            group.extend(state.waiting.pop_front());
        }
        group
    }

    /// Whether so many wait that the leader goes on.
    fn goes_on(&self) -> bool {
        self.state.lock().waiting.len() >= CROWD
    }

    fn hand_on(&self) {
        let mut state = self.state.lock();
        match state.waiting.front() {
            Some((_, next)) => next.turn(Turn::Lead),
            None => state.led = false,
        }
    }
}

impl<R> Ticket<R> {
    fn turn(&self, turn: Turn<R>) {
        *self.turn.lock() = turn;
        self.changed.notify_one();
    }

    /// Waits for the lead or the result, and takes it.
    fn wait(&self) -> Turn<R> {
        let mut turn = self.turn.lock();
        loop {
            match std::mem::replace(&mut *turn, Turn::Wait) {
                Turn::Wait => self.changed.wait(&mut turn),
                other => return other,
            }
        }
    }
}

impl<T, R> fmt::Debug for GroupQueue<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupQueue(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn everybody_gets_the_result_of_his_own_item_and_groups_form() {
        let queue = GroupQueue::<usize, usize>::new();
        let (groups, busy) = (AtomicUsize::new(0), Mutex::new(()));
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let (queue, groups, busy) = (&queue, &groups, &busy);
                scope.spawn(move || {
                    for turn in 0..200 {
                        let item = thread * 1000 + turn;
                        let result = queue.submit(
                            item,
                            |taken: &mut usize, _| {
                                *taken += 1;
                                *taken <= 5
                            },
                            |items| {
                                let _alone = busy.try_lock().expect("one leader at a time");
                                assert!(items.len() <= 5);
                                groups.fetch_add(1, Ordering::Relaxed);
                                std::thread::sleep(std::time::Duration::from_micros(20));
                                items.iter().map(|item| item * 2).collect()
                            },
                        );
                        assert_eq!(result, Some(item * 2));
                    }
                });
            }
        });
        assert!(groups.into_inner() < 16 * 200, "no two items ever met in a group");
    }
}
