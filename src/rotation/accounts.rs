//! The value of a database secret: one account, whose password can be replaced.
//!
//! The shape is that of csms.md 2.1 and 7.21, `{"users":[{"name":"app","password":"..."}]}`, as a
//! text value. Other members may stand beside these and are kept.
//!
//! Nothing here makes a copy of the plaintext that is not wiped. So every part of the JSON is
//! borrowed as a [`RawValue`], keys included, and looked at before it is parsed as something:
//! serde_json would unescape a string into a buffer of its own, and quote one in an error about
//! a wrong type. Its errors are dropped for that reason, except for the place.

use std::cmp::Ordering;
use std::fmt;
use std::str::Chars;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::domain::{SecretValue, ValueKind};

/// Checks that `value` holds one account of a database.
///
/// # Errors
///
/// [`ShapeError`], which says what is wrong.
pub(crate) fn check(value: &SecretValue) -> Result<(), ShapeError> {
    Account::find(value).map(|_| ())
}

/// The same value with another password, which `make` makes for the account's name.
///
/// Everything but the password stays as it was, byte for byte. The result may be longer than
/// `value`: the caller checks it against the limits.
///
/// # Errors
///
/// * [`ReplaceError::Shape`] if `value` does not hold one account. `make` was not called.
/// * [`ReplaceError::Make`] if `make` failed.
/// * [`ReplaceError::NotText`] if the new password is not UTF-8.
pub(crate) fn with_new_password<E>(
    value: &SecretValue,
    make: impl FnOnce(&str) -> Result<Zeroizing<Vec<u8>>, E>,
) -> Result<SecretValue, ReplaceError<E>> {
    let account = Account::find(value).map_err(ReplaceError::Shape)?;
    let password = make(&account.name).map_err(ReplaceError::Make)?;
    let spliced = account.splice(&password);
    SecretValue::from_parts(spliced, ValueKind::Text).map_err(|_| ReplaceError::NotText)
}

