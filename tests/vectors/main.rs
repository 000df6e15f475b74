//! Vectors: bytes, and the layer that refuses them. Each is wrong in one thing only.
//!
//! `tests/data/v1/vectors/` holds one text file a kind: records, key files, parts of a journal. A
//! vector is a line `[what it is taken for: what is wrong]`, a line with the layer, or `none` if it is
//! right, and its bytes in hexadecimal; `00*n` stands for n zeros. Keys and places are those of
//! `testing::fuzz::Specimens::new(1, 1)`; the key files belong to the golden store `closed`.
//!
//! These files are never changed, only added to. [`make_vectors`] made them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, outside the functions that are marked as tests too"
)]

#[path = "../support/golden.rs"]
mod golden;
mod journals;
mod key_files;
mod records;

use std::{collections::BTreeMap, fmt::Write as _, fs, io::Write as _, path::PathBuf};

use strongroom::testing::fuzz::{Layer, Specimens};

/// What is wrong, the layer that says so, the bytes.
type Vector = (String, Option<Layer>, Vec<u8>);

/// The files, how many vectors each has, and a sum over its bytes (FNV-1a): a file that was made anew
/// does not go unseen.
const FILES: [(&str, usize, u64); 3] = [
    ("record", 98, 0xec5c_81ee_413a_d17e),
    ("key_file", 44, 0xed95_b46f_c2a7_cdf8),
    ("journal", 42, 0x121d_5f10_279b_a9c1),
];

#[test]
fn the_files_of_vectors_are_what_they_were() {
    for (file, count, sum) in FILES {
        let text = fs::read_to_string(path(file)).unwrap();
        let vectors = parse(&text);
        assert_eq!((vectors.len(), fnv(text.as_bytes())), (count, sum), "{file}");
        let made = made(file);
        for (found, made) in vectors.iter().zip(&made) {
            assert_eq!(found, made, "{file}: the library makes other bytes now");
        }
        assert_eq!(text, render(&made), "{file}");
    }
}

#[test]
fn each_vector_is_refused_by_the_layer_that_it_names() {
    let specimens = Specimens::new(1, 1);
    let mut layers: BTreeMap<String, usize> = BTreeMap::new();
    let mut sum = 0;
    for (file, count, _) in FILES {
        let vectors = parse(&fs::read_to_string(path(file)).unwrap());
        let refused_by: Vec<Option<Layer>> = match file {
            "record" => vectors.iter().map(|it| records::refused_by(&specimens, it)).collect(),
            "journal" => vectors.iter().map(|it| journals::refused_by(&specimens, it)).collect(),
            _ => key_files::refused_by(&vectors),
        };
        for ((what, wanted, _), found) in vectors.iter().zip(refused_by) {
            assert_eq!(found, *wanted, "{file}, {what}");
            *layers.entry(layer_name(*wanted)).or_default() += 1;
        }
        sum += count;
    }
    println!("vectors: {sum}, by layer {layers:?}");
    assert!(sum >= 60);
}

/// Makes a file of vectors for the first time. Fails before it writes if it is there.
#[test]
#[ignore = "vectors are made once, when a format version is new"]
fn make_vectors() {
    for (file, _, _) in FILES.iter().filter(|(file, _, _)| !path(file).exists()) {
        let (text, path) = (render(&made(file)), path(file));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut out = fs::OpenOptions::new().write(true).create_new(true).open(path).unwrap();
        out.write_all(text.as_bytes()).unwrap();
        println!("(\"{file}\", {}, {:#x})", made(file).len(), fnv(text.as_bytes()));
    }
}

fn made(file: &str) -> Vec<Vector> {
    let specimens = Specimens::new(1, 1);
    match file {
        "record" => records::made(&specimens),
        "journal" => journals::made(&specimens),
        _ => key_files::made(),
    }
}

/// Takes a byte off the end.
fn shorten(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - 1);
}

fn path(file: &str) -> PathBuf {
    golden::data().join(format!("vectors/{file}.txt"))
}

// --- The text -------------------------------------------------------------------------------

const LAYERS: [Layer; 8] = [
    Layer::Shape,
    Layer::Header,
    Layer::Key,
    Layer::Seal,
    Layer::Frame,
    Layer::Body,
    Layer::Words,
    Layer::Order,
];

fn layer_name(layer: Option<Layer>) -> String {
    layer.map_or("none".to_owned(), |layer| format!("{layer:?}").to_lowercase())
}

fn render(vectors: &[Vector]) -> String {
    let mut text = String::new();
    for (what, layer, bytes) in vectors {
        assert!(!what.contains(']') && !what.contains('\n'));
        write!(text, "[{what}]\nlayer {}\n", layer_name(*layer)).unwrap();
        let (mut at, mut column) = (0, 0);
        while at < bytes.len() {
            let zeros = bytes[at..].iter().take_while(|byte| **byte == 0).count();
            let word =
                if zeros > 16 { format!("00*{zeros}") } else { format!("{:02x}", bytes[at]) };
            at += if zeros > 16 { zeros } else { 1 };
            column += 1;
            let end = if column % 32 == 0 || at >= bytes.len() { "\n" } else { " " };
            text.push_str(&word);
            text.push_str(end);
        }
        text.push('\n');
    }
    text
}

fn parse(text: &str) -> Vec<Vector> {
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks
        .map(|block| {
            let mut lines = block.lines();
            let what = lines.next().unwrap().trim_start_matches('\n');
            let what = what.strip_prefix('[').and_then(|it| it.strip_suffix(']')).expect(what);
            let layer = lines.next().unwrap().strip_prefix("layer ").unwrap();
            let named = LAYERS.into_iter().find(|it| layer_name(Some(*it)) == layer);
            assert!(named.is_some() || layer == "none", "{what}: {layer}");
            let mut bytes = Vec::new();
            for word in lines.flat_map(str::split_whitespace) {
                match word.split_once('*') {
                    Some(("00", count)) => {
                        bytes.resize(bytes.len() + count.parse::<usize>().unwrap(), 0);
                    }
                    _ => bytes.push(u8::from_str_radix(word, 16).unwrap()),
                }
            }
            (what.to_owned(), named, bytes)
        })
        .collect()
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
