//! An allocator that has every block looked through before it is freed.
//!
//! The only file of this crate with `unsafe` in it: an allocator cannot be had without.
#![allow(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]
#![deny(clippy::undocumented_unsafe_blocks)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    slice,
};

use crate::canary;

/// The system's allocator, which tells [`canary`] of each block that is about to be freed.
///
/// `realloc` is the default one: a new block, a copy, and the old block freed, so that a buffer that
/// grows always shows what it leaves behind.
pub struct Searching;

// SAFETY: each call goes to the system's allocator, with the layout that the caller vouches for. A
// block that is kept instead of being freed stays allocated for ever, which is always allowed.
unsafe impl GlobalAlloc for Searching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that all of a block can be read when it is freed.
        // SAFETY: the caller keeps to the contract of `alloc`, which is the same here.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the contract, which is the same here.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives back a block of this layout that nobody else uses any more; all of
        // it was written when it was allocated.
        let bytes = unsafe { slice::from_raw_parts(block, layout.size()) };
        if canary::may_be_freed(bytes) {
            // SAFETY: the block came from the system's allocator, with this layout.
            unsafe { System.dealloc(block, layout) }
        }
    }
}
