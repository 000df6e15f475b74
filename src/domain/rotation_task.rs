//! A rotation as a task: under way, or ended and told of by an audit record.

use std::fmt;
use std::str::FromStr;

use crate::domain::Timestamp;
use crate::domain::limits::{ROTATION_ATTEMPTS_MAX, ROTATION_BACK_OFF_MS, TASK_ERROR_LEN_MAX};
use crate::domain::uuid::{parse_uuid, uuid_text};

/// The id of a rotation task, in the form of a UUID (csms.md 1.9). That of a rotation made at once follows
/// from secret and version, so that a repeated request tells of the same one; others are random.
///
/// # Examples
///
/// ```
/// use strongroom::TaskId;
///
/// let id: TaskId = "a71a4b47-6cac-4f11-92c1-21a165bb6401".parse()?;
/// assert_eq!(id.to_string(), "a71a4b47-6cac-4f11-92c1-21a165bb6401");
/// assert!("a71a4b47".parse::<TaskId>().is_err());
/// # Ok::<(), strongroom::TaskIdError>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TaskId([u8; 16]);

impl TaskId {
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&uuid_text(&self.0))
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

impl FromStr for TaskId {
    type Err = TaskIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_uuid(text).map(Self).ok_or(TaskIdError)
    }
}

/// A text that is no id of a task.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a task is a UUID in small letters")]
pub struct TaskIdError;

/// How a rotation task stands (csms.md 1.9, 8.3 row 64).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TaskStatus {
    /// `FAILED`: all attempts failed, or it was cancelled. The secret is as it was before.
    Failed,
    /// `RUNNING`: an attempt failed and another one will be made.
    Running,
    /// `SUCCESS`: the secret was rotated.
    Success,
}

impl TaskStatus {
    /// The word on the wire: `SUCCESS`, `FAILED` or `RUNNING`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "FAILED",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A rotation that was begun and has not ended: at least one attempt failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct OpenTask {
    pub(crate) id: TaskId,
    pub(crate) begun: Timestamp,
    /// Attempts that failed.
    pub(crate) attempts: u32,
    pub(crate) next_attempt: Timestamp,
    /// Why the last attempt failed: a code and words.
    pub(crate) error: String,
}

/// What comes of an attempt that failed.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum AfterFailure {
    /// There will be another one.
    Again(OpenTask),
    /// That was the last one.
    Failed(OpenTask),
}

impl OpenTask {
    /// A task whose attempt fails at `at`: the one under way, or a new one.
    pub(crate) fn after_failure(
        open: Option<&Self>,
        new_id: TaskId,
        at: Timestamp,
        error: &str,
    ) -> AfterFailure {
        let (id, begun) = open.map_or((new_id, at), |open| (open.id, open.begun));
        let before = open.map_or(0, |open| open.attempts);
        let wait_ms = 4_i64.saturating_pow(before).saturating_mul(ROTATION_BACK_OFF_MS);
        let attempts = before.saturating_add(1);
        let next_attempt = Timestamp::from_millis(at.as_millis().saturating_add(wait_ms));
        let task = Self { id, begun, attempts, next_attempt, error: shortened(error) };
        if attempts < ROTATION_ATTEMPTS_MAX {
            AfterFailure::Again(task)
        } else {
            AfterFailure::Failed(task)
        }
    }
}

/// What the audit record of a rotation says of its task, in one line:
/// `id`, then if there was a failure ` attempts=2 begun=1700000000250`, then if there is an error
/// `: ` and its text, which begins with a code if it has one: `: CSMS.0002: ...`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct TaskNote {
    pub(crate) id: TaskId,
    /// Attempts that were made.
    pub(crate) attempts: u32,
    /// When the first of them was made, if that is not when the record was written.
    pub(crate) begun: Option<Timestamp>,
    pub(crate) error: Option<String>,
}

impl TaskNote {
    /// Of a rotation that succeeded at once.
    pub(crate) fn at_once(id: TaskId) -> Self {
        Self { id, attempts: 1, begun: None, error: None }
    }

    /// Of a task whose last attempt failed, or which is given up.
    pub(crate) fn of(task: &OpenTask, error: &str) -> Self {
        let (attempts, begun) = (task.attempts, Some(task.begun));
        Self { id: task.id, attempts, begun, error: Some(shortened(error)) }
    }

