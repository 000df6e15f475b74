//! The machine and the build: what a figure depends on, and what is read off the system.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Command, thread};

use crate::Outcome;

/// One line: date, processor, kernel, compiler, flags.
pub fn describe() -> String {
    let date = said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    let kernel = read("/proc/sys/kernel/osrelease");
    let rustc = said(Command::new("rustc").arg("--version"));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    format!("{date}; {}, {cores} cores; Linux {kernel}; {rustc}; {}", processor(), flags())
}

/// What this program was built with.
pub fn flags() -> String {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let avx2 = if cfg!(target_feature = "avx2") { "AVX2 throughout" } else { "no AVX2 by default" };
    let soft = if cfg!(poly1305_backend = "soft") { ", portable Poly1305" } else { "" };
    let given = option_env!("RUSTFLAGS").unwrap_or("");
    let given = if given.is_empty() { "default flags".to_owned() } else { format!("`{given}`") };
    format!("{profile}, {given} ({avx2}{soft})")
}

fn processor() -> String {
    let text = read("/proc/cpuinfo");
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    model.and_then(|rest| rest.split(": ").nth(1)).unwrap_or("unknown processor").to_owned()
}

fn said(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The memory of this process that is not of files, in bytes.
pub fn anonymous_bytes() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// What a directory takes on the disk, in bytes.
pub fn disk_bytes(dir: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let is_dir = entry.file_type()?.is_dir();
        sum += if is_dir { disk_bytes(&entry.path())? } else { entry.metadata()?.blocks() * 512 };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_and_memory_are_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/b"), vec![1; 100_000]).unwrap();
        assert!((100_000..200_000).contains(&disk_bytes(dir.path()).unwrap()));
        assert!(anonymous_bytes().unwrap() > 100_000);
        assert!(describe().contains("Linux"));
    }
}
