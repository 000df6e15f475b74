//! Policies: statements that allow or deny actions on secrets.

use std::str::FromStr;

use crate::{
    access::{
        json,
        pattern::{ActionPattern, NamePattern},
    },
    domain::{
        Action, POLICY_ENTRIES_MAX, POLICY_LEN_MAX_BYTES, POLICY_PATTERN_LEN_MAX,
        POLICY_STATEMENTS_MAX, SecretName,
    },
};

/// Whether a statement allows or denies (csms.md 3.9).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Effect {
    /// What it means may be done, unless another statement denies it.
    Allow,
    /// What it means may not be done, whatever other statements allow.
    Deny,
}

/// One statement of a [`Policy`]: which actions, on which secrets, are allowed or denied
/// (csms.md 3.9).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Statement {
    pub(super) effect: Effect,
    pub(super) actions: Vec<ActionPattern>,
    pub(super) resources: Vec<NamePattern>,
}

impl Statement {
    /// Allows these actions on all secrets, and where they are about no secret. Names as in
    /// [`Action`], or patterns such as `csms:secret:get*` and `csms:*`; 1 to 128 of them.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if one means no action, or there are none or too many.
    pub fn allow(actions: &[&str]) -> Result<Self, PolicyError> {
        Self::new(Effect::Allow, actions)
    }

    /// Denies these actions everywhere. See [`allow`](Self::allow).
    ///
    /// # Errors
    ///
    /// As for [`allow`](Self::allow).
    pub fn deny(actions: &[&str]) -> Result<Self, PolicyError> {
        Self::new(Effect::Deny, actions)
    }

    /// Narrows it to secrets whose names are like one of these, in which `*` stands for any text and `?`
    /// for one sign; 1 to 128 of them, each with 1 to 128 signs. Calls that are about no secret, such as
    /// making an event, are then not meant.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if one is no pattern, or there are none or too many.
    pub fn on(self, names: &[&str]) -> Result<Self, PolicyError> {
        check_count("Resource", names.len(), POLICY_ENTRIES_MAX)?;
        let place = |at: usize| move || format!("Resource[{at}]");
        let patterns = names.iter().enumerate();
        let patterns = patterns.map(|(at, name)| NamePattern::parse(name, place(at)));
        Ok(Self { resources: patterns.collect::<Result<_, _>>()?, ..self })
    }

    fn new(effect: Effect, actions: &[&str]) -> Result<Self, PolicyError> {
        check_count("Action", actions.len(), POLICY_ENTRIES_MAX)?;
        let place = |at: usize| move || format!("Action[{at}]");
        let patterns = actions.iter().enumerate();
        let patterns = patterns.map(|(at, action)| ActionPattern::parse(action, place(at)));
        let actions = patterns.collect::<Result<_, _>>()?;
        Ok(Self { effect, actions, resources: vec![NamePattern::all()] })
    }

    /// Whether it allows or denies.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether it speaks of this action at all.
    pub(super) fn means(&self, action: Action) -> bool {
        self.actions.iter().any(|pattern| pattern.actions.contains(&action))
    }

    /// Whether it speaks of every secret, and of what is about none.
    pub(super) fn is_about_all(&self) -> bool {
        self.resources.iter().any(NamePattern::is_all)
    }

    /// Whether it speaks of this action on this secret, or on none.
    pub(super) fn applies(&self, action: Action, on: Option<&SecretName>) -> bool {
        self.means(action)
            && match on {
                Some(name) => self.resources.iter().any(|pattern| pattern.matches(name)),
                None => self.is_about_all(),
            }
    }
}

