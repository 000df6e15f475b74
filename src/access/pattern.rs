//! Patterns of names and of actions: `*` stands for any text, `?` for one sign.

use crate::{
    access::PolicyError,
    domain::{Action, POLICY_PATTERN_LEN_MAX, SecretName},
};

/// What stands before a secret's name in a resource, as the cloud writes it. Region and domain must be
/// left open: a store has neither, so a policy for one region would say more than it says.
const RESOURCE_PREFIX: &str = "csms:*:*:secretName:";

/// Other names that CSMS has for an action, or had (csms.md 3.9, 7.41).
const ALIASES: &[(&str, Action)] = &[
    ("csms:secretVersion:create", Action::CreateVersion),
    ("csms:secretVersion:get", Action::GetVersion),
    ("csms:secretVersion:list", Action::ListVersions),
    ("csms:secretVersion:update", Action::UpdateVersion),
    ("csms:secretVersion:batchGetSecretValue", Action::BatchGetValue),
    ("csms:secretStage:create", Action::CreateStage),
    ("csms:secretStage:update", Action::UpdateStage),
    ("csms:secretStage:get", Action::GetStage),
    ("csms:secretStage:delete", Action::DeleteStage),
    ("csms:event:create", Action::CreateEvent),
    ("csms:event:get", Action::GetEvent),
    ("csms:event:list", Action::ListEvents),
    ("csms:event:update", Action::UpdateEvent),
    ("csms:event:delete", Action::DeleteEvent),
    ("csms:task:list", Action::ListTasks),
    ("kms:dek:create", Action::CreateDataKey),
    ("kms:dek:decrypt", Action::DecryptDataKey),
];

/// A pattern of secret names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct NamePattern(Box<str>);

impl NamePattern {
    /// Reads `orders-*`, or `csms:*:*:secretName:orders-*`, which is the same.
    pub(super) fn parse(text: &str, place: impl Fn() -> String) -> Result<Self, PolicyError> {
        let name = text.strip_prefix(RESOURCE_PREFIX).unwrap_or(text);
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*?".contains(&byte);
        if (1..=POLICY_PATTERN_LEN_MAX).contains(&name.len()) && name.bytes().all(sign) {
            Ok(Self(name.into()))
        } else {
            Err(PolicyError::Pattern { place: place() })
        }
    }

    /// Every secret, and what is about none.
    pub(super) fn all() -> Self {
        Self("*".into())
    }

    pub(super) fn is_all(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'*')
    }

    pub(super) fn matches(&self, name: &SecretName) -> bool {
        is_match(self.0.as_bytes(), name.as_str().as_bytes())
    }

    /// As it is written in a policy.
    pub(super) fn to_text(&self) -> String {
        if self.is_all() { "*".to_owned() } else { format!("{RESOURCE_PREFIX}{}", self.0) }
    }
}

/// A pattern of actions, and the actions that it means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ActionPattern {
    text: Box<str>,
    pub(super) actions: Box<[Action]>,
}

