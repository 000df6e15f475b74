//! How sequences of calls are drawn.

use std::collections::BTreeSet;

use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};
use strongroom::{EventType, SecretState, TaskStatus};

use crate::{
    calls::{
        After, Before, Call, DAY, EVENTS, Filter, Find, HOUR, Keep, LABELS, MINUTE, Mood, Move,
        NAMES, New, PERIODS, Reference, Rules, Settings, Step, TAG_KEYS, TAG_VALUES, TARGETS, Tick,
        Update, Value,
    },
    people::PEOPLE_COUNT,
};

const CALLS: usize = 50;

/// Some calls that make what the others need, then any.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let put = |name| {
        let value = (0_usize..20, 0_usize..20).prop_map(|(p, q)| Value::Account(p, q));
        (value, expires()).prop_map(move |(value, expires)| {
            let expires = expires.filter(|after| *after > 0);
            Call::Put { name, value, labels: Vec::new(), expires, not_before: None }
        })
    };
    let first = (
        Just(Call::CreateEvent { event: 0, types: EventType::ALL.to_vec(), on: true }),
        Just(Call::CreateKey { alias: 1 }),
        new(0).prop_map(sound).prop_map(Call::Create),
        new(1).prop_map(sound).prop_map(Call::Create),
        [put(0), put(0), put(1)],
    );
    let rest = vec(some_steps(), CALLS - 7);
    (first, rest).prop_map(|((event, key, one, two, puts), rest)| {
        let first = [event, key, one, two].into_iter().chain(puts);
        let first = first.map(|call| Step { who: None, call });
        first.chain(rest.into_iter().flatten()).collect()
    })
}

/// One call, or now and then a few that belong together and would seldom meet by chance.
fn some_steps() -> impl Strategy<Value = Vec<Step>> {
    let calls = prop_oneof![3 => failing(), 1 => falling_due(), 1 => under_key()];
    let by_embedder = |calls: Vec<Call>| {
        calls.into_iter().map(|call| Step { who: None, call }).collect::<Vec<_>>()
    };
    prop_oneof![18 => step().prop_map(|step| vec![step]), 1 => calls.prop_map(by_embedder)]
}

/// A rotation that is due and fails, once to three times, and what may come between.
fn failing() -> impl Strategy<Value = Vec<Call>> {
    let between = |name| {
        let later = select(vec![59_999, MINUTE, 4 * MINUTE, HOUR]);
        prop_oneof![
            3 => later.prop_map(|millis| Call::Tick(Tick::By(millis))),
            1 => Just(Call::CancelRotation(name)),
            1 => Just(Call::ResumeRotation(name)),
        ]
    };
    (0_usize..2, 0_usize..5).prop_flat_map(move |(name, password)| {
        let rules = Rules { automatic: Some(true), period: Some(0) };
        let to = Update { description: None, events: None, keep: None, key: None, rules };
        let value = Value::Account(password, 132);
        let (labels, expires, not_before) = (Vec::new(), None, None);
        let before = Before::Anything;
        let first = [
            Call::Update { name, to, before },
            Call::Put { name, value, labels, expires, not_before },
            Call::Tick(Tick::By(7 * HOUR)),
            Call::RotateDue,
        ];
        vec(between(name), 0..4).prop_map(move |between| {
            let tries = between.into_iter().flat_map(|call| [call, Call::RotateDue]);
            first.iter().cloned().chain(tries).collect()
        })
    })
}

/// A deletion or destruction whose moment comes, and a look at it.
fn falling_due() -> impl Strategy<Value = Vec<Call>> {
    let look = |name| {
        prop_oneof![
            (1_u64..3).prop_map(move |id| Call::Read { name, reference: Reference::Id(id) }),
            Just(Call::Versions(name)),
            Just(Call::Secret(name)),
            Just(Call::Get(name)),
            Just(Call::Sweep),
            Just(Call::GetMany(vec![1, name, 0])),
            (1_u64..3).prop_map(move |version| Call::Disable { name, version }),
        ]
    };
    (0_usize..2, 1_u64..3, any::<bool>(), -1_i64..=1).prop_flat_map(
        move |(name, version, deletion, more)| {
            let first = match deletion {
                true => Call::ScheduleDeletion { name, days: 7 },
                false => Call::ScheduleDestruction { name, version, after: 1500 },
            };
            let tick = Call::Tick(Tick::ToDue(more));
            (look(name), look(name))
                .prop_map(move |(one, two)| vec![first.clone(), one, tick.clone(), two])
        },
    )
}