/// Why a value is not that of a database secret. Nothing of the value is in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ShapeError {
    /// It is binary.
    #[error("the value of a database secret is text, not binary")]
    Binary,
    /// A member occurs twice, so that readers may disagree about which one counts.
    #[error("a member occurs twice in {object}")]
    Duplicate { object: &'static str },
    /// A member is missing.
    #[error("the member {member} is missing")]
    Missing { member: &'static str },
    /// The account has an empty name.
    #[error("the account has an empty name")]
    NameEmpty,
    /// There is no account in the list.
    #[error("there is no account in users")]
    NoAccount,
    /// It is not JSON, from this place on; lines and columns count from 1, columns in bytes.
    #[error("the value is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    /// There is more than one account. Which of them to change, only a rotator knows.
    #[error("users has {accounts} accounts: to rotate more than one takes a rotator")]
    SeveralAccounts { accounts: usize },
    /// A part is of another type than it should be.
    #[error("{part} is not {wanted}")]
    Type { part: &'static str, wanted: &'static str },
}

/// Why a password was not replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ReplaceError<E> {
    /// The new password could not be made.
    #[error("the new password could not be made")]
    Make(#[source] E),
    /// The new password is not UTF-8.
    #[error("the new password is not text")]
    NotText,
    /// The value is not that of a database secret.
    #[error("the value does not hold one account")]
    Shape(#[source] ShapeError),
}

/// The one account of a value, and what stands around its password.
struct Account<'a> {
    name: Zeroizing<String>,
    /// The text up to the opening quote of the password.
    before: &'a str,
    /// The text from the closing quote of the password on, without it.
    after: &'a str,
}

impl<'a> Account<'a> {
    fn find(value: &'a SecretValue) -> Result<Self, ShapeError> {
        let text = value.expose_str().ok_or(ShapeError::Binary)?;
        let document: &RawValue = parse(text)?;
        let users = Fields::of(document, "the value")?.member("users")?;
        let account = Fields::of(only_account(users)?, "the account")?;

        let name = account.member("name")?;
        let name = unescaped(name).ok_or(ShapeError::Type { part: "name", wanted: STRING })?;
        if name.is_empty() {
            return Err(ShapeError::NameEmpty);
        }

        let password = account.member("password")?;
        if unescaped(password).is_none() {
            return Err(ShapeError::Type { part: "password", wanted: STRING });
        }
        let (before, after) = around(text, password.get());
        Ok(Self { name, before, after })
    }

    /// The text with `password`, in quotes and escaped, in the place of the old one.
    fn splice(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        let quoted = || {
            let signs = password.iter().flat_map(|byte| escaped(*byte));
            [b'"'].into_iter().chain(signs).chain([b'"'])
        };
        // The exact size: a buffer that grows leaves a copy behind.
        let len =
            self.before.len().saturating_add(quoted().count()).saturating_add(self.after.len());
        let mut spliced = Zeroizing::new(Vec::with_capacity(len));
        spliced.extend_from_slice(self.before.as_bytes());
        spliced.extend(quoted());
        spliced.extend_from_slice(self.after.as_bytes());
        debug_assert_eq!(spliced.len(), len, "the buffer has the wrong size");
        spliced
    }
}

/// The members of a JSON object, borrowed from the text, each key as written there.
struct Fields<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// The members of `part`, which is called `object` in errors. No key occurs twice, however
    /// it is spelt.
    fn of(part: &'a RawValue, object: &'static str) -> Result<Self, ShapeError> {
        if !part.get().starts_with('{') {
            return Err(ShapeError::Type { part: object, wanted: "an object" });
        }
        let mut fields: Self = parse(part.get())?;
        fields.0.sort_by(|(a, _), (b, _)| compared(a, b));
        let mut neighbours = fields.0.iter().zip(fields.0.iter().skip(1));
        if neighbours.any(|((a, _), (b, _))| compared(a, b) == Ordering::Equal) {
            return Err(ShapeError::Duplicate { object });
        }
        Ok(fields)
    }

    fn member(&self, member: &'static str) -> Result<&'a RawValue, ShapeError> {
        let is_it =
            |key: &RawValue| Units::of(key).is_some_and(|key| key.eq(member.encode_utf16()));
        let found = self.0.iter().find(|(key, _)| is_it(key));
        found.map(|(_, value)| *value).ok_or(ShapeError::Missing { member })
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The UTF-16 code units that a JSON string stands for.
///
/// In UTF-16 because that is what its escapes are written in: a surrogate may lack its other
/// half, which `char` cannot say. Two strings are the same if and only if their units are.
struct Units<'a> {
    rest: Chars<'a>,
    /// The second half of a sign of which the first was handed out.
    second: Option<u16>,
}

impl<'a> Units<'a> {
    /// `None` if `part` is not a string.
    fn of(part: &'a RawValue) -> Option<Self> {
        let inner = part.get().strip_prefix('"')?.strip_suffix('"')?;
        Some(Self { rest: inner.chars(), second: None })
    }

    /// The unit behind `\u`. The text was found to be JSON before, so there are four digits.
    fn hex(&mut self) -> Option<u16> {
        let digits = self.rest.as_str().get(..HEX_DIGITS)?;
        let behind = self.rest.as_str().get(HEX_DIGITS..)?;
        self.rest = behind.chars();
        u16::from_str_radix(digits, 16).ok()
    }
}

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if let Some(second) = self.second.take() {
            return Some(second);
        }
        let mut sign = self.rest.next()?;
        if sign == '\\' {
            sign = match self.rest.next()? {
                'u' => return self.hex(),
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                itself => itself,
            };
        }
        let mut pair = [0; 2];
        let mut units = sign.encode_utf16(&mut pair).iter().copied();
        let first = units.next();
        self.second = units.next();
        first
    }
}

/// Parses without a word about the text in the error.
fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ShapeError> {
    serde_json::from_str(text)
        .map_err(|err| ShapeError::NotJson { line: err.line(), column: err.column() })
}

/// The one element of the array `users`.
fn only_account(users: &RawValue) -> Result<&RawValue, ShapeError> {
    if !users.get().starts_with('[') {
        return Err(ShapeError::Type { part: "users", wanted: "an array" });
    }
    let accounts: Vec<&RawValue> = parse(users.get())?;
    match accounts.as_slice() {
        [] => Err(ShapeError::NoAccount),
        [account] => Ok(account),
        several => Err(ShapeError::SeveralAccounts { accounts: several.len() }),
    }
}

/// Orders keys by what they stand for.
fn compared(a: &RawValue, b: &RawValue) -> Ordering {
    Units::of(a).into_iter().flatten().cmp(Units::of(b).into_iter().flatten())
}

