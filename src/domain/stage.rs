//! Stages: the labels of versions, and the one place where labels move.

use std::collections::BTreeMap;
use std::fmt;
use std::slice;
use std::str::FromStr;

use crate::domain::limits::STAGE_LEN_MAX;
use crate::domain::name::{first_foreign, is_word_sign};
use crate::domain::time::Timestamp;
use crate::domain::version::{LATEST, VersionId, VersionRef};

/// A label that says what a version of a secret is for.
///
/// A version may bear several labels; a label sits on one version of a secret at most
/// (csms.md 2.3). The name is 1 to 64 of `a-z A-Z 0-9 _ -` (csms.md 1.5), upper and lower case
/// being different. The order is that of the variants, custom labels by name.
///
/// # Examples
///
/// ```
/// use strongroom::Stage;
///
/// assert_eq!("SYSCURRENT".parse(), Ok(Stage::Current));
/// let blue: Stage = "blue".parse()?;
/// assert_eq!(blue.as_str(), "blue");
/// assert!(Stage::Previous.is_permanent() && !blue.is_permanent());
/// # Ok::<(), strongroom::StageNameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// `SYSCURRENT`: the version in use. It is always on some version.
    Current,
    /// `SYSPREVIOUS`: the version that was in use before.
    Previous,
    /// `SYSPENDING`: the version that a rotation is about to put into use.
    Pending,
    /// A label that the user named. Any name that is not one of the three above, others that
    /// begin with `SYS` included (csms.md 8.1 row 12).
    Custom(Label),
}

impl Stage {
    /// The name on the wire, such as `SYSCURRENT`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Current => CURRENT,
            Self::Previous => PREVIOUS,
            Self::Pending => PENDING,
            Self::Custom(label) => label.as_str(),
        }
    }

    /// Whether the label can be moved but never removed: SYSCURRENT and SYSPREVIOUS
    /// (csms.md 2.3, 8.1 row 12).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Current | Self::Previous => true,
            Self::Pending | Self::Custom(_) => false,
        }
    }
}

impl FromStr for Stage {
    type Err = StageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => return Err(StageNameError::Empty),
            CURRENT => return Ok(Self::Current),
            PREVIOUS => return Ok(Self::Previous),
            PENDING => return Ok(Self::Pending),
            _ if text.len() > STAGE_LEN_MAX => {
                return Err(StageNameError::TooLong { len: text.len() });
            }
            _ => {}
        }
        match first_foreign(text, is_word_sign) {
            Some((at, found)) => Err(StageNameError::Character { at, found }),
            None => Ok(Self::Custom(Label(text.into()))),
        }
    }
}

impl AsRef<str> for Stage {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a [`Stage::Custom`], never that of a built-in stage (csms.md 1.5). Parsing a [`Stage`]
/// makes it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Label(Box<str>);

impl Label {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not the name of a stage.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StageNameError {
    /// A sign is not allowed.
    #[error("a stage's name may not have {found:?} (at byte {at})")]
    Character {
        /// Where it stands, in bytes from the start.
        at: usize,
        /// The sign.
        found: char,
    },
    /// There is no text.
    #[error("a stage's name may not be empty")]
    Empty,
    /// There are more than 64 bytes.
    #[error("a stage's name has at most {STAGE_LEN_MAX} signs, not {len}")]
    TooLong {
        /// How long the text is, in bytes.
        len: usize,
    },
}

/// Where the labels of one secret are.
///
/// Invariants: a label is on one version (it is the key of a map), and SYSCURRENT is on some
/// version. Which versions exist is not known here: who calls makes sure that `to` does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct StageMap(BTreeMap<Stage, Placement>);

/// Where a label is, and since when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Placement {
    /// The version that bears the label.
    pub(crate) version: VersionId,
    /// When the label came to this version.
    pub(crate) moved_at: Timestamp,
}

/// Whether a call moved a label.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Placed {
    /// At least one label has another place now.
    Moved,
    /// Each label already was where it should be. Nothing changed, times included.
    Unchanged,
}

impl StageMap {
    /// The map of a new secret: SYSCURRENT on its first version, no SYSPREVIOUS (csms.md 2.3).
    pub(crate) fn new(first: VersionId, at: Timestamp) -> Self {
        Self(BTreeMap::from([(Stage::Current, Placement { version: first, moved_at: at })]))
    }

