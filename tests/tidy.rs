//! House rules that no lint knows: layers, foreign crates, shapes of files, dropped `matches!`.
//!
//! Each rule is a function over one file's text, so that it can be tried on a bad snippet: the
//! module `guards` at the end does that for every rule, for ever. Comments, strings and what is
//! behind `#[cfg(test)]` are left out before the rules look at a file.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "test code"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Each module and the modules it may name, lowest layer first. To allow a new edge, edit this
/// table: the reviewer then sees it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("crypto", &["domain"]),
    ("format", &["domain"]),
    ("storage", &["domain"]),
    // The port of a key manager: the lock of a store may be one of its keys.
    ("kms", &["domain"]),
    ("commit", &["domain", "crypto", "format", "storage", "kms"]),
    ("records", &["domain", "crypto", "format", "storage", "commit"]),
    ("events", &["domain", "records"]),
    ("access", &["domain"]),
    ("rotation", &["domain", "crypto"]),
    ("error", &["domain", "storage", "commit", "records", "access", "kms", "rotation"]),
    // Not `format`: above `records` nobody sees a byte of a record.
    (
        "store",
        &[
            "domain", "crypto", "storage", "commit", "records", "access", "events", "kms",
            "rotation", "error",
        ],
    ),
    (
        "testing",
        &[
            "domain", "crypto", "format", "storage", "commit", "records", "access", "events",
            "kms", "rotation", "error", "store",
        ],
    ),
    ("manual", &[]),
];

/// Each dependency and the files that may name it: a file, a folder with `/` at its end, or `""`
/// for everywhere. A dependency without a row is an error, so a new one is met here.
const FOREIGN: &[(&str, &[&str])] = &[
    ("argon2", &["crypto/passphrase.rs"]),
    ("base16ct", &["crypto/source.rs"]),
    ("base64ct", &["crypto/source.rs", "domain/anchor.rs", "domain/blob.rs"]),
    ("bincode", &["format/codec.rs"]),
    ("chacha20", &["crypto/cipher_ring.rs"]),
    ("chacha20poly1305", &["crypto/cipher_portable.rs"]),
    ("getrandom", &["crypto/random.rs"]),
    ("hkdf", &["crypto/derive.rs"]),
    ("hmac", &["crypto/mac.rs"]),
    (
        "parking_lot",
        &[
            "commit/",
            "records/alarm.rs",
            "records/ids.rs",
            "records/schedule.rs",
            "storage/",
            "store/",
            "testing/",
        ],
    ),
    ("poly1305", &[]),
    ("quick_cache", &["records/cache.rs"]),
    ("rand_core", &["crypto/random.rs"]),
    ("ring", &["crypto/cipher_ring.rs"]),
    ("rustix", &["crypto/source.rs", "storage/disk.rs"]),
    ("secrecy", &["commit/slots.rs", "crypto/passphrase.rs", "lib.rs", "store/unlocking.rs"]),
    ("serde", &["access/json.rs", "domain/rotation_config.rs", "format/", "rotation/accounts.rs"]),
    ("serde_json", &["access/json.rs", "domain/rotation_config.rs", "rotation/accounts.rs"]),
    ("sha2", &["crypto/derive.rs", "crypto/mac.rs"]),
    ("sled", &["storage/sled.rs"]),
    ("subtle", &["crypto/mac.rs", "domain/value.rs"]),
    ("thiserror", &[""]),
    ("unicode_properties", &["domain/tag.rs"]),
    ("zeroize", &["crypto/", "domain/value.rs", "records/", "rotation/"]),
];

/// The one file that reads the clock.
const CLOCK: &str = "domain/time.rs";

/// The files that may be unsafe, by folder and path: an allocator, of a test, and a file that is
/// mapped into memory, of a store that ours is compared with.
const UNSAFE: &[(&str, &str)] =
    &[("benches", "peers/src/stores/heed.rs"), ("tests", "memory/allocator.rs")];

/// Methods of the store's handle that ask nobody for permission: they tell a caller nothing but himself.
const UNASKED: &[&str] = &["builder", "principal"];

/// Where the public items are that have their rules from CSMS, or say that it has none.
const BY_CSMS: &[&str] = &["access/", "domain/", "error", "events/", "kms/", "store/"];

/// Files below [`BY_CSMS`] about the store as an engine, of which CSMS knows nothing.
const ENGINE: &[&str] =
    &["domain/anchor.rs", "store/builder.rs", "store/maintenance.rs", "store/salvage.rs"];

/// Longest file in lines, up to its `mod tests`.
const LINES_MAX: usize = 400;

/// Names without a subject.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "common", "manager", "misc"];

#[test]
fn layers_import_downwards_only() {
    check_each("src", layers);
}

#[test]
fn foreign_crates_are_named_in_their_files_only() {
    check_each("src", foreign_crates);
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert_no(dependencies(&manifest));
}

