//! Keys, macs, tags, digests and what is derived from them are compared in constant time: by
//! `crypto::ct_eq`, which is `subtle`, and by types whose `==` is that.
//!
//! Two rules over the text of the library, tests left out. One looks at every `==` and `!=` with a word on
//! either side that sounds secret, one at every type with such a field that derives a comparison. What
//! only sounds so is listed, with the reason; a line in the list that no longer fits is an error too.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Parts of names that sound secret.
const SECRET: &[&str] = &[
    "chain",
    "commitment",
    "digest",
    "expose",
    "hash",
    "key",
    "keys",
    "mac",
    "passphrase",
    "password",
    "plaintext",
    "sha256",
    "tag",
    "token",
    "wrapped",
];

/// Where the rules hold.
const FOLDERS: &[&str] = &["commit", "crypto", "domain", "format", "records", "rotation", "store"];

/// A value whose type's `==` is `ct_eq`.
const CONSTANT: &str = "SetHash::from_bytes(";

/// Comparisons that are none of secrets: the file, the words on both sides, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "commit/replay.rs",
        "root.chain != header.base_chain",
        "both are authentic, and the anchor shows the one",
    ),
    ("commit/kms_slot.rs", "opened.key() != data_key.key()", "the `==` of keys is that of subtle"),
    ("commit/kms_slot.rs", "params.key_id != key.key_id().as_str()", "the id of a key"),
    ("commit/kms_slot.rs", "params.provider != key.manager().provider()", "stands in the clear"),
    ("commit/slots.rs", "record.slot_type == SlotType::Passphrase as u8", "stands in the clear"),
    ("format/stages.rs", "reader.0.len() != keys_len", "lengths"),
    ("records/cache.rs", "head.tag == *tag)", "part of a nonce, which stands in the clear"),
    ("records/draft.rs", "head.tag) == after.map(|head| head.tag)", "part of a nonce"),
    ("records/read.rs", "heads.stages == head.tag)", "part of a nonce"),
    ("records/reader.rs", "T::tag(&heads)) != wanted", "part of a nonce"),
    ("records/reader.rs", "wanted != tag)", "part of a nonce"),
    ("rotation/accounts.rs", "key.eq(member.encode_utf16()))", "the key of a member in JSON"),
    ("store/change.rs", "done.token == self.token)", "PRFs, of tokens of who has the store open"),
    ("commit/engine.rs", "*key == change.key)", "the key of a record"),
    (
        "commit/objects.rs",
        "(key.first() != Some(&Kind::Root.id())).then_some(Self(key))",
        "the key of a record",
    ),
    ("domain/tag.rs", "self.key.as_str() == key", "the key of a tag"),
    ("format/backup.rs", "self.key.len() != self.tree.key_len()", "lengths"),
    ("records/backup.rs", "match key == root_key.key()", "the key of a record"),
    ("records/inspect.rs", "first.key.first() == Some(&Kind::Root.id())", "the key of a record"),
    ("records/inspect.rs", "entry.key == row.vrec.to_be_bytes()", "the key of a record"),
    ("records/inspect.rs", "Some(key.id) == uuid)", "the id of a key"),
    ("records/leftovers.rs", "key.id == uuid)", "the id of a key"),
    ("records/object.rs", "*tag == record.as_deref().and_then(tag_of)", "part of a nonce"),
    ("records/object.rs", "tag.is_some() == record.is_some()", "whether there is one"),
    ("records/stream.rs", "keys.file.store_id != parsed.store_id", "stands in the clear"),
    ("records/verify.rs", "record.as_deref().and_then(tag_of) != Some(tag)", "part of a nonce"),
    ("store/kms.rs", "key.body.alias.as_deref() == Some(alias))", "the name of a key"),
    ("store/kms.rs", "alias == KeyId::DEFAULT_ALIAS", "the name of a key"),
    ("store/kms.rs", "*key_id == self.default_key().id", "the id of a key"),
    ("store/kms.rs", "row.kms_key_id.as_deref() == id", "the id of a key"),
    ("store/kms.rs", "seen.secret.body.kms_key_id.as_deref() == id", "the id of a key"),
    ("store/secrets.rs", "after.kms_key_id != before.kms_key_id", "the id of a key"),
];

