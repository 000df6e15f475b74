//! Tags of a secret: pairs of a key and a value, and filters over them.

use std::{fmt, str::FromStr};

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Longest key, in characters (csms.md 1.6).
const KEY_LEN_MAX: usize = 128;
/// Longest value, in characters.
const VALUE_LEN_MAX: usize = 255;
/// Keys of the system begin so, and no others.
const SYSTEM_PREFIX: &str = "_sys_";

/// Most tags of a secret, and in one request (csms.md 1.6).
pub(crate) const TAGS_MAX: usize = 20;
/// Most filters in one search, and most values of a filter (csms.md 3.4).
pub(crate) const FILTERS_MAX: usize = 10;

/// The key of a tag: 1 to 128 characters, each a letter, number or space of any script or one of
/// `_ . : = + - @`. It neither begins nor ends with white space, and does not begin with `_sys_`
/// (csms.md 1.6).
///
/// # Examples
///
/// ```
/// use strongroom::TagKey;
///
/// let key: TagKey = "cost center".parse()?;
/// assert_eq!(key.as_str(), "cost center");
/// assert!("_sys_owner".parse::<TagKey>().is_err());
/// # Ok::<(), strongroom::TagError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TagKey(Box<str>);

/// The value of a tag: 0 to 255 characters, those of a [`TagKey`] and `/` (csms.md 1.6).
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TagValue(Box<str>);

/// A tag of a secret, such as `team` = `billing` (csms.md 1.6). Sealed on disk, but not guarded like
/// a value: listings and `Debug` show it.
///
/// # Examples
///
/// ```
/// use strongroom::Tag;
///
/// let tag = Tag::new("team", "billing/eu")?;
/// assert_eq!((tag.key().as_str(), tag.value().as_str()), ("team", "billing/eu"));
/// # Ok::<(), strongroom::TagError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tag {
    key: TagKey,
    value: TagValue,
}

/// Tags of a key: with any value, or with one of at most 10 (csms.md 1.6, 3.4).
///
/// # Examples
///
/// ```
/// use strongroom::TagFilter;
///
/// let filter = TagFilter::any("team".parse()?).or_value("billing".parse()?)?;
/// assert_eq!(filter.values().len(), 1);
/// # Ok::<(), strongroom::TagError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a filter does nothing by itself"]
pub struct TagFilter {
    key: TagKey,
    values: Vec<TagValue>,
}

/// A tag key that is in use, with all values that it has on secrets of the store, ascending
/// (csms.md 1.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TagValues {
    pub(crate) key: TagKey,
    pub(crate) values: Vec<TagValue>,
}

impl TagKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TagValue {
    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    /// A tag.
    ///
    /// # Errors
    ///
    /// [`TagError`] if key or value breaks a rule.
    pub fn new(key: &str, value: &str) -> Result<Self, TagError> {
        Ok(Self { key: key.parse()?, value: value.parse()? })
    }

    /// Its key: a secret has one tag of each.
    #[must_use]
    pub fn key(&self) -> &TagKey {
        &self.key
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> &TagValue {
        &self.value
    }
}

impl TagFilter {
    /// Tags of this key, whatever their value is.
    pub fn any(key: TagKey) -> Self {
        Self { key, values: Vec::new() }
    }

    /// Tags with this value, or with one that was named before.
    ///
    /// # Errors
    ///
    /// [`TagError`] if the value was named before, or 10 others were.
    pub fn or_value(mut self, value: TagValue) -> Result<Self, TagError> {
        if self.values.contains(&value) {
            return Err(TagError::Twice);
        }
        if self.values.len() >= FILTERS_MAX {
            return Err(TagError::TooManyValues);
        }
        self.values.push(value);
        Ok(self)
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &TagKey {
        &self.key
    }

    /// The values, of which one is enough; none for any.
    #[must_use]
    pub fn values(&self) -> &[TagValue] {
        &self.values
    }

    /// Whether a tag is one of these.
    pub(crate) fn matches(&self, (key, value): (&str, &str)) -> bool {
        let named = || self.values.iter().any(|it| it.as_str() == value);
        self.key.as_str() == key && (self.values.is_empty() || named())
    }
}

impl TagValues {
    /// The key.
    #[must_use]
    pub fn key(&self) -> &TagKey {
        &self.key
    }