#[test]
fn files_are_short_and_say_what_they_are_about() {
    check_each("src", length);
    for dir in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"] {
        check_each(dir, about);
        check_each(dir, names);
    }
}

#[test]
fn no_answer_of_matches_is_dropped() {
    for dir in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"] {
        check_each(dir, dropped_matches);
    }
}

#[test]
fn the_library_neither_prints_nor_reads_the_clock_elsewhere() {
    check_each("src", quiet);
}

#[test]
fn module_files_hold_declarations_only() {
    check_each("src", declarations);
}

#[test]
fn nothing_is_unsafe() {
    for dir in ["src", "tests", "benches", "examples", "fuzz/fuzz_targets"] {
        check_each(dir, no_unsafe);
    }
    // The manifest only denies it, for the sake of that one file: the library itself forbids it.
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(forbids_unsafe(&lib), "src/lib.rs does not forbid unsafe code");
}

#[test]
fn every_method_of_the_store_asks_for_permission_first() {
    check_each("src", permission);
}

#[test]
fn public_items_name_the_source_of_their_rules() {
    check_each("src", sources);
}

#[test]
fn pages_of_the_manual_are_there_and_shown() {
    let mut pages = Vec::new();
    for entry in fs::read_dir(root().join("src/manual")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        pages.extend(name.strip_suffix(".md").map(str::to_owned));
    }
    let index = fs::read_to_string(root().join("src/manual/mod.rs")).unwrap();
    let mut found = unshown_pages(&index, &pages);
    for file in rust_files("src") {
        found.extend(missing_pages(&file, &pages));
    }
    for page in &pages {
        let path = format!("manual/{page}.md");
        let text = fs::read_to_string(root().join("src").join(&path)).unwrap();
        found.extend(missing_pages(&File { dir: "src".to_owned(), path, text }, &pages));
    }
    assert_no(found);
}

// The rules. Each gives what is wrong with one file.

fn layers(file: &File) -> Vec<String> {
    let module = file.module();
    let Some(own) = module.first() else { return Vec::new() };
    let Some((_, allowed)) = MAY_USE.iter().find(|(layer, _)| layer == own) else {
        return vec![file.at(1, &format!("`{own}` has no row in MAY_USE"))];
    };
    let mut found = Vec::new();
    for Named { path, line } in paths(&without_tests(&lex(&file.text))) {
        let Some(target) = layer_of(&module, &path) else { continue };
        let text = path.join("::");
        if !MAY_USE.iter().any(|(layer, _)| *layer == target) {
            found.push(file.at(line, &format!("`{text}`: name the module where it is defined")));
        } else if target != *own && !allowed.contains(&target.as_str()) {
            found.push(file.at(line, &format!("`{text}`: {own} may not use {target}")));
        }
    }
    found
}

/// The top module that a path leads to, if it begins in this crate; `""` for the root itself.
fn layer_of(module: &[String], path: &[String]) -> Option<String> {
    let mut at = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "super" | "self" => module.to_vec(),
        _ => return None,
    };
    for segment in path {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => drop(at.pop()),
            name => at.push(name.to_owned()),
        }
    }
    Some(at.into_iter().next().unwrap_or_default())
}

fn foreign_crates(file: &File) -> Vec<String> {
    let tokens = without_tests(&lex(&file.text));
    let own_modules: Vec<&str> = tokens
        .windows(2)
        .filter(|pair| pair[0].is("mod"))
        .map(|pair| pair[1].text.as_str())
        .collect();
    let mut found = Vec::new();
    for Named { path, line } in paths(&tokens) {
        let Some((name, allowed)) = FOREIGN.iter().find(|(name, _)| *name == path[0]) else {
            continue;
        };
        let here = |place: &str| match place.is_empty() || place.ends_with('/') {
            true => file.path.starts_with(place),
            false => file.path == place,
        };
        if !own_modules.contains(name) && !allowed.iter().any(|place| here(place)) {
            found.push(file.at(line, &format!("`{name}` may be named in {allowed:?} only")));
        }
    }
    found
}

/// Dependencies in the manifest without a row in [`FOREIGN`].
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| Some(line.split_once('=')?.0.trim()));
    names
        .filter(|name| !name.starts_with('#'))
        .map(|name| name.replace('-', "_"))
        .filter(|name| !FOREIGN.iter().any(|(known, _)| known == name))
        .map(|name| format!("Cargo.toml: `{name}` has no row in FOREIGN"))
        .collect()
}

fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().take_while(|line| *line != "mod tests {").count();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![file.at(LINES_MAX, &format!("{lines} lines before `mod tests`, {LINES_MAX} are allowed"))]
}

fn about(file: &File) -> Vec<String> {
    match file.text.lines().next() {
        Some(line) if line.starts_with("//! ") && line.len() > 8 => Vec::new(),
        _ => vec![file.at(1, "the first line says in `//!` what the file is about")],
    }
}

