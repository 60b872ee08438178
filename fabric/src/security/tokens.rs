//! The bearer tokens that are accepted.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use subtle::{Choice, ConstantTimeEq};
use tracing::warn;

use crate::Error;

/// Shorter tokens can be guessed by trying.
const MIN_TOKEN_BYTES: usize = 16;

/// The bearer tokens of a file: one per line; empty lines and those that begin with `#` do not count.
///
/// Several are accepted at once, so that one can be replaced by another without a moment in which neither works.
pub(crate) struct Tokens {
    path: PathBuf,
    /// Replaced as a whole on a reload; read once per request, for as long as it takes to clone the pointer.
    current: RwLock<Arc<[Box<[u8]>]>>,
}

impl Tokens {
    /// Reads the file.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), current: RwLock::new(read(path)?) })
    }

    /// Reads the file again. If that fails, what was read before stays.
    pub(crate) fn reload(&self) -> Result<(), Error> {
        let tokens = read(&self.path)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.current.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// One of them, for a program that runs beside the server.
    #[cfg(feature = "cli")]
    pub(crate) fn first(&self) -> String {
        let tokens = self.current.read().unwrap_or_else(PoisonError::into_inner);
        // `read` has seen to it that there is one, of ASCII characters.
        tokens.first().map(|token| String::from_utf8_lossy(token).into_owned()).unwrap_or_default()
    }

    /// Whether a token is one of them. The time it takes tells nothing of where a wrong one differs, nor which one is
    /// right; it may tell the tokens' lengths.
    pub(crate) fn accepts(&self, token: &[u8]) -> bool {
        let tokens = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        tokens.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(token)).into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("path", &self.path).field("count", &self.count()).finish()
    }
}

fn read(path: &Path) -> Result<Arc<[Box<[u8]>]>, Error> {
    let problem = |problem: String| Error::file("--token-file", path, problem);
    let text = fs::read_to_string(path).map_err(|error| problem(format!("it cannot be read: {error}")))?;
    warn_if_exposed(path);
    let mut tokens: Vec<Box<[u8]>> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let token = line.trim();
        if token.is_empty() || token.starts_with('#') {
            continue;
        }
        // The message must not hold the token: it ends up in logs.
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(problem(format!(
                "line {number}: a token consists of visible ASCII characters without spaces; one token per line"
            )));
        }
        if token.len() < MIN_TOKEN_BYTES {
            return Err(problem(format!(
                "line {number}: the token has {} characters and needs {MIN_TOKEN_BYTES} at least; make one with \
                 `openssl rand -base64 32`",
                token.len()
            )));
        }
        tokens.push(token.as_bytes().into());
    }
    if tokens.is_empty() {
        return Err(problem(
            "it holds no token, so nobody could connect; write one per line, or leave out the flag".into(),
        ));
    }
    Ok(tokens.into())
}

#[cfg(unix)]
fn warn_if_exposed(path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    if let Ok(metadata) = fs::metadata(path)
        && metadata.permissions().mode() & 0o004 != 0
    {
        warn!(file = %path.display(), "every user of this machine can read the token file; chmod 640 it");
    }
}

#[cfg(not(unix))]
fn warn_if_exposed(_path: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn each_line_is_a_token() {
        let file = file("# first\n\n  aaaaaaaaaaaaaaaa  \nbbbbbbbbbbbbbbbbbb\r\n");
        let tokens = Tokens::load(file.path()).unwrap();
        assert_eq!(tokens.count(), 2);
        assert!(tokens.accepts(b"aaaaaaaaaaaaaaaa"));
        assert!(tokens.accepts(b"bbbbbbbbbbbbbbbbbb"));
        for wrong in [&b""[..], b"# first", b"aaaaaaaaaaaaaaab", b"aaaaaaaaaaaaaaaaa", b"aaaaaaaaaaaaaaa"] {
            assert!(!tokens.accepts(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_that_would_lock_everyone_out_or_let_everyone_in_is_refused() {
        for (text, part) in [
            ("# nothing\n", "no token"),
            ("short\n", "line 1: the token has 5 characters"),
            ("\naaaaaaaa aaaaaaaaaaaaa\n", "line 2"),
        ] {
            let error = Tokens::load(file(text).path()).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("--token-file"), "{error}");
            assert!(!error.contains("aaaaaaaa aaaaaaaaaaaaa"), "the message shows the token: {error}");
        }
    }

    #[test]
    fn a_reload_that_fails_keeps_what_was_there() {
        let file = file("aaaaaaaaaaaaaaaa\n");
        let tokens = Tokens::load(file.path()).unwrap();
        fs::write(file.path(), "").unwrap();
        assert!(tokens.reload().is_err());
        assert!(tokens.accepts(b"aaaaaaaaaaaaaaaa"));
        fs::write(file.path(), "cccccccccccccccc").unwrap();
        tokens.reload().unwrap();
        assert!(!tokens.accepts(b"aaaaaaaaaaaaaaaa") && tokens.accepts(b"cccccccccccccccc"));
    }
}