/// A version under a key of the ring, which is then disabled.
fn under_key() -> impl Strategy<Value = Vec<Call>> {
    let later = |name| {
        let before = Before::Anything;
        let (value, labels) = (Value::Account(1, 1), Vec::new());
        prop_oneof![
            Just(Call::Get(name)),
            Just(Call::Put { name, value, labels, expires: None, not_before: None }),
            Just(Call::Rotate { name, before }),
            Just(Call::GetMany(vec![0, 1])),
            Just(Call::Backup(name)),
            Just(Call::DeleteKey(0)),
            Just(Call::RotateDue),
        ]
    };
    (0_usize..2, any::<bool>()).prop_flat_map(move |(name, enabled)| {
        let (rules, before) = (Rules::default(), Before::Anything);
        let key = Some(Some(0));
        let to = Update { description: None, events: None, keep: None, key, rules };
        let (value, labels) = (Value::Account(2, 2), Vec::new());
        let first = [
            Call::SetKey { key: 0, enabled: true },
            Call::Update { name, to, before },
            Call::Put { name, value, labels, expires: None, not_before: None },
            Call::SetKey { key: 0, enabled },
        ];
        (later(name), later(name))
            .prop_map(move |(one, two)| first.iter().cloned().chain([one, two]).collect())
    })
}

/// Each name once: of two, the second is refused for one of several reasons, as they come.
fn load(mut news: Vec<New>) -> Call {
    let mut names = BTreeSet::new();
    news.retain(|new| names.insert(new.name));
    Call::Load(news)
}

/// A secret that can be made when there is nothing but the first event.
fn sound(mut new: New) -> New {
    new.value = match new.value {
        Value::Text(len) if new.rotatable || len > 190 => Value::Account(len % 20, 0),
        other => other,
    };
    if new.rules.automatic == Some(true) {
        new.rules.period = new.rules.period.or(Some(0));
    }
    if !new.events.is_empty() {
        new.events = vec![0];
    }
    new.key = None;
    new
}

fn step() -> impl Strategy<Value = Step> {
    let who = prop_oneof![6 => Just(None), 1 => (0..PEOPLE_COUNT).prop_map(Some)];
    let call = prop_oneof![
        14 => of_secrets(),
        26 => of_versions(),
        9 => of_labels(),
        6 => of_tags(),
        9 => of_events(),
        13 => of_rotation(),
        5 => of_keys(),
        4 => of_blobs(),
        22 => of_time(),
    ];
    (who, call).prop_map(|(who, call)| Step { who, call })
}

// Most calls meet in two secrets, so that these grow old.
fn name() -> impl Strategy<Value = usize> {
    prop_oneof![10 => Just(0_usize), 6 => Just(1_usize), 1 => 0..NAMES.len()]
}

fn version() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 1_u64..4, 4 => 4_u64..7, 1 => 7_u64..12]
}

fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        3 => version().prop_map(Reference::Id),
        1 => (0..LABELS.len()).prop_map(Reference::Label),
        1 => Just(Reference::Latest),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        10 => (0_usize..20, 0_usize..20).prop_map(|(p, q)| Value::Account(p, q)),
        // With a new password it is too long.
        5 => (0_usize..5, 128_usize..140).prop_map(|(p, q)| Value::Account(p, q)),
        2 => (0_usize..20).prop_map(Value::Text),
        1 => (198_usize..203).prop_map(Value::Text),
    ]
}