fn names(file: &File) -> Vec<String> {
    let path = file.path.trim_end_matches(".rs");
    let mut found: Vec<String> = path
        .split('/')
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| file.at(1, &format!("a file called {part} has no subject")))
        .collect();
    for pair in lex(&file.text).windows(2) {
        let declares =
            ["struct", "enum", "trait", "type", "mod"].iter().any(|word| pair[0].is(word));
        if declares && words(&pair[1].text).iter().any(|word| EMPTY_NAMES.contains(&word.as_str()))
        {
            found.push(file.at(pair[1].line, &format!("`{}` has no subject", pair[1].text)));
        }
    }
    found
}

/// `RecordHelper` and `record_helper` are both `record`, `helper`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for sign in name.chars() {
        if sign == '_' || sign.is_uppercase() {
            words.push(String::new());
        }
        words.last_mut().unwrap().extend(sign.to_lowercase().filter(|sign| *sign != '_'));
    }
    words
}

/// `matches!(x, P);` compiles, lints clean and tests nothing.
fn dropped_matches(file: &File) -> Vec<String> {
    let tokens = lex(&file.text);
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if !(tokens[at].is("matches") && tokens.get(at + 1).is_some_and(|next| next.is("!"))) {
            continue;
        }
        let mut start = at;
        while start >= 3 && tokens[start - 1].is(":") && tokens[start - 2].is(":") {
            start -= 3;
        }
        while start > 0 && (tokens[start - 1].is("!") || tokens[start - 1].is("(")) {
            start -= 1;
        }
        let begins =
            start == 0 || [";", "{", "}", "]"].iter().any(|sign| tokens[start - 1].is(sign));
        let mut end = group_end(&tokens, at + 2);
        while tokens.get(end).is_some_and(|next| next.is(")")) {
            end += 1;
        }
        if begins && tokens.get(end).is_some_and(|next| next.is(";")) {
            found.push(file.at(tokens[at].line, "the answer of `matches!` is dropped: assert it"));
        }
    }
    found
}

fn quiet(file: &File) -> Vec<String> {
    let tokens = without_tests(&lex(&file.text));
    let mut found = Vec::new();
    for pair in tokens.windows(2) {
        let prints =
            ["print", "println", "eprint", "eprintln", "dbg"].iter().any(|word| pair[0].is(word));
        if prints && pair[1].is("!") {
            found.push(file.at(pair[0].line, &format!("`{}!` in the library", pair[0].text)));
        }
    }
    for Named { path, line } in paths(&tokens) {
        if path.ends_with(&["SystemTime".to_owned(), "now".to_owned()]) && file.path != CLOCK {
            found.push(file.at(line, &format!("only {CLOCK} reads the clock")));
        }
    }
    found
}

fn declarations(file: &File) -> Vec<String> {
    let tokens = without_tests(&lex(&file.text));
    if file.path == "lib.rs" {
        return code_of_lib(file, &tokens);
    }
    if !file.path.ends_with("mod.rs") {
        return Vec::new();
    }
    let code = ["fn", "impl", "macro_rules"];
    let found = tokens.iter().filter(|token| code.iter().any(|word| token.is(word)));
    found.map(|token| file.at(token.line, "a `mod.rs` holds declarations only")).collect()
}

/// What stands in `lib.rs` beside attributes, modules and re-exports.
fn code_of_lib(file: &File, tokens: &[Token]) -> Vec<String> {
    let mut at = 0;
    while at < tokens.len() {
        let is = |offset: usize, text: &str| tokens.get(at + offset).is_some_and(|t| t.is(text));
        at = if is(0, "#") {
            group_end(tokens, if is(1, "!") { at + 2 } else { at + 1 })
        } else if is(0, "pub") {
            if is(1, "(") { group_end(tokens, at + 1) } else { at + 1 }
        } else if (is(0, "mod") && is(2, ";")) || is(0, "use") {
            let len = tokens[at..].iter().position(|token| token.is(";"));
            len.map_or(tokens.len(), |len| at + len + 1)
        } else {
            return vec![file.at(tokens[at].line, "`lib.rs` holds modules and re-exports only")];
        };
    }
    Vec::new()
}

/// A public method of the store's handle begins with `self.permit..(`, or is no more than a call of
/// another one in the same file that does.
fn permission(file: &File) -> Vec<String> {
    if !file.path.starts_with("store/") {
        return Vec::new();
    }
    let tokens = without_tests(&lex(&file.text));
    let methods = methods(&tokens, "SecretStore");
    let silent = |method: &&Method<'_>| {
        method.is_public
            && !UNASKED.contains(&&*method.name.text)
            && !asks(method, &methods, methods.len())
    };
    let found = methods.iter().filter(silent).map(|method| &method.name);
    found
        .map(|name| file.at(name.line, &format!("`{}` asks for no permission", name.text)))
        .collect()
}

