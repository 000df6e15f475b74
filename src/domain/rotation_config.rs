//! What a rotation has to know beside the secret: its configuration, and the function that does it.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use crate::domain::limits::{FUNCTION_URN_LEN_MAX, ROTATION_CONFIG_LEN_MAX};

/// The rotation configuration of a secret: a JSON object in a text of at most 1024 characters, fixed
/// when the secret is created (csms.md 4.1).
///
/// The text is kept as it was given (7.19) and must be JSON, not the single-quoted form of some samples
/// (7.20). Members may be spelled as in any edition of the documents: `InstanceId`,
/// `RDSInstanceId` or `rds_instance_id`, and `SecretSubType` or `Secret_sub_type`. Others may stand
/// beside them.
///
/// It is not guarded like a value: listings, `Debug` and `Display` show it. Keep passwords out.
///
/// # Examples
///
/// ```
/// use strongroom::{RotationConfig, SecretSubType};
///
/// let config: RotationConfig =
///     r#"{"rds_instance_id":"63616bce","Secret_sub_type":"MultiUser"}"#.parse()?;
/// assert_eq!(config.instance_id(), Some("63616bce"));
/// assert_eq!(config.sub_type(), Some(SecretSubType::MultiUser));
/// assert!("{'InstanceId':'63616bce'}".parse::<RotationConfig>().is_err());
/// # Ok::<(), strongroom::RotationConfigError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotationConfig {
    text: Box<str>,
    instance_id: Option<Box<str>>,
    sub_type: Option<SecretSubType>,
}

/// How many accounts take turns (csms.md 4.2).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SecretSubType {
    /// `MultiUser`: two accounts that take turns.
    MultiUser,
    /// `SingleUser`: one account, whose password is replaced.
    SingleUser,
}

impl SecretSubType {
    /// The word in a rotation configuration: `MultiUser` or `SingleUser`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MultiUser => "MultiUser",
            Self::SingleUser => "SingleUser",
        }
    }

    /// The word in a task's `operate_type`: `MULTI_USER` or `SINGLE_USER` (csms.md 1.9).
    #[must_use]
    pub const fn as_operate_type(self) -> &'static str {
        match self {
            Self::MultiUser => "MULTI_USER",
            Self::SingleUser => "SINGLE_USER",
        }
    }
}

impl RotationConfig {
    /// The text as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The database instance, if it is named.
    #[must_use]
    pub fn instance_id(&self) -> Option<&str> {
        self.instance_id.as_deref()
    }

    /// How many accounts take turns, if that is said in a word that is known.
    #[must_use]
    pub fn sub_type(&self) -> Option<SecretSubType> {
        self.sub_type
    }
}

impl FromStr for RotationConfig {
    type Err = RotationConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let len = text.chars().count();
        if len > ROTATION_CONFIG_LEN_MAX {
            return Err(RotationConfigError::TooLong { len });
        }
        let mut members = serde_json::Deserializer::from_str(text);
        let read = members.deserialize_map(Members).and_then(|found| members.end().map(|()| found));
        let found = read.map_err(|_| RotationConfigError::NotAnObject)?;
        if found.twice {
            return Err(RotationConfigError::Twice);
        }
        let sub_type = match found.sub_type.as_deref() {
            Some("MultiUser") => Some(SecretSubType::MultiUser),
            Some("SingleUser") => Some(SecretSubType::SingleUser),
            _ => None,
        };
        let instance_id = found.instance_id.map(String::into_boxed_str);
        Ok(Self { text: text.into(), instance_id, sub_type })
    }
}

impl fmt::Display for RotationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text is no rotation configuration.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RotationConfigError {
    /// It is not a JSON object, or an instance or sub type in it is not a text.
    #[error("a rotation configuration is a JSON object, with texts for instance and sub type")]
    NotAnObject,
    /// It has more than 1024 characters.
    #[error("a rotation configuration has at most {ROTATION_CONFIG_LEN_MAX} characters, not {len}")]
    TooLong {
        /// How long the text is, in characters.
        len: usize,
    },
    /// It names the instance or the sub type twice, in one spelling or in two.
    #[error("a rotation configuration names the instance or the sub type twice")]
    Twice,
}

/// The members that are known.
#[derive(Default)]
struct Found {
    instance_id: Option<String>,
    sub_type: Option<String>,
    twice: bool,
}

