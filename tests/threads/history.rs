//! What several threads asked of one secret and were answered, and whether one secret that does one
//! call after the other could have answered so.
//!
//! The calls that overlap may have happened in any order, each at one moment between its begin and its
//! end. If there is an order in which every answer is right, the history is sound. So nothing else has
//! to be said about numbers given twice, reads that go back, or labels that get lost: no order
//! explains them.

use std::collections::{BTreeMap, HashSet};

use strongroom::Stage;

/// Versions that a secret keeps in these histories.
pub const VERSIONS_MAX: usize = 6;

/// A secret as it is between two calls.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    next: u64,
    revision: u64,
    description: String,
    /// By number, ascending: what they hold.
    versions: Vec<(u64, Content)>,
    labels: BTreeMap<Stage, u64>,
}

/// A value: whose it is, and whether a rotation has changed its password since.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Content {
    pub origin: u64,
    pub rotated: bool,
}

/// What must hold for a write.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    pub revision: Option<u64>,
    pub current: Option<u64>,
}

/// A call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asked {
    Describe(String, Terms),
    Get(Which),
    Move(Stage, u64, Terms),
    Put(u64, Vec<Stage>, Terms),
    Rotate(Terms),
    Secret,
    Stage(Stage),
    Unlabel(Stage, Terms),
    Versions,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Which {
    Id(u64),
    Latest,
    Stage(Stage),
}

/// What it returned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    At(u64),
    Conflict,
    Done,
    Made(Row),
    NotFound,
    Rotated(u64),
    Secret { revision: u64, current: u64, description: String },
    Value(Row, Content),
    Versions(Vec<Row>),
}

/// A version's number and its labels.
pub type Row = (u64, Vec<Stage>);

/// A call that returned, and when: moments are numbers that are given once.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "the thread is printed")]
pub struct Call {
    pub begin: u64,
    pub end: u64,
    pub thread: usize,
    pub asked: Asked,
    pub answer: Answer,
}

impl State {
    /// A new secret.
    pub fn new(origin: u64, revision: u64) -> Self {
        Self {
            next: 2,
            revision,
            description: String::new(),
            versions: vec![(1, Content { origin, rotated: false })],
            labels: BTreeMap::from([(Stage::Current, 1)]),
        }
    }

    /// How many versions it has had.
    pub fn made(&self) -> u64 {
        self.next - 1
    }

    /// The call, done alone.
    fn then(&self, asked: &Asked) -> (Self, Answer) {
        let mut after = self.clone();
        let answer = match asked {
            Asked::Describe(_, terms)
            | Asked::Move(_, _, terms)
            | Asked::Put(_, _, terms)
            | Asked::Rotate(terms)
            | Asked::Unlabel(_, terms)
                if !self.meets(*terms) =>
            {
                Answer::Conflict
            }
            Asked::Get(which) => self.get(which),
            Asked::Secret => self.secret(),
            Asked::Stage(stage) => {
                self.labels.get(stage).map_or(Answer::NotFound, |id| Answer::At(*id))
            }
            Asked::Versions => {
                Answer::Versions(self.versions.iter().map(|(id, _)| self.row(*id)).collect())
            }
            Asked::Describe(text, _) => {
                after.revision += 1;
                after.description.clone_from(text);
                after.secret()
            }
            Asked::Move(_, to, _) if self.content(*to).is_none() => Answer::NotFound,
            Asked::Move(stage, to, _) => {
                after.revision += u64::from(self.labels.get(stage) != Some(to));
                after.label(stage, *to);
                Answer::At(*to)
            }
            Asked::Put(origin, stages, _) => {
                Answer::Made(after.add(Content { origin: *origin, rotated: false }, stages))
            }
            Asked::Rotate(_) => {
                let current = self.labels[&Stage::Current];
                let origin = self.content(current).expect("labelled").origin;
                Answer::Rotated(after.add(Content { origin, rotated: true }, &[]).0)
            }
            Asked::Unlabel(stage, _) => match after.labels.remove(stage) {
                Some(_) => {
                    after.revision += 1;
                    Answer::Done
                }
                None => Answer::NotFound,
            },
        };
        (after, answer)
    }

