//! One value sealed and opened, from a password to the longest value by default.
//!
//! The cipher is twice to four times as fast with AVX2 compiled in, which a library cannot ask for:
//! measure with `RUSTFLAGS="-C target-cpu=x86-64-v3" cargo bench --all-features --bench crypto`, and
//! without, to see what an embedder gets either way.
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
use strongroom::testing::fuzz::Seals;

fn envelope(c: &mut Criterion) {
    let seals = Seals::new();
    let mut group = c.benchmark_group("envelope");
    for len_bytes in [24_usize, 64, 1024, 8 * 1024, 32 * 1024] {
        let value = vec![0x5a; len_bytes];
        let sealed = seals.seal(&value).expect("any value can be sealed");
        group.throughput(Throughput::Bytes(len_bytes as u64));
        group.bench_function(BenchmarkId::new("seal", len_bytes), |b| {
            b.iter(|| seals.seal(black_box(&value)));
        });
        group.bench_function(BenchmarkId::new("open", len_bytes), |b| {
            b.iter(|| seals.open(black_box(&sealed)));
        });
    }
    group.finish();
}

criterion_group!(benches, envelope);
criterion_main!(benches);
