//! What a generated password looks like, and how much of it is left to chance.

use std::iter;

use crate::domain::limits::{
    PASSWORD_ACCEPTED_MIN, PASSWORD_ENTROPY_MIN_BITS, PASSWORD_LEN_DEFAULT, PASSWORD_LEN_MAX,
    PASSWORD_LEN_MIN,
};

/// The rules for the passwords that a rotation makes up (csms.md 8.3 row 66; crypto.md 9).
///
/// A password consists of the letters A to Z and a to z, the digits and the policy's specials.
/// Of each of these four classes it has at least a given number. Every password that keeps the
/// rules is equally likely.
///
/// A policy is changed step by step, and each step must leave a policy that is possible and
/// strong enough, so set a greater length first.
///
/// # Examples
///
/// ```
/// use strongroom::PasswordPolicy;
///
/// let policy = PasswordPolicy::huawei_rds_postgres().with_length(32)?.with_first_letter(true)?;
/// assert_eq!((policy.length(), policy.special_min()), (32, 1));
/// assert!(policy.entropy_bits() > 198.0);
///
/// // Eight signs are too easy to guess.
/// assert!(PasswordPolicy::uri_safe().with_length(8).is_err());
/// # Ok::<(), strongroom::PasswordPolicyError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PasswordPolicy {
    length: usize,
    upper_min: usize,
    lower_min: usize,
    digit_min: usize,
    special_min: usize,
    /// Distinct, ASCII, neither letters nor digits.
    specials: Box<str>,
    first_is_letter: bool,
}

impl PasswordPolicy {
    /// 24 signs, one at least of each class, the specials `-_~`: 143.9 bits. The default.
    ///
    /// Such a password needs no quoting in SQL strings, shells and URIs, and satisfies the rules
    /// of all database engines of Huawei RDS.
    #[must_use]
    pub fn uri_safe() -> Self {
        Self::preset("-_~")
    }

    /// Like [`uri_safe`](Self::uri_safe), with the specials that all engines of Huawei RDS
    /// take: `~!@#%^*-_+?`. 148.5 bits.
    #[must_use]
    pub fn huawei_rds_common() -> Self {
        Self::preset("~!@#%^*-_+?")
    }

    /// Like [`uri_safe`](Self::uri_safe), with the specials of PostgreSQL on Huawei RDS:
    /// `~!@#%^*-_=+?,`. 149.4 bits.
    #[must_use]
    pub fn huawei_rds_postgres() -> Self {
        Self::preset("~!@#%^*-_=+?,")
    }

    /// Like [`uri_safe`](Self::uri_safe), with the specials of MySQL on Huawei RDS:
    /// `~!@#$%^*-_=+?,()&`. 151.2 bits.
    #[must_use]
    pub fn huawei_rds_mysql() -> Self {
        Self::preset("~!@#$%^*-_=+?,()&")
    }

    /// Sets the length, in signs: 8 to 128.
    ///
    /// Huawei RDS takes at most 32. Eight and nine signs are refused whatever the special signs
    /// are, as they leave fewer than 64 bits to chance.
    ///
    /// # Errors
    ///
    /// [`PasswordPolicyError`] if that leaves no valid policy.
    pub fn with_length(self, length: usize) -> Result<Self, PasswordPolicyError> {
        Self { length, ..self }.checked()
    }

    /// Sets how many capital letters, small letters and digits there are at least. With 0 they
    /// may occur and need not.
    ///
    /// # Errors
    ///
    /// [`PasswordPolicyError`] if that leaves no valid policy.
    pub fn with_minima(
        self,
        upper: usize,
        lower: usize,
        digits: usize,
    ) -> Result<Self, PasswordPolicyError> {
        Self { upper_min: upper, lower_min: lower, digit_min: digits, ..self }.checked()
    }

    /// Sets the special signs, and how many of them there are at least.
    ///
    /// They are distinct signs of ASCII that can be seen, other than letters and digits. There
    /// may be none, with a minimum of 0.
    ///
    /// # Errors
    ///
    /// [`PasswordPolicyError`] if that leaves no valid policy.
    pub fn with_specials(self, specials: &str, min: usize) -> Result<Self, PasswordPolicyError> {
        Self { specials: specials.into(), special_min: min, ..self }.checked()
    }

    /// Sets whether the first sign has to be a letter.
    ///
    /// # Errors
    ///
    /// [`PasswordPolicyError`] if that leaves no valid policy.
    pub fn with_first_letter(self, required: bool) -> Result<Self, PasswordPolicyError> {
        Self { first_is_letter: required, ..self }.checked()
    }

