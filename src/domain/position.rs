//! Places in the audit log, which is the one history of a store.

use std::{fmt, str::FromStr};

/// A place in the history of a store: behind one of its records, or behind a whole commit. Not in
/// CSMS.
///
/// Positions grow with time, and one is never used twice, also after the oldest records are cut off.
/// They belong to one store. The text form is `17:0` for the first record of commit 17, `17:end` for
/// the end of that commit.
///
/// ```
/// use strongroom::Position;
///
/// let position: Position = "17:0".parse()?;
/// assert_eq!((position.commit(), position.to_string()), (17, "17:0".to_owned()));
/// assert!(Position::START < position && position < "17:end".parse()?);
/// # Ok::<(), strongroom::PositionError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Position {
    seq: u64,
    index: u32,
}

impl Position {
    /// Before everything that ever happened.
    pub const START: Self = Self::end_of(0);

    /// Behind record number `index` of commit `seq`.
    pub(crate) const fn new(seq: u64, index: u32) -> Self {
        Self { seq, index }
    }

    /// Behind all records of commit `seq`.
    pub(crate) const fn end_of(seq: u64) -> Self {
        Self { seq, index: u32::MAX }
    }

    /// Where the next record may stand in the same commit; `None` at the commit's end.
    pub(crate) const fn next_in_commit(self) -> Option<Self> {
        match self.index.checked_add(1) {
            Some(index) if index < u32::MAX => Some(Self { seq: self.seq, index }),
            _ => None,
        }
    }

    /// The number of the commit, the first one being 1.
    #[must_use]
    pub const fn commit(self) -> u64 {
        self.seq
    }

    pub(crate) const fn index(self) -> u32 {
        self.index
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            u32::MAX => write!(f, "{}:end", self.seq),
            index => write!(f, "{}:{index}", self.seq),
        }
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (seq, index) = text.split_once(':').ok_or(PositionError)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let seq = seq.parse().ok().filter(|_| digits(seq)).ok_or(PositionError)?;
        match index {
            "end" => Ok(Self::end_of(seq)),
            index if digits(index) => {
                let index = index.parse().map_err(|_| PositionError)?;
                if index == u32::MAX { Err(PositionError) } else { Ok(Self { seq, index }) }
            }
            _ => Err(PositionError),
        }
    }
}

/// A text that is no position.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a position is two numbers with a colon between, or a number and `:end`")]
pub struct PositionError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_from_its_text_and_other_texts_are_refused() {
        let all = [Position::START, Position::new(1, 0), Position::new(7, 9), Position::end_of(7)];
        assert!(all.is_sorted());
        for position in all {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        for bad in ["", "7", ":", "7:", ":7", "+7:0", "7:+0", "7:4294967295", "7:End", "7:0:0"] {
            assert_eq!(bad.parse::<Position>(), Err(PositionError), "{bad}");
        }
    }

    #[test]
    fn behind_a_record_comes_the_next_one_and_behind_the_last_none() {
        assert_eq!(Position::new(7, 0).next_in_commit(), Some(Position::new(7, 1)));
        assert_eq!(Position::new(7, u32::MAX - 1).next_in_commit(), None);
        assert_eq!(Position::end_of(7).next_in_commit(), None);
    }
}
