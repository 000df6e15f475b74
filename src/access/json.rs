//! Policies as JSON. Nothing is passed over: what is not understood is an error that names its place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::{
    access::{
        Effect, Policy, PolicyError, Statement,
        pattern::{ActionPattern, NamePattern},
        policy::check_count,
    },
    domain::{POLICY_ENTRIES_MAX, POLICY_LEN_MAX_BYTES, POLICY_STATEMENTS_MAX},
};

/// How many signs of an unknown member's name an error repeats.
const SHOWN_LEN_MAX: usize = 40;

/// The versions of the cloud's policy language. What is in both is the same.
const VERSIONS: &[(&str, ())] = &[("1.1", ()), ("5.0", ())];

const EFFECTS: &[(&str, Effect)] = &[("Allow", Effect::Allow), ("Deny", Effect::Deny)];

pub(super) fn read(text: &str) -> Result<Policy, PolicyError> {
    if text.len() > POLICY_LEN_MAX_BYTES {
        return Err(PolicyError::TooLong { len: text.len() });
    }
    let root: Node = serde_json::from_str(text)
        .map_err(|err| PolicyError::NotJson { line: err.line(), column: err.column() })?;
    let root = Placed { node: root, place: String::new() };
    let [version, statements] = root.members(["Version", "Statement"])?;
    version.required()?.word(VERSIONS, "1.1 nor 5.0")?;
    let statements = statements.required()?.entries(POLICY_STATEMENTS_MAX)?;
    let statements: Result<_, _> = statements.into_iter().map(statement).collect();
    Ok(Policy { statements: statements? })
}

fn statement(placed: Placed) -> Result<Statement, PolicyError> {
    let [effect, actions, resources] = placed.members(["Effect", "Action", "Resource"])?;
    let effect = effect.required()?.word(EFFECTS, "Allow nor Deny")?;
    let actions = actions.required()?.entries(POLICY_ENTRIES_MAX)?.into_iter();
    let actions = actions.map(|entry| {
        let (text, place) = entry.text()?;
        ActionPattern::parse(&text, || place.clone())
    });
    let actions = actions.collect::<Result<_, _>>()?;
    let resources = match resources.node {
        None => vec![NamePattern::all()],
        Some(_) => {
            let entries = resources.required()?.entries(POLICY_ENTRIES_MAX)?.into_iter();
            let patterns = entries.map(|entry| {
                let (text, place) = entry.text()?;
                NamePattern::parse(&text, || place.clone())
            });
            patterns.collect::<Result<_, _>>()?
        }
    };
    Ok(Statement { effect, actions, resources })
}