    /// The length, in signs.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// How many capital letters there are at least.
    #[must_use]
    pub fn upper_min(&self) -> usize {
        self.upper_min
    }

    /// How many small letters there are at least.
    #[must_use]
    pub fn lower_min(&self) -> usize {
        self.lower_min
    }

    /// How many digits there are at least.
    #[must_use]
    pub fn digit_min(&self) -> usize {
        self.digit_min
    }

    /// How many special signs there are at least.
    #[must_use]
    pub fn special_min(&self) -> usize {
        self.special_min
    }

    /// The special signs.
    #[must_use]
    pub fn specials(&self) -> &str {
        &self.specials
    }

    /// Whether the first sign has to be a letter.
    #[must_use]
    pub fn first_is_letter(&self) -> bool {
        self.first_is_letter
    }

    /// How much is left to chance, in bits: log2 of the number of passwords that keep the rules.
    ///
    /// At least 64. Below 96, think about a greater length.
    #[must_use]
    pub fn entropy_bits(&self) -> f64 {
        let len = self.length;
        let count = if self.first_is_letter {
            let rest = len.saturating_sub(1);
            let (mut after_upper, mut after_lower) = (self.clone(), self.clone());
            after_upper.upper_min = self.upper_min.saturating_sub(1);
            after_lower.lower_min = self.lower_min.saturating_sub(1);
            LETTERS * arrangements(&after_upper.classes(), rest)
                + LETTERS * arrangements(&after_lower.classes(), rest)
        } else {
            arrangements(&self.classes(), len)
        };
        count.log2()
    }

    /// The signs that a password is made of; distinct, 62 to 94 of them.
    pub(crate) fn alphabet(&self) -> Vec<u8> {
        let specials = self.specials.bytes();
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(specials).collect()
    }

    /// Whether `candidate`, a sequence of signs of the alphabet, keeps the rules.
    pub(crate) fn admits(&self, candidate: &[u8]) -> bool {
        let count = |is_of_class: fn(&u8) -> bool| {
            candidate.iter().filter(|sign| is_of_class(sign)).count()
        };
        candidate.len() == self.length
            && count(u8::is_ascii_uppercase) >= self.upper_min
            && count(u8::is_ascii_lowercase) >= self.lower_min
            && count(u8::is_ascii_digit) >= self.digit_min
            && count(u8::is_ascii_punctuation) >= self.special_min
            && (!self.first_is_letter || candidate.first().is_some_and(u8::is_ascii_alphabetic))
    }

    fn preset(specials: &str) -> Self {
        Self {
            length: PASSWORD_LEN_DEFAULT,
            upper_min: 1,
            lower_min: 1,
            digit_min: 1,
            special_min: 1,
            specials: specials.into(),
            first_is_letter: false,
        }
    }

    fn checked(self) -> Result<Self, PasswordPolicyError> {
        if !(PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX).contains(&self.length) {
            return Err(PasswordPolicyError::Length { length: self.length });
        }
        check_specials(&self.specials)?;
        if self.specials.is_empty() && self.special_min > 0 {
            return Err(PasswordPolicyError::NoSpecials);
        }
        let letters = self.upper_min.saturating_add(self.lower_min);
        let needed = letters
            .max(usize::from(self.first_is_letter))
            .saturating_add(self.digit_min)
            .saturating_add(self.special_min);
        if needed > self.length {
            return Err(PasswordPolicyError::Minima { needed, length: self.length });
        }
        let bits = self.entropy_bits();
        if bits < PASSWORD_ENTROPY_MIN_BITS {
            return Err(PasswordPolicyError::Weak { bits });
        }
        if self.accepted() < PASSWORD_ACCEPTED_MIN {
            return Err(PasswordPolicyError::Rare);
        }
        Ok(self)
    }

    /// The share of all sequences of signs of this length that keep the rules.
    fn accepted(&self) -> f64 {
        let all = real(self.length) * real(self.alphabet().len()).log2();
        (self.entropy_bits() - all).exp2()
    }

    fn classes(&self) -> [Class; 4] {
        [
            Class { signs: LETTERS, min: self.upper_min },
            Class { signs: LETTERS, min: self.lower_min },
            Class { signs: DIGITS, min: self.digit_min },
            Class { signs: real(self.specials.len()), min: self.special_min },
        ]
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self::uri_safe()
    }
}

