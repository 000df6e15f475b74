//! The master key, and where it comes from: memory, a file, the environment, or chance.

use std::{
    env, fmt,
    fs::File,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use base64ct::{Base64Unpadded, Encoding};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    process,
};
use zeroize::Zeroizing;

use crate::crypto::key::{KEY_LEN, Key};

/// The 32 secret bytes that open a store.
///
/// Whoever has them and the store's files has every secret in it; without them nothing is left of
/// the store. They are wiped from memory when the `MasterKey` is dropped, and `Debug` does not
/// print them.
pub struct MasterKey(Key);

impl MasterKey {
    /// A key from 32 bytes of the caller's, who wipes his own copy.
    ///
    /// The bytes must come from a cryptographic random number generator or a key manager. A
    /// password is no such thing: use a passphrase for that.
    ///
    /// # Errors
    ///
    /// * [`MasterKeyError::Weak`] if all bytes are equal, as in a buffer that nobody filled.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, MasterKeyError> {
        Self::checked(Key::init_with(|key| key.copy_from_slice(bytes)))
    }

    /// A key from a file.
    ///
    /// The file holds 32 raw bytes, 64 hexadecimal digits, or base64 (RFC 4648 section 4, with or
    /// without padding); a line break may follow the latter two. It must be a regular file that
    /// belongs to the effective user or to root and that group and others have no access to, such
    /// as [`write_new_file`](Self::write_new_file) makes. The last component of `path` must not be
    /// a symbolic link.
    ///
    /// # Errors
    ///
    /// * [`MasterKeyError::Access`] if group or others may read or write it.
    /// * [`MasterKeyError::Encoding`] if it holds anything else, or more.
    /// * [`MasterKeyError::Io`] if it could not be read.
    /// * [`MasterKeyError::NotAFile`] if it is a directory, a link, a pipe or the like.
    /// * [`MasterKeyError::Owner`] if it belongs to somebody else.
    /// * [`MasterKeyError::Weak`] if all bytes of the key are equal.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, MasterKeyError> {
        let path = path.as_ref();
        let text = read_private_file(path)?;
        Self::checked(raw(&text).or_else(|| decode(&text)).ok_or(MasterKeyError::Encoding)?)
    }

    /// A key from an environment variable: 64 hexadecimal digits, or base64 as in
    /// [`from_file`](Self::from_file).
    ///
    /// Prefer a file. The environment that a process was started with stays readable under
    /// `/proc` for as long as it runs, is handed on to its children, and cannot be wiped.
    ///
    /// # Errors
    ///
    /// * [`MasterKeyError::Encoding`] if the variable holds anything else.
    /// * [`MasterKeyError::NotSet`] if there is no such variable.
    /// * [`MasterKeyError::Weak`] if all bytes of the key are equal.
    pub fn from_env(name: &str) -> Result<Self, MasterKeyError> {
        let text = env::var_os(name)
            .ok_or_else(|| MasterKeyError::NotSet { name: name.to_owned() })?
            .into_encoded_bytes();
        let text = Zeroizing::new(text);
        // No raw bytes: 32 characters in a variable are a password that somebody typed.
        Self::checked(decode(&text).ok_or(MasterKeyError::Encoding)?)
    }

    /// A new random key. Keep it, for instance with [`write_new_file`](Self::write_new_file).
    ///
    /// # Errors
    ///
    /// * [`MasterKeyError::Random`] if the operating system gave no random bytes.
    pub fn generate() -> Result<Self, MasterKeyError> {
        let key = Key::random().map_err(|err| MasterKeyError::Random(io::Error::other(err)))?;
        Self::checked(key)
    }

    /// Writes the key to a new file that only its owner can read, as 64 hexadecimal digits and a
    /// line break. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// * [`MasterKeyError::Exists`] if there is something at `path`; it was left as it is.
    /// * [`MasterKeyError::Io`] if the file could not be written; then it was removed again, if
    ///   that was possible.
    pub fn write_new_file(&self, path: impl AsRef<Path>) -> Result<(), MasterKeyError> {
        let path = path.as_ref();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mut file = match open(path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => file,
            Err(Errno::EXIST) => return Err(MasterKeyError::Exists { path: path.to_owned() }),
            Err(errno) => return Err(MasterKeyError::io(path, errno)),
        };
        let written = self.write_to(&mut file).and_then(|()| file.sync_all());
        written.and_then(|()| sync_directory_of(path)).map_err(|err| {
            // Ours, or O_EXCL would have failed; half a key would only be in the way.
            let _ = std::fs::remove_file(path);
            MasterKeyError::io(path, err)
        })
    }

    /// The key itself, for the slot that it opens.
    pub(crate) fn key(&self) -> &Key {
        &self.0
    }

    fn checked(key: Key) -> Result<Self, MasterKeyError> {
        let [first, ..] = *key.expose();
        let difference = key.expose().iter().fold(0, |all, byte| all | (byte ^ first));
        if difference == 0 { Err(MasterKeyError::Weak) } else { Ok(Self(key)) }
    }

    fn write_to(&self, file: &mut File) -> io::Result<()> {
        let mut line = Zeroizing::new([b'\n'; HEX_LEN + 1]);
        base16ct::lower::encode(self.0.expose(), &mut *line).map_err(io::Error::other)?;
        file.write_all(&*line)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Why there is no [`MasterKey`], or why it was not written.
///
/// No variant holds any part of a key.
#[expect(missing_docs, reason = "a field is named for its type")]
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Group or others have access to the key file. Run `chmod 600`, and consider the key known.
    #[error("the key file {} is open to others (mode {mode:03o})", path.display())]
    Access { path: PathBuf, mode: u32 },
    /// These are not 32 raw bytes, 64 hexadecimal digits, or 32 bytes in base64.
    #[error("a master key is 32 raw bytes, 64 hexadecimal digits, or 32 bytes in base64")]
    Encoding,
    /// There is something already where the key was to be written.
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    /// The key file could not be read or written.
    #[error("cannot access the key file {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A directory, a symbolic link, a device or a pipe.
    #[error("the key file {} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The environment variable is not set.
    #[error("the environment variable {name} is not set")]
    NotSet { name: String },
    /// The key file belongs to another user, who can replace it.
    #[error("the key file {} belongs to user {owner}", path.display())]
    Owner { path: PathBuf, owner: u32 },
    /// The operating system gave no random bytes.
    #[error("no random key could be made")]
    Random(#[source] io::Error),
    /// All bytes are equal: this is no key, but a buffer or file that was never filled.
    #[error("a master key of equal bytes is no key")]
    Weak,
}

impl MasterKeyError {
    fn io(path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { path: path.to_owned(), source: source.into() }
    }
}

const HEX_LEN: usize = 2 * KEY_LEN;
const BASE64_LEN: usize = 43;
/// 64 digits and a line break of two characters.
const TEXT_LEN_MAX: usize = HEX_LEN + 2;

fn raw(text: &[u8]) -> Option<Key> {
    Key::from_slice(text)
}

/// Straight into the key's own memory, in constant time, and whole or not at all.
fn decode(text: &[u8]) -> Option<Key> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() == HEX_LEN {
        return Key::try_init_with(|key| base16ct::mixed::decode(text, key).map(drop)).ok();
    }
    let text = text.strip_suffix(b"=").unwrap_or(text);
    if text.len() != BASE64_LEN {
        return None;
    }
    Key::try_init_with(|key| Base64Unpadded::decode(text, key).map(drop)).ok()
}

