#![allow(dead_code, unused_imports)]
//! x
mod storage;
mod format;