/// Why a password policy is refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PasswordPolicyError {
    /// The length is not 8 to 128.
    #[error("a password has {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} signs, not {length}")]
    Length {
        /// The length asked for, in signs.
        length: usize,
    },
    /// The minima do not fit into the length.
    #[error("{needed} signs are required of a password of {length}")]
    Minima {
        /// The sum of what is required, in signs.
        needed: usize,
        /// The length of the password, in signs.
        length: usize,
    },
    /// Special signs are required and there are none.
    #[error("special signs are required, and there are none to choose from")]
    NoSpecials,
    /// So few random passwords keep the rules that one could not be drawn in reasonable time:
    /// lower the minima or allow more special signs.
    #[error("too few random passwords keep these rules")]
    Rare,
    /// A special sign is not a sign of ASCII that can be seen, or is a letter or a digit.
    #[error("{found:?} is not a special sign (at byte {at})")]
    Special {
        /// Where it stands, in bytes from the start.
        at: usize,
        /// The sign.
        found: char,
    },
    /// A special sign is given twice.
    #[error("{found:?} is among the special signs twice (at byte {at})")]
    SpecialTwice {
        /// Where it stands for the second time, in bytes from the start.
        at: usize,
        /// The sign.
        found: char,
    },
    /// Too little is left to chance: choose a greater length.
    #[error("{bits:.1} bits are left to chance, and {PASSWORD_ENTROPY_MIN_BITS} are needed")]
    Weak {
        /// How much is left to chance, in bits.
        bits: f64,
    },
}

/// One class of signs: how many different ones, and how many places they take at least.
struct Class {
    signs: f64,
    min: usize,
}

fn check_specials(specials: &str) -> Result<(), PasswordPolicyError> {
    for (at, found) in specials.char_indices() {
        if !found.is_ascii_punctuation() {
            return Err(PasswordPolicyError::Special { at, found });
        }
        if specials.char_indices().any(|(before, sign)| before < at && sign == found) {
            return Err(PasswordPolicyError::SpecialTwice { at, found });
        }
    }
    Ok(())
}

/// In how many ways `len` places can be filled so that each class gets its minimum.
///
/// A class of `n` signs that takes `j` places contributes `n^j / j!` to the exponential
/// generating function; the product over the classes, times `len!`, counts the ways. For minima
/// of 0 and 1 that is inclusion and exclusion; it is exact but for rounding, as all terms are
/// positive. The largest number, 94^128, is below 2^839 and so far from the end of an `f64`.
fn arrangements(classes: &[Class], len: usize) -> f64 {
    let one = iter::once(1.0).chain(iter::repeat_n(0.0, len)).collect();
    let product = classes.iter().fold(one, |product: Vec<f64>, class| {
        let series = series(class, len);
        let lengths = 1..=product.len();
        lengths
            .map(|terms| {
                let (left, right) = (product.iter().take(terms), series.iter().take(terms).rev());
                left.zip(right).map(|(a, b)| a * b).sum()
            })
            .collect()
    });
    let factorial: f64 = (1..=len).map(real).product();
    product.last().map_or(0.0, |ways| ways * factorial)
}

/// The coefficients `n^j / j!` for `j` from 0 to `len`, 0 below the minimum.
fn series(class: &Class, len: usize) -> Vec<f64> {
    let mut term = 1.0;
    iter::once(term)
        .chain((1..=len).map(|j| {
            term *= class.signs / real(j);
            term
        }))
        .enumerate()
        .map(|(j, term)| if j < class.min { 0.0 } else { term })
        .collect()
}

/// A small count as a real number.
fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

