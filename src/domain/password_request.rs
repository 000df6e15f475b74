//! What a password that somebody asks for shall look like.

use std::fmt;

use crate::domain::{
    PasswordPolicyName,
    limits::{PASSWORD_EXCLUDED_MAX, PASSWORD_REQUEST_LEN_DEFAULT, PASSWORD_REQUEST_LEN_MAX},
};

/// The punctuation that a password may have: all of ASCII.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// A password to be made up: what `GenerateRandomPassword` of CSMS takes (csms.md 3.8, 8.3 row 66).
///
/// By default 32 signs, drawn from the letters A to Z and a to z, the digits and all punctuation of
/// ASCII, none of which has to occur. Every password that keeps the request is equally likely. What is
/// asked for is checked when the password is made.
///
/// Or by a policy that the store was given under a name: see [`policy_name`](Self::policy_name).
///
/// # Examples
///
/// ```
/// use strongroom::PasswordRequest;
///
/// let request = PasswordRequest::new()
///     .length(20)
///     .exclude_characters("0O1lI")
///     .exclude_punctuation(true)
///     .require_each_included_type(true);
/// assert_eq!(request.asked_length(), 20);
/// ```
#[derive(Clone, Eq, PartialEq)]
#[must_use = "a request does nothing by itself"]
pub struct PasswordRequest {
    length: usize,
    excluded: Box<str>,
    without: [bool; CLASSES.len()],
    space: bool,
    each: bool,
    policy: Option<PasswordPolicyName>,
}

/// The classes of signs, in the order of [`PasswordRequest::without`].
const CLASSES: [SignClass; 4] =
    [SignClass::Lowercase, SignClass::Uppercase, SignClass::Number, SignClass::Punctuation];

/// A type of sign that a password can be asked to have.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignClass {
    /// a to z.
    Lowercase,
    /// 0 to 9.
    Number,
    /// The 32 signs of ASCII that are neither letters, digits nor space.
    Punctuation,
    /// A to Z.
    Uppercase,
}

impl SignClass {
    fn signs(self) -> Vec<u8> {
        match self {
            Self::Lowercase => (b'a'..=b'z').collect(),
            Self::Number => (b'0'..=b'9').collect(),
            Self::Punctuation => PUNCTUATION.bytes().collect(),
            Self::Uppercase => (b'A'..=b'Z').collect(),
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Lowercase => "small letter",
            Self::Number => "digit",
            Self::Punctuation => "punctuation mark",
            Self::Uppercase => "capital letter",
        }
    }
}

impl fmt::Display for SignClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PasswordRequest {
    /// 32 signs of any kind but spaces.
    pub fn new() -> Self {
        Self {
            length: PASSWORD_REQUEST_LEN_DEFAULT,
            excluded: Box::default(),
            without: [false; CLASSES.len()],
            space: false,
            each: false,
            policy: None,
        }
    }

    /// By the policy of this name, which the store must have been
    /// [given](crate::Builder::named_password_policy): `password_policy_name` of CSMS (csms.md 3.8). It
    /// says all there is to say, so no other option may be set to anything but its default.
    pub fn policy_name(self, name: PasswordPolicyName) -> Self {
        Self { policy: Some(name), ..self }
    }

    /// How many signs: 1 to 4096, 32 by default.
    ///
    /// Nothing keeps a caller from asking for a password that can be guessed: with all signs, 10 of
    /// them leave 65 bits to chance, 20 leave 131.
    pub fn length(self, length: usize) -> Self {
        Self { length, ..self }
    }

    /// Signs that do not occur, at most 4096 of them; none by default. Signs that would not occur
    /// anyway may be among them.
    pub fn exclude_characters(self, characters: impl Into<Box<str>>) -> Self {
        Self { excluded: characters.into(), ..self }
    }

    /// Whether small letters are left out; by default they are not.
    pub fn exclude_lowercase(self, exclude: bool) -> Self {
        self.without(SignClass::Lowercase, exclude)
    }

    /// Whether capital letters are left out; by default they are not.
    pub fn exclude_uppercase(self, exclude: bool) -> Self {
        self.without(SignClass::Uppercase, exclude)
    }

    /// Whether digits are left out; by default they are not.
    pub fn exclude_numbers(self, exclude: bool) -> Self {
        self.without(SignClass::Number, exclude)
    }

    /// Whether punctuation is left out; by default it is not.
    pub fn exclude_punctuation(self, exclude: bool) -> Self {
        self.without(SignClass::Punctuation, exclude)
    }

    /// Whether spaces may occur; by default they do not. They need not occur, whatever else is asked.
    pub fn include_space(self, include: bool) -> Self {
        Self { space: include, ..self }
    }

    /// Whether each type that is not left out occurs: a small letter, a capital one, a digit, a
    /// punctuation mark. Not by default, as with CSMS; the AWS call of the same name does it by
    /// default.
    pub fn require_each_included_type(self, require: bool) -> Self {
        Self { each: require, ..self }
    }

