//! The secrets that all contestants hold, and what is asked of them.

use std::sync::atomic::{AtomicU64, Ordering};

use strongroom::SecretName;

use crate::Outcome;

/// How many versions a secret keeps.
pub const VERSIONS_MAX: u64 = 20;

/// How many of the secrets begin with all of them; the others have two.
pub const DEEP: usize = 256;

/// How many rows a page of a listing has.
pub const PAGE: usize = 100;

/// A name, also in the form that strongroom takes, so that nobody parses it while being measured.
pub struct Name {
    pub text: String,
    pub typed: SecretName,
}

/// What is stored when a secret is created.
pub struct Fresh {
    pub name: Name,
    pub metadata: String,
    pub value: String,
}

/// The same secrets for every contestant: a function of their number alone.
pub struct Work {
    pub names: Vec<Name>,
}

impl Work {
    pub fn new(count: usize) -> Outcome<Self> {
        Ok(Self { names: (0..count).map(Self::new_name).collect::<Outcome<_>>()? })
    }

    /// The name of the secret of that number.
    pub fn new_name(number: usize) -> Outcome<Name> {
        name("orders", number)
    }

    /// The secret of that number as it is first stored.
    pub fn secret(&self, number: usize) -> Outcome<Fresh> {
        fresh(Self::new_name(number)?, number)
    }

    pub fn pick(&self, random: &mut Random) -> Outcome<(usize, &Name)> {
        let at = random.below(self.names.len());
        Ok((at, self.names.get(at).ok_or("no names")?))
    }
}

/// A secret that was not there before.
pub fn newcomer(number: usize) -> Outcome<Fresh> {
    fresh(name("tenant", number)?, number)
}

fn fresh(name: Name, number: usize) -> Outcome<Fresh> {
    let mut random = Random::new(number as u64);
    let length = 12 + random.below(13);
    let metadata = metadata(number);
    Ok(Fresh { name, metadata, value: value(&mut random, length) })
}

/// 41 bytes.
fn name(family: &str, number: usize) -> Outcome<Name> {
    let text = format!("production-{family}-{number:08}-database-owner");
    Ok(Name { typed: text.parse()?, text })
}

/// 100 bytes.
fn metadata(number: usize) -> String {
    let text =
        format!("owner of database {number:08}, turned over every 30 days, asked for in ticket");
    format!("{text:.<100}")
}

/// The value that a rotation stores: 64 bytes, as many as strongroom's own rotation gives.
pub fn rotated(random: &mut Random) -> String {
    value(random, 24)
}

fn value(random: &mut Random, length: usize) -> String {
    let mut text = String::with_capacity(64);
    text.push_str(r#"{"users":[{"name":"app","password":""#);
    text.extend((0..length).map(|_| random.letter()));
    text.push_str(r#""}]}"#);
    text
}

/// Whether these bytes can be a value of this work: a look at both ends, cheap enough for every
/// single answer.
pub fn plausible(value: &[u8]) -> bool {
    (52..=64).contains(&value.len())
        && value.starts_with(b"{\"users\"")
        && value.ends_with(b"\"}]}")
}

/// How far each secret's versions go, as its rotations told.
pub struct Newest(Vec<AtomicU64>);

impl Newest {
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicU64::new(1)).collect())
    }

    pub fn get(&self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |number| number.load(Ordering::Acquire))
    }

    pub fn raise(&self, at: usize, version: u64) {
        if let Some(number) = self.0.get(at) {
            number.fetch_max(version, Ordering::AcqRel);
        }
    }
}

/// SplitMix64: quick, and the same everywhere. It picks names and letters, it makes no keys.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5eed_0f9e_3779_b97f)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        let wide = u128::from(self.next()).wrapping_mul(end as u128) >> 64;
        usize::try_from(wide).unwrap_or(0)
    }

    fn letter(&mut self) -> char {
        let at = u8::try_from(self.below(26)).unwrap_or(0);
        char::from(b'a'.saturating_add(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_the_sizes_that_the_table_claims() {
        let work = Work::new(300).unwrap();
        for number in 0..300 {
            let secret = work.secret(number).unwrap();
            assert!(secret.name.text.len() == 41, "{}", secret.name.text);
            assert_eq!(secret.metadata.len(), 100, "{}", secret.metadata);
            assert!((52..=64).contains(&secret.value.len()), "{}", secret.value);
            assert!(plausible(secret.value.as_bytes()));
        }
        assert_eq!(rotated(&mut Random::new(1)).len(), 64);
        assert!(!plausible(&[0; 50]));
    }

    #[test]
    fn picks_reach_every_name() {
        let mut random = Random::new(7);
        let mut seen = [false; 50];
        for _ in 0..2_000 {
            seen[random.below(50)] = true;
        }
        assert_eq!(seen, [true; 50]);
    }
}
