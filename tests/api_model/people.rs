//! Who calls, and what he may do: a few policies, and the rule by which they are read.

use strongroom::{Policy, SecretStore, Statement};

/// An actor as the audit log names him.
pub type Who = &'static str;

/// The program that opened the store.
pub const EMBEDDER: Who = "";
/// The store itself, for what the clock brings about.
pub const STORE: Who = "strongroom";

struct Person {
    name: Who,
    rules: &'static [Rule],
}

struct Rule {
    allows: bool,
    actions: &'static [&'static str],
    /// What names begin with, or are if no `*` follows.
    names: &'static [&'static str],
}

const PEOPLE: [Person; 4] = [
    // Reads what begins with `a`.
    Person {
        name: "ann",
        rules: &[Rule {
            allows: true,
            actions: &[
                "csms:secret:get*",
                "csms:secret:listVersion",
                "csms:secret:listTags",
                "kms:cmk:decryptDataKey",
            ],
            names: &["a*"],
        }],
    },
    // Does everything but a few things to `ab`.
    Person {
        name: "bob",
        rules: &[
            Rule { allows: true, actions: &["*"], names: &["*"] },
            Rule {
                allows: false,
                actions: &[
                    "csms:secret:delete",
                    "csms:secret:createStage",
                    "rds:password:update",
                    "strongroom:*",
                ],
                names: &["ab"],
            },
        ],
    },
    // Has no right to data keys, so neither reads nor stores values.
    Person {
        name: "cid",
        rules: &[Rule { allows: true, actions: &["csms:*", "strongroom:*"], names: &["*"] }],
    },
    Person { name: "dan", rules: &[] },
];

pub const PEOPLE_COUNT: usize = PEOPLE.len();

/// The name of a person, or of the embedder.
pub fn actor(who: Option<usize>) -> Who {
    who.map_or(EMBEDDER, |at| PEOPLE[at].name)
}

/// A denial wins; what nobody allowed is denied.
pub fn may(who: Who, action: &str, secret: &str) -> bool {
    let Some(person) = PEOPLE.iter().find(|person| person.name == who) else { return true };
    let meant = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
        Some(front) => text.starts_with(front),
        None => text == pattern,
    };
    let speaks = |allows: bool| {
        person.rules.iter().any(|rule| {
            rule.allows == allows
                && rule.actions.iter().any(|pattern| meant(pattern, action))
                && rule.names.iter().any(|pattern| meant(pattern, secret))
        })
    };
    speaks(true) && !speaks(false)
}

/// A handle through which a person calls.
pub fn session(store: &SecretStore, who: usize) -> SecretStore {
    let person = &PEOPLE[who];
    let statements = person.rules.iter().map(|rule| {
        let made = if rule.allows { Statement::allow } else { Statement::deny };
        made(rule.actions).unwrap().on(rule.names).unwrap()
    });
    let statements: Vec<Statement> = statements.collect();
    let policies = (!statements.is_empty()).then(|| Policy::new(statements).unwrap());
    store.session(person.name.parse().unwrap(), policies).unwrap()
}