fn before() -> impl Strategy<Value = Before> {
    prop_oneof![
        12 => Just(Before::Anything),
        1 => (0_u64..2).prop_map(Before::Revision),
        1 => (1_u64..5).prop_map(Before::Current),
    ]
}

fn keep() -> impl Strategy<Value = Keep> {
    (select(vec![None, None, Some(2), Some(3)]), select(vec![None, None, Some(1), Some(9)]))
        .prop_map(|(versions, days)| Keep { versions, days })
}

fn rules() -> impl Strategy<Value = Rules> {
    let automatic = select(vec![None, None, Some(true), Some(true), Some(true), Some(false)]);
    let period = prop_oneof![1 => Just(None), 2 => (0..PERIODS.len()).prop_map(Some)];
    (automatic, period).prop_map(|(automatic, period)| Rules { automatic, period })
}

fn key() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![3 => Just(None), 2 => key_at().prop_map(Some)]
}

fn key_at() -> impl Strategy<Value = usize> {
    prop_oneof![5 => Just(0_usize), 1 => 0_usize..3]
}

/// The events that a secret shall subscribe to: one at most is allowed.
fn subscriptions() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        3 => Just(vec![0]),
        2 => Just(Vec::new()),
        1 => vec(0..EVENTS.len(), 1..3),
    ]
}

fn new(name: usize) -> impl Strategy<Value = New> {
    let rest = (prop::bool::weighted(0.7), value(), prop::bool::weighted(0.15));
    (rest, key(), subscriptions(), keep(), rules()).prop_map(
        move |((rotatable, value, protected), key, events, keep, rules)| {
            // Most that can be rotated have a value of that shape.
            let value = match value {
                Value::Text(len) if rotatable && len < 18 => Value::Account(len, 0),
                other => other,
            };
            let rules = if rotatable { rules } else { Rules { automatic: None, ..rules } };
            New { name, rotatable, value, protected, key, events, keep, rules }
        },
    )
}

fn update() -> impl Strategy<Value = Update> {
    (
        select(vec![None, None, Some(""), Some("one"), Some("two")]),
        prop_oneof![2 => Just(None), 1 => subscriptions().prop_map(Some)],
        prop_oneof![2 => Just(None), 1 => keep().prop_map(Some)],
        prop_oneof![3 => Just(None), 1 => key().prop_map(Some)],
        prop_oneof![1 => Just(Rules::default()), 1 => rules()],
    )
        .prop_map(|(description, events, keep, key, rules)| Update {
            description,
            events,
            keep,
            key,
            rules,
        })
}

fn page() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![3 => Just(None), 2 => (0_usize..4).prop_map(Some), 1 => Just(Some(1001))]
}

fn of_secrets() -> impl Strategy<Value = Call> {
    use SecretState::{Disabled, Enabled, Frozen, PendingDeletion};
    let states = vec![Enabled, Enabled, Enabled, Disabled, Disabled, Frozen, PendingDeletion];
    prop_oneof![
        5 => name().prop_flat_map(new).prop_map(Call::Create),
        2 => vec((0..NAMES.len()).prop_flat_map(new), 1..4).prop_map(load),
        3 => name().prop_map(Call::Secret),
        2 => (prop_oneof![Just(None), (0..EVENTS.len()).prop_map(Some)], page())
            .prop_map(|(event, limit)| Call::Secrets { event, limit }),
        8 => (name(), update(), before())
            .prop_map(|(name, to, before)| Call::Update { name, to, before }),
        3 => (name(), select(vec![6, 7, 7, 9, 30, 31]))
            .prop_map(|(name, days)| Call::ScheduleDeletion { name, days }),
        4 => name().prop_map(Call::CancelDeletion),
        1 => (name(), before()).prop_map(|(name, before)| Call::Delete { name, before }),
        5 => (name(), select(states)).prop_map(|(name, state)| Call::SetState { name, state }),
        1 => name().prop_map(Call::Protect),
    ]
}