pub(super) fn write(policy: &Policy) -> String {
    let statements: Vec<String> = policy.statements.iter().map(write_statement).collect();
    format!(r#"{{"Version":"1.1","Statement":[{}]}}"#, statements.join(","))
}

fn write_statement(statement: &Statement) -> String {
    let effect = match statement.effect {
        Effect::Allow => "Allow",
        Effect::Deny => "Deny",
    };
    // Patterns hold no sign that JSON would escape.
    let quoted = |text: &str| format!("\"{text}\"");
    let actions: Vec<String> =
        statement.actions.iter().map(|pattern| quoted(pattern.as_str())).collect();
    let resources: Vec<String> =
        statement.resources.iter().map(|pattern| quoted(&pattern.to_text())).collect();
    let (actions, resources) = (actions.join(","), resources.join(","));
    format!(r#"{{"Effect":"{effect}","Action":[{actions}],"Resource":[{resources}]}}"#)
}

/// JSON with every member in its place: a map would keep one of two with the same name.
enum Node {
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    Other,
}

/// A value, and where it stands.
struct Placed {
    node: Node,
    place: String,
}

/// A member that may be missing.
struct Member {
    node: Option<Node>,
    place: String,
}

impl Member {
    fn required(self) -> Result<Placed, PolicyError> {
        match self.node {
            Some(node) => Ok(Placed { node, place: self.place }),
            None => Err(PolicyError::Missing { place: self.place }),
        }
    }
}

impl Placed {
    /// The members of these names of an object that may have no others.
    fn members<const N: usize>(self, names: [&str; N]) -> Result<[Member; N], PolicyError> {
        let Self { node: Node::Object(entries), place } = self else {
            return Err(self.other_than("an object"));
        };
        let within = |name: &str| {
            if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
        };
        let mut members = names.map(|name| Member { node: None, place: within(name) });
        for (name, node) in entries {
            let member = members.iter_mut().zip(names).find(|(_, known)| *known == name);
            match member {
                Some((member, _)) if member.node.is_none() => member.node = Some(node),
                Some((member, _)) => {
                    return Err(PolicyError::Duplicate { place: member.place.clone() });
                }
                None => return Err(PolicyError::UnknownMember { place: within(&shown(&name)) }),
            }
        }
        Ok(members)
    }

    /// The entries of a list, of which there must be one and may be `max`.
    fn entries(self, max: usize) -> Result<Vec<Self>, PolicyError> {
        let Self { node: Node::List(entries), place } = self else {
            return Err(self.other_than("a list"));
        };
        check_count(place.as_str(), entries.len(), max)?;
        let placed = |(at, node)| Self { node, place: format!("{place}[{at}]") };
        Ok(entries.into_iter().enumerate().map(placed).collect())
    }

    fn text(self) -> Result<(String, String), PolicyError> {
        match self {
            Self { node: Node::Text(text), place } => Ok((text, place)),
            other => Err(other.other_than("a text")),
        }
    }

    fn word<T: Copy>(self, words: &[(&str, T)], known: &'static str) -> Result<T, PolicyError> {
        let (text, place) = self.text()?;
        let word = words.iter().find(|(word, _)| *word == text);
        word.map(|(_, meaning)| *meaning).ok_or(PolicyError::UnknownWord { place, known })
    }

    fn other_than(self, wanted: &'static str) -> PolicyError {
        let place = if self.place.is_empty() { "the policy".to_owned() } else { self.place };
        PolicyError::Type { place, wanted }
    }
}

/// A foreign text as it may stand in an error: on one line, and not long.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_LEN_MAX).flat_map(char::escape_debug).collect()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_statement(members: &str) -> String {
        format!(r#"{{"Version":"1.1","Statement":[{{{members}}}]}}"#)
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a case for each mistake")]
    fn what_is_not_understood_is_an_error_that_names_its_place() {
        let allow = r#""Effect":"Allow","Action":["csms:*"]"#;
        let many = |entry: &str, count: usize| vec![entry; count].join(",");
        let cases: &[(&str, String, &str)] = &[
            ("no JSON", "{".to_owned(), "the policy is not JSON (line 1, column 1)"),
            (
                "text behind it",
                format!("{} x", in_statement(allow)),
                "the policy is not JSON (line 1, column 72)",
            ),
            ("another type", "[]".to_owned(), "the policy is not an object"),
            ("nothing", "{}".to_owned(), "Version is missing"),
            ("no statements", r#"{"Version":"1.1"}"#.to_owned(), "Statement is missing"),
            (
                "another version",
                r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(),
                "Version is neither 1.1 nor 5.0",
            ),
            (
                "a version that is a number",
                r#"{"Version":1.1,"Statement":[]}"#.to_owned(),
                "Version is not a text",
            ),
            (
                "an empty list",
                r#"{"Version":"1.1","Statement":[]}"#.to_owned(),
                "Statement has 0 entries: 1 to 64 are allowed",
            ),
            (
                "statements that are an object",
                r#"{"Version":"1.1","Statement":{}}"#.to_owned(),
                "Statement is not a list",
            ),
            (
                "a statement that is null",
                r#"{"Version":"1.1","Statement":[null]}"#.to_owned(),
                "Statement[0] is not an object",
            ),
            (
                "a member at the top",
                r#"{"Id":"x","Version":"1.1"}"#.to_owned(),
                "Id is not known here",
            ),
            (
                "a member twice",
                r#"{"Version":"1.1","Version":"5.0"}"#.to_owned(),
                "Version occurs twice",
            ),
            ("no effect", in_statement(r#""Action":["csms:*"]"#), "Statement[0].Effect is missing"),
            (
                "another effect",
                in_statement(r#""Effect":"allow","Action":["csms:*"]"#),
                "Statement[0].Effect is neither Allow nor Deny",
            ),
            (
                "two effects",
                in_statement(r#""Effect":"Deny","Effect":"Allow","Action":["csms:*"]"#),
                "Statement[0].Effect occurs twice",
            ),
            ("no action", in_statement(r#""Effect":"Allow""#), "Statement[0].Action is missing"),
            (
                "an action that is a text",
                in_statement(r#""Effect":"Allow","Action":"csms:*""#),
                "Statement[0].Action is not a list",
            ),
            (
                "an action that is a number",
                in_statement(r#""Effect":"Allow","Action":["csms:*",7]"#),
                "Statement[0].Action[1] is not a text",
            ),
            (
                "an unknown action",
                in_statement(r#""Effect":"Allow","Action":["csms:*","csms:secret:steal"]"#),
                "Statement[0].Action[1] is the name of no action",
            ),
            (
                "no actions",
                in_statement(r#""Effect":"Allow","Action":[]"#),
                "Statement[0].Action has 0 entries: 1 to 128 are allowed",
            ),
            (
                "too many actions",
                in_statement(&format!(
                    r#""Effect":"Allow","Action":[{}]"#,
                    many(r#""csms:*""#, 129)
                )),
                "Statement[0].Action has 129 entries: 1 to 128 are allowed",
            ),
            (
                "too many statements",
                format!(
                    r#"{{"Version":"1.1","Statement":[{}]}}"#,
                    many(&format!("{{{allow}}}"), 65)
                ),
                "Statement has 65 entries: 1 to 64 are allowed",
            ),
            (
                "no resources",
                in_statement(&format!(r#"{allow},"Resource":[]"#)),
                "Statement[0].Resource has 0 entries: 1 to 128 are allowed",
            ),
            (
                "resources that are null",
                in_statement(&format!(r#"{allow},"Resource":null"#)),
                "Statement[0].Resource is not a list",
            ),
            (
                "a resource elsewhere",
                in_statement(&format!(
                    r#"{allow},"Resource":["*","csms:cn-north-4:*:secretName:x"]"#
                )),
                "Statement[0].Resource[1] is no pattern of 1 to 128 signs that a name may have",
            ),
            (
                "a condition",
                in_statement(&format!(r#"{allow},"Condition":{{}}"#)),
                "Statement[0].Condition is not known here",
            ),
            (
                "an exclusion",
                in_statement(r#""Effect":"Deny","NotAction":["csms:*"]"#),
                "Statement[0].NotAction is not known here",
            ),
            (
                "a name that forges lines",
                in_statement("\"a\\nb\":1"),
                "Statement[0].a\\nb is not known here",
            ),
            ("deep nesting", "[".repeat(10_000), "the policy is not JSON (line 1, column 128)"),
            ("too long", " ".repeat(16_385), "the policy has 16385 bytes: 16384 are allowed"),
        ];
        for (what, text, want) in cases {
            let refused = read(text).unwrap_err();
            assert_eq!(refused.to_string(), *want, "case: {what}");
        }
    }

    #[test]
    fn a_statement_without_resources_is_about_everything() {
        let policy = read(&in_statement(r#""Effect":"Allow","Action":["csms:*"]"#)).unwrap();
        assert!(policy.statements[0].is_about_all());
        let want = r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["csms:*"],"Resource":["*"]}]}"#;
        assert_eq!(policy.to_json(), want);
    }

    #[test]
    fn the_system_policies_are_policies() {
        for text in [Policy::FULL_ACCESS, Policy::READ_ONLY_ACCESS] {
            assert_eq!(read(text).unwrap().to_json(), text);
        }
    }

    proptest! {
        /// What was read and written reads as the same, and bytes of any kind make no panic.
        #[test]
        fn policies_read_as_they_were_written(
            text in prop_oneof![
                "\\PC{0,60}",
                "\\{\"Version\":\"1.1\",\"Statement\":\\[(\\{\"Effect\":\"(Allow|Deny)\",\"Action\":\\[\"csms:[*]\"(,\"kms:cmk:(get|list)\")?\\](,\"Resource\":\\[\"[a-c*?]{1,5}\"\\])?\\},?){1,3}\\]\\}",
            ],
        ) {
            if let Ok(policy) = read(&text) {
                let written = policy.to_json();
                let again = read(&written).unwrap();
                prop_assert_eq!(&again, &policy);
                prop_assert_eq!(again.to_json(), written);
            }
        }
    }
}