    /// How many signs are asked for. What a [policy](Self::policy_name) says is not known here.
    #[must_use]
    pub fn asked_length(&self) -> usize {
        self.length
    }

    fn without(mut self, class: SignClass, exclude: bool) -> Self {
        for (without, _) in self.without.iter_mut().zip(CLASSES).filter(|(_, it)| *it == class) {
            *without = exclude;
        }
        self
    }

    /// The policy that is asked for, if one is.
    pub(crate) fn named_policy(&self) -> Result<Option<&PasswordPolicyName>, PasswordRequestError> {
        let options = Self { policy: None, ..self.clone() };
        match &self.policy {
            Some(_) if options != Self::new() => Err(PasswordRequestError::PolicyAndOptions),
            policy => Ok(policy.as_ref()),
        }
    }

    /// The signs to draw from and what must occur, or why no password can keep the request.
    pub(crate) fn recipe(&self) -> Result<PasswordRecipe, PasswordRequestError> {
        if !(1..=PASSWORD_REQUEST_LEN_MAX).contains(&self.length) {
            return Err(PasswordRequestError::Length { length: self.length });
        }
        let asked = self.excluded.chars().count();
        if asked > PASSWORD_EXCLUDED_MAX {
            return Err(PasswordRequestError::TooManyExcluded { asked });
        }
        let mut recipe = PasswordRecipe::of(self.length);
        for class in self.included() {
            let signs: Vec<u8> =
                class.signs().into_iter().filter(|sign| !self.excludes(*sign)).collect();
            if self.each && signs.is_empty() {
                return Err(PasswordRequestError::ClassEmpty { class });
            }
            recipe.alphabet.extend(&signs);
            if self.each {
                recipe.required.push(signs);
            }
        }
        if self.space && !self.excludes(b' ') {
            recipe.alphabet.push(b' ');
        }
        if recipe.alphabet.is_empty() {
            return Err(PasswordRequestError::NoSigns);
        }
        let needed = recipe.required.len();
        if needed > self.length {
            return Err(PasswordRequestError::TooShort { length: self.length, needed });
        }
        Ok(recipe)
    }

    fn included(&self) -> impl Iterator<Item = SignClass> {
        let classes = CLASSES.into_iter().zip(self.without);
        classes.filter(|(_, without)| !without).map(|(class, _)| class)
    }

    fn excludes(&self, sign: u8) -> bool {
        self.excluded.contains(char::from(sign))
    }
}

impl Default for PasswordRequest {
    fn default() -> Self {
        Self::new()
    }
}

/// Without the excluded signs: somebody may exclude those of another password.
impl fmt::Debug for PasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordRequest").field("length", &self.length).finish_non_exhaustive()
    }
}

/// A request that can be kept.
#[derive(Debug)]
pub(crate) struct PasswordRecipe {
    pub(crate) length: usize,
    /// Distinct, at least one.
    pub(crate) alphabet: Vec<u8>,
    /// Of each of these groups of signs one must occur. No more of them than signs.
    pub(crate) required: Vec<Vec<u8>>,
}

impl PasswordRecipe {
    fn of(length: usize) -> Self {
        Self { length, alphabet: Vec::new(), required: Vec::new() }
    }

    /// Whether `candidate`, a sequence of signs of the alphabet, has what must occur.
    pub(crate) fn admits(&self, candidate: &[u8]) -> bool {
        self.required.iter().all(|signs| candidate.iter().any(|sign| signs.contains(sign)))
    }
}