    fn meets(&self, terms: Terms) -> bool {
        terms.revision.is_none_or(|revision| revision == self.revision)
            && terms.current.is_none_or(|current| current == self.labels[&Stage::Current])
    }

    fn get(&self, which: &Which) -> Answer {
        let id = match which {
            Which::Id(id) => Some(id),
            Which::Latest => self.labels.get(&Stage::Current),
            Which::Stage(stage) => self.labels.get(stage),
        };
        let found = id.and_then(|id| Some(Answer::Value(self.row(*id), self.content(*id)?)));
        found.unwrap_or(Answer::NotFound)
    }

    fn secret(&self) -> Answer {
        Answer::Secret {
            revision: self.revision,
            current: self.labels[&Stage::Current],
            description: self.description.clone(),
        }
    }

    fn content(&self, id: u64) -> Option<Content> {
        self.versions.iter().find(|(there, _)| *there == id).map(|(_, content)| *content)
    }

    fn row(&self, id: u64) -> Row {
        let labels = self.labels.iter().filter(|(_, at)| **at == id);
        (id, labels.map(|(stage, _)| stage.clone()).collect())
    }

    /// SYSCURRENT draws SYSPREVIOUS behind it.
    fn label(&mut self, stage: &Stage, to: u64) {
        let left = self.labels.insert(stage.clone(), to);
        if let (Stage::Current, Some(left)) = (stage, left)
            && left != to
        {
            self.labels.insert(Stage::Previous, left);
        }
    }

    fn add(&mut self, content: Content, stages: &[Stage]) -> Row {
        let id = self.next;
        self.next += 1;
        self.revision += 1;
        self.versions.push((id, content));
        let stages = if stages.is_empty() { &[Stage::Current] } else { stages };
        stages.iter().for_each(|stage| self.label(stage, id));
        while self.versions.len() > VERSIONS_MAX {
            let labels = &self.labels;
            let bare = |(id, _): &(u64, Content)| labels.values().all(|at| at != id);
            let oldest = self.versions.iter().position(bare).expect("more versions than labels");
            self.versions.remove(oldest);
        }
        self.row(id)
    }
}

/// Says how the secret can be after all of these calls, which begin at `start`, or which call nothing
/// explains.
///
/// Goes from begin to begin and end to end. Kept are all states that the secret can be in, each with
/// those of the calls under way that have happened in it. A call is made to happen when one that waits
/// for it ends, or it ends itself: earlier is never necessary.
pub fn explain(start: State, calls: &[Call]) -> Result<State, String> {
    let mut moments: Vec<(u64, usize)> = calls
        .iter()
        .enumerate()
        .flat_map(|(at, call)| [(call.begin, at), (call.end, at)])
        .collect();
    moments.sort_unstable();
    let mut under_way: Vec<usize> = Vec::new();
    let mut possible = HashSet::from([(start, Vec::new())]);
    for (moment, ends) in moments {
        if calls[ends].begin == moment {
            under_way.push(ends);
            continue;
        }
        let after = happened(&possible, &under_way, ends, calls);
        if after.is_empty() {
            let also = under_way.iter().filter(|at| **at != ends).map(|at| &calls[*at]);
            let states: Vec<_> = possible.iter().map(|(state, _)| state).take(3).collect();
            return Err(format!(
                "nothing explains {:?}\nunder way: {:?}\nthe secret was one of {} like {states:?}",
                calls[ends],
                also.collect::<Vec<_>>(),
                possible.len()
            ));
        }
        under_way.retain(|at| *at != ends);
        possible = after;
        for (_, done) in &possible {
            debug_assert!(done.iter().all(|at| under_way.contains(at)));
        }
    }
    Ok(possible.into_iter().next().expect("at least one").0)
}

type Possible = HashSet<(State, Vec<usize>)>;

/// All ways in which the call `ends` can have happened by now.
fn happened(possible: &Possible, under_way: &[usize], ends: usize, calls: &[Call]) -> Possible {
    let (mut seen, mut after) = (possible.clone(), Possible::new());
    let mut open: Vec<_> = possible.iter().cloned().collect();
    while let Some((state, done)) = open.pop() {
        if done.contains(&ends) {
            after.insert((state, done.into_iter().filter(|at| *at != ends).collect()));
            continue;
        }
        for at in under_way.iter().filter(|at| !done.contains(at)) {
            let (next, answer) = state.then(&calls[*at].asked);
            if answer != calls[*at].answer {
                continue;
            }
            let mut done = done.clone();
            done.push(*at);
            done.sort_unstable();
            if seen.insert((next.clone(), done.clone())) {
                open.push((next, done));
            }
        }
    }
    after
}