/// What a JSON string stands for; `None` if `part` is not a string or not Unicode.
fn unescaped(part: &RawValue) -> Option<Zeroizing<String>> {
    // An escape is longer than what it stands for, so this never grows.
    let mut text = Zeroizing::new(String::with_capacity(part.get().len()));
    for sign in char::decode_utf16(Units::of(part)?) {
        text.push(sign.ok()?);
    }
    Some(text)
}

/// What stands before and after `part`, which is borrowed from `text`.
#[expect(clippy::expect_used, reason = "serde_json lends parts of the text it is given")]
fn around<'a>(text: &'a str, part: &str) -> (&'a str, &'a str) {
    part.as_ptr()
        .addr()
        .checked_sub(text.as_ptr().addr())
        .and_then(|start| text.split_at_checked(start))
        .and_then(|(before, rest)| Some((before, rest.strip_prefix(part)?)))
        .expect("the part lies within the text")
}

/// A byte of UTF-8 as it stands in a JSON string.
fn escaped(byte: u8) -> impl Iterator<Item = u8> {
    let (bytes, len) = match byte {
        b'"' | b'\\' => ([b'\\', byte, 0, 0, 0, 0], 2),
        0..0x20 => ([b'\\', b'u', b'0', b'0', hex_digit(byte >> 4), hex_digit(byte & 0xf)], 6),
        _ => ([byte, 0, 0, 0, 0, 0], 1),
    };
    bytes.into_iter().take(len)
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..10 => b'0'.wrapping_add(nibble),
        _ => b'a'.wrapping_add(nibble).wrapping_sub(10),
    }
}