    /// Of a task whose attempt succeeded after all.
    pub(crate) fn success(task: &OpenTask) -> Self {
        let attempts = task.attempts.saturating_add(1);
        Self { id: task.id, attempts, begun: Some(task.begun), error: None }
    }

    /// Reads a note back. `None` for a text that is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (head, error) = match text.split_once(": ") {
            Some((head, error)) => (head, Some(error.to_owned())),
            None => (text, None),
        };
        let mut words = head.split(' ');
        let id = words.next()?.parse().ok()?;
        let (mut attempts, mut begun) = (1, None);
        for word in words {
            match word.split_once('=')? {
                ("attempts", number) => attempts = number.parse().ok()?,
                ("begun", millis) => begun = Some(Timestamp::from_millis(millis.parse().ok()?)),
                _ => return None,
            }
        }
        Some(Self { id, attempts, begun, error })
    }
}

impl fmt::Display for TaskNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        if let Some(begun) = self.begun {
            write!(f, " attempts={} begun={}", self.attempts, begun.as_millis())?;
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

/// As much of a text as a task keeps.
fn shortened(text: &str) -> String {
    text.chars().take(TASK_ERROR_LEN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TaskId = TaskId::from_bytes([0xa7; 16]);
    const OTHER: TaskId = TaskId::from_bytes([1; 16]);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn ids_are_uuids() {
        let text = "a71a4b47-6cac-4f11-92c1-21a165bb6401";
        assert_eq!(text.parse::<TaskId>().unwrap().to_string(), text);
        let capital = text.to_uppercase();
        let bare = text.replace('-', "");
        let moved = text.replacen('-', "", 1) + "-";
        for bad in ["", "a71a4b47", &capital, &bare, &moved, &format!("{text}0"), "+1"] {
            assert_eq!(bad.parse::<TaskId>(), Err(TaskIdError), "case: {bad:?}");
        }
    }

    #[test]
    fn row_63_three_attempts_with_a_growing_wait_and_then_it_has_failed() {
        let first = OpenTask::after_failure(None, ID, at(1000), "one");
        let AfterFailure::Again(first) = first else { panic!("{first:?}") };
        let want = OpenTask {
            id: ID,
            begun: at(1000),
            attempts: 1,
            next_attempt: at(61_000),
            error: "one".to_owned(),
        };
        assert_eq!(first, want);
        let second = OpenTask::after_failure(Some(&first), OTHER, at(70_000), "two");
        let AfterFailure::Again(second) = second else { panic!("{second:?}") };
        assert_eq!((second.id, second.begun, second.attempts), (ID, at(1000), 2));
        assert_eq!((second.next_attempt, &*second.error), (at(310_000), "two"));
        let third = OpenTask::after_failure(Some(&second), OTHER, at(400_000), "three");
        let AfterFailure::Failed(third) = third else { panic!("{third:?}") };
        assert_eq!((third.id, third.attempts, &*third.error), (ID, 3, "three"));
    }

    #[test]
    fn notes_are_read_back() {
        let task = OpenTask {
            id: ID,
            begun: at(-5),
            attempts: 2,
            next_attempt: at(7),
            error: "no: such thing".to_owned(),
        };
        let cases = [
            ("at once", TaskNote::at_once(ID)),
            ("after failures", TaskNote::success(&task)),
            ("failed", TaskNote::of(&task, &task.error)),
            ("an error with a colon in front", TaskNote::of(&task, ": x")),
            ("an empty error", TaskNote::of(&task, "")),
        ];
        for (what, note) in cases {
            assert_eq!(TaskNote::read(&note.to_string()), Some(note), "case: {what}");
        }
        assert_eq!(TaskNote::at_once(ID).to_string(), ID.to_string());
        for bad in
            ["", "salvaged", &format!("{ID} x"), &format!("{ID} x=1"), &format!("{ID} attempts=x")]
        {
            assert_eq!(TaskNote::read(bad), None, "case: {bad:?}");
        }
    }

    #[test]
    fn long_errors_are_cut() {
        let long = "\u{e9}".repeat(1000);
        let failed = OpenTask::after_failure(None, ID, at(0), &long);
        let AfterFailure::Again(task) = failed else { panic!("{failed:?}") };
        assert_eq!(task.error.chars().count(), TASK_ERROR_LEN_MAX);
        assert!(TaskNote::of(&task, &long).to_string().len() < 700);
    }
}