/// Why no password can be made as it is asked for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordRequestError {
    /// Each type has to occur, and all signs of one are excluded.
    #[error("a {class} is required, and all of them are excluded")]
    ClassEmpty {
        /// The type.
        class: SignClass,
    },
    /// The length is not 1 to 4096.
    #[error("a password has 1 to {PASSWORD_REQUEST_LEN_MAX} signs, not {length}")]
    Length {
        /// The length asked for, in signs.
        length: usize,
    },
    /// Everything is excluded.
    #[error("all signs are excluded")]
    NoSigns,
    /// A policy is named, and some option beside it is not its default.
    #[error("a named policy says all, so no other option can be asked for")]
    PolicyAndOptions,
    /// More signs are excluded than there is room for in a request.
    #[error("at most {PASSWORD_EXCLUDED_MAX} signs can be excluded, not {asked}")]
    TooManyExcluded {
        /// How many were given.
        asked: usize,
    },
    /// The types that have to occur do not fit in.
    #[error("{needed} types of signs are required of a password of {length}")]
    TooShort {
        /// The length asked for, in signs.
        length: usize,
        /// How many types have to occur.
        needed: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_to_draw_from_and_what_must_occur() {
        type Change = fn(PasswordRequest) -> PasswordRequest;
        let cases: &[(&str, Change, usize, usize)] = &[
            ("row 66: all classes by default", |r| r, 94, 0),
            ("with spaces", |r| r.include_space(true), 95, 0),
            ("each type", |r| r.require_each_included_type(true), 94, 4),
            (
                "a space is no type",
                |r| r.include_space(true).require_each_included_type(true),
                95,
                4,
            ),
            ("no small letters", |r| r.exclude_lowercase(true), 68, 0),
            ("no capital letters", |r| r.exclude_uppercase(true), 68, 0),
            ("no digits", |r| r.exclude_numbers(true), 84, 0),
            ("no punctuation", |r| r.exclude_punctuation(true), 62, 0),
            (
                "each of two types",
                |r| {
                    let r = r.exclude_numbers(true).exclude_punctuation(true);
                    r.require_each_included_type(true)
                },
                52,
                2,
            ),
            ("without some signs", |r| r.exclude_characters("0O1lI0"), 89, 0),
            ("without signs that are not there", |r| r.exclude_characters("\u{e9} \t"), 94, 0),
            ("a space given and taken", |r| r.include_space(true).exclude_characters(" "), 94, 0),
            ("taken back", |r| r.exclude_numbers(true).exclude_numbers(false), 94, 0),
        ];
        for (what, change, signs, required) in cases {
            let recipe = change(PasswordRequest::new()).recipe().unwrap();
            let mut alphabet = recipe.alphabet.clone();
            alphabet.sort_unstable();
            alphabet.dedup();
            assert_eq!(alphabet.len(), recipe.alphabet.len(), "case: {what}: a sign twice");
            assert_eq!(alphabet.len(), *signs, "case: {what}");
            assert_eq!(recipe.required.len(), *required, "case: {what}");
            assert_eq!(recipe.length, 32, "case: {what}");
        }
    }

    #[test]
    fn a_named_policy_stands_alone() {
        type Change = fn(PasswordRequest) -> PasswordRequest;
        let name: PasswordPolicyName = "p".parse().unwrap();
        let named = PasswordRequest::new().policy_name(name.clone());
        assert_eq!(named.named_policy(), Ok(Some(&name)));
        assert_eq!(PasswordRequest::new().length(3).named_policy(), Ok(None));
        let defaults = named.clone().length(32).include_space(false).exclude_characters("");
        assert_eq!(defaults.named_policy(), Ok(Some(&name)), "as a client sends them");
        let others: [(&str, Change); 8] = [
            ("length", |r| r.length(31)),
            ("exclude_characters", |r| r.exclude_characters("x")),
            ("exclude_lowercase", |r| r.exclude_lowercase(true)),
            ("exclude_uppercase", |r| r.exclude_uppercase(true)),
            ("exclude_numbers", |r| r.exclude_numbers(true)),
            ("exclude_punctuation", |r| r.exclude_punctuation(true)),
            ("include_space", |r| r.include_space(true)),
            ("require_each_included_type", |r| r.require_each_included_type(true)),
        ];
        for (what, change) in others {
            let refused = change(named.clone());
            let got = refused.named_policy();
            assert_eq!(got, Err(PasswordRequestError::PolicyAndOptions), "case: {what}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        use PasswordRequestError::{ClassEmpty, Length, NoSigns, TooManyExcluded, TooShort};
        type Change = fn(PasswordRequest) -> PasswordRequest;
        let none: Change = |r| {
            let r = r.exclude_lowercase(true).exclude_uppercase(true);
            r.exclude_numbers(true).exclude_punctuation(true)
        };
        let cases: &[(&str, Change, Option<PasswordRequestError>)] = &[
            ("no sign", |r| r.length(0), Some(Length { length: 0 })),
            ("one sign", |r| r.length(1), None),
            ("the longest", |r| r.length(4096), None),
            ("longer", |r| r.length(4097), Some(Length { length: 4097 })),
            ("nothing to draw from", none, Some(NoSigns)),
            (
                "all digits excluded one by one",
                |r| r.exclude_characters("0123456789").require_each_included_type(true),
                Some(ClassEmpty { class: SignClass::Number }),
            ),
            ("the same, not required", |r| r.exclude_characters("0123456789"), None),
            (
                "four types in three signs",
                |r| r.length(3).require_each_included_type(true),
                Some(TooShort { length: 3, needed: 4 }),
            ),
            ("four types in four signs", |r| r.length(4).require_each_included_type(true), None),
            ("4096 signs excluded", |r| r.exclude_characters("\u{e9}".repeat(4096)), None),
            (
                "one more",
                |r| r.exclude_characters("x".repeat(4097)),
                Some(TooManyExcluded { asked: 4097 }),
            ),
        ];
        for (what, change, want) in cases {
            assert_eq!(&change(PasswordRequest::new()).recipe().err(), want, "case: {what}");
        }
    }
}
