//! Rotations listed as tasks: those under way from the secrets, those that ended from the audit log.

use std::collections::HashMap;

use super::{SecretStore, bounds::page_limit};
use crate::{
    domain::{
        Action, FunctionUrn, OpenTask, SecretName, SecretSubType, TaskId, TaskStatus, Timestamp,
        VersionId, limits::TASKS_KEPT_MS,
    },
    error::{CsmsCode, Error},
    records::{EndedRotation, Outcome, SecretFacts},
};

/// Which rotation tasks to list (csms.md 3.6). All of the last three months by default, 50 at a time.
#[derive(Clone, Debug, Default)]
#[must_use = "a request does nothing by itself"]
pub struct ListTasks {
    secret: Option<SecretName>,
    status: Option<TaskStatus>,
    id: Option<TaskId>,
    marker: Option<TaskId>,
    limit: Option<usize>,
}

impl ListTasks {
    /// The 50 newest tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only tasks of this secret, or of another one that had its name.
    pub fn secret(self, name: SecretName) -> Self {
        Self { secret: Some(name), ..self }
    }

    /// Only tasks that stand so.
    pub fn status(self, status: TaskStatus) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Only this task. Nothing else may be asked then (csms.md 3.6).
    pub fn id(self, id: TaskId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Only tasks behind this one in the list: the last of the page before.
    pub fn marker(self, marker: TaskId) -> Self {
        Self { marker: Some(marker), ..self }
    }

    /// At most so many, from 1 to 1,000.
    pub fn limit(self, limit: usize) -> Self {
        Self { limit: Some(limit), ..self }
    }

    fn admits(&self, task: &RotationTask) -> bool {
        self.secret.as_ref().is_none_or(|name| *name == task.secret_name)
            && self.status.is_none_or(|status| status == task.status)
            && self.id.is_none_or(|id| id == task.id)
    }
}

/// One page of a list of tasks (csms.md 3.6).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TaskPage {
    tasks: Vec<RotationTask>,
    total: usize,
    has_more: bool,
}

impl TaskPage {
    /// The tasks of this page, the newest first.
    #[must_use]
    pub fn items(&self) -> &[RotationTask] {
        &self.tasks
    }

    /// How many tasks there are on all pages.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether there is more behind this page. Ask for it with the last task as the marker.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }
}

/// A rotation as a task (csms.md 1.9). Times are whole seconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotationTask {
    id: TaskId,
    secret_name: SecretName,
    status: TaskStatus,
    begun: Timestamp,
    ended: Option<Timestamp>,
    next_attempt: Option<Timestamp>,
    attempts: u32,
    error: Option<String>,
    error_code: Option<CsmsCode>,
    version_id: Option<VersionId>,
    function_urn: Option<FunctionUrn>,
    sub_type: Option<SecretSubType>,
}

impl RotationTask {
    fn running(name: &SecretName, task: &OpenTask) -> Self {
        Self {
            next_attempt: Some(task.next_attempt.whole_seconds()),
            ..Self::bare((task.id, name), TaskStatus::Running, (task.begun, task.attempts))
        }
        .because(Some(&task.error))
    }

    fn ended(ended: &EndedRotation) -> Self {
        let status = match ended.outcome {
            Outcome::Rotated => TaskStatus::Success,
            Outcome::Cancelled | Outcome::Failed => TaskStatus::Failed,
        };
        let note = &ended.note;
        let begun = note.begun.unwrap_or(ended.at);
        Self {
            ended: Some(ended.at.whole_seconds()),
            version_id: ended.version,
            ..Self::bare((note.id, &ended.name), status, (begun, note.attempts))
        }
        .because(note.error.as_deref())
    }

    fn bare(
        (id, name): (TaskId, &SecretName),
        status: TaskStatus,
        (begun, attempts): (Timestamp, u32),
    ) -> Self {
        Self {
            id,
            secret_name: name.clone(),
            status,
            begun: begun.whole_seconds(),
            ended: None,
            next_attempt: None,
            attempts,
            error: None,
            error_code: None,
            version_id: None,
            function_urn: None,
            sub_type: None,
        }
    }

    /// The same task, that failed as far as it did for what was [kept](kept_of) of an error.
    fn because(self, kept: Option<&str>) -> Self {
        let Some(kept) = kept else { return self };
        let coded = kept.split_once(CODE_END);
        let coded = coded.and_then(|(code, words)| Some((CsmsCode::named(code)?, words)));
        let (code, words) = coded.map_or((None, kept), |(code, words)| (Some(code), words));
        Self { error: Some(words.to_owned()), error_code: code, ..self }
    }