/// Reads the members of the object.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Found, A::Error> {
        let mut found = Found::default();
        while let Some(key) = members.next_key::<String>()? {
            let key = key.replace('_', "").to_ascii_lowercase();
            let place = match key.as_str() {
                "instanceid" | "rdsinstanceid" => &mut found.instance_id,
                "secretsubtype" => &mut found.sub_type,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            found.twice |= place.replace(members.next_value()?).is_some();
        }
        Ok(found)
    }
}

/// The name of the function that rotates a secret, such as
/// `urn:fss:{region}:46b6f338:function:default:rotate:latest` (csms.md 1.2): 1 to 256 signs of ASCII
/// that can be seen.
///
/// The store keeps and shows it and calls nothing.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct FunctionUrn(Box<str>);

impl FunctionUrn {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FunctionUrn {
    type Err = FunctionUrnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = (1..=FUNCTION_URN_LEN_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(Self(text.into())) } else { Err(FunctionUrnError) }
    }
}

impl fmt::Display for FunctionUrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot name a function.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the name of a function is 1 to {FUNCTION_URN_LEN_MAX} signs of ASCII without spaces")]
pub struct FunctionUrnError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_is_read_and_json_only() {
        use RotationConfigError::{NotAnObject, Twice};
        use SecretSubType::{MultiUser, SingleUser};
        type Read<'a> = (Option<&'a str>, Option<SecretSubType>);
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(400), "]".repeat(400));
        let cases: &[(&str, &str, Result<Read<'_>, RotationConfigError>)] = &[
            (
                "row 7.19: as it is now",
                r#"{"InstanceId":"in01","SecretSubType":"SingleUser"}"#,
                Ok((Some("in01"), Some(SingleUser))),
            ),
            (
                "row 7.19: as requests were",
                r#"{"rds_instance_id":"in01","Secret_sub_type":"MultiUser"}"#,
                Ok((Some("in01"), Some(MultiUser))),
            ),
            (
                "row 7.19: as responses were",
                r#" { "SecretSubType" : "MultiUser", "RDSInstanceId" : "in01" } "#,
                Ok((Some("in01"), Some(MultiUser))),
            ),
            ("row 7.20: single quotes", "{'InstanceId':'in01'}", Err(NotAnObject)),
            ("nothing in it", "{}", Ok((None, None))),
            ("others beside", r#"{"a":[1,{"InstanceId":"no"}],"b":null}"#, Ok((None, None))),
            ("a sub type of tomorrow", r#"{"SecretSubType":"TripleUser"}"#, Ok((None, None))),
            ("the instance twice", r#"{"InstanceId":"a","rds_instance_id":"b"}"#, Err(Twice)),
            ("the sub type twice", r#"{"SecretSubType":"a","SecretSubType":"a"}"#, Err(Twice)),
            ("an instance that is a number", r#"{"InstanceId":1}"#, Err(NotAnObject)),
            ("an instance that is null", r#"{"InstanceId":null}"#, Err(NotAnObject)),
            ("empty", "", Err(NotAnObject)),
            ("an array", "[]", Err(NotAnObject)),
            ("a text", r#""x""#, Err(NotAnObject)),
            ("cut off", r#"{"InstanceId":"a""#, Err(NotAnObject)),
            ("more behind it", "{} {}", Err(NotAnObject)),
            ("nested very deep", &deep, Ok((None, None))),
        ];
        for (what, text, want) in cases {
            let got = text.parse::<RotationConfig>();
            let read = got.as_ref().map(|it| (it.instance_id(), it.sub_type())).map_err(|it| *it);
            assert_eq!(read, *want, "case: {what}");
            if let Ok(config) = got {
                assert_eq!(config.as_str(), *text, "case: {what}: the text is kept");
            }
        }
    }

    #[test]
    fn its_length_counts_in_characters() {
        let config = |len: usize| format!(r#"{{"x":"{}"}}"#, "\u{e9}".repeat(len));
        assert!(config(1024 - 8).parse::<RotationConfig>().is_ok());
        let err = config(1024 - 7).parse::<RotationConfig>().unwrap_err();
        assert_eq!(err, RotationConfigError::TooLong { len: 1025 });
    }

    #[test]
    fn functions_have_names_that_can_be_seen() {
        let sample = "urn:fss:{region}:46b6f338fc34:function:default:test2-0:latest";
        let long = "x".repeat(256);
        for good in [sample, "x", &long] {
            assert_eq!(good.parse::<FunctionUrn>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\n", "\u{e9}", &format!("{long}x")] {
            assert_eq!(bad.parse::<FunctionUrn>(), Err(FunctionUrnError), "case: {bad:?}");
        }
    }
}