/// Types that derive a comparison and are none of secrets: the file, the type, and why.
const ALLOWED_TYPES: &[(&str, &str, &str)] = &[
    ("commit/slots.rs", "SlotKind", "a variant only sounds so"),
    ("crypto/slot.rs", "Wrapped", "compared in tests only"),
    ("domain/anchor.rs", "Anchor", "shown to who has the store open"),
    ("format/audit.rs", "OperationV1", "a variant only sounds so"),
    ("format/journal.rs", "SegmentHeader", "compared in tests only"),
    ("format/key_file.rs", "SlotRecord", "compared in tests only"),
    ("format/root.rs", "RootV1", "compared in tests only"),
    ("format/stages.rs", "TokenV1", "compared in tests only"),
    ("records/stages.rs", "Token", "PRFs, of tokens of who has the store open"),
    ("commit/objects.rs", "ObjectChange", "the key of a record"),
    ("commit/objects.rs", "ObjectKey", "the key of a record"),
    ("crypto/derive.rs", "Join", "a variant only sounds so"),
    ("domain/key_id.rs", "KeyId", "the id of a key"),
    ("domain/key_id.rs", "KeyIdError", "holds nothing"),
    ("domain/tag.rs", "Tag", "no secret"),
    ("domain/tag.rs", "TagFilter", "no secret"),
    ("domain/tag.rs", "TagKey", "no secret"),
    ("domain/tag.rs", "TagValues", "no secret"),
    ("format/backup.rs", "Entry", "the key of a record"),
    ("format/tree.rs", "Kind", "variants only sound so"),
    ("records/losses.rs", "Cause", "a variant only sounds so"),
];

#[test]
fn what_sounds_secret_is_compared_in_constant_time() {
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    let mut comparisons = 0;
    for (path, text) in sources() {
        for Comparison { line, sides } in comparisons_in(&text) {
            comparisons += 1;
            if !sounds_secret(&sides) {
                continue;
            }
            match ALLOWED.iter().position(|(file, it, _)| *file == path && *it == sides) {
                Some(at) => seen.push(at),
                None => found.push(format!("src/{path}:{line}: `{sides}`")),
            }
        }
    }
    assert!(found.is_empty(), "compared with `==`:\n{}", found.join("\n"));
    let unused: Vec<_> = (0..ALLOWED.len()).filter(|at| !seen.contains(at)).collect();
    assert!(
        unused.is_empty(),
        "allowed and not there: {:?}",
        unused.iter().map(|at| ALLOWED[*at]).collect::<Vec<_>>()
    );
    println!("constant time: {comparisons} comparisons, {} of them only sound secret", seen.len());
    assert!(comparisons > 100);
}

#[test]
fn types_that_hold_secrets_derive_no_comparison() {
    let (mut found, mut seen, mut types) = (Vec::new(), Vec::new(), 0);
    for (path, text) in sources() {
        for Compared { name, line, fields } in compared_types(&text) {
            types += 1;
            let secret: Vec<&String> = fields.iter().filter(|field| sounds_secret(field)).collect();
            if secret.is_empty() {
                continue;
            }
            match ALLOWED_TYPES.iter().position(|(file, it, _)| *file == path && *it == name) {
                Some(at) => seen.push(at),
                None => found.push(format!("src/{path}:{line}: `{name}` with {secret:?}")),
            }
        }
    }
    assert!(found.is_empty(), "a derived `==`:\n{}", found.join("\n"));
    let unused: Vec<_> = (0..ALLOWED_TYPES.len()).filter(|at| !seen.contains(at)).collect();
    assert!(
        unused.is_empty(),
        "allowed and not there: {:?}",
        unused.iter().map(|at| ALLOWED_TYPES[*at]).collect::<Vec<_>>()
    );
    println!(
        "constant time: {types} types that derive `==`, {} of them only sound secret",
        seen.len()
    );
    assert!(types > 20);
}

#[test]
fn the_one_comparison_in_constant_time_is_that_of_subtle() {
    let text = fs::read_to_string(root().join("crypto/mac.rs")).unwrap();
    assert!(text.contains("use subtle::ConstantTimeEq;"));
    let body = text.split("pub(crate) fn ct_eq(a: &[u8], b: &[u8]) -> bool {").nth(1).unwrap();
    assert_eq!(body.split('}').next().unwrap().trim(), "a.ct_eq(b).into()");
}

// --- The rules ------------------------------------------------------------------------------

struct Comparison {
    line: usize,
    /// The names on both sides of the sign, the sign between them.
    sides: String,
}

/// Every comparison with the whole expressions on both sides.
fn comparisons_in(text: &str) -> Vec<Comparison> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for sign in [" == ", " != ", ".eq(", ".ne("] {
            for (at, _) in line.match_indices(sign) {
                let (left, right) = (&line[..at], &line[at + sign.len()..]);
                let begins = BEFORE.iter().filter_map(|it| Some(left.rfind(it)? + it.len()));
                let ends = BEHIND.iter().filter_map(|it| right.find(it));
                let left = &left[begins.max().unwrap_or(0)..];
                let right = &right[..ends.min().unwrap_or(right.len())];
                let sides = format!("{}{sign}{}", left.trim(), right.trim());
                found.push(Comparison { line: number + 1, sides });
            }
        }
    }
    found
}