/// The bytes of a file that nobody but its owner can have read or written.
fn read_private_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
    // Without NONBLOCK, opening a pipe would wait for a writer that may never come.
    let mut file = match open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::LOOP) => return Err(MasterKeyError::NotAFile { path: path.to_owned() }),
        Err(errno) => return Err(MasterKeyError::io(path, errno)),
    };
    // Of the open file, not of the path, which may point elsewhere by now.
    let metadata = file.metadata().map_err(|err| MasterKeyError::io(path, err))?;
    if !metadata.is_file() {
        return Err(MasterKeyError::NotAFile { path: path.to_owned() });
    }
    let owner = metadata.uid();
    if owner != 0 && owner != process::geteuid().as_raw() {
        return Err(MasterKeyError::Owner { path: path.to_owned(), owner });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(MasterKeyError::Access { path: path.to_owned(), mode });
    }
    // One byte more than is allowed, so that a longer file shows; never grows, so no copies.
    let mut text = Zeroizing::new(vec![0; TEXT_LEN_MAX + 1]);
    let len = read_up_to(&mut file, &mut text).map_err(|err| MasterKeyError::io(path, err))?;
    text.truncate(len);
    Ok(text)
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len: usize = 0;
    while let Some(room) = buffer.get_mut(len..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(more) => len = len.saturating_add(more),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(len)
}

