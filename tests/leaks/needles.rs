//! Words that must not be found, in every form in which they could be, and the search for them.
//!
//! Words are random: a part of eight bytes is not found by chance.

use std::{collections::HashMap, fs, path::Path};

/// The shortest part of a word that gives it away.
pub const PART_LEN: usize = 8;

const DIGITS_LEN: usize = 2 * PART_LEN;

type Form = fn(&[u8]) -> Vec<u8>;

/// Words in all their forms. Every eight bytes in a row of a form count as found.
#[derive(Debug, Default)]
pub struct Needles {
    words: Vec<String>,
    /// The word and form that eight bytes belong to.
    parts: HashMap<u64, (u32, &'static str)>,
    /// The same for sixteen hexadecimal digits: eight of them can be a number in a log by chance.
    digits: HashMap<[u8; DIGITS_LEN], (u32, &'static str)>,
    /// What the first two bytes of a part can be.
    beginnings: Vec<bool>,
}

impl Needles {
    /// Looks for `word` too. It has to be unlike everything else: each of its parts counts.
    pub fn add(&mut self, word: impl AsRef<[u8]>) {
        let word = word.as_ref();
        let number = u32::try_from(self.words.len()).unwrap();
        self.words.push(String::from_utf8_lossy(word).into_owned());
        self.beginnings.resize(1 << 16, false);
        let forms: [(&str, Form); 8] = [
            ("raw", <[u8]>::to_vec),
            ("reversed", |word| word.iter().rev().copied().collect()),
            ("UTF-16", |word| word.iter().flat_map(|byte| [*byte, 0]).collect()),
            ("hex", |word| hex(word)),
            ("HEX", |word| hex(word).to_ascii_uppercase()),
            ("base64", |word| base64_within(word, 0)),
            ("base64, one off", |word| base64_within(word, 1)),
            ("base64, two off", |word| base64_within(word, 2)),
        ];
        for (form, write) in forms {
            let written = write(word);
            let len = if form.eq_ignore_ascii_case("hex") { DIGITS_LEN } else { PART_LEN };
            for part in written.windows(len) {
                self.beginnings[usize::from(u16::from_le_bytes([part[0], part[1]]))] = true;
                match part.try_into().map(u64::from_le_bytes) {
                    Ok(part) => _ = self.parts.entry(part).or_insert((number, form)),
                    Err(_) => _ = self.digits.insert(part.try_into().unwrap(), (number, form)),
                }
            }
        }
    }

    /// How many words are looked for, and in how many parts.
    pub fn len(&self) -> (usize, usize) {
        (self.words.len(), self.parts.len() + self.digits.len())
    }

    /// The first word that stands in `bytes`.
    pub fn found_in(&self, bytes: &[u8]) -> Option<String> {
        self.found_but(bytes, "")
    }

    /// As [`found_in`](Self::found_in), in all forms but one.
    fn found_but(&self, bytes: &[u8], form_left_out: &str) -> Option<String> {
        bytes.windows(PART_LEN).enumerate().find_map(|(at, window)| {
            if !self.beginnings[usize::from(u16::from_le_bytes([window[0], window[1]]))] {
                return None;
            }
            let digits = bytes.get(at..at + DIGITS_LEN).filter(|_| window[0].is_ascii_hexdigit());
            let digits = digits.and_then(|digits| self.digits.get(digits));
            let part = self.parts.get(&u64::from_le_bytes(window.try_into().unwrap()));
            let (word, form) = part.or(digits)?;
            if *form == form_left_out {
                return None;
            }
            Some(format!("{} ({form}) at byte {at}", self.words[*word as usize]))
        })
    }

    /// As [`found_in`](Self::found_in), in a text, where bytes can also stand as a list of numbers.
    pub fn found_in_text(&self, text: &str) -> Option<String> {
        let mut listed = Vec::new();
        for number in text.split(|sign: char| !sign.is_ascii_digit()) {
            listed.extend(number.parse::<u8>());
        }
        // No list of numbers is UTF-16, but `4444` in it is 52, 0, 52, 0, ..., as numbers of pages are.
        self.found_in(text.as_bytes()).or_else(|| self.found_but(&listed, "UTF-16"))
    }

    /// The first word in a name or file below `dir`, and how many bytes were looked at. Files that go
    /// away meanwhile are passed over.
    pub fn found_below(&self, dir: &Path) -> (Option<String>, usize) {
        let mut directories = vec![dir.to_owned()];
        let mut looked_at = 0;
        while let Some(dir) = directories.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                let (name, is_dir) = (path.file_name().unwrap().to_owned(), path.is_dir());
                let bytes = if is_dir { Vec::new() } else { fs::read(&path).unwrap_or_default() };
                looked_at += bytes.len();
                for bytes in [name.as_encoded_bytes(), &bytes] {
                    if let Some(what) = self.found_in(bytes) {
                        return (Some(format!("{what} in {}", path.display())), looked_at);
                    }
                }
                directories.extend(is_dir.then_some(path));
            }
        }
        (None, looked_at)
    }
}

fn hex(word: &[u8]) -> Vec<u8> {
    word.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

/// The signs of base64 that do not depend on what stands around `word`, at one of three places.
fn base64_within(word: &[u8], shift: usize) -> Vec<u8> {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(word.iter().copied()).collect();
    let signs: Vec<u8> = padded
        .chunks_exact(3)
        .flat_map(|group| {
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            [18, 12, 6, 0].map(|by| SIGNS[(bits >> by & 63) as usize])
        })
        .collect();
    // The signs of the first group share bits with what stands before the word.
    signs[if shift == 0 { 0 } else { 4 }..].to_vec()
}
