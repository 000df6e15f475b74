//! Labels: put on versions, of one secret or several at once, and taken off (csms.md 2.3).

use std::collections::BTreeSet;

use strongroom::{AuditOperation, Stage};

use super::{Change, Entry, LABELS_MAX, Model, Target, Use, floor};
use crate::{
    calls::{Before, LABELS, Move, NAMES},
    people::{EMBEDDER, Who, may},
    refusals::{
        BUILT_IN_LABEL, DENIED, INVALID, LABELS_FULL, LABELS_LISTED, MISSING, Refused, TOO_MUCH,
    },
};

/// The most moves of one call (csms.md 1.12).
const BATCH_MAX: usize = 20;

impl Model {
    pub fn stage(&mut self, name: usize, label: usize) -> Result<String, Refused> {
        self.look_at_table(name)?;
        self.entry(name)?.shown_label(&label_of(label))
    }

    /// 8.1 rows 4, 8 to 13.
    pub fn move_label(&mut self, target: Target, label: usize, to: u64) -> Result<String, Refused> {
        let stage = label_of(label);
        self.change(target, (Use::Metadata, Before::Anything), |_, entry, at| {
            entry.check_placing(target, &stage)?;
            let is_new = !entry.labels.contains_key(&stage);
            entry.check_kept(to, at)?;
            if !entry.place(std::slice::from_ref(&stage), to, at)? {
                return Ok(Change::Nothing);
            }
            entry.changed = at;
            let moves =
                if is_new { AuditOperation::CreateStage } else { AuditOperation::MoveStage };
            Ok(Change::Commit(moves, Some(to)))
        })?;
        self.secrets[NAMES[target.1]].shown_label(&stage)
    }

    /// All or none. Which of several refusals is told is open: all of them are given.
    pub fn move_many(&mut self, moves: &[Move]) -> Result<String, Vec<Refused>> {
        match moves.len() {
            0 => return Err(vec![INVALID]),
            1..=BATCH_MAX => {}
            _ => return Err(vec![TOO_MUCH]),
        }
        let names: BTreeSet<usize> = moves.iter().map(|it| it.name).collect();
        let (mut after, mut refused, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let own: Vec<&Move> = moves.iter().filter(|it| it.name == name).collect();
            match self.moved(name, &own) {
                Err(reason) => refused.push(reason),
                Ok(None) => {}
                Ok(Some((entry, to, at))) => {
                    let text = NAMES[name];
                    let operation = AuditOperation::MoveStage;
                    rows.push(entry.row((EMBEDDER, text), operation, Some(to), at));
                    after.push((text, entry));
                }
            }
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        if !rows.is_empty() {
            self.record(rows);
        }
        self.secrets.extend(after);
        let shown = |it: &Move| self.secrets[NAMES[it.name]].shown_label(&label_of(it.label));
        let shown: Vec<String> = moves.iter().map(|it| shown(it).expect("placed")).collect();
        Ok(format!("{shown:?}"))
    }

    /// A secret with labels moved, the version of the last that did, and when; `None` if none did.
    fn moved(&self, name: usize, moves: &[&Move]) -> Result<Option<(Entry, u64, i64)>, Refused> {
        let before = self.entry(name)?;
        before.admits(Use::Metadata)?;
        let (mut entry, at) = (before.clone(), self.now);
        let mut last = None;
        for one in moves {
            // What is required is compared with the secret as it was before the call.
            before.check(one.before)?;
            before.check_kept(one.to, at)?;
            if entry.place(&[label_of(one.label)], one.to, at)? {
                last = Some(one.to);
            }
        }
        let Some(to) = last else { return Ok(None) };
        entry.changed = at;
        entry.revision += 1;
        Ok(Some((entry, to, at)))
    }

    /// csms.md 2.3; 8.1 row 14; 8.5.
    pub fn unlabel(&mut self, target: Target, label: usize) -> Result<String, Refused> {
        let stage = label_of(label);
        if matches!(stage, Stage::Current | Stage::Previous) {
            // Whatever the secret's state is.
            self.meet(NAMES[target.1]);
            return self.entry(target.1).and(Err(BUILT_IN_LABEL));
        }
        self.change(target, (Use::Metadata, Before::Anything), |_, entry, at| {
            let (version, _) = entry.labels.remove(&stage).ok_or(MISSING)?;
            entry.changed = at;
            Ok(Change::Commit(AuditOperation::DeleteStage, Some(version)))
        })?;
        Ok(String::new())
    }
}

impl Entry {
    /// A label that is there takes another permission than one that is new.
    fn check_placing(&self, (who, name): Target, stage: &Stage) -> Result<(), Refused> {
        let there = self.labels.contains_key(stage);
        let action = if there { "csms:secret:updateStage" } else { "csms:secret:createStage" };
        allowed(who, action, name)
    }

    pub(super) fn place_new(&mut self, labels: &[Stage], to: u64, at: i64) -> Result<(), Refused> {
        if labels.len() > LABELS_MAX {
            return Err(LABELS_LISTED);
        }
        if labels.iter().collect::<BTreeSet<_>>().len() < labels.len() {
            return Err(INVALID);
        }
        let labels = if labels.is_empty() { &[Stage::Current] } else { labels };
        self.place(labels, to, at).map(drop)
    }

    /// Moves labels; says whether any moved.
    fn place(&mut self, labels: &[Stage], to: u64, at: i64) -> Result<bool, Refused> {
        let mut after = self.labels.clone();
        let mut put = |label: &Stage, to: u64| {
            if self.labels.get(label).map(|(there, _)| *there) != Some(to) {
                after.insert(label.clone(), (to, at));
            }
        };
        let left = self.labels[&Stage::Current].0;
        if labels.contains(&Stage::Current) && !labels.contains(&Stage::Previous) && left != to {
            put(&Stage::Previous, left);
        }
        labels.iter().for_each(|label| put(label, to));
        if after.len() > self.labels.len() && after.len() > LABELS_MAX {
            return Err(LABELS_FULL);
        }
        let moved = after != self.labels;
        self.labels = after;
        Ok(moved)
    }

    pub fn shown_label(&self, label: &Stage) -> Result<String, Refused> {
        let (id, since) = self.labels.get(label).ok_or(MISSING)?;
        Ok(format!("{label} v{id} {}", floor(*since)))
    }
}

pub(super) fn allowed(who: Who, action: &str, name: usize) -> Result<(), Refused> {
    if may(who, action, NAMES[name]) { Ok(()) } else { Err(DENIED) }
}

fn label_of(label: usize) -> Stage {
    LABELS[label].parse().unwrap()
}