const HEX_DIGITS: usize = 4;
const STRING: &str = "a string of Unicode";

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn value(text: &str) -> SecretValue {
        SecretValue::from_string(text)
    }

    fn replaced(text: &str, password: &str) -> String {
        let bytes = Zeroizing::new(password.as_bytes().to_vec());
        let new = with_new_password(&value(text), |_| Ok::<_, Infallible>(bytes)).unwrap();
        assert_eq!(new.kind(), ValueKind::Text);
        new.expose_str().unwrap().to_owned()
    }

    #[test]
    fn only_the_password_changes() {
        // What it is, before, new password, after.
        let cases = [
            (
                "the plain shape",
                r#"{"users":[{"name":"app","password":"old"}]}"#,
                "new-1",
                r#"{"users":[{"name":"app","password":"new-1"}]}"#,
            ),
            (
                "white space and other members, one of them unseemly",
                "\n{ \"host\" : \"db\", \"users\" :\t[ {\"password\" : \"old\" , \"name\":\"app\", \
                 \"n\": 1.50e+3} ], \"users2\":[] }\r\n ",
                "N",
                "\n{ \"host\" : \"db\", \"users\" :\t[ {\"password\" : \"N\" , \"name\":\"app\", \
                 \"n\": 1.50e+3} ], \"users2\":[] }\r\n ",
            ),
            (
                "the old password stands elsewhere too",
                r#"{"a":"old","users":[{"name":"old","b":["old"],"password":"old"}],"c":"old"}"#,
                "new",
                r#"{"a":"old","users":[{"name":"old","b":["old"],"password":"new"}],"c":"old"}"#,
            ),
            (
                "an empty old password",
                r#"{"users":[{"name":"app","password":""}]}"#,
                "new",
                r#"{"users":[{"name":"app","password":"new"}]}"#,
            ),
            (
                "an old password with escapes",
                r#"{"users":[{"name":"app","password":"\"}\\\ud83d\ude00"}]}"#,
                "new",
                r#"{"users":[{"name":"app","password":"new"}]}"#,
            ),
            (
                "a new password with escapes",
                r#"{"users":[{"name":"app","password":"old"}]}"#,
                "a\"b\\c/\n\u{1f}\u{7f}\u{e9}\u{1f600}",
                "{\"users\":[{\"name\":\"app\",\"password\":\
                 \"a\\\"b\\\\c/\\u000a\\u001f\u{7f}\u{e9}\u{1f600}\"}]}",
            ),
            (
                "keys in another spelling",
                r#"{"\u0075sers":[{"n\u0061me":"app","passwor\u0064":"old"}]}"#,
                "new",
                r#"{"\u0075sers":[{"n\u0061me":"app","passwor\u0064":"new"}]}"#,
            ),
            (
                "signs of several bytes in front",
                "{\"\u{1f600}\":1,\"users\":[{\"name\":\"\u{e9}\",\"password\":\"\u{e9}\"}]}",
                "new",
                "{\"\u{1f600}\":1,\"users\":[{\"name\":\"\u{e9}\",\"password\":\"new\"}]}",
            ),
        ];
        for (what, before, password, after) in cases {
            assert_eq!(check(&value(before)), Ok(()), "case: {what}");
            assert_eq!(replaced(before, password), after, "case: {what}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        use ShapeError::{Duplicate, Missing, NameEmpty, NoAccount, NotJson, SeveralAccounts};
        let wrong = |part, wanted| ShapeError::Type { part, wanted };
        let cases = [
            ("nothing", "", NotJson { line: 1, column: 0 }),
            ("plain text", "hunter2", NotJson { line: 1, column: 1 }),
            ("single quotes (7.21)", "{'users':[]}", NotJson { line: 1, column: 2 }),
            ("cut off", "{\n\"users\":[", NotJson { line: 2, column: 9 }),
            ("something behind", r#"{"users":[]} x"#, NotJson { line: 1, column: 14 }),
            ("a string", r#""hunter2""#, wrong("the value", "an object")),
            ("a list", "[]", wrong("the value", "an object")),
            ("no members", "{}", Missing { member: "users" }),
            ("another case", r#"{"Users":[]}"#, Missing { member: "users" }),
            ("users: an object", r#"{"users":{}}"#, wrong("users", "an array")),
            ("users: null", r#"{"users":null}"#, wrong("users", "an array")),
            ("users: empty", r#"{"users":[]}"#, NoAccount),
            ("users: a string", r#"{"users":["hunter2"]}"#, wrong("the account", "an object")),
            ("two accounts", r#"{"users":[{},{}]}"#, SeveralAccounts { accounts: 2 }),
            ("no name", r#"{"users":[{"password":"x"}]}"#, Missing { member: "name" }),
            ("no password", r#"{"users":[{"name":"x"}]}"#, Missing { member: "password" }),
            ("an empty name", r#"{"users":[{"name":"","password":"x"}]}"#, NameEmpty),
            ("name: a number", r#"{"users":[{"name":1,"password":"x"}]}"#, wrong("name", STRING)),
            (
                "password: null",
                r#"{"users":[{"name":"x","password":null}]}"#,
                wrong("password", STRING),
            ),
            (
                "name: half a sign",
                r#"{"users":[{"name":"\ud800","password":"x"}]}"#,
                wrong("name", STRING),
            ),
            (
                "password: half a sign",
                r#"{"users":[{"name":"x","password":"\ude00\ud83d"}]}"#,
                wrong("password", STRING),
            ),
            ("users twice", r#"{"users":[],"users":[]}"#, Duplicate { object: "the value" }),
            (
                "another member twice",
                r#"{"a":1,"users":[{"name":"x","password":"x"}],"a":1}"#,
                Duplicate { object: "the value" },
            ),
            (
                "password twice, in two spellings",
                r#"{"users":[{"name":"x","password":"x","p\u0061ssword":"y"}]}"#,
                Duplicate { object: "the account" },
            ),
        ];
        for (what, text, want) in cases {
            assert_eq!(check(&value(text)), Err(want), "case: {what}");
            let got = with_new_password(&value(text), |_| -> Result<_, Infallible> {
                unreachable!("a password was made for a value of the wrong shape")
            });
            assert_eq!(got.unwrap_err(), ReplaceError::Shape(want), "case: {what}");
        }
        let binary =
            SecretValue::from_bytes(br#"{"users":[{"name":"x","password":"x"}]}"#.to_vec());
        assert_eq!(check(&binary), Err(ShapeError::Binary));
    }

    #[test]
    fn two_accounts_are_left_to_a_rotator() {
        let said = ShapeError::SeveralAccounts { accounts: 2 }.to_string();
        assert_eq!(said, "users has 2 accounts: to rotate more than one takes a rotator");
    }

    #[test]
    fn errors_never_quote_the_value() {
        let texts = [
            r#""hunter2""#,
            "hunter2",
            r#"{"hunter2":"#,
            r#"{"users":"hunter2"}"#,
            r#"{"users":["hunter2"]}"#,
            r#"{"users":[{"hunter2":1,"hunter2":2}]}"#,
            r#"{"users":[{"name":["hunter2"],"password":"hunter2"}]}"#,
            r#"{"users":[{"name":"hunter2","password":{"hunter2":1}}]}"#,
        ];
        for text in texts {
            let err = check(&value(text)).unwrap_err();
            assert!(!format!("{err} {err:?}").contains("hunter"), "case: {text}");
        }
    }

    #[test]
    fn the_account_name_is_handed_to_the_maker() {
        let cases = [
            (r#""app""#, "app"),
            (r#""\u0061\/\\\"\b\f\n\r\t""#, "a/\\\"\u{8}\u{c}\n\r\t"),
            (r#""\ud83d\ude00\u00e9\uD83D\uDE00""#, "\u{1f600}\u{e9}\u{1f600}"),
            ("\"\u{1f600}\u{e9}\"", "\u{1f600}\u{e9}"),
        ];
        for (written, want) in cases {
            let text = format!(r#"{{"users":[{{"name":{written},"password":"x"}}]}}"#);
            let mut got = String::new();
            let new = with_new_password(&value(&text), |name| {
                got.push_str(name);
                Ok::<_, Infallible>(Zeroizing::new(vec![b'y']))
            });
            assert!(new.is_ok(), "case: {written}");
            assert_eq!(got, want, "case: {written}");
        }
    }

    #[test]
    fn a_failure_of_the_maker_is_passed_on() {
        let text = r#"{"users":[{"name":"app","password":"old"}]}"#;
        let got = with_new_password(&value(text), |_| Err(fmt::Error));
        assert_eq!(got.unwrap_err(), ReplaceError::Make(fmt::Error));
        let latin_1 = with_new_password(&value(text), |_| {
            Ok::<_, fmt::Error>(Zeroizing::new(vec![b'a', 0xe9]))
        });
        assert_eq!(latin_1.unwrap_err(), ReplaceError::NotText);
    }

    #[test]
    fn the_new_buffer_never_grows() {
        let value = value(r#"{"users":[{"name":"app","password":"old"}], "a": 1}"#);
        let account = Account::find(&value).unwrap();
        for password in ["", "x", "\"\\\u{1}", &"long".repeat(1000)] {
            let spliced = account.splice(password.as_bytes());
            assert_eq!(spliced.len(), spliced.capacity(), "case: {password:?}");
        }
    }

    #[test]
    fn deep_and_wide_values_are_no_trouble() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"deep":{deep},"users":[{{"name":"app","password":"old"}}]}}"#);
        assert!(replaced(&text, "new").ends_with(r#""password":"new"}]}"#));

        let wide: String = (0..50_000).map(|n| format!(r#""m{n}":0,"#)).collect();
        let text = format!(r#"{{{wide}"users":[{{"name":"app","password":"old"}}]}}"#);
        assert!(replaced(&text, "new").ends_with(r#""password":"new"}]}"#));
    }

    proptest! {
        /// Whatever the account and the passwords are, a JSON reader sees the new password and
        /// the rest as before.
        #[test]
        fn readers_see_the_new_password_and_the_rest_as_before(
            name in "\\PC{1,8}|[\\x00-\\x20\"\\\\]{1,8}",
            old in any::<String>(),
            new in any::<String>(),
            extra in any::<String>(),
        ) {
            let mut want = json!({
                "extra": { "password": &extra },
                "users": [{ "about": &extra, "name": &name, "password": &old }],
            });
            let after = replaced(&want.to_string(), &new);
            want["users"][0]["password"] = Value::from(new);
            prop_assert_eq!(serde_json::from_str::<Value>(&after).unwrap(), want);
        }

        /// No text makes it panic, and what it takes for an account is one to serde_json too.
        #[test]
        fn any_text_is_taken_or_refused(
            start in "(\\{\"users\":\\[)?",
            middle in "[\\[\\]{}:,\"a\\\\u0 ]{0,20}",
            end in "(\\{\"name\":\"a\",\"password\":\"b\"\\}\\]\\})?",
        ) {
            let text = [start, middle, end].concat();
            if check(&value(&text)).is_ok() {
                let read: Value = serde_json::from_str(&text).unwrap();
                prop_assert!(read["users"][0]["name"].is_string());
                prop_assert!(read["users"][0]["password"].is_string());
            }
        }
    }
}