fn asks(method: &Method<'_>, all: &[Method<'_>], steps: usize) -> bool {
    // A condition may stand before it.
    let body = &method.body[usize::from(method.body.first().is_some_and(|word| word.is("if")))..];
    let is_call = body.len() > 3 && body[0].is("self") && body[1].is(".");
    if is_call && body[2].text.starts_with("permit") {
        return true;
    }
    let hands_on = is_call && group_end(body, 3) == body.len();
    let to = all.iter().find(|other| hands_on && body[2].is(&other.name.text));
    to.is_some_and(|to| steps > 0 && asks(to, all, steps - 1))
}

/// A public type, but for errors, or a method of the store's handle names its section of csms.md, or says
/// that CSMS lacks it.
fn sources(file: &File) -> Vec<String> {
    let (by_csms, path) = (BY_CSMS.iter().any(|dir| file.path.starts_with(dir)), &*file.path);
    if !by_csms || ENGINE.contains(&path) {
        return Vec::new();
    }
    let (mut found, mut docs, mut of_store) = (Vec::new(), String::new(), false);
    for (line, text) in file.text.lines().enumerate() {
        if let Some(of) = text.strip_prefix("impl") {
            of_store = of.starts_with(" SecretStore {");
        }
        let item = text.trim_start();
        if let Some(doc) = item.strip_prefix("///") {
            docs.push_str(doc);
        } else if !item.starts_with("#[") {
            let mut words = item.split(|sign: char| !sign.is_alphanumeric() && sign != '_');
            let named = match (words.next(), words.next(), words.next()) {
                (Some("pub"), Some("struct" | "enum" | "trait"), Some(name)) => {
                    (!name.ends_with("Error") || name == "Error").then_some(name)
                }
                (Some("pub"), Some("fn"), Some(name)) => {
                    (of_store && !UNASKED.contains(&name)).then_some(name)
                }
                _ => None,
            };
            let sourced = ["csms.md", "crypto.md", "CSMS"].iter().any(|it| docs.contains(it));
            if let Some(name) = named.filter(|_| !sourced) {
                let what = format!("`{name}` does not say where its rules are");
                found.push(file.at(line + 1, &what));
            }
            docs.clear();
        }
    }
    found
}

struct Method<'a> {
    name: Token,
    is_public: bool,
    body: &'a [Token],
}

/// The functions in every `impl` of a type itself.
fn methods<'a>(tokens: &'a [Token], of: &str) -> Vec<Method<'a>> {
    let mut methods = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is = |offset: usize, text: &str| tokens.get(at + offset).is_some_and(|t| t.is(text));
        if !(is(0, "impl") && is(1, of) && is(2, "{")) {
            at += 1;
            continue;
        }
        let end = group_end(tokens, at + 2);
        for start in at..end {
            if !(tokens[start].is("fn") && tokens[start + 1].is_word()) {
                continue;
            }
            let arguments = (start..end).find(|at| tokens[*at].is("(")).unwrap_or(end);
            let behind = group_end(tokens, arguments);
            let open = (behind..end).find(|at| tokens[*at].is("{")).unwrap_or(end);
            let body = &tokens[open + 1..group_end(tokens, open) - 1];
            let is_public = tokens[start - 1].is("pub");
            methods.push(Method { name: tokens[start + 1].clone(), is_public, body });
        }
        at = end;
    }
    methods
}

fn no_unsafe(file: &File) -> Vec<String> {
    if UNSAFE.contains(&(&*file.dir, &*file.path)) {
        return Vec::new();
    }
    let tokens = lex(&file.text);
    let found = tokens.iter().filter(|token| token.is("unsafe"));
    found.map(|token| file.at(token.line, "`unsafe`")).collect()
}

fn forbids_unsafe(text: &str) -> bool {
    let tokens = lex(text);
    let wanted = ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"];
    tokens
        .windows(wanted.len())
        .any(|part| part.iter().zip(wanted).all(|(token, wanted)| token.is(wanted)))
}

/// Pages that a file speaks of, `manual/x.md` or `manual::x`, and that are not there.
fn missing_pages(file: &File, pages: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        for mark in ["manual/", "manual::"] {
            for rest in line.split(mark).skip(1) {
                let page: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let is_link = mark == "manual::" || rest[page.len()..].starts_with(".md");
                if is_link && !page.is_empty() && !pages.contains(&page) {
                    found.push(file.at(at + 1, &format!("the manual has no page `{page}`")));
                }
            }
        }
    }
    found
}

/// Pages that the manual's `mod.rs` does not show.
fn unshown_pages(index: &str, pages: &[String]) -> Vec<String> {
    let shown = |page: &&String| {
        index.contains(&format!("include_str!(\"{page}.md\")"))
            && index.contains(&format!("pub mod {page} "))
    };
    let unshown = pages.iter().filter(|page| !shown(page));
    unshown.map(|page| format!("src/manual/mod.rs: page `{page}` is not shown")).collect()
}

// Files.

/// One file of the crate.
struct File {
    dir: String,
    /// From `dir` on, with `/`.
    path: String,
    text: String,
}