/// What a caller may do: 1 to 64 statements (csms.md 3.9). What none allows is denied, and a denial
/// wins.
///
/// It can be read from JSON in the cloud's form, and be written so:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom::{Policy, Statement};
///
/// let policy: Policy = r#"{"Version":"1.1","Statement":[
///     {"Effect":"Allow","Action":["csms:secret:get*"],"Resource":["csms:*:*:secretName:orders-*"]},
///     {"Effect":"Deny","Action":["csms:secret:*"],"Resource":["orders-root"]}
/// ]}"#.parse()?;
/// let same = Policy::new([
///     Statement::allow(&["csms:secret:get*"])?.on(&["orders-*"])?,
///     Statement::deny(&["csms:secret:*"])?.on(&["orders-root"])?,
/// ])?;
/// assert_eq!(policy, same);
/// assert_eq!(policy.to_json().parse::<Policy>()?, policy);
///
/// let slip = r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["csms:secret:gett"]}]}"#;
/// let refused = slip.parse::<Policy>().unwrap_err();
/// assert_eq!(refused.to_string(), "Statement[0].Action[0] is the name of no action");
/// # Ok(())
/// # }
/// ```
///
/// `Version` is `1.1` or `5.0`, which mean the same here. `Action` is a list of names or patterns with
/// `*`, upper and lower case told apart. `Resource` is a list of name patterns, bare or behind
/// `csms:*:*:secretName:`; without it all secrets are meant. There is no `Condition`: a policy that has
/// one, or any other member, is refused, since what is not understood must not be left out. At most
/// 16 KiB.
///
/// Reading or storing a value takes the right to a data key too, as in CSMS: see
/// [`SecretStore::session`](crate::SecretStore::session).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    pub(super) statements: Vec<Statement>,
}

impl Policy {
    /// The system policy `CSMS FullAccess`: everything that CSMS has, and what it asks of the key
    /// manager. Not the password of a database (`rds:password:update`), and not what looks after the
    /// store (`strongroom:...`).
    pub const FULL_ACCESS: &'static str = r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["csms:*","kms:cmk:*"],"Resource":["*"]}]}"#;

    /// The system policy `CSMS ReadOnlyAccess`: shows and lists everything that CSMS has, but no value.
    /// Whoever is to read values needs `kms:cmk:decryptDataKey` beside it.
    pub const READ_ONLY_ACCESS: &'static str = r#"{"Version":"1.1","Statement":[{"Effect":"Allow","Action":["csms:*:get*","csms:*:list*","kms:cmk:get","kms:cmk:list"],"Resource":["*"]}]}"#;

    /// A policy of these statements.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Count`] if there are none, or more than 64.
    pub fn new(statements: impl IntoIterator<Item = Statement>) -> Result<Self, PolicyError> {
        let statements: Vec<Statement> =
            statements.into_iter().take(POLICY_STATEMENTS_MAX.saturating_add(1)).collect();
        check_count("Statement", statements.len(), POLICY_STATEMENTS_MAX)?;
        Ok(Self { statements })
    }

    /// Its statements, in order.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The policy as JSON, on one line. It reads as the same policy.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::write(self)
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        json::read(text)
    }
}

pub(super) fn check_count(
    place: impl Into<String>,
    found: usize,
    max: usize,
) -> Result<(), PolicyError> {
    if (1..=max).contains(&found) {
        return Ok(());
    }
    Err(PolicyError::Count { place: place.into(), found, max })
}

/// Why a text or a list of statements is no policy. Nothing of it counts then.
///
/// Each says where: `Statement[1].Action[0]` is the first action of the second statement.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A list is empty or too long.
    #[error("{place} has {found} entries: 1 to {max} are allowed")]
    Count {
        /// Which list.
        place: String,
        /// How many entries it has.
        found: usize,
        /// How many it may have.
        max: usize,
    },
    /// A member stands there twice: which of them counts, nobody could tell.
    #[error("{place} occurs twice")]
    Duplicate {
        /// The member.
        place: String,
    },
    /// A member is missing.
    #[error("{place} is missing")]
    Missing {
        /// The member.
        place: String,
    },
    /// The text is not JSON, from this place on. Both numbers count from 1.
    #[error("the policy is not JSON (line {line}, column {column})")]
    NotJson {
        /// The line.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// A pattern is empty, too long, or has a sign that no name has.
    #[error("{place} is no pattern of 1 to {POLICY_PATTERN_LEN_MAX} signs that a name may have")]
    Pattern {
        /// Where.
        place: String,
    },
    /// The text is too long.
    #[error("the policy has {len} bytes: {POLICY_LEN_MAX_BYTES} are allowed")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// A value is of another type than it must be.
    #[error("{place} is not {wanted}")]
    Type {
        /// Where.
        place: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A text is the name of no action, or a pattern that means none.
    #[error("{place} is the name of no action")]
    UnknownAction {
        /// Where.
        place: String,
    },
    /// A member that a policy of this store does not have, such as `Condition`.
    #[error("{place} is not known here")]
    UnknownMember {
        /// The member.
        place: String,
    },
    /// A word is none of those that may stand here.
    #[error("{place} is neither {known}")]
    UnknownWord {
        /// Where.
        place: String,
        /// The words.
        known: &'static str,
    },
}
