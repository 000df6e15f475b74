//! Plaintexts of records encoded and decoded, by kind.
//!
//! `cargo bench --all-features --bench format`; `RUSTFLAGS="-C target-cpu=x86-64-v3"` makes little
//! difference here.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs,
    reason = "bench code"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use strongroom::testing::fuzz::{Plaintext, RecordKind};

fn plaintext(c: &mut Criterion) {
    let mut group = c.benchmark_group("plaintext");
    for kind in RecordKind::ALL {
        let plaintext = Plaintext::sample(kind);
        let bytes = plaintext.encode().expect("the sample fits");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("encode", kind.name()), |b| {
            b.iter(|| black_box(&plaintext).encode());
        });
        group.bench_function(BenchmarkId::new("decode", kind.name()), |b| {
            b.iter(|| Plaintext::decode(kind, black_box(&bytes)));
        });
    }
    group.finish();
}

criterion_group!(benches, plaintext);
criterion_main!(benches);