    /// The map with these labels, as read from disk or from a backup.
    ///
    /// # Errors
    ///
    /// [`StagePartsError`] if they break an invariant.
    pub(crate) fn from_parts(
        parts: impl IntoIterator<Item = (Stage, Placement)>,
    ) -> Result<Self, StagePartsError> {
        let mut map = BTreeMap::new();
        for (stage, placement) in parts {
            if map.insert(stage, placement).is_some() {
                return Err(StagePartsError::Duplicate);
            }
        }
        if map.contains_key(&Stage::Current) {
            Ok(Self(map))
        } else {
            Err(StagePartsError::NoCurrent)
        }
    }

    /// Puts `stage` on the version `to`, whether it was elsewhere or nowhere before.
    ///
    /// SYSCURRENT drags SYSPREVIOUS along, to the version that SYSCURRENT left. A label that is
    /// on `to` already stays as it is (csms.md 2.3; 8.1 rows 4, 8, 9).
    ///
    /// # Errors
    ///
    /// [`StageError::Full`] if the secret would have more than `labels_max` labels. Nothing
    /// changed.
    pub(crate) fn place(
        &mut self,
        stage: &Stage,
        to: VersionId,
        at: Timestamp,
        labels_max: usize,
    ) -> Result<Placed, StageError> {
        self.shift(slice::from_ref(stage), to, at, labels_max)
    }

    /// Puts `stages`, or SYSCURRENT if there are none, on the new version `to`.
    ///
    /// All or nothing (csms.md 2.3; 8.1 rows 3, 5, 6, 7, 11). SYSCURRENT among them drags
    /// SYSPREVIOUS to the version that it left, unless SYSPREVIOUS is listed too: then both are on
    /// `to`, since listing overrides the default (the documents of `version_stages`), and the
    /// version that was current may be left without a label.
    ///
    /// # Errors
    ///
    /// * [`StageError::Listed`] if there are more than `labels_max` stages in the list.
    /// * [`StageError::Duplicate`] if a stage is listed twice.
    /// * [`StageError::Full`] if the secret would have more than `labels_max` labels.
    ///
    /// Nothing changed in any of these cases.
    pub(crate) fn place_new(
        &mut self,
        stages: &[Stage],
        to: VersionId,
        at: Timestamp,
        labels_max: usize,
    ) -> Result<Placed, StageError> {
        if stages.len() > labels_max {
            return Err(StageError::Listed { listed: stages.len(), max: labels_max });
        }
        let mut sorted: Vec<&Stage> = stages.iter().collect();
        sorted.sort_unstable();
        if let Some((twice, _)) = sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a == b) {
            return Err(StageError::Duplicate { stage: (*twice).clone() });
        }
        let stages = if stages.is_empty() { &[Stage::Current] } else { stages };
        self.shift(stages, to, at, labels_max)
    }

    /// Takes `stage` off the version that bears it, and returns that version.
    ///
    /// The version may be left without a label, and so be dropped later.
    ///
    /// # Errors
    ///
    /// * [`StageError::Permanent`] for SYSCURRENT and SYSPREVIOUS (csms.md 2.3).
    /// * [`StageError::NotFound`] if no version bears it (csms.md 8.1 row 14).
    pub(crate) fn remove(&mut self, stage: &Stage) -> Result<VersionId, StageError> {
        if stage.is_permanent() {
            return Err(StageError::Permanent { stage: stage.clone() });
        }
        match self.0.remove(stage) {
            Some(placement) => Ok(placement.version),
            None => Err(StageError::NotFound { stage: stage.clone() }),
        }
    }

    /// Where `stage` is, and since when.
    pub(crate) fn placement(&self, stage: &Stage) -> Option<Placement> {
        self.0.get(stage).copied()
    }

    /// The version that bears `stage`.
    pub(crate) fn version_of(&self, stage: &Stage) -> Option<VersionId> {
        self.placement(stage).map(|placement| placement.version)
    }

    /// The version that `reference` means. A number is handed back as it is: the version may not
    /// exist.
    pub(crate) fn resolve(&self, reference: &VersionRef) -> Option<VersionId> {
        match reference {
            VersionRef::Id(id) => Some(*id),
            VersionRef::Stage(stage) => self.version_of(stage),
            VersionRef::Latest => self.version_of(&LATEST),
        }
    }

    /// The labels on `version`, in order.
    pub(crate) fn labels_of(&self, version: VersionId) -> Vec<Stage> {
        self.iter()
            .filter(|(_, at)| at.version == version)
            .map(|(stage, _)| stage.clone())
            .collect()
    }

    /// Whether `version` bears a label.
    pub(crate) fn is_labelled(&self, version: VersionId) -> bool {
        self.0.values().any(|placement| placement.version == version)
    }

    /// How many labels the secret has, built-in ones included; at least 1.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Every label and where it is, in order of the labels.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Stage, Placement)> {
        self.0.iter().map(|(stage, placement)| (stage, *placement))
    }

    /// The version to drop when there are too many: the oldest without a label, of `versions` in
    /// ascending order. `None` if each bears one (csms.md 8.1 rows 1 and 2).
    ///
    /// Ask after [`place_new`](Self::place_new), with the new version in the list: the labels
    /// that it took may have freed one.
    pub(crate) fn droppable(&self, versions: &[VersionId]) -> Option<VersionId> {
        versions.iter().copied().find(|version| !self.is_labelled(*version))
    }

    /// The one function that moves labels: each of `stages`, which are distinct, goes to `to`,
    /// and SYSCURRENT drags SYSPREVIOUS. It checks before it changes anything.
    fn shift(
        &mut self,
        stages: &[Stage],
        to: VersionId,
        at: Timestamp,
        labels_max: usize,
    ) -> Result<Placed, StageError> {
        let dragged = self.dragged(stages, to);
        let moves: Vec<(&Stage, VersionId)> = stages
            .iter()
            .map(|stage| (stage, to))
            .chain(dragged.map(|from| (&Stage::Previous, from)))
            .filter(|(stage, to)| self.version_of(stage) != Some(*to))
            .collect();

        let added = moves.iter().filter(|(stage, _)| !self.0.contains_key(stage)).count();
        let labels = self.len().saturating_add(added);
        // A limit that was lowered later does not keep the labels that exist from moving.
        if added > 0 && labels > labels_max {
            return Err(StageError::Full { labels, max: labels_max });
        }

        let placed = if moves.is_empty() { Placed::Unchanged } else { Placed::Moved };
        for (stage, version) in moves {
            self.0.insert(stage.clone(), Placement { version, moved_at: at });
        }
        Ok(placed)
    }

    /// Where SYSPREVIOUS has to go when `stages` go to `to`: the version that SYSCURRENT leaves,
    /// unless it leaves none or SYSPREVIOUS has a place of its own in the list.
    fn dragged(&self, stages: &[Stage], to: VersionId) -> Option<VersionId> {
        if !stages.contains(&Stage::Current) || stages.contains(&Stage::Previous) {
            return None;
        }
        self.version_of(&Stage::Current).filter(|from| *from != to)
    }
}