/// Two calls of different threads that overlap.
pub fn overlaps(calls: &[Call]) -> usize {
    let mut sorted: Vec<&Call> = calls.iter().collect();
    sorted.sort_unstable_by_key(|call| call.begin);
    sorted.windows(2).filter(|pair| pair[1].begin < pair[0].end).count()
}

mod tests {
    use super::*;

    const NONE: Terms = Terms { revision: None, current: None };

    fn call((begin, end): (u64, u64), asked: Asked, answer: Answer) -> Call {
        Call { begin, end, thread: 0, asked, answer }
    }

    fn put(at: (u64, u64), origin: u64, id: u64) -> Call {
        call(at, Asked::Put(origin, vec![], NONE), Answer::Made((id, vec![Stage::Current])))
    }

    fn get(at: (u64, u64), id: u64, origin: u64) -> Call {
        let row = (id, vec![Stage::Current]);
        let content = Content { origin, rotated: false };
        call(at, Asked::Get(Which::Latest), Answer::Value(row, content))
    }

    fn blue() -> Stage {
        "blue".parse().unwrap()
    }

    fn explained(calls: &[Call]) -> bool {
        explain(State::new(10, 1), calls).is_ok()
    }

    #[test]
    fn what_can_have_happened_is_explained() {
        let current = |current| Terms { current: Some(current), ..NONE };
        let conflict =
            |at, origin| call(at, Asked::Put(origin, vec![], current(1)), Answer::Conflict);
        let moved = |at, to| call(at, Asked::Move(blue(), to, NONE), Answer::At(to));
        let cases: &[(&str, Vec<Call>)] = &[
            ("one after the other", vec![put((0, 1), 20, 2), get((2, 3), 2, 20)]),
            ("a read beside a write sees it", vec![put((0, 3), 20, 2), get((1, 2), 2, 20)]),
            ("a read beside a write does not", vec![put((0, 3), 20, 2), get((1, 2), 1, 10)]),
            (
                "writes side by side, the later one first",
                vec![put((0, 3), 20, 3), put((1, 2), 30, 2)],
            ),
            ("a conflict with a write beside it", vec![put((0, 3), 20, 2), conflict((1, 2), 30)]),
            (
                "a read that sees a write that ends much later",
                vec![put((0, 9), 20, 2), get((1, 2), 2, 20), get((3, 4), 2, 20)],
            ),
            (
                "three that have to be put in order",
                vec![
                    put((0, 9), 20, 3),
                    put((1, 8), 30, 2),
                    get((2, 3), 2, 30),
                    get((4, 5), 3, 20),
                ],
            ),
            (
                "a label that moves",
                vec![moved((0, 1), 1), call((2, 3), Asked::Stage(blue()), Answer::At(1))],
            ),
        ];
        for (what, calls) in cases {
            assert_eq!(explain(State::new(10, 1), calls).map(drop), Ok(()), "case: {what}");
        }
    }

    fn refuses(cases: &[(&str, Vec<Call>)]) {
        for (what, calls) in cases {
            assert!(!explained(calls), "case: {what}");
        }
        println!("{} histories that cannot have happened are refused", cases.len());
    }