    /// Its values.
    #[must_use]
    pub fn values(&self) -> &[TagValue] {
        &self.values
    }
}

impl FromStr for TagKey {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        check_len(text, 1, KEY_LEN_MAX)?;
        if let Some(found) = text.chars().find(|sign| !is_allowed(*sign)) {
            return Err(TagError::Character { found });
        }
        if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
            return Err(TagError::Space);
        }
        if text.starts_with(SYSTEM_PREFIX) {
            return Err(TagError::System);
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for TagValue {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        check_len(text, 0, VALUE_LEN_MAX)?;
        match text.chars().find(|sign| !is_allowed(*sign) && *sign != '/') {
            Some(found) => Err(TagError::Character { found }),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for TagKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TagValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why something is no tag, or no filter for tags.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TagError {
    /// A character that is neither letter, number nor space, nor one of the signs that are allowed.
    #[error("a tag may not have the character {found:?}")]
    Character {
        /// The first such one.
        found: char,
    },
    /// It has too few or too many characters.
    #[error("a tag's key has 1 to {KEY_LEN_MAX} characters, its value at most {VALUE_LEN_MAX}")]
    Length,
    /// A key begins or ends with white space.
    #[error("a tag's key neither begins nor ends with white space")]
    Space,
    /// A key begins like those of the system.
    #[error("a tag's key does not begin with {SYSTEM_PREFIX}")]
    System,
    /// A filter has too many values.
    #[error("a filter has at most {FILTERS_MAX} values")]
    TooManyValues,
    /// The same is named twice.
    #[error("a key or value is named twice")]
    Twice,
}

fn check_len(text: &str, min: usize, max: usize) -> Result<(), TagError> {
    // Four bytes are the most that a character takes.
    let fits = text.len() <= max.saturating_mul(4) && (min..=max).contains(&text.chars().count());
    if fits { Ok(()) } else { Err(TagError::Length) }
}

/// `[\p{L}\p{Z}\p{N}_.:=+\-@]`
fn is_allowed(sign: char) -> bool {
    use GeneralCategoryGroup::{Letter, Number, Separator};
    match sign {
        '_' | '.' | ':' | '=' | '+' | '-' | '@' => true,
        _ if sign.is_ascii() => sign.is_ascii_alphanumeric() || sign == ' ',
        _ => matches!(sign.general_category_group(), Letter | Number | Separator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_follow_the_rules_of_csms_1_6() {
        use TagError::{Character, Length, Space, System};
        let long = |count| "\u{51ed}".repeat(count);
        type Checked = Result<(), TagError>;
        let cases: &[(&str, String, Checked, Checked)] = &[
            ("a word", "team".into(), Ok(()), Ok(())),
            ("nothing", String::new(), Err(Length), Ok(())),
            ("every sign", "aZ0_.:=+-@ x".into(), Ok(()), Ok(())),
            ("a slash", "a/b".into(), Err(Character { found: '/' }), Ok(())),
            ("the longest key", long(128), Ok(()), Ok(())),
            ("a longer one", long(129), Err(Length), Ok(())),
            ("the longest value", long(255), Err(Length), Ok(())),
            ("a longer one", long(256), Err(Length), Err(Length)),
            ("a space inside", "a b".into(), Ok(()), Ok(())),
            ("a space in front", " a".into(), Err(Space), Ok(())),
            ("a space behind", "a ".into(), Err(Space), Ok(())),
            ("a wide space behind", "a\u{3000}".into(), Err(Space), Ok(())),
            ("only a space", " ".into(), Err(Space), Ok(())),
            ("a system key", "_sys_a".into(), Err(System), Ok(())),
            ("sys without underscores", "sys_a".into(), Ok(()), Ok(())),
            ("_sys_ further behind", "a_sys_".into(), Ok(()), Ok(())),
            ("_SYS_", "_SYS_a".into(), Ok(()), Ok(())),
            ("letters of other scripts", "Ж\u{e9}\u{51ed}\u{5d0}".into(), Ok(()), Ok(())),
            ("a digit of another script", "\u{661}\u{2167}\u{bd}".into(), Ok(()), Ok(())),
            ("a line separator", "a\u{2028}b".into(), Ok(()), Ok(())),
            // Alphabetic to Unicode, but marks and symbols by category.
            ("a combining mark", "a\u{345}b".into(), bad('\u{345}'), bad('\u{345}')),
            ("a circled letter", "\u{24b6}".into(), bad('\u{24b6}'), bad('\u{24b6}')),
            ("a tab", "a\tb".into(), bad('\t'), bad('\t')),
            ("a line feed behind", "a\n".into(), bad('\n'), bad('\n')),
            ("a zero byte", "a\0b".into(), bad('\0'), bad('\0')),
            ("a smiley", "\u{1f600}".into(), bad('\u{1f600}'), bad('\u{1f600}')),
            ("a quote", "a\"b".into(), bad('"'), bad('"')),
        ];
        for (what, text, key, value) in cases {
            assert_eq!(&text.parse::<TagKey>().map(drop), key, "case: {what}, as a key");
            assert_eq!(&text.parse::<TagValue>().map(drop), value, "case: {what}, as a value");
        }
    }

    fn bad(found: char) -> Result<(), TagError> {
        Err(TagError::Character { found })
    }

    #[test]
    fn a_filter_takes_ten_values_and_each_once() {
        let value = |n: usize| n.to_string().parse::<TagValue>().unwrap();
        let mut filter = TagFilter::any("k".parse().unwrap());
        assert!(filter.matches(("k", "anything")) && !filter.matches(("K", "anything")));
        for n in 0..10 {
            filter = filter.or_value(value(n)).unwrap();
        }
        assert_eq!(filter.clone().or_value(value(3)), Err(TagError::Twice));
        assert_eq!(filter.clone().or_value(value(10)), Err(TagError::TooManyValues));
        assert!(filter.matches(("k", "9")) && !filter.matches(("k", "10")));
    }
}