/// What an expression begins behind, and what it ends before.
const BEFORE: &[&str] = &[" && ", " || ", "if ", "while ", " = ", "=> ", "| ", "{ ", "!("];
const BEHIND: &[&str] = &[" && ", " || ", " {", " }", " =>", ";", ", "];

/// A type with a derived comparison.
struct Compared {
    name: String,
    line: usize,
    fields: Vec<String>,
}

fn compared_types(text: &str) -> Vec<Compared> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let compares = ["PartialEq", "PartialOrd", "Hash"].iter().any(|it| line.contains(it));
        if !(line.trim_start().starts_with("#[derive(") && compares) {
            continue;
        }
        let Some(head) =
            lines[at..].iter().position(|it| it.contains("struct ") || it.contains("enum "))
        else {
            continue;
        };
        let head = at + head;
        let mut words = lines[head].split(|sign: char| !(sign.is_alphanumeric() || sign == '_'));
        let is_kind = |word: &str| word == "struct" || word == "enum";
        let name = words.by_ref().skip_while(|word| !is_kind(word)).nth(1).unwrap().to_owned();
        let body = if lines[head].trim_end().ends_with('{') {
            let indent = lines[head].len() - lines[head].trim_start().len();
            let closes = |it: &&str| it.trim_start() == "}" && it.len() == indent + 1;
            let end = lines[head..].iter().position(closes).unwrap();
            lines[head + 1..head + end].to_vec()
        } else {
            vec![lines[head]]
        };
        // Those that are bytes or keys, by name and type.
        let fields = body.iter().map(|it| it.trim().to_owned());
        let bytes = |it: &String| ["[u8", "Vec<u8>", "Key"].iter().any(|kind| it.contains(kind));
        let fields = fields.filter(|it| bytes(it) && !it.starts_with('#'));
        found.push(Compared { name, line: head + 1, fields: fields.collect() });
    }
    found
}

/// Whether a word in it is in the list; `ring_digest` has the words `ring` and `digest`.
fn sounds_secret(names: &str) -> bool {
    if names.contains(CONSTANT) {
        return false;
    }
    // The key file as a whole is no key.
    let names = names.replace("key_file", "file");
    let mut word = String::new();
    let mut words = Vec::new();
    for sign in names.chars().chain([' ']) {
        if sign.is_uppercase() || !sign.is_alphanumeric() {
            words.push(std::mem::take(&mut word));
        }
        if sign.is_alphanumeric() {
            word.extend(sign.to_lowercase());
        }
    }
    words.iter().any(|word| SECRET.contains(&word.as_str()))
}

/// The files of the library without comments and tests.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = FOLDERS.iter().map(|folder| root().join(folder)).collect();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        files.push((path, code_of(&text)));
    }
    assert!(files.len() > 40, "have the folders moved?");
    files.sort();
    files
}

fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines =
        code.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rules fail on what they are there for.
mod guards {
    use super::*;

    #[test]
    fn a_comparison_of_secrets_is_found_however_it_is_written() {
        for (text, secret) in [
            ("if mac == *found {", true),
            ("if self.mac(parts)[..] != expected {", true),
            ("x.commitment == y.commitment", true),
            ("root.ring_digest != sha256(&[bytes])", true),
            ("sum == SetHash::from_bytes(&root.set_hash)", false),
            ("sum.to_bytes() == root.set_hash", true),
            ("key_file.ring_seq == last", false),
            ("a.expose() == b.expose()", true),
            ("if found == keyring_key {", true),
            ("macs.iter().any(|mac| mac.eq(wanted))", true),
            ("if monkey == tagged {", false),
            ("if root.seq == last {", false),
        ] {
            let found = comparisons_in(text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(sounds_secret(&found[0].sides), secret, "{text}: {}", found[0].sides);
        }
    }

    #[test]
    fn a_derived_comparison_of_a_secret_is_found() {
        let text = "#[derive(Clone, PartialEq)]\npub(crate) struct A {\n    mac: [u8; 32],\n}\n\
            #[derive(Debug, Hash)]\nstruct B(Key);\n#[derive(Clone)]\nstruct C {\n    mac: u8,\n}\n\
            #[derive(Eq, PartialEq)]\nenum D {\n    One(u8),\n    Two,\n}\n";
        let found = compared_types(text);
        let names: Vec<(&str, bool)> = found
            .iter()
            .map(|it| (it.name.as_str(), it.fields.iter().any(|field| sounds_secret(field))))
            .collect();
        assert_eq!(names, [("A", true), ("B", true), ("D", false)]);
    }
}