    fn of_secret(self, facts: Option<&SecretFacts>) -> Self {
        let policy = facts.and_then(|facts| facts.rotation.as_deref());
        let config = policy.and_then(|policy| policy.config.as_ref());
        Self {
            function_urn: policy.and_then(|policy| policy.function_urn.clone()),
            sub_type: config.and_then(crate::domain::RotationConfig::sub_type),
            ..self
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// The secret. It may be gone.
    #[must_use]
    pub fn secret_name(&self) -> &SecretName {
        &self.secret_name
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> TaskStatus {
        self.status
    }

    /// When its first attempt was made.
    #[must_use]
    pub fn begun(&self) -> Timestamp {
        self.begun
    }

    /// When it ended, if it has.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended
    }

    /// When it is tried again, if it is under way.
    #[must_use]
    pub fn next_attempt(&self) -> Option<Timestamp> {
        self.next_attempt
    }

    /// How many attempts were made.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why the last attempt failed: the text of its error, `cancelled` if it was. None of a success.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The code of that error: `task_error_code` of CSMS (csms.md 1.9). None of a success, and of a
    /// rotation that was cancelled.
    #[must_use]
    pub fn error_code(&self) -> Option<CsmsCode> {
        self.error_code
    }

    /// The version it made, if it succeeded.
    #[must_use]
    pub fn version_id(&self) -> Option<VersionId> {
        self.version_id
    }

    /// The function that rotates the secret, by what the secret says now.
    #[must_use]
    pub fn rotation_func_urn(&self) -> Option<&FunctionUrn> {
        self.function_urn.as_ref()
    }

    /// How many accounts take turns, by what the secret says now: `operate_type` of CSMS.
    #[must_use]
    pub fn operate_type(&self) -> Option<SecretSubType> {
        self.sub_type
    }
}

/// What stands between code and words of an error that a task keeps.
const CODE_END: &str = ": ";

/// What a task keeps of an error, as one text: its code and its words.
pub(super) fn kept_of(error: &Error) -> String {
    format!("{}{CODE_END}{error}", error.code().code)
}

impl SecretStore {
    /// A page of rotation tasks, the newest first: those under way, and those that ended in the last
    /// three months, manual rotations included (csms.md 3.6, 8.3 rows 64 and 65). A manual rotation that
    /// failed is none, since its caller was told.
    ///
    /// What was cut off the audit log is not told of. Reads the audit log of three months, some
    /// microseconds a record.
    ///
    /// # Errors
    ///
    /// * [`Error::Denied`] if the caller may list the tasks of no secret. Of one who may list those of
    ///   some, the page and its total have these alone.
    /// * [`Error::InvalidArgument`] if the limit is not from 1 to 1,000, an id is asked for together with
    ///   something else, or there is no task as the marker says.
    /// * [`Error::Tampered`] if a record is not what was written.
    /// * [`Error::Storage`] if reading failed, [`Error::InvalidState`] if the store is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let key = strongroom::MasterKey::generate()?;
    /// # let store = strongroom::SecretStore::builder().master_key(key).create(dir.path().join("s"))?;
    /// use strongroom::{ListTasks, NewSecret, SecretType, SecretValue, TaskStatus};
    ///
    /// let value = SecretValue::from_string(r#"{"users":[{"name":"app","password":"first"}]}"#);
    /// let new = NewSecret::new("db".parse()?, value).secret_type(SecretType::RdsFg);
    /// store.create_secret(new)?;
    /// let rotation = store.rotate(&"db".parse()?)?;
    ///
    /// let page = store.tasks(&ListTasks::new().id(rotation.task_id()))?;
    /// assert_eq!(page.items()[0].status(), TaskStatus::Success);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "ListSecretTask")]
    pub fn tasks(&self, list: &ListTasks) -> Result<TaskPage, Error> {
        self.permit_somewhere(Action::ListTasks)?;
        let limit = page_limit(list.limit)?;
        let ListTasks { secret, status, id, marker, .. } = list;
        let more = secret.is_some() || status.is_some() || marker.is_some() || list.limit.is_some();
        if id.is_some() && more {
            return Err(Error::invalid("task id", "nothing else can be asked together with it"));
        }
        let mut tasks = self.all_tasks()?;
        tasks.retain(|task| self.may(Action::ListTasks, &task.secret_name) && list.admits(task));
        tasks.sort_by_key(|task| std::cmp::Reverse((task.begun, task.id)));
        let total = tasks.len();
        if let Some(marker) = marker {
            let at = tasks.iter().position(|task| task.id == *marker);
            let at = at.ok_or_else(|| Error::invalid("marker", "there is no such task"))?;
            tasks.drain(..=at);
        }
        let has_more = tasks.len() > limit;
        tasks.truncate(limit);
        let mut told = Vec::with_capacity(tasks.len());
        for task in tasks {
            let facts = self.inner.records.facts(&task.secret_name)?;
            told.push(task.of_secret(facts.as_deref()));
        }
        Ok(TaskPage { tasks: told, total, has_more })
    }

    fn all_tasks(&self) -> Result<Vec<RotationTask>, Error> {
        let (records, now) = (&self.inner.records, self.inner.clock.now());
        records.engine.wait_ready()?;
        // Of a secret whose deletion is due none is under way.
        let gone = self.remove_due();
        let since = Timestamp::from_millis(now.as_millis().saturating_sub(TASKS_KEPT_MS));
        // Those under way first: one that ends meanwhile is then told of as ended, or twice.
        let mut tasks = HashMap::new();
        for name in records.rotating()?.into_iter().filter(|name| !gone.contains(name)) {
            let seen = records.seen(&name)?;
            let open = seen.as_ref().and_then(|seen| seen.secret.body.rotation.task.as_ref());
            tasks.extend(open.map(|open| (open.id, RotationTask::running(&name, open))));
        }
        for ended in records.ended_rotations(since)? {
            tasks.insert(ended.note.id, RotationTask::ended(&ended));
        }
        Ok(tasks.into_values().collect())
    }
}
