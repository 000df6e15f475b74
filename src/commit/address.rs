//! Where each kind of record lives.

use crate::{
    format::{Kind, Tree},
    storage::{Address, TreeSpec},
};

/// What stands for a secret's name on disk.
pub(crate) type NameId = [u8; 16];

/// The trees as the storage layer wants them.
pub(crate) fn tree_specs() -> Vec<TreeSpec> {
    Tree::ALL
        .into_iter()
        .map(|tree| TreeSpec { id: tree.id(), name: tree.name(), key_len: tree.key_len() })
        .collect()
}

pub(crate) fn root_address() -> Address {
    Address::new(Tree::System.id(), [Kind::Root.id(), 0, 0, 0, 0, 0, 0, 0, 0])
}

pub(crate) fn secret_address(id: &NameId) -> Address {
    Address::new(Tree::Secrets.id(), *id)
}

pub(crate) fn stages_address(id: &NameId) -> Address {
    Address::new(Tree::Stages.id(), *id)
}

pub(crate) fn value_address(vrec: u64) -> Address {
    Address::new(Tree::Versions.id(), vrec.to_be_bytes())
}

/// The audit record number `index` of commit `seq`.
pub(crate) fn audit_address(seq: u64, index: u32) -> Address {
    Address::new(Tree::Audit.id(), audit_key(seq, index))
}

/// The record of a notification of what that audit record tells.
pub(crate) fn notice_address(seq: u64, index: u32) -> Address {
    Address::new(Tree::Notices.id(), audit_key(seq, index))
}

fn audit_key(seq: u64, index: u32) -> [u8; 12] {
    let mut key = [0; 12];
    let (front, back) = key.split_at_mut(8);
    front.copy_from_slice(&seq.to_be_bytes());
    back.copy_from_slice(&index.to_be_bytes());
    key
}

/// The commit and the index in the key of an audit record.
pub(crate) fn parse_audit_key(key: &[u8]) -> Option<(u64, u32)> {
    let (seq, index) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*seq), u32::from_be_bytes(index.try_into().ok()?)))
}