fn expires() -> impl Strategy<Value = After> {
    select(vec![
        None,
        None,
        Some(-1),
        Some(500),
        Some(1500),
        Some(90_000),
        Some(3 * DAY),
        Some(40 * DAY),
    ])
}

fn of_versions() -> impl Strategy<Value = Call> {
    let labels = prop_oneof![
        4 => Just(Vec::new()),
        2 => subsequence((0..LABELS.len()).collect::<Vec<_>>(), 1..=LABELS.len()),
        1 => vec(0..LABELS.len(), 1..4),
    ];
    let not_before =
        || select(vec![None, None, None, Some(-5000), Some(700), Some(2 * DAY), Some(50 * DAY)]);
    let after = select(vec![-1, 0, 1000, 1500, 90_000, DAY, DAY, 10 * DAY]);
    prop_oneof![
        14 => (name(), value(), labels, expires(), not_before()).prop_map(
            |(name, value, labels, expires, not_before)| Call::Put {
                name, value, labels, expires, not_before,
            }
        ),
        5 => name().prop_map(Call::Get),
        6 => (name(), reference()).prop_map(|(name, reference)| Call::Read { name, reference }),
        3 => name().prop_map(Call::Versions),
        2 => vec(0..NAMES.len(), 0..6).prop_map(Call::GetMany),
        4 => (name(), reference(), expires())
            .prop_map(|(name, reference, expires)| Call::Expire { name, reference, expires }),
        3 => (name(), version()).prop_map(|(name, version)| Call::Disable { name, version }),
        3 => (name(), version()).prop_map(|(name, version)| Call::Enable { name, version }),
        2 => (name(), version()).prop_map(|(name, version)| Call::Destroy { name, version }),
        7 => (name(), version(), after).prop_map(|(name, version, after)| {
            Call::ScheduleDestruction { name, version, after }
        }),
        1 => (name(), version())
            .prop_map(|(name, version)| Call::CancelDestruction { name, version }),
    ]
}