    #[test]
    fn numbers_and_values_that_cannot_have_been_are_refused() {
        let first = Terms { current: Some(1), ..NONE };
        let put_if = |at, origin, answer| call(at, Asked::Put(origin, vec![], first), answer);
        let made = |id| Answer::Made((id, vec![Stage::Current]));
        let secret = |at, revision, current| {
            let answer = Answer::Secret { revision, current, description: String::new() };
            call(at, Asked::Secret, answer)
        };
        let rotate = |at, id| call(at, Asked::Rotate(NONE), Answer::Rotated(id));
        assert!(explained(&[put((0, 1), 20, 2), secret((2, 3), 2, 2)]));
        refuses(&[
            ("a number given twice", vec![put((0, 2), 20, 2), put((1, 3), 30, 2)]),
            ("a number left out", vec![put((0, 1), 20, 3)]),
            ("an acknowledged write is not seen", vec![put((0, 1), 20, 2), get((2, 3), 1, 10)]),
            ("an acknowledged rotation is not seen", vec![rotate((0, 1), 2), get((2, 3), 1, 10)]),
            ("a read goes back", vec![put((0, 9), 20, 2), get((1, 2), 2, 20), get((3, 4), 1, 10)]),
            ("a value that nobody wrote", vec![put((0, 1), 20, 2), get((2, 3), 2, 21)]),
            ("a value of another version", vec![put((0, 1), 20, 2), get((2, 3), 2, 10)]),
            ("a write is seen before it began", vec![get((0, 1), 2, 20), put((2, 3), 20, 2)]),
            ("a rotation that changed nothing", vec![rotate((0, 1), 2), get((2, 3), 2, 10)]),
            (
                "two won who both required the first",
                vec![put_if((0, 2), 20, made(2)), put_if((1, 3), 30, made(3))],
            ),
            ("a conflict with nobody", vec![put_if((0, 1), 20, Answer::Conflict)]),
            ("a change without a revision", vec![put((0, 1), 20, 2), secret((2, 3), 1, 2)]),
            ("a revision without a change", vec![put((0, 1), 20, 2), secret((2, 3), 3, 2)]),
            ("metadata that is behind", vec![put((0, 1), 20, 2), secret((2, 3), 2, 1)]),
        ]);
    }

    #[test]
    fn labels_and_listings_that_cannot_have_been_are_refused() {
        let table = |at, rows| call(at, Asked::Versions, Answer::Versions(rows));
        let on = |at, stage, to| call(at, Asked::Stage(stage), Answer::At(to));
        let (current, previous) = (Stage::Current, Stage::Previous);
        let moved = |at, to| call(at, Asked::Move(blue(), to, NONE), Answer::At(to));
        let all = vec![(1, vec![previous.clone()]), (2, vec![current.clone()])];
        assert!(explained(&[put((0, 1), 20, 2), table((2, 3), all)]));
        refuses(&[
            ("a label got lost", {
                vec![moved((0, 1), 1), call((2, 3), Asked::Stage(blue()), Answer::NotFound)]
            }),
            ("a label on a version that is not there", vec![moved((0, 1), 7)]),
            ("a removed label is still there", {
                let gone = call((2, 3), Asked::Unlabel(blue(), NONE), Answer::Done);
                vec![moved((0, 1), 1), gone, on((4, 5), blue(), 1)]
            }),
            (
                "SYSPREVIOUS stayed behind",
                vec![put((0, 1), 20, 2), put((2, 3), 30, 3), on((4, 5), previous, 1)],
            ),
            (
                "a listing without a version",
                vec![put((0, 1), 20, 2), table((2, 3), vec![(2, vec![current.clone()])])],
            ),
            (
                "a listing with labels of two moments",
                vec![
                    put((0, 1), 20, 2),
                    table((2, 3), vec![(1, vec![current.clone()]), (2, vec![current])]),
                ],
            ),
        ]);
    }

    #[test]
    fn dropped_versions_that_cannot_have_been_are_refused() {
        let puts: Vec<Call> = (2..9).map(|id| put((2 * id, 2 * id + 1), id, id)).collect();
        let then = |asked, answer| [&puts[..], &[call((90, 91), asked, answer)]].concat();
        let get = |id, answer| then(Asked::Get(Which::Id(id)), answer);
        let there = |id| Answer::Value((id, vec![]), Content { origin: id, rotated: false });
        assert!(explained(&get(2, Answer::NotFound)) && explained(&get(3, there(3))));
        let rows = |ids: std::ops::Range<u64>| {
            let row = |id| match id {
                7 => (id, vec![Stage::Previous]),
                8 => (id, vec![Stage::Current]),
                _ => (id, vec![]),
            };
            then(Asked::Versions, Answer::Versions(ids.map(row).collect()))
        };
        assert!(explained(&rows(3..9)));
        refuses(&[
            ("a version dropped too early", get(3, Answer::NotFound)),
            ("a dropped version that is still read", get(2, there(2))),
            ("a listing with one dropped", rows(2..9)),
            ("a listing without one kept", rows(4..9)),
        ]);
    }
}