const LETTERS: f64 = 26.0;
const DIGITS: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64, by: f64) -> bool {
        (got - want).abs() <= by
    }

    #[test]
    fn entropies_are_those_of_the_table() {
        type Row = (&'static str, PasswordPolicy, [f64; 4], f64);
        let first = PasswordPolicy::uri_safe().with_first_letter(true).unwrap();
        let rows: [Row; 5] = [
            ("uri_safe", PasswordPolicy::uri_safe(), [95.3, 119.7, 143.9, 192.3], 0.66),
            ("first a letter", first, [94.9, 119.3, 143.6, 192.0], 0.52),
            ("common", PasswordPolicy::huawei_rds_common(), [98.8, 123.7, 148.5, 198.1], 0.95),
            ("postgres", PasswordPolicy::huawei_rds_postgres(), [99.4, 124.5, 149.4, 199.3], 0.96),
            ("mysql", PasswordPolicy::huawei_rds_mysql(), [100.6, 126.0, 151.2, 201.7], 0.96),
        ];
        for (what, policy, bits, accepted) in rows {
            for (length, want) in [16, 20, 24, 32].into_iter().zip(bits) {
                let got = policy.clone().with_length(length).unwrap().entropy_bits();
                assert!(near(got, want, 0.05), "case: {what} at {length}: {got}");
            }
            let got = policy.accepted();
            assert!(near(got, accepted, 0.005), "case: {what}: {got}");
        }
    }

    /// The number of passwords with all four classes, by inclusion and exclusion over the set of
    /// classes that are missing, in whole numbers.
    #[test]
    fn counts_agree_with_inclusion_and_exclusion() {
        for specials in [1_i128, 3, 11, 17, 32] {
            for len in 4..=18_u32 {
                let sizes = [26, 26, 10, specials];
                let mut exact = 0_i128;
                for missing in 0..16_u32 {
                    let left = sizes.iter().enumerate().filter(|(i, _)| missing & (1 << i) == 0);
                    let ways = left.map(|(_, size)| size).sum::<i128>().pow(len);
                    exact += if missing.count_ones() % 2 == 0 { ways } else { -ways };
                }
                let classes = sizes.map(|size| Class { signs: size as f64, min: 1 });
                let got = arrangements(&classes, len as usize) / exact as f64;
                assert!(near(got, 1.0, 1e-12), "case: {specials} specials, {len} signs: {got}");
            }
        }
    }

    /// Small alphabets, every sequence tried.
    #[test]
    fn counts_agree_with_trying_everything() {
        let cases: &[(&[usize], &[usize], u32)] = &[
            (&[1, 1, 1, 1], &[1, 1, 1, 1], 6),
            (&[2, 1, 1, 1], &[2, 0, 1, 1], 6),
            (&[2, 2, 1, 0], &[2, 2, 0, 0], 6),
            (&[3, 1, 1], &[0, 3, 1], 7),
            (&[2, 2], &[0, 0], 5),
            (&[2, 2], &[3, 3], 6),
            (&[2, 2], &[3, 4], 6),
            (&[2, 0], &[0, 1], 4),
            (&[3], &[0], 0),
        ];
        for (sizes, minima, len) in cases {
            let signs: Vec<usize> =
                sizes.iter().enumerate().flat_map(|(class, n)| vec![class; *n]).collect();
            let valid = (0..signs.len().pow(*len)).filter(|number| {
                let mut used = vec![0; sizes.len()];
                let mut number = *number;
                for _ in 0..*len {
                    used[signs[number % signs.len()]] += 1;
                    number /= signs.len();
                }
                used.iter().zip(*minima).all(|(used, min)| used >= min)
            });
            let want = valid.count() as f64;
            let pairs = sizes.iter().zip(*minima);
            let classes: Vec<_> =
                pairs.map(|(size, min)| Class { signs: *size as f64, min: *min }).collect();
            let got = arrangements(&classes, *len as usize);
            assert!(near(got, want, 1e-9), "case: {sizes:?} {minima:?} {len}: {got} {want}");
        }
    }

    #[test]
    fn the_first_letter_rule_counts_like_the_rest() {
        // Without minima: 52 letters first, then any of the 65 signs.
        let policy = PasswordPolicy::uri_safe()
            .with_minima(0, 0, 0)
            .and_then(|policy| policy.with_specials("-_~", 0))
            .and_then(|policy| policy.with_first_letter(true))
            .unwrap();
        let want = 52_f64.log2() + 23.0 * 65_f64.log2();
        assert!(near(policy.entropy_bits(), want, 1e-9));
        assert!(near(policy.accepted(), 0.8, 1e-9));
    }

    #[test]
    fn a_first_letter_leaves_out_the_passwords_that_begin_otherwise() {
        let any = PasswordPolicy::uri_safe().with_length(16).unwrap();
        let any = any.with_minima(2, 1, 2).unwrap().with_specials("-_~#!", 2).unwrap();
        let mut begun_by_digit = any.classes();
        begun_by_digit[2].min -= 1;
        let mut begun_by_special = any.classes();
        begun_by_special[3].min -= 1;
        let others =
            10.0 * arrangements(&begun_by_digit, 15) + 5.0 * arrangements(&begun_by_special, 15);
        let want = (arrangements(&any.classes(), 16) - others).log2();
        let got = any.with_first_letter(true).unwrap().entropy_bits();
        assert!(near(got, want, 1e-9), "{got} {want}");
    }

    #[test]
    fn the_longest_password_can_be_counted() {
        let all: String = (b'!'..=b'~').filter(u8::is_ascii_punctuation).map(char::from).collect();
        let policy = PasswordPolicy::uri_safe().with_length(128).unwrap();
        let policy = policy.with_specials(&all, 1).unwrap();
        assert_eq!(policy.alphabet().len(), 94);
        let bits = policy.entropy_bits();
        assert!(near(bits, 128.0 * 94_f64.log2(), 0.01), "{bits}");
    }

    #[test]
    fn policies_are_accepted_and_refused() {
        use PasswordPolicyError::{Length, Minima, NoSpecials, Rare, Special, SpecialTwice};
        type Change = fn(PasswordPolicy) -> Result<PasswordPolicy, PasswordPolicyError>;
        let cases: &[(&str, Change, Result<(), PasswordPolicyError>)] = &[
            ("the longest", |p| p.with_length(128), Ok(())),
            ("one more", |p| p.with_length(129), Err(Length { length: 129 })),
            ("too short", |p| p.with_length(7), Err(Length { length: 7 })),
            ("two of each", |p| p.with_minima(2, 2, 2)?.with_specials("!#$%&()*+", 2), Ok(())),
            ("no specials", |p| p.with_specials("", 0), Ok(())),
            ("specials missing", |p| p.with_specials("", 1), Err(NoSpecials)),
            ("a space", |p| p.with_specials("- ", 1), Err(Special { at: 1, found: ' ' })),
            ("a letter", |p| p.with_specials("-a", 1), Err(Special { at: 1, found: 'a' })),
            ("a control sign", |p| p.with_specials("\n", 1), Err(Special { at: 0, found: '\n' })),
            (
                "beyond ASCII",
                |p| p.with_specials("-\u{e9}", 1),
                Err(Special { at: 1, found: '\u{e9}' }),
            ),
            ("twice", |p| p.with_specials("-~-", 1), Err(SpecialTwice { at: 2, found: '-' })),
            ("too much", |p| p.with_minima(10, 10, 4), Err(Minima { needed: 25, length: 24 })),
            (
                "far too much",
                |p| p.with_minima(usize::MAX, usize::MAX, 1),
                Err(Minima { needed: usize::MAX, length: 24 }),
            ),
            ("nearly only digits", |p| p.with_minima(1, 1, 15), Err(Rare)),
        ];
        for (what, change, want) in cases {
            let got = change(PasswordPolicy::default()).map(|_| ());
            assert_eq!(&got, want, "case: {what}");
        }
    }

    #[test]
    fn a_first_letter_needs_room() {
        let policy = PasswordPolicy {
            upper_min: 0,
            lower_min: 0,
            digit_min: 23,
            ..PasswordPolicy::uri_safe()
        };
        let got = policy.with_first_letter(true);
        assert_eq!(got, Err(PasswordPolicyError::Minima { needed: 25, length: 24 }));
    }

    #[test]
    fn weak_policies_are_refused() {
        let weak = |length| match PasswordPolicy::uri_safe().with_length(length) {
            Err(PasswordPolicyError::Weak { bits }) => Some(bits),
            _ => None,
        };
        assert!(weak(8).is_some_and(|bits| bits < 48.0));
        assert!(weak(10).is_some_and(|bits| bits < 60.0));
        assert_eq!(weak(11), None);
        let said = PasswordPolicyError::Weak { bits: 47.25 }.to_string();
        assert_eq!(said, "47.2 bits are left to chance, and 64 are needed");
    }

    #[test]
    fn passwords_are_held_against_the_rules() {
        let policy = PasswordPolicy::uri_safe().with_length(12).unwrap();
        let policy = policy.with_minima(2, 1, 1).unwrap().with_first_letter(true).unwrap();
        let cases = [
            ("all rules kept", "abcdefgh1-AB", true),
            ("too few capitals", "abcdefgh1-aB", false),
            ("no small letter", "ABCDEFGH1-AB", false),
            ("no digit", "abcdefghi-AB", false),
            ("no special", "abcdefgh12AB", false),
            ("a digit first", "1bcdefgh1-AB", false),
            ("a special first", "-bcdefgh1-AB", false),
            ("too short", "abcdefg1-AB", false),
            ("too long", "abcdefghi1-AB", false),
        ];
        for (what, text, want) in cases {
            assert_eq!(policy.admits(text.as_bytes()), want, "case: {what}");
        }
    }

    #[test]
    fn alphabets_are_distinct() {
        let presets = [
            PasswordPolicy::uri_safe(),
            PasswordPolicy::huawei_rds_common(),
            PasswordPolicy::huawei_rds_postgres(),
            PasswordPolicy::huawei_rds_mysql(),
        ];
        for policy in presets {
            let mut signs = policy.alphabet();
            assert!(signs.iter().all(u8::is_ascii_graphic));
            signs.sort_unstable();
            signs.dedup();
            assert_eq!(signs.len(), 62 + policy.specials().len());
            assert_eq!(policy.clone().checked(), Ok(policy));
        }
    }
}
