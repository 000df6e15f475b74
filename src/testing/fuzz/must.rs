//! `expect`, where a panic is the purpose: it is what a fuzz target reports by.

use std::fmt::Debug;

pub(super) trait Must<T> {
    /// What is there, or a panic that says why it had to be.
    fn must(self, why: &str) -> T;
}

impl<T, E: Debug> Must<T> for Result<T, E> {
    #[track_caller]
    #[expect(clippy::expect_used, reason = "a panic is the purpose")]
    fn must(self, why: &str) -> T {
        self.expect(why)
    }
}

impl<T> Must<T> for Option<T> {
    #[track_caller]
    #[expect(clippy::expect_used, reason = "a panic is the purpose")]
    fn must(self, why: &str) -> T {
        self.expect(why)
    }
}
