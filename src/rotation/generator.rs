//! Random passwords, each that keeps the rules as likely as any other.

use zeroize::Zeroizing;

use crate::domain::PasswordPolicy;
use crate::domain::limits::PASSWORD_TRIES_MAX;
use crate::domain::password_request::PasswordRecipe;

/// Makes up a password that `policy` allows and that contains none of `forbidden`.
///
/// Candidates are drawn whole and thrown away whole until one keeps all the rules (crypto.md 9):
/// that leaves each valid password equally likely, which "one sign of each class, then fill and
/// shuffle" does not. A forbidden word, an account's name for instance, counts as contained in
/// either direction and in any mixture of upper and lower case of ASCII. Short words count too,
/// since a server that looks for the account's name looks for a short one as well; that costs
/// one bit or so for a word of one sign. An empty word forbids nothing.
///
/// `random` fills a buffer with random bytes; it is called once for most passwords. Buffers
/// have their final size from the start and are wiped.
///
/// # Errors
///
/// * [`GenerateError::Exhausted`] if none of 1000 candidates will do. A policy alone does not
///   lead there; words that nearly every candidate contains do, and a source that is stuck.
/// * [`GenerateError::Random`] if `random` fails.
pub(crate) fn generate<E>(
    policy: &PasswordPolicy,
    forbidden: &[&str],
    random: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Zeroizing<Vec<u8>>, GenerateError<E>> {
    let accept = |candidate: &[u8]| {
        policy.admits(candidate) && !forbidden.iter().any(|word| contains(candidate, word))
    };
    let signs = (&*policy.alphabet(), policy.length());
    sample(signs, PASSWORD_TRIES_MAX, &accept, random)
}

/// Makes up a password as it is asked for, each that keeps the request as likely as any other.
///
/// `random` is as for [`generate`].
///
/// # Errors
///
/// As for [`generate`]. No request leads to [`GenerateError::Exhausted`]; a source that is stuck
/// does.
pub(crate) fn generate_asked<E>(
    recipe: &PasswordRecipe,
    random: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Zeroizing<Vec<u8>>, GenerateError<E>> {
    let accept = |candidate: &[u8]| recipe.admits(candidate);
    let tries = SIGNS_MAX.checked_div(recipe.length).unwrap_or(SIGNS_MAX).max(PASSWORD_TRIES_MAX);
    sample((&recipe.alphabet, recipe.length), tries, &accept, random)
}

/// Why no password was made up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum GenerateError<E> {
    /// No candidate kept all the rules.
    #[error("no random password that was tried keeps the rules")]
    Exhausted,
    /// There were no random bytes.
    #[error("the source of random bytes failed")]
    Random(#[source] E),
}

/// A sequence of `len` signs, uniform among those that `accept` takes.
fn sample<E>(
    (alphabet, len): (&[u8], usize),
    tries: usize,
    accept: &dyn Fn(&[u8]) -> bool,
    random: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Zeroizing<Vec<u8>>, GenerateError<E>> {
    let mut pool = Pool::new(random);
    let mut candidate = Zeroizing::new(vec![0; len]);
    for _ in 0..tries {
        for place in candidate.iter_mut() {
            *place = pool.sign_of(alphabet)?;
        }
        if accept(&candidate) {
            return Ok(candidate);
        }
    }
    Err(GenerateError::Exhausted)
}

/// Random bytes, drawn many at a time.
struct Pool<'a, E> {
    random: &'a mut dyn FnMut(&mut [u8]) -> Result<(), E>,
    bytes: Zeroizing<Vec<u8>>,
    used: usize,
}

impl<'a, E> Pool<'a, E> {
    fn new(random: &'a mut dyn FnMut(&mut [u8]) -> Result<(), E>) -> Self {
        Self { random, bytes: Zeroizing::new(vec![0; POOL_BYTES]), used: POOL_BYTES }
    }

    /// One of the signs of `alphabet`, each as likely as any other.
    fn sign_of(&mut self, alphabet: &[u8]) -> Result<u8, GenerateError<E>> {
        // The values of a byte are cut into whole rounds of the alphabet; what is left over is
        // drawn again, or the first signs would come up too often.
        let left_over = BYTE_VALUES.checked_rem(alphabet.len()).unwrap_or(BYTE_VALUES);
        let usable = BYTE_VALUES.saturating_sub(left_over);
        for _ in 0..REDRAWS_MAX {
            let byte = usize::from(self.byte().map_err(GenerateError::Random)?);
            if byte < usable {
                let place = byte.checked_rem(alphabet.len());
                return place
                    .and_then(|place| alphabet.get(place).copied())
                    .ok_or(GenerateError::Exhausted);
            }
        }
        Err(GenerateError::Exhausted)
    }

    fn byte(&mut self) -> Result<u8, E> {
        loop {
            if let Some(byte) = self.bytes.get(self.used) {
                self.used = self.used.saturating_add(1);
                return Ok(*byte);
            }
            (self.random)(&mut self.bytes)?;
            self.used = 0;
        }
    }
}

/// Whether `word` or its reverse is part of `candidate`, whatever the case of its letters.
fn contains(candidate: &[u8], word: &str) -> bool {
    let word = word.as_bytes();
    if word.is_empty() {
        return false;
    }
    candidate.windows(word.len()).any(|part| {
        let forwards = part.eq_ignore_ascii_case(word);
        let backwards = part.iter().rev().zip(word).all(|(a, b)| a.eq_ignore_ascii_case(b));
        forwards || backwards
    })
}

/// Enough for most passwords of the default length: 24 signs take 32 bytes a candidate, and one
/// candidate in three is thrown away.
const POOL_BYTES: usize = 256;
/// Less than half of the values are left over, so that only a broken source, which always gives
/// the same byte, comes this far. It shall not hang the caller.
const REDRAWS_MAX: usize = 256;
const BYTE_VALUES: usize = 256;
/// Signs that are drawn for one password that was asked for. The request that is hardest to keep has
/// four signs and leaves one small letter, one capital and one digit beside all punctuation and the
/// space: one candidate in 2,200 will do, so that all 100,000 miss it once in 10^20 calls.
const SIGNS_MAX: usize = 400_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::PasswordRequest;

    /// SplitMix64: good enough for statistics, the same on every run.
    fn seeded(seed: u64) -> impl FnMut(&mut [u8]) -> Result<(), Infallible> {
        let mut state = seed;
        move |buffer| {
            for chunk in buffer.chunks_mut(8) {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                let word = (z ^ (z >> 31)).to_le_bytes();
                chunk.copy_from_slice(&word[..chunk.len()]);
            }
            Ok(())
        }
    }

    /// How far the counts are from equal, in standard deviations of chi-square.
    fn unevenness(counts: &[f64]) -> f64 {
        let freedom = counts.len() as f64 - 1.0;
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let chi_square: f64 = counts.iter().map(|count| (count - mean).powi(2) / mean).sum();
        (chi_square - freedom) / (2.0 * freedom).sqrt()
    }

    #[test]
    fn passwords_keep_the_policy() {
        let policies = [
            PasswordPolicy::default(),
            PasswordPolicy::huawei_rds_common().with_length(11).unwrap(),
            PasswordPolicy::huawei_rds_postgres().with_first_letter(true).unwrap(),
            PasswordPolicy::huawei_rds_mysql().with_length(128).unwrap(),
            PasswordPolicy::uri_safe().with_specials("", 0).unwrap().with_minima(3, 3, 3).unwrap(),
        ];
        let mut random = seeded(1);
        for policy in policies {
            for _ in 0..200 {
                let password = generate(&policy, &[], &mut random).unwrap();
                assert!(policy.admits(&password), "policy: {policy:?}");
                assert!(password.iter().all(|sign| policy.alphabet().contains(sign)));
                assert_eq!(password.len(), password.capacity(), "grown: it left a copy behind");
            }
        }
    }

    /// All 240 words of five signs that have each of four signs come up equally often.
    #[test]
    fn every_valid_password_is_equally_likely() {
        const DRAWS: usize = 48_000;
        let alphabet = b"aA1-";
        let accept = |candidate: &[u8]| alphabet.iter().all(|sign| candidate.contains(sign));
        let mut random = seeded(2);
        let mut counts = BTreeMap::<Vec<u8>, f64>::new();
        for _ in 0..DRAWS {
            let word = sample((alphabet, 5), PASSWORD_TRIES_MAX, &accept, &mut random).unwrap();
            *counts.entry(word.to_vec()).or_default() += 1.0;
        }
        assert_eq!(counts.len(), 240);
        let counts: Vec<f64> = counts.into_values().collect();
        assert!(unevenness(&counts).abs() < 4.0, "{}", unevenness(&counts));
    }

    /// Alphabets that do not divide 256: a plain remainder would favour the first signs.
    #[test]
    fn every_sign_is_equally_likely() {
        let full: Vec<u8> = PasswordPolicy::default().alphabet();
        for alphabet in [&b"abc"[..], b"abcdefghijk", &full, &[7; 1]] {
            let mut random = seeded(3);
            let mut pool = Pool::new(&mut random);
            let mut counts = vec![0.0; 256];
            for _ in 0..alphabet.len() * 20_000 {
                counts[usize::from(pool.sign_of(alphabet).unwrap())] += 1.0;
            }
            let counts: Vec<f64> = alphabet.iter().map(|sign| counts[usize::from(*sign)]).collect();
            assert!(counts.iter().all(|count| *count > 0.0));
            if counts.len() > 1 {
                let off = unevenness(&counts);
                assert!(off < 4.0, "case: {} signs: {off}", alphabet.len());
            }
        }
    }

    #[test]
    fn the_test_of_evenness_notices_a_plain_remainder() {
        let mut random = seeded(4);
        let mut bytes = vec![0; 65 * 20_000];
        random(&mut bytes).unwrap();
        let mut counts = vec![0.0; 65];
        bytes.iter().for_each(|byte| counts[usize::from(*byte) % 65] += 1.0);
        assert!(unevenness(&counts) > 100.0);
    }

    #[test]
    fn forbidden_words_are_found() {
        let cases = [
            ("in the middle", "xxappxx", "app", true),
            ("at the start", "appxx", "app", true),
            ("at the end", "xxapp", "app", true),
            ("the whole", "app", "app", true),
            ("in another case", "xxaPPxx", "App", true),
            ("backwards", "xxpPaxx", "app", true),
            ("with digits", "xx2_ppaxx", "app_2", true),
            ("in parts only", "xxapxpx", "app", false),
            ("a mixture of both directions", "xabcbx", "abcd", false),
            ("longer than the password", "ap", "app", false),
            ("one sign", "xxa", "A", true),
            ("one sign that is not there", "xxa", "b", false),
            ("nothing", "xxa", "", false),
            ("beyond ASCII", "xxe", "\u{e9}", false),
        ];
        for (what, candidate, word, want) in cases {
            assert_eq!(contains(candidate.as_bytes(), word), want, "case: {what}");
        }
    }

    #[test]
    fn passwords_never_contain_a_forbidden_word() {
        let policy = PasswordPolicy::default();
        let mut random = seeded(5);
        for _ in 0..500 {
            let password = generate(&policy, &["e", "Ab", ""], &mut random).unwrap();
            let text = String::from_utf8(password.to_vec()).unwrap().to_lowercase();
            for word in ["e", "ab", "ba"] {
                assert!(!text.contains(word), "{word} is in a password");
            }
        }
    }

    #[test]
    fn it_gives_up_when_everything_is_forbidden() {
        let policy = PasswordPolicy::default();
        let digits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let got = generate(&policy, &digits, &mut seeded(6));
        assert_eq!(got, Err(GenerateError::Exhausted));
    }

    #[test]
    fn passwords_that_are_asked_for_keep_the_request() {
        let request = PasswordRequest::new().include_space(true);
        let hardest = request
            .clone()
            .length(4)
            .exclude_characters("bcdefghijklmnopqrstuvwxyzBCDEFGHIJKLMNOPQRSTUVWXYZ123456789");
        let requests = [
            PasswordRequest::new().length(1),
            PasswordRequest::new().length(4096).exclude_punctuation(true),
            request.length(64).require_each_included_type(true),
            hardest.require_each_included_type(true),
        ];
        let mut random = seeded(8);
        for request in requests {
            let recipe = request.recipe().unwrap();
            for _ in 0..20 {
                let password = generate_asked(&recipe, &mut random).unwrap();
                assert_eq!(password.len(), request.asked_length(), "{request:?}");
                assert!(recipe.admits(&password), "{request:?}");
                assert!(password.iter().all(|sign| recipe.alphabet.contains(sign)));
                assert_eq!(password.len(), password.capacity(), "grown: it left a copy behind");
            }
        }
    }

    /// With a letter, a digit and a mark of two signs each there are 576 words of four: all of them come
    /// up equally often.
    #[test]
    fn every_password_that_keeps_a_request_is_equally_likely() {
        const DRAWS: usize = 115_200;
        let keep = |signs: &str| -> String {
            (b'!'..=b'~').map(char::from).filter(|sign| !signs.contains(*sign)).collect()
        };
        let request = PasswordRequest::new().length(4).exclude_characters(keep("ab01-+"));
        let request = request.exclude_uppercase(true).require_each_included_type(true);
        let recipe = request.recipe().unwrap();
        let mut random = seeded(9);
        let mut counts = BTreeMap::<Vec<u8>, f64>::new();
        for _ in 0..DRAWS {
            let word = generate_asked(&recipe, &mut random).unwrap();
            *counts.entry(word.to_vec()).or_default() += 1.0;
        }
        // One class has two places: 3 choices of it, 12 arrangements, 2 signs at each place.
        assert_eq!(counts.len(), 3 * 12 * 16);
        let counts: Vec<f64> = counts.into_values().collect();
        assert!(unevenness(&counts).abs() < 4.0, "{}", unevenness(&counts));
    }

    #[test]
    fn a_failing_source_ends_it() {
        #[derive(Debug, PartialEq, thiserror::Error)]
        #[error("no entropy")]
        struct Dry;
        let policy = PasswordPolicy::default();
        let got = generate(&policy, &[], &mut |_: &mut [u8]| Err(Dry));
        assert_eq!(got, Err(GenerateError::Random(Dry)));
    }

    #[test]
    fn a_source_that_is_stuck_does_not_hang_it() {
        let policy = PasswordPolicy::default();
        for stuck in [0, 7, 255] {
            let mut random = |buffer: &mut [u8]| {
                buffer.fill(stuck);
                Ok::<(), Infallible>(())
            };
            let got = generate(&policy, &[], &mut random);
            assert_eq!(got, Err(GenerateError::Exhausted), "case: always {stuck}");
        }
    }

    #[test]
    fn most_passwords_take_one_draw() {
        let policy = PasswordPolicy::default();
        let mut bytes = seeded(7);
        let mut draws = 0;
        let mut random = |buffer: &mut [u8]| {
            draws += 1;
            bytes(buffer)
        };
        for _ in 0..1000 {
            assert!(generate(&policy, &[], &mut random).is_ok());
        }
        assert!(draws < 1100, "{draws} draws for 1000 passwords");
    }

    proptest! {
        /// The search agrees with the plain way to write it.
        #[test]
        fn contains_is_a_search_in_both_directions(
            candidate in "[abAB1]{0,12}",
            word in "[abAB1]{1,4}",
        ) {
            let (low, word_low) = (candidate.to_lowercase(), word.to_lowercase());
            let reversed: String = word_low.chars().rev().collect();
            let want = low.contains(&word_low) || low.contains(&reversed);
            prop_assert_eq!(contains(candidate.as_bytes(), &word), want);
        }
    }
}