impl ActionPattern {
    /// Reads the name of an action, or several by `*`. What means no action is refused: it is a slip, and
    /// in a denial a dangerous one.
    pub(super) fn parse(text: &str, place: impl Fn() -> String) -> Result<Self, PolicyError> {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b":*".contains(&byte);
        if text.len() > POLICY_PATTERN_LEN_MAX || !text.bytes().all(sign) {
            return Err(PolicyError::Pattern { place: place() });
        }
        let meant = |action: &Action| {
            let mut aliases = ALIASES.iter().filter(|(_, of)| of == action).map(|(name, _)| *name);
            is_match(text.as_bytes(), action.as_str().as_bytes())
                || aliases.any(|name| is_match(text.as_bytes(), name.as_bytes()))
        };
        // That one is the embedder's alone.
        let grantable = Action::ALL.iter().filter(|action| **action != Action::OpenSession);
        let actions: Box<[Action]> = grantable.copied().filter(meant).collect();
        if actions.is_empty() {
            return Err(PolicyError::UnknownAction { place: place() });
        }
        Ok(Self { text: text.into(), actions })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// Whether `pattern` fits all of `text`.
///
/// Goes back to the last `*` only, which then takes one sign more: at most the product of both lengths in
/// steps, whatever the pattern. To go back to earlier ones could gain nothing, and would be exponential.
fn is_match(mut pattern: &[u8], mut text: &[u8]) -> bool {
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (Some((b'*', behind)), _) => {
                last_star = Some((behind, text));
                pattern = behind;
            }
            (Some((wanted, behind)), Some((sign, rest))) if *wanted == b'?' || wanted == sign => {
                (pattern, text) = (behind, rest);
            }
            (None, None) => return true,
            _ => {
                let Some((behind, [_, rest @ ..])) = last_star else { return false };
                last_star = Some((behind, rest));
                (pattern, text) = (behind, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    /// The definition, sign by sign. Exponential.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', behind @ ..], _) => {
                naive(behind, text) || (!text.is_empty() && naive(pattern, &text[1..]))
            }
            ([b'?', behind @ ..], [_, rest @ ..]) => naive(behind, rest),
            ([wanted, behind @ ..], [sign, rest @ ..]) => wanted == sign && naive(behind, rest),
            _ => false,
        }
    }

    #[test]
    fn stars_and_question_marks_fit_what_they_stand_for() {
        let cases = [
            ("orders-*", "orders-db", true),
            ("orders-*", "orders-", true),
            ("orders-*", "orders", false),
            ("orders-*", "my-orders-db", false),
            ("*-db", "orders-db", true),
            ("*-db", "orders-db-old", false),
            ("*db*", "orders-db-old", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZcd", false),
            ("db-?", "db-1", true),
            ("db-?", "db-", false),
            ("db-?", "db-10", false),
            ("??*", "a", false),
            ("*", "a", true),
            ("**", "a", true),
            ("orders", "Orders", false),
            ("a*a*a", "aa", false),
        ];
        for (pattern, name, want) in cases {
            let found = is_match(pattern.as_bytes(), name.as_bytes());
            assert_eq!(found, want, "{pattern} and {name}");
        }
    }

    proptest! {
        #[test]
        fn the_matcher_agrees_with_the_definition(pattern in "[ab*?]{0,12}", text in "[abc]{0,12}") {
            prop_assert_eq!(
                is_match(pattern.as_bytes(), text.as_bytes()),
                naive(pattern.as_bytes(), text.as_bytes())
            );
        }

        /// Whatever a `*` is replaced by, the pattern still fits.
        #[test]
        fn what_a_pattern_was_filled_with_fits_it(parts in prop::collection::vec("[ab?]{0,5}", 1..6), fill in "[abc]{0,5}") {
            let text = parts.join(&fill).replace('?', "c");
            prop_assert!(is_match(parts.join("*").as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "*a".repeat(POLICY_PATTERN_LEN_MAX / 2);
        let (text, begin) = ("a".repeat(60) + "bbbb", Instant::now());
        for _ in 0..1000 {
            assert!(!is_match(pattern.as_bytes(), text.as_bytes()));
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    fn at() -> String {
        "here".to_owned()
    }

    #[test]
    fn a_resource_is_a_name_pattern_with_or_without_the_prefix_of_the_cloud() {
        let cases = [
            ("*", Some("*")),
            ("**", Some("*")),
            ("csms:*:*:secretName:*", Some("*")),
            ("orders-*", Some("csms:*:*:secretName:orders-*")),
            ("csms:*:*:secretName:orders-?", Some("csms:*:*:secretName:orders-?")),
            ("a.b", Some("csms:*:*:secretName:a.b")),
            ("csms:cn-north-4:*:secretName:orders", None),
            ("csms:*:*:secretName:", None),
            ("csms:*:*:secret:x", None),
            ("kms:*:*:KeyId:x", None),
            ("", None),
            ("a b", None),
            ("caf\u{e9}", None),
        ];
        for (text, want) in cases {
            let parsed = NamePattern::parse(text, at);
            let shown = parsed.as_ref().map(NamePattern::to_text);
            match want {
                Some(want) => assert_eq!(shown, Ok(want.to_owned()), "{text}"),
                None => assert_eq!(shown, Err(&PolicyError::Pattern { place: at() }), "{text}"),
            }
        }
        let longest = "x".repeat(POLICY_PATTERN_LEN_MAX);
        assert!(NamePattern::parse(&longest, at).is_ok());
        assert!(NamePattern::parse(&format!("{longest}x"), at).is_err());
    }

    #[test]
    fn an_action_pattern_means_names_and_aliases_and_never_nothing() {
        let cases: &[(&str, &[Action])] = &[
            ("csms:secret:rotate", &[Action::RotateSecret]),
            ("csms:secretVersion:create", &[Action::CreateVersion]),
            ("csms:task:list", &[Action::ListTasks]),
            ("csms::listTasks", &[Action::ListTasks]),
            ("kms:dek:create", &[Action::CreateDataKey]),
            ("csms:secret:get*", &[Action::GetSecret, Action::GetVersion, Action::GetStage]),
            (
                "csms:secretStage:*",
                &[Action::CreateStage, Action::UpdateStage, Action::GetStage, Action::DeleteStage],
            ),
        ];
        for (text, want) in cases {
            let pattern = ActionPattern::parse(text, at).unwrap();
            assert_eq!(&*pattern.actions, *want, "{text}");
        }
        let all = ActionPattern::parse("*", at).unwrap();
        assert_eq!(all.actions.len(), Action::ALL.len() - 1);
        assert!(!all.actions.contains(&Action::OpenSession));
        for text in ["", "csms:secret:steal", "CSMS:secret:get", "csms:secret", "x*"] {
            let refused = ActionPattern::parse(text, at).unwrap_err();
            assert_eq!(refused, PolicyError::UnknownAction { place: at() }, "{text}");
        }
        let own = ActionPattern::parse(Action::OpenSession.as_str(), at);
        assert_eq!(own, Err(PolicyError::UnknownAction { place: at() }));
        for text in ["csms:secret:get?", "csms:secret: get", "a\n"] {
            let refused = ActionPattern::parse(text, at).unwrap_err();
            assert_eq!(refused, PolicyError::Pattern { place: at() }, "{text}");
        }
    }
}