/// Why labels were not moved or removed. Nothing changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum StageError {
    /// The list for a new version names a label twice (csms.md 8.1 row 7: CSMS.0002).
    #[error("{stage} is listed twice")]
    Duplicate { stage: Stage },
    /// The secret would have more labels than it may (csms.md 8.1 row 11: CSMS.0203).
    #[error("the secret would have {labels} labels, and may have {max}")]
    Full { labels: usize, max: usize },
    /// The list for a new version is longer than all the labels that a secret may have
    /// (csms.md 8.1 row 11: CSMS.0204).
    #[error("{listed} labels are listed, and a secret may have {max}")]
    Listed { listed: usize, max: usize },
    /// No version bears the label (csms.md 8.1 row 14).
    #[error("no version is labelled {stage}")]
    NotFound { stage: Stage },
    /// The label can be moved but not removed (csms.md 2.3: CSMS.0105).
    #[error("{stage} cannot be removed")]
    Permanent { stage: Stage },
}

/// Why labels that were read do not make a map.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum StagePartsError {
    /// A label is on two versions, or twice on one.
    #[error("a label occurs twice")]
    Duplicate,
    /// SYSCURRENT is on no version.
    #[error("no version is the current one")]
    NoCurrent,
}

const CURRENT: &str = "SYSCURRENT";
const PREVIOUS: &str = "SYSPREVIOUS";
const PENDING: &str = "SYSPENDING";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const MAX: usize = 12;

    fn v(number: u64) -> VersionId {
        VersionId::from_number(number).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn stages(names: &str) -> Vec<Stage> {
        names.split_whitespace().map(|name| name.parse().unwrap()).collect()
    }

    /// `SYSCURRENT=2 a=1` as a map; every label came to its place at 0.
    fn map(text: &str) -> StageMap {
        StageMap::from_parts(text.split_whitespace().map(|part| {
            let (name, number) = part.split_once('=').unwrap();
            let placement = Placement { version: v(number.parse().unwrap()), moved_at: at(0) };
            (name.parse().unwrap(), placement)
        }))
        .unwrap()
    }

    fn shown(map: &StageMap) -> String {
        let parts = map.iter().map(|(stage, at)| format!("{stage}={}", at.version.number()));
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn stage_names_are_accepted_and_rejected() {
        use StageNameError::{Character, Empty, TooLong};
        let long = "x".repeat(65);
        let custom = |text: &str| Ok(Stage::Custom(Label(text.into())));
        let cases: &[(&str, &str, Result<Stage, StageNameError>)] = &[
            ("the current", "SYSCURRENT", Ok(Stage::Current)),
            ("the previous", "SYSPREVIOUS", Ok(Stage::Previous)),
            ("the pending", "SYSPENDING", Ok(Stage::Pending)),
            ("small letters are another label", "syscurrent", custom("syscurrent")),
            ("another SYS name (row 12)", "SYSOTHER", custom("SYSOTHER")),
            ("every kind of sign", "azAZ09_-", custom("azAZ09_-")),
            ("the longest", &long[..64], custom(&long[..64])),
            ("one byte more", &long, Err(TooLong { len: 65 })),
            ("nothing", "", Err(Empty)),
            ("a dot (7.2)", "a.b", Err(Character { at: 1, found: '.' })),
            ("beyond ASCII", "\u{e9}", Err(Character { at: 0, found: '\u{e9}' })),
        ];
        for (what, text, want) in cases {
            let got = text.parse::<Stage>();
            assert_eq!(&got, want, "case: {what}");
            if let Ok(stage) = got {
                assert_eq!(stage.to_string(), *text, "case: {what}");
            }
        }
    }

    #[test]
    fn built_in_stages_come_before_custom_ones() {
        let mut all = stages("b SYSPENDING a SYSPREVIOUS A SYSCURRENT");
        all.sort();
        assert_eq!(all, stages("SYSCURRENT SYSPREVIOUS SYSPENDING A a b"));
    }

    #[test]
    fn labels_move_to_a_new_version_as_csms_says() {
        // What it is (row of csms.md 8.1), before, listed for version 9, after.
        let cases = [
            ("2.3 the default, first time", "SYSCURRENT=1", "", "SYSCURRENT=9 SYSPREVIOUS=1"),
            (
                "2.3 the default, later",
                "SYSCURRENT=2 SYSPREVIOUS=1",
                "",
                "SYSCURRENT=9 SYSPREVIOUS=2",
            ),
            (
                "row 3: SYSCURRENT listed",
                "SYSCURRENT=2 SYSPREVIOUS=1 a=1",
                "a SYSCURRENT",
                "SYSCURRENT=9 SYSPREVIOUS=2 a=9",
            ),
            (
                "row 5: without SYSCURRENT",
                "SYSCURRENT=2 SYSPREVIOUS=1",
                "SYSPENDING a",
                "SYSCURRENT=2 SYSPREVIOUS=1 SYSPENDING=9 a=9",
            ),
            (
                "row 5: only SYSPREVIOUS",
                "SYSCURRENT=2 SYSPREVIOUS=1",
                "SYSPREVIOUS",
                "SYSCURRENT=2 SYSPREVIOUS=9",
            ),
            ("row 6: an empty list", "SYSCURRENT=1 a=1", "", "SYSCURRENT=9 SYSPREVIOUS=1 a=1"),
            (
                "2.3 override: both listed",
                "SYSCURRENT=2 SYSPREVIOUS=1",
                "SYSCURRENT SYSPREVIOUS",
                "SYSCURRENT=9 SYSPREVIOUS=9",
            ),
            (
                "2.3 override: both listed, the other order",
                "SYSCURRENT=2",
                "SYSPREVIOUS SYSCURRENT",
                "SYSCURRENT=9 SYSPREVIOUS=9",
            ),
        ];
        for (what, before, listed, after) in cases {
            let mut map = map(before);
            let placed = map.place_new(&stages(listed), v(9), at(5), MAX);
            assert_eq!(placed, Ok(Placed::Moved), "case: {what}");
            assert_eq!(shown(&map), after, "case: {what}");
        }
    }

    #[test]
    fn one_label_moves_as_csms_says() {
        use Placed::{Moved, Unchanged};
        // What it is (row of csms.md 8.1), before, the label, its new version, result, after.
        let cases = [
            ("2.3 a new label", "SYSCURRENT=1", "a", 1, Moved, "SYSCURRENT=1 a=1"),
            ("2.3 a label elsewhere", "SYSCURRENT=1 a=1", "a", 2, Moved, "SYSCURRENT=1 a=2"),
            ("a label there already", "SYSCURRENT=1 a=2", "a", 2, Unchanged, "SYSCURRENT=1 a=2"),
            (
                "row 4: SYSCURRENT drags SYSPREVIOUS",
                "SYSCURRENT=3 SYSPREVIOUS=2",
                "SYSCURRENT",
                1,
                Moved,
                "SYSCURRENT=1 SYSPREVIOUS=3",
            ),
            (
                "row 4: back to the previous one",
                "SYSCURRENT=2 SYSPREVIOUS=1",
                "SYSCURRENT",
                1,
                Moved,
                "SYSCURRENT=1 SYSPREVIOUS=2",
            ),
            (
                "row 4: SYSCURRENT there already",
                "SYSCURRENT=2 SYSPREVIOUS=1",
                "SYSCURRENT",
                2,
                Unchanged,
                "SYSCURRENT=2 SYSPREVIOUS=1",
            ),
            (
                "row 8: SYSPREVIOUS by hand",
                "SYSCURRENT=3 SYSPREVIOUS=2",
                "SYSPREVIOUS",
                1,
                Moved,
                "SYSCURRENT=3 SYSPREVIOUS=1",
            ),
            (
                "row 9: both on one version",
                "SYSCURRENT=3 SYSPREVIOUS=2",
                "SYSPREVIOUS",
                3,
                Moved,
                "SYSCURRENT=3 SYSPREVIOUS=3",
            ),
            (
                "row 9: and apart again",
                "SYSCURRENT=3 SYSPREVIOUS=3",
                "SYSCURRENT",
                4,
                Moved,
                "SYSCURRENT=4 SYSPREVIOUS=3",
            ),
            (
                "row 12: SYSPENDING by hand",
                "SYSCURRENT=1",
                "SYSPENDING",
                2,
                Moved,
                "SYSCURRENT=1 SYSPENDING=2",
            ),
        ];
        for (what, before, stage, to, want, after) in cases {
            let mut map = map(before);
            let placed = map.place(&stage.parse().unwrap(), v(to), at(5), MAX);
            assert_eq!(placed, Ok(want), "case: {what}");
            assert_eq!(shown(&map), after, "case: {what}");
        }
    }

    #[test]
    fn what_csms_refuses_changes_nothing() {
        let eleven = "SYSCURRENT=1 a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1";
        let twelve = &format!("{eleven} k=1");
        let thirteen = "a b c d e f g h i j k l m";
        let full = Err(StageError::Full { labels: 13, max: 12 });
        let twice = |stage: &str| Err(StageError::Duplicate { stage: stage.parse().unwrap() });
        // What it is (row of csms.md 8.1), before, listed for version 9, result.
        let cases = [
            ("row 7: twice", "SYSCURRENT=1", "a b a", twice("a")),
            (
                "row 7: twice SYSCURRENT",
                "SYSCURRENT=1",
                "SYSCURRENT SYSCURRENT",
                twice("SYSCURRENT"),
            ),
            ("row 10: the twelfth", eleven, "k", Ok(Placed::Moved)),
            ("row 10: the twelfth is SYSPREVIOUS", eleven, "", Ok(Placed::Moved)),
            ("row 11: the thirteenth", twelve, "l", full.clone()),
            ("row 11: the thirteenth is SYSPREVIOUS", twelve, "", full),
            (
                "row 11: twelve that exist may move",
                twelve,
                "a b c d e f g h i j k",
                Ok(Placed::Moved),
            ),
            (
                "row 11: a list of twelve",
                "SYSCURRENT=1 SYSPREVIOUS=1",
                "SYSCURRENT SYSPREVIOUS a b c d e f g h i j",
                Ok(Placed::Moved),
            ),
            (
                "row 11: a list of thirteen",
                "SYSCURRENT=1",
                thirteen,
                Err(StageError::Listed { listed: 13, max: 12 }),
            ),
        ];
        for (what, before, listed, want) in cases {
            let before = map(before);
            let mut after = before.clone();
            let placed = after.place_new(&stages(listed), v(9), at(5), MAX);
            assert_eq!(placed, want, "case: {what}");
            assert_eq!(after == before, want.is_err(), "case: {what}");
        }
    }

    #[test]
    fn labels_are_removed_unless_built_in() {
        let before = map("SYSCURRENT=2 SYSPREVIOUS=1 SYSPENDING=3 a=1");
        let permanent = |stage| Err(StageError::Permanent { stage });
        let missing = "b".parse::<Stage>().unwrap();
        let cases = [
            ("2.3: SYSCURRENT", "SYSCURRENT", permanent(Stage::Current)),
            ("2.3: SYSPREVIOUS", "SYSPREVIOUS", permanent(Stage::Previous)),
            ("row 12: SYSPENDING", "SYSPENDING", Ok(v(3))),
            ("a custom label", "a", Ok(v(1))),
            ("row 14: no such label", "b", Err(StageError::NotFound { stage: missing })),
        ];
        for (what, stage, want) in cases {
            let stage: Stage = stage.parse().unwrap();
            let mut map = before.clone();
            assert_eq!(map.remove(&stage), want, "case: {what}");
            match want {
                Ok(_) => assert_eq!(map.version_of(&stage), None, "case: {what}"),
                Err(_) => assert_eq!(map, before, "case: {what}"),
            }
        }
        // SYSPREVIOUS cannot be removed even while it does not exist.
        assert_eq!(map("SYSCURRENT=1").remove(&Stage::Previous), permanent(Stage::Previous));
    }

    #[test]
    fn a_label_that_stays_keeps_its_time() {
        let mut map = StageMap::new(v(1), at(10));
        assert_eq!(map.place_new(&[], v(2), at(20), MAX), Ok(Placed::Moved));
        assert_eq!(map.place(&Stage::Current, v(2), at(30), MAX), Ok(Placed::Unchanged));
        assert_eq!(map.placement(&Stage::Current).unwrap().moved_at, at(20));
        // SYSPREVIOUS is dragged to where it is already.
        assert_eq!(map.place(&Stage::Previous, v(2), at(40), MAX), Ok(Placed::Moved));
        assert_eq!(map.place(&Stage::Current, v(3), at(50), MAX), Ok(Placed::Moved));
        let previous = Placement { version: v(2), moved_at: at(40) };
        assert_eq!(map.placement(&Stage::Previous), Some(previous));
    }

    #[test]
    fn a_lowered_limit_lets_existing_labels_move() {
        let mut map = map("SYSCURRENT=1 SYSPREVIOUS=1 a=1 b=1");
        assert_eq!(map.place(&Stage::Current, v(2), at(1), 2), Ok(Placed::Moved));
        let full = Err(StageError::Full { labels: 5, max: 2 });
        assert_eq!(map.place(&Stage::Pending, v(2), at(1), 2), full);
    }

    #[test]
    fn versions_are_found_by_what_points_at_them() {
        let map = map("SYSCURRENT=2 SYSPREVIOUS=1 SYSPENDING=3 a=2");
        let cases = [
            ("a number, unchecked", VersionRef::Id(v(7)), Some(v(7))),
            ("row 15: latest is SYSCURRENT", VersionRef::Latest, Some(v(2))),
            ("a label", VersionRef::Stage(Stage::Pending), Some(v(3))),
            ("row 14: no such label", VersionRef::Stage("b".parse().unwrap()), None),
        ];
        for (what, reference, want) in cases {
            assert_eq!(map.resolve(&reference), want, "case: {what}");
        }
        assert_eq!(map.labels_of(v(2)), stages("SYSCURRENT a"));
        assert_eq!(map.labels_of(v(7)), []);
    }

    #[test]
    fn the_oldest_version_without_a_label_is_dropped() {
        let map = map("SYSCURRENT=5 SYSPREVIOUS=3 a=1");
        let cases: &[(&str, &[u64], Option<u64>)] = &[
            ("row 1: the oldest of two", &[1, 2, 3, 4, 5], Some(2)),
            ("row 1: with gaps", &[1, 3, 4, 5], Some(4)),
            ("row 1: all labelled", &[1, 3, 5], None),
            ("no version", &[], None),
        ];
        for (what, versions, want) in cases {
            let versions: Vec<_> = versions.iter().copied().map(v).collect();
            assert_eq!(map.droppable(&versions), want.map(v), "case: {what}");
        }
    }

    #[test]
    fn parts_that_break_a_rule_make_no_map() {
        let place = |number| Placement { version: v(number), moved_at: at(0) };
        let a: Stage = "a".parse().unwrap();
        let cases = [
            ("nothing", vec![], Err(StagePartsError::NoCurrent)),
            ("no SYSCURRENT", vec![(a.clone(), place(1))], Err(StagePartsError::NoCurrent)),
            (
                "a label twice",
                vec![(Stage::Current, place(1)), (a.clone(), place(1)), (a, place(2))],
                Err(StagePartsError::Duplicate),
            ),
            ("only SYSCURRENT", vec![(Stage::Current, place(1))], Ok(())),
        ];
        for (what, parts, want) in cases {
            assert_eq!(StageMap::from_parts(parts).map(|_| ()), want, "case: {what}");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        New(Vec<Stage>),
        Place(Stage, Index),
        Remove(Stage),
        Drop,
    }

    fn any_stage() -> impl Strategy<Value = Stage> {
        prop::sample::select(stages("SYSCURRENT SYSPREVIOUS SYSPENDING a b c d e"))
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => prop::collection::vec(any_stage(), 0..7).prop_map(Step::New),
            3 => (any_stage(), any::<Index>()).prop_map(|(stage, to)| Step::Place(stage, to)),
            1 => any_stage().prop_map(Step::Remove),
            1 => Just(Step::Drop),
        ]
    }

    proptest! {
        /// Whatever is asked of it in whatever order, a map keeps its rules, and a step that
        /// it refuses changes nothing.
        #[test]
        fn the_laws_of_labels_hold_for_any_sequence(
            steps in prop::collection::vec(any_step(), 0..60),
            max in 2..7_usize,
        ) {
            let mut map = StageMap::new(v(1), at(0));
            let mut versions = vec![v(1)];
            for (tick, step) in (1..).zip(steps) {
                let before = map.clone();
                let mut both_listed = false;
                let refused = match step {
                    Step::New(list) => {
                        let to = versions.last().unwrap().next().unwrap();
                        let placed = map.place_new(&list, to, at(tick), max);
                        both_listed = list.contains(&Stage::Previous);
                        if placed.is_ok() {
                            versions.push(to);
                            let listed = if list.is_empty() { vec![Stage::Current] } else { list };
                            for stage in listed {
                                prop_assert_eq!(map.version_of(&stage), Some(to));
                            }
                        }
                        placed.is_err()
                    }
                    Step::Place(stage, to) => {
                        let to = versions[to.index(versions.len())];
                        let placed = map.place(&stage, to, at(tick), max);
                        prop_assert_eq!(placed == Ok(Placed::Moved), map != before);
                        if placed.is_ok() {
                            prop_assert_eq!(map.version_of(&stage), Some(to));
                        }
                        placed.is_err()
                    }
                    Step::Remove(stage) => map.remove(&stage).is_err(),
                    Step::Drop => {
                        if let Some(gone) = map.droppable(&versions) {
                            prop_assert!(map.labels_of(gone).is_empty());
                            let older = versions.iter().take_while(|kept| **kept != gone);
                            prop_assert!(older.copied().all(|kept| map.is_labelled(kept)));
                            versions.retain(|kept| *kept != gone);
                        } else {
                            prop_assert!(versions.iter().all(|kept| map.is_labelled(*kept)));
                        }
                        false
                    }
                };
                if refused {
                    prop_assert_eq!(&map, &before, "a refused step changed something");
                }
                let from = before.version_of(&Stage::Current);
                let to = map.version_of(&Stage::Current);
                prop_assert!(to.is_some(), "SYSCURRENT is gone");
                if from != to && !both_listed {
                    prop_assert_eq!(map.version_of(&Stage::Previous), from);
                }
                prop_assert!(map.len() <= max);
                // Each label is on one version, and that version exists.
                let on_versions: usize = versions.iter().map(|id| map.labels_of(*id).len()).sum();
                prop_assert_eq!(on_versions, map.len());
                let parts = map.iter().map(|(stage, place)| (stage.clone(), place));
                prop_assert_eq!(StageMap::from_parts(parts), Ok(map.clone()));
            }
        }
    }
}