fn of_labels() -> impl Strategy<Value = Call> {
    let label = || 0..LABELS.len();
    let one = (name(), label(), version(), before()).prop_map(|(name, label, to, before)| Move {
        name,
        label,
        to,
        before,
    });
    prop_oneof![
        1 => (name(), label()).prop_map(|(name, label)| Call::Stage { name, label }),
        5 => (name(), label(), version())
            .prop_map(|(name, label, to)| Call::Move { name, label, to }),
        4 => vec(one, 0..4).prop_map(Call::MoveMany),
        4 => (name(), label()).prop_map(|(name, label)| Call::Unlabel { name, label }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    (0..TAG_KEYS.len(), subsequence((0..TAG_VALUES.len()).collect::<Vec<_>>(), 0..=2))
        .prop_map(|(key, values)| Filter { key, values })
}

fn find() -> impl Strategy<Value = Find> {
    (vec(filter(), 0..3), select(vec![None, None, Some("a"), Some("b"), Some("")]))
        .prop_map(|(filters, part)| Find { filters, part })
}

fn of_tags() -> impl Strategy<Value = Call> {
    let tags = vec((0..TAG_KEYS.len(), 0..TAG_VALUES.len()), 0..4);
    prop_oneof![
        5 => (name(), tags).prop_map(|(name, tags)| Call::AddTags { name, tags }),
        2 => (name(), 0..TAG_KEYS.len()).prop_map(|(name, key)| Call::RemoveTag { name, key }),
        2 => (name(), vec(filter(), 0..3))
            .prop_map(|(name, filters)| Call::RemoveTags { name, filters }),
        1 => name().prop_map(Call::Tags),
        1 => Just(Call::ProjectTags),
        3 => (find(), page(), 0_usize..3)
            .prop_map(|(find, limit, offset)| Call::Find { find, limit, offset }),
        1 => find().prop_map(Call::Count),
    ]
}

fn of_events() -> impl Strategy<Value = Call> {
    let event = || prop_oneof![2 => Just(0_usize), 1 => 0..EVENTS.len()];
    let types = || {
        prop_oneof![
            3 => Just(EventType::ALL.to_vec()),
            3 => vec(select(EventType::ALL.to_vec()), 0..4),
        ]
    };
    let moods = vec![Mood::Fine; 12].into_iter().chain([Mood::Invalid; 5]);
    let moods: Vec<Mood> = moods.chain([Mood::FailsOnce, Mood::Fails]).collect();
    prop_oneof![
        2 => (event(), types(), prop::bool::weighted(0.8))
            .prop_map(|(event, types, on)| Call::CreateEvent { event, types, on }),
        3 => (event(), prop::option::of(types()), prop::option::of(prop::bool::weighted(0.7)),
            prop::option::of(0..TARGETS.len()))
            .prop_map(|(event, types, on, target)| Call::UpdateEvent { event, types, on, target }),
        1 => event().prop_map(Call::DeleteEvent),
        1 => event().prop_map(Call::Event),
        1 => page().prop_map(|limit| Call::Events { limit }),
        9 => select(moods).prop_map(Call::Deliver),
        2 => page().prop_map(|limit| Call::Notices { limit }),
    ]
}

fn of_rotation() -> impl Strategy<Value = Call> {
    let statuses =
        vec![None, Some(TaskStatus::Running), Some(TaskStatus::Failed), Some(TaskStatus::Success)];
    prop_oneof![
        5 => (name(), before()).prop_map(|(name, before)| Call::Rotate { name, before }),
        10 => Just(Call::RotateDue),
        2 => Just(Call::RotationsDue),
        2 => name().prop_map(Call::CancelRotation),
        3 => name().prop_map(Call::ResumeRotation),
        3 => (prop::option::of(name()), select(statuses), page())
            .prop_map(|(name, status, limit)| Call::Tasks { name, status, limit }),
    ]
}

fn of_keys() -> impl Strategy<Value = Call> {
    prop_oneof![
        2 => (0_usize..4).prop_map(|alias| Call::CreateKey { alias }),
        7 => (key_at(), prop::bool::weighted(0.6))
            .prop_map(|(key, enabled)| Call::SetKey { key, enabled }),
        2 => key_at().prop_map(Call::DeleteKey),
        1 => Just(Call::Keys),
    ]
}

fn of_blobs() -> impl Strategy<Value = Call> {
    prop_oneof![
        1 => name().prop_map(Call::Backup),
        1 => (0_usize..3, prop::option::of(0..NAMES.len()))
            .prop_map(|(blob, name)| Call::Restore { blob, name }),
    ]
}

fn of_time() -> impl Strategy<Value = Call> {
    let tick = prop_oneof![
        3 => (1_i64..3000).prop_map(Tick::By),
        2 => (1..=10 * MINUTE).prop_map(Tick::By),
        2 => (HOUR..30 * HOUR).prop_map(Tick::By),
        1 => (DAY..12 * DAY).prop_map(Tick::By),
        1 => (30 * DAY..=100 * DAY).prop_map(Tick::By),
        1 => (-10_000_i64..0).prop_map(Tick::By),
        1 => (-20 * DAY..-DAY).prop_map(Tick::By),
        1 => Just(Tick::By(-HOUR)),
        10 => (-1_i64..=1).prop_map(Tick::ToDue),
        1 => (0_i64..=1).prop_map(Tick::ToEndOfRecord),
    ];
    let settings = (any::<bool>(), prop::bool::weighted(0.3))
        .prop_map(|(enforce_validity, audit_reads)| Settings { enforce_validity, audit_reads });
    prop_oneof![
        24 => tick.prop_map(Call::Tick),
        10 => Just(Call::Sweep),
        2 => Just(Call::NextDue),
        1 => select(vec![0, HOUR, 5 * DAY, 60 * DAY, -1]).prop_map(|age| Call::Prune { age }),
        1 => (any::<bool>(), settings)
            .prop_map(|(close, settings)| Call::Reopen { close, settings }),
        1 => prop_oneof![4 => Just(Call::Checkpoint), 1 => Just(Call::Compact)],
    ]
}