impl File {
    fn at(&self, line: usize, what: &str) -> String {
        format!("{}/{}:{line}: {what}", self.dir, self.path)
    }

    /// `format/journal.rs` is the module `format`, `journal`; `lib.rs` the empty one.
    fn module(&self) -> Vec<String> {
        let parts = self.path.trim_end_matches(".rs").split('/');
        parts.filter(|part| !["lib", "mod"].contains(part)).map(str::to_owned).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &str) -> Vec<File> {
    let base = root().join(dir);
    let mut files = Vec::new();
    let mut waiting: Vec<PathBuf> = vec![base.clone()];
    while let Some(path) = waiting.pop() {
        // A package below has what it compiles in a folder of its own.
        if path.is_dir() && !path.ends_with("target") {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.is_file() && path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(&base).unwrap().to_str().unwrap().replace('\\', "/");
            files.push(File { dir: dir.to_owned(), path, text });
        }
    }
    // Benches and fuzz targets are not in the published package; the library is everywhere.
    assert!(!files.is_empty() || dir != "src", "{dir} has no files: has it moved?");
    files
}

fn check_each(dir: &str, rule: impl Fn(&File) -> Vec<String>) {
    assert_no(rust_files(dir).iter().flat_map(rule).collect());
}

#[track_caller]
fn assert_no(mut found: Vec<String>) {
    found.sort();
    assert!(found.is_empty(), "{} found:\n{}", found.len(), found.join("\n"));
}

// Rust's words, as far as the rules need them.

#[derive(Clone, Debug, Eq, PartialEq)]
struct Token {
    /// A word, a number, one sign, or `""` for a literal in quotes.
    text: String,
    line: usize,
}

impl Token {
    fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn is_word(&self) -> bool {
        self.text.starts_with(|sign: char| sign.is_alphabetic() || sign == '_')
    }
}

/// Takes a file apart; comments vanish, and literals lose their content.
fn lex(text: &str) -> Vec<Token> {
    let signs: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(sign) = signs.get(at) {
        let start = at;
        let is = |offset: usize, sign: char| signs.get(at + offset) == Some(&sign);
        let mut text = String::new();
        if is(0, '/') && is(1, '/') {
            at += signs[at..].iter().take_while(|sign| **sign != '\n').count();
        } else if is(0, '/') && is(1, '*') {
            at = comment_end(&signs, at);
        } else if let Some(end) = quoted_end(&signs, at) {
            at = end;
            tokens.push(Token { text, line });
        } else if sign.is_alphanumeric() || *sign == '_' || (*sign == '\'' && !is(2, '\'')) {
            let rest = signs[at + 1..].iter().take_while(|s| s.is_alphanumeric() || **s == '_');
            text.push(*sign);
            text.extend(rest);
            at += text.chars().count();
            // A raw identifier is the word behind its mark.
            if text == "r" && signs.get(at) == Some(&'#') {
                at += 1;
            } else {
                tokens.push(Token { text, line });
            }
        } else {
            at += 1;
            if !sign.is_whitespace() {
                tokens.push(Token { text: sign.to_string(), line });
            }
        }
        line += signs[start..at].iter().filter(|sign| **sign == '\n').count();
    }
    tokens
}

fn comment_end(signs: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < signs.len() {
        match (signs[at], signs.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where the string or character that begins at `from` ends, if one does.
fn quoted_end(signs: &[char], from: usize) -> Option<usize> {
    let mut at = from;
    while at < from + 2 && signs.get(at).is_some_and(|sign| "bcr".contains(*sign)) {
        at += 1;
    }
    let raw = at > from && signs[at - 1] == 'r';
    let hashes = signs.get(at..)?.iter().take_while(|sign| **sign == '#').count();
    match signs.get(at + hashes)? {
        '"' if raw => {
            at += hashes + 1;
            let end = |at: &usize| {
                signs[*at] == '"'
                    && signs[at + 1..].iter().take_while(|sign| **sign == '#').count() >= hashes
            };
            Some((at..signs.len()).find(end).unwrap_or(signs.len()) + hashes + 1)
        }
        quote @ ('"' | '\'') if hashes == 0 => {
            // `'a` is a lifetime, `'a'` and `'\n'` are characters.
            if *quote == '\''
                && signs.get(at + 1) != Some(&'\\')
                && signs.get(at + 2) != Some(&'\'')
            {
                return None;
            }
            at += 1;
            while signs.get(at).is_some_and(|sign| sign != quote) {
                at += if signs[at] == '\\' { 2 } else { 1 };
            }
            Some(at + 1)
        }
        _ => None,
    }
}

/// Behind the bracket that closes the one at `open`.
fn group_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Leaves out every item behind `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let marked = ["#", "[", "cfg", "(", "test", ")", "]"]
            .iter()
            .enumerate()
            .all(|(offset, text)| tokens.get(at + offset).is_some_and(|token| token.is(text)));
        if !marked {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += 7;
        while tokens.get(at).is_some_and(|token| token.is("#")) {
            at = group_end(tokens, at + 1);
        }
        while let Some(token) = tokens.get(at) {
            if token.is(";") || token.is("{") {
                at = if token.is("{") { group_end(tokens, at) } else { at + 1 };
                break;
            }
            at = if token.is("(") || token.is("[") { group_end(tokens, at) } else { at + 1 };
        }
    }
    kept
}

/// A path, and where it is named.
#[derive(Debug, Eq, PartialEq)]
struct Named {
    path: Vec<String>,
    line: usize,
}

/// Every path of two words or more, and every leaf of every `use`.
fn paths(tokens: &[Token]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let captures = tokens.get(at + 1).is_some_and(|next| next.is("<"));
        if tokens[at].is("use") && !captures {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if tokens[at].is_word() && is_colons(tokens, at + 1) && !continues(tokens, at) {
            let line = tokens[at].line;
            let mut path = vec![tokens[at].text.clone()];
            at += 1;
            while is_colons(tokens, at) && tokens.get(at + 2).is_some_and(Token::is_word) {
                path.push(tokens[at + 2].text.clone());
                at += 3;
            }
            found.push(Named { path, line });
        } else {
            at += 1;
        }
    }
    found
}

fn is_colons(tokens: &[Token], at: usize) -> bool {
    [0, 1].iter().all(|offset| tokens.get(at + offset).is_some_and(|token| token.is(":")))
}

/// Whether the word at `at` goes on with a path that began before it.
fn continues(tokens: &[Token], at: usize) -> bool {
    at >= 3 && is_colons(tokens, at - 2) && (tokens[at - 3].is_word() || tokens[at - 3].is(">"))
}

/// Adds the leaves of the tree that begins at `at`, and gives where it ends.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], found: &mut Vec<Named>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        if token.is("{") {
            let end = group_end(tokens, at);
            at += 1;
            while at + 1 < end {
                at = use_tree(tokens, at, &path, found);
                at += usize::from(tokens[at].is(","));
            }
            return end;
        }
        at += 1;
        if token.is(":") {
            continue;
        }
        if token.is_word() {
            path.push(token.text.clone());
        }
        if !is_colons(tokens, at) {
            found.push(Named { path, line: token.line });
            break;
        }
    }
    // A new name behind `as` is no path.
    if tokens.get(at).is_some_and(|token| token.is("as")) { at + 2 } else { at }
}

/// Every rule fails on what it is there for, and lets pass what looks like it.
mod guards {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { dir: "src".to_owned(), path: path.to_owned(), text: text.to_owned() }
    }

    #[track_caller]
    fn check(rule: impl Fn(&File) -> Vec<String>, cases: &[(&str, &str, usize)]) {
        for (path, text, want) in cases {
            let found = rule(&file(path, text));
            assert_eq!(found.len(), *want, "{path}: {text}\n{found:#?}");
        }
    }

    #[test]
    fn an_upward_import_is_found_however_it_is_written() {
        check(
            layers,
            &[
                ("format/a.rs", "use crate::crypto::Key;", 1),
                ("format/a.rs", "use crate::{domain::X, crypto::{self, mac::Y}};", 2),
                ("format/a.rs", "pub(crate) use crate::{\n    domain::X,\n    storage::*,\n};", 1),
                ("format/a.rs", "fn f() -> crate::crypto::Key { crate::storage::open() }", 2),
                ("format/a.rs", "impl From<crate::commit::E> for X {}", 1),
                ("format/a.rs", "use super::super::crypto::Key;", 1),
                ("format/mod.rs", "use super::crypto::Key;", 1),
                ("error.rs", "use super::store::X;", 1),
                ("domain/a.rs", "use crate::format::X as Y;", 1),
                ("records/a.rs", "use crate::error::Error;", 1),
                ("store/a.rs", "use crate::format::X;", 1),
                ("commit/a.rs", "use crate::Error;", 1),
                ("commit/a.rs", "use crate::testing::X;", 1),
                ("novel/a.rs", "", 1),
                ("format/a.rs", "use crate::{domain::X, format::{root::Reader, Y}};", 0),
                ("format/a.rs", "use super::Malformed; use self::root::X;", 0),
                ("format/a.rs", "#[cfg(test)]\nmod tests { use crate::crypto::Key; }", 0),
                ("format/a.rs", "// crate::crypto::Key\nconst X: &str = \"crate::crypto\";", 0),
                ("lib.rs", "pub use crate::{store::X, error::E};", 0),
                ("testing/a.rs", "use crate::store::X;", 0),
            ],
        );
    }

    #[test]
    fn a_foreign_crate_in_another_file_is_found() {
        check(
            foreign_crates,
            &[
                ("storage/lock.rs", "use sled::Db;", 1),
                ("store/a.rs", "use {bincode, std::io};", 1),
                ("store/a.rs", "fn f() { let x = ::sled::open(p); }", 1),
                ("store/a.rs", "#[derive(serde::Serialize)] struct X;", 1),
                ("records/a.rs", "pub use chacha20poly1305 as cipher;", 1),
                ("crypto/key.rs", "use getrandom::SysRng;", 1),
                ("format/codec.rs", "use bincode::Options as _;", 0),
                ("storage/sled.rs", "use sled::{IVec, Tree};", 0),
                ("storage/mod.rs", "mod sled; pub(crate) use sled::SledBackend;", 0),
                ("commit/a.rs", "use crate::storage::sled::X;", 0),
                ("commit/a.rs", "#[derive(thiserror::Error)] enum E {}", 0),
                ("crypto/key.rs", "use zeroize::Zeroizing;", 0),
            ],
        );
        let manifest =
            "[package]\n\n[dependencies]\n# x = 1\nsled = \"1\"\nnew-one = \"1\"\n\n[dev]\n";
        assert_eq!(dependencies(manifest), ["Cargo.toml: `new_one` has no row in FOREIGN"]);
    }

    #[test]
    fn a_long_file_one_without_a_subject_and_an_empty_name_are_found() {
        let long = format!("//! About.\n{}", "x\n".repeat(LINES_MAX));
        let tested = format!("//! About.\nmod tests {{\n{}", "x\n".repeat(LINES_MAX));
        check(length, &[("a.rs", &long, 1), ("a.rs", &tested, 0)]);
        check(
            about,
            &[
                ("a.rs", "use x;", 1),
                ("a.rs", "//!\n", 1),
                ("a.rs", "", 1),
                ("a.rs", "//! Keys.", 0),
            ],
        );
        check(
            names,
            &[
                ("store/util.rs", "", 1),
                ("common/mod.rs", "", 1),
                ("a.rs", "struct KeyManager;", 1),
                ("a.rs", "mod test_helpers {}", 1),
                ("a.rs", "enum Kind { Common }", 0),
                ("a.rs", "struct Commonwealth;", 0),
            ],
        );
    }

    #[test]
    fn a_dropped_matches_is_found() {
        check(
            dropped_matches,
            &[
                ("a.rs", "fn f() { matches!(x, Some(_)); }", 1),
                ("a.rs", "fn f() { g(); std::matches!(x, E::A { .. }); }", 1),
                ("a.rs", "fn f() { if a { b } matches![x, (1, 2)]; }", 1),
                ("a.rs", "fn f() { (matches!(x, 1)); !matches!(x, 2); }", 2),
                ("a.rs", "#[cfg(test)] mod tests { fn f() { matches!(x, 1); } }", 1),
                ("a.rs", "fn f() -> bool { matches!(x, 1) }", 0),
                ("a.rs", "fn f() { let y = matches!(x, 1); assert!(matches!(x, 1)); }", 0),
                ("a.rs", "fn f() { return matches!(x, 1); }", 0),
                ("a.rs", "// matches!(x, 1);\nconst X: &str = \"{ matches!(x, 1); }\";", 0),
            ],
        );
    }

    #[test]
    fn printing_and_a_second_clock_are_found() {
        check(
            quiet,
            &[
                ("store/a.rs", "fn f() { println!(\"x\"); dbg!(x); eprint!(\"x\") }", 3),
                ("store/a.rs", "fn f() { std::time::SystemTime::now(); SystemTime::now() }", 2),
                ("domain/time.rs", "fn f() { SystemTime::now() }", 0),
                ("store/a.rs", "/// println!(\"x\")\nfn f() { writeln!(f, \"x\") }", 0),
            ],
        );
    }

    #[test]
    fn code_in_a_module_file_is_found() {
        check(
            declarations,
            &[
                ("lib.rs", "mod a;\nfn f() {}", 1),
                ("lib.rs", "mod a { const X: u8 = 1; }", 1),
                ("lib.rs", "pub struct X;", 1),
                (
                    "lib.rs",
                    "//! Doc.\n#![a(b)]\n#[c]\npub(crate) mod a;\npub use crate::{b::C};",
                    0,
                ),
                ("a/mod.rs", "mod b;\nfn f() {}", 1),
                ("a/mod.rs", "impl X {}", 1),
                ("a/mod.rs", "mod b; pub use b::X; pub(crate) const Y: u8 = 1;\nstruct Z;", 0),
                ("a/b.rs", "fn f() {}", 0),
            ],
        );
    }

    #[test]
    fn an_unsafe_block_is_found() {
        check(
            no_unsafe,
            &[
                ("a.rs", "fn f() { unsafe { g() } }", 1),
                ("a.rs", "#[unsafe(no_mangle)] fn f() {}", 1),
                ("a.rs", "// unsafe\nconst X: &str = \"unsafe\"; fn unsafely() {}", 0),
                ("memory/allocator.rs", "unsafe impl X for Y {}", 1),
            ],
        );
        let allowed = |dir: &str, path: &str| {
            let text = "unsafe impl X for Y {}".to_owned();
            no_unsafe(&File { dir: dir.to_owned(), path: path.to_owned(), text }).is_empty()
        };
        assert!(allowed("tests", "memory/allocator.rs"));
        assert!(allowed("benches", "peers/src/stores/heed.rs"));
        assert!(!allowed("tests", "memory/scan.rs") && !allowed("tests", "allocator.rs"));
        assert!(forbids_unsafe("//! About.\n#![forbid(unsafe_code)]\nmod a;"));
        assert!(!forbids_unsafe("#![deny(unsafe_code)]\n// #![forbid(unsafe_code)]"));
    }

    #[test]
    fn a_missing_page_of_the_manual_is_found() {
        let pages = ["format".to_owned()];
        check(
            |file| missing_pages(file, &pages),
            &[
                ("lib.rs", "//! See `manual/formats.md` and [`x`](crate::manual::layers).", 2),
                ("lib.rs", "//! See `manual/format.md` and [`manual::format`], [`manual`].", 0),
            ],
        );
        let index = "#[doc = include_str!(\"format.md\")]\npub mod format {}";
        assert_eq!(unshown_pages(index, &pages), Vec::<String>::new());
        assert_eq!(unshown_pages("pub mod format {}", &pages).len(), 1);
    }

    #[test]
    fn words_are_told_from_comments_strings_and_characters() {
        let text = "a /* b /* c */ d */ \"e\\\"f\" r#\"g\"h\"# b'\\'' 'i' '\"' &'j k // l\nr#m";
        let words: Vec<Token> = lex(text).into_iter().filter(Token::is_word).collect();
        let texts: Vec<&str> = words.iter().map(|token| token.text.as_str()).collect();
        assert_eq!(texts, ["a", "k", "m"]);
        assert_eq!(words[2].line, 2);
    }

    #[test]
    fn a_method_that_asks_for_no_permission_is_found() {
        let method = |text: &str| format!("impl SecretStore {{ {text} }}");
        let with = "pub fn f(&self) -> Result<(), Error> { self.permit(Action::X, None)?; todo() }";
        let without = "pub fn g(&self, n: &[u8]) -> usize { self.inner.len(n) }";
        let late = "pub fn g(&self) { self.inner.look(); self.permit(Action::X, None) }";
        let handing_on = "pub fn h(&self) -> usize { self.f(self.x()) }";
        let half = "pub fn h(&self) -> usize { self.f().min(self.inner.len()) }";
        let hidden = "pub(super) fn g(&self) -> usize { self.inner.len() } fn k() {}";
        check(
            permission,
            &[
                ("store/a.rs", &method(with), 0),
                ("store/a.rs", &method(without), 1),
                ("store/a.rs", &method(late), 1),
                ("store/a.rs", &method(&format!("{with} {handing_on}")), 0),
                ("store/a.rs", &method(handing_on), 1),
                ("store/a.rs", &method(&format!("{} {handing_on}", with.replace("pub ", ""))), 0),
                ("store/a.rs", &method("pub fn h(&self) -> usize { self.h() }"), 1),
                ("store/a.rs", &method(&format!("{with} {half}")), 1),
                ("store/a.rs", &method(hidden), 0),
                ("store/a.rs", &format!("{} {}", method(with), method(without)), 1),
                ("store/a.rs", "impl SecretStore { pub fn builder() -> B { B } }", 0),
                ("store/a.rs", "impl Other { pub fn g(&self) { self.inner.look() } }", 0),
                ("store/a.rs", "impl Drop for SecretStore { fn drop(&mut self) {} }", 0),
                ("records/a.rs", &method(without), 0),
            ],
        );
    }

    #[test]
    fn an_item_that_does_not_name_its_source_is_found() {
        let method = |docs: &str| {
            format!(
                "impl SecretStore {{\n    /// Does.{docs}\n    #[x]\n    pub fn f(&self) {{}}\n}}\n"
            )
        };
        check(
            sources,
            &[
                ("domain/a.rs", "/// A name (csms.md 1.2).\npub struct Name;", 0),
                ("domain/a.rs", "/// A name.\npub struct Name;", 1),
                ("domain/a.rs", "/// A name (csms.md 1.2).\npub struct A;\npub enum B {}", 1),
                ("domain/a.rs", "/// No name.\npub struct NameError;", 0),
                ("domain/a.rs", "/// A name.\npub(crate) struct Name;", 0),
                ("crypto/a.rs", "/// A name.\npub struct Name;", 0),
                ("domain/anchor.rs", "/// A name.\npub struct Name;", 0),
                ("error.rs", "/// An error.\npub enum Error {}", 1),
                ("store/a.rs", &method(""), 1),
                ("store/a.rs", &method(" Not in CSMS."), 0),
                ("store/a.rs", &method("").replace("SecretStore", "Page"), 0),
            ],
        );
    }
}