fn open(path: &Path, flags: OFlags, mode: Mode) -> Result<File, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::open(path, flags, mode).map(File::from)
}

/// Makes the file's name durable: that stands in the directory.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().as_bytes().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{
        array,
        error::Error,
        fs,
        os::unix::fs::{PermissionsExt, chown, symlink},
        process::Command,
        thread,
    };

    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn bytes() -> [u8; 32] {
        array::from_fn(|at| u8::try_from(at).unwrap())
    }

    fn write(path: &Path, text: &[u8], mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn outcome(result: &Result<MasterKey, MasterKeyError>) -> &'static str {
        match result {
            Ok(master) if *master.key().expose() == bytes() => "the key",
            Ok(_) => "another key",
            Err(MasterKeyError::Access { .. }) => "access",
            Err(MasterKeyError::Encoding) => "encoding",
            Err(MasterKeyError::Exists { .. }) => "exists",
            Err(MasterKeyError::Io { .. }) => "io",
            Err(MasterKeyError::NotAFile { .. }) => "not a file",
            Err(MasterKeyError::NotSet { .. }) => "not set",
            Err(MasterKeyError::Owner { .. }) => "owner",
            Err(MasterKeyError::Random(_)) => "random",
            Err(MasterKeyError::Weak) => "weak",
        }
    }

    #[test]
    fn bytes_must_not_be_all_equal() {
        assert_eq!(outcome(&MasterKey::from_bytes(&bytes())), "the key");
        for byte in [0, 7, 255] {
            assert_eq!(outcome(&MasterKey::from_bytes(&[byte; 32])), "weak");
            let mut almost = [byte; 32];
            almost[31] ^= 1;
            assert_eq!(outcome(&MasterKey::from_bytes(&almost)), "another key");
        }
    }

    #[test]
    fn a_file_holds_raw_bytes_or_hex_or_base64() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let text = |text: &str| text.as_bytes().to_vec();
        let zeros = "0".repeat(64);
        let cases = [
            ("raw", bytes().to_vec(), "the key"),
            ("raw, one short", bytes()[..31].to_vec(), "encoding"),
            ("raw, one more", [&bytes()[..], &[1]].concat(), "encoding"),
            ("raw zeros", vec![0; 32], "weak"),
            ("hex", text(HEX), "the key"),
            ("hex in capitals", text(&HEX.to_uppercase()), "the key"),
            ("hex, newline", text(&format!("{HEX}\n")), "the key"),
            ("hex, carriage return and newline", text(&format!("{HEX}\r\n")), "the key"),
            ("hex, two newlines", text(&format!("{HEX}\n\n")), "encoding"),
            ("hex, a line break and more", text(&format!("{HEX}\r\n0")), "encoding"),
            ("hex, blank", text(&format!("{HEX} ")), "encoding"),
            ("hex, one short", text(&HEX[..63]), "encoding"),
            ("hex, one more", text(&format!("{HEX}0")), "encoding"),
            ("hex, wrong digit", text(&HEX.replace('f', "g")), "encoding"),
            ("hex zeros", text(&zeros), "weak"),
            ("base64", text(BASE64), "the key"),
            ("base64, padded", text(&format!("{BASE64}=")), "the key"),
            ("base64, padded, newline", text(&format!("{BASE64}=\n")), "the key"),
            ("base64, newline", text(&format!("{BASE64}\n")), "the key"),
            ("base64, too much padding", text(&format!("{BASE64}==")), "encoding"),
            ("base64, one short", text(&BASE64[..42]), "encoding"),
            ("base64, spare bits set", text(&BASE64.replace("h8", "h9")), "encoding"),
            ("base64, foreign sign", text(&BASE64.replace('Q', "*")), "encoding"),
            ("base64 of zeros", text(&"A".repeat(43)), "weak"),
            ("nothing", Vec::new(), "encoding"),
            ("a newline", text("\n"), "encoding"),
            ("far too much", vec![b'0'; 100_000], "encoding"),
        ];
        for (what, content, want) in cases {
            write(&path, &content, 0o600);
            assert_eq!(outcome(&MasterKey::from_file(&path)), want, "{what}");
        }
    }

    #[test]
    fn a_file_must_be_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let good = [0o600, 0o400, 0o700];
        let bad = [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o777];
        let cases = good.map(|mode| (mode, "the key")).into_iter();
        for (mode, want) in cases.chain(bad.map(|mode| (mode, "access"))) {
            write(&path, HEX.as_bytes(), mode);
            assert_eq!(outcome(&MasterKey::from_file(&path)), want, "mode {mode:o}");
            fs::remove_file(&path).unwrap();
        }
        write(&path, HEX.as_bytes(), 0o644);
        let err = MasterKey::from_file(&path).unwrap_err();
        assert!(err.to_string().ends_with("is open to others (mode 644)"), "{err}");
    }

    #[test]
    fn a_file_must_belong_to_us_or_root() {
        if !process::geteuid().is_root() {
            return; // Only root can give a file away.
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write(&path, HEX.as_bytes(), 0o600);
        chown(&path, Some(12_345), None).unwrap();
        assert_eq!(outcome(&MasterKey::from_file(&path)), "owner");
    }

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(&at("key"), HEX.as_bytes(), 0o600);
        symlink(at("key"), at("link")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let cases = [
            ("key", "the key"),
            ("link", "not a file"),
            ("dir", "not a file"),
            ("pipe", "not a file"),
            ("nothing", "io"),
        ];
        for (name, want) in cases {
            assert_eq!(outcome(&MasterKey::from_file(at(name))), want, "{name}");
        }
        let err = MasterKey::from_file(at("nothing")).unwrap_err();
        assert!(err.source().is_some(), "the cause is in the source");
    }

    #[test]
    fn a_written_file_is_private_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        MasterKey::from_bytes(&bytes()).unwrap().write_new_file(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{HEX}\n"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(outcome(&MasterKey::from_file(&path)), "the key");
    }

    #[test]
    fn writing_never_replaces_anything() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(&at("file"), b"precious", 0o600);
        symlink(at("nowhere"), at("link")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        let master = MasterKey::generate().unwrap();
        for name in ["file", "link", "dir"] {
            let written = master.write_new_file(at(name));
            assert!(matches!(written, Err(MasterKeyError::Exists { .. })), "{name}");
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"precious");
        assert!(!at("nowhere").exists());
        let written = master.write_new_file(at("no/such/dir"));
        assert!(matches!(written, Err(MasterKeyError::Io { .. })));
    }

    /// A process must not change its own environment while threads run, so the test runs itself
    /// again for each case, in an environment made for it.
    #[test]
    fn the_environment_holds_text_only() {
        const NAME: &str = "STRONGROOM_TEST_MASTER_KEY";
        if let Some(want) = env::var_os("STRONGROOM_TEST_WANT") {
            assert_eq!(*outcome(&MasterKey::from_env(NAME)), *want);
            return;
        }
        assert_eq!(outcome(&MasterKey::from_env(NAME)), "not set");
        let cases = [
            (HEX, "the key"),
            (BASE64, "the key"),
            (&HEX[..32], "encoding"),
            ("", "encoding"),
            (&"0".repeat(64), "weak"),
        ];
        let current = thread::current();
        for (value, want) in cases {
            let run = Command::new(env::current_exe().unwrap())
                .args([current.name().unwrap(), "--exact"])
                .envs([(NAME, value), ("STRONGROOM_TEST_WANT", want)])
                .output()
                .unwrap();
            let report = String::from_utf8_lossy(&run.stdout);
            assert!(report.contains("1 passed"), "{value} is {want}: {report}");
        }
    }

    #[test]
    fn generated_keys_differ_and_are_quiet() {
        let (one, two) = (MasterKey::generate().unwrap(), MasterKey::generate().unwrap());
        assert_ne!(one.key(), two.key());
        assert_eq!(format!("{one:?}"), "MasterKey(..)");
    }
}
