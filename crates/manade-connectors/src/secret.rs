//! Secrets: from their references to memory, when they are needed and not before.

use std::path::PathBuf;
use std::{env, fmt, fs, io};

use manade_model::Secret;

/// A secret's value; prints as nothing.
#[derive(Clone)]
pub struct Revealed(Vec<u8>);

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the environment variable {0} is not set")]
    NoVariable(String),
    #[error("{} cannot be read", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{0} is not UTF-8")]
    NoText(String),
}

/// Whether a secret is there.
pub fn check(secret: &Secret) -> Result<(), SecretError> {
    reveal(secret).map(|_| ())
}

/// As it is now: a file may change while Manade runs.
pub fn reveal(secret: &Secret) -> Result<Revealed, SecretError> {
    match secret {
        Secret::Env(name) => {
            let value = env::var_os(name).ok_or_else(|| SecretError::NoVariable(name.clone()))?;
            Ok(Revealed(value.into_encoded_bytes()))
        }
        Secret::File(path) => {
            let failed = |source| SecretError::File { path: path.clone(), source };
            let mut bytes = fs::read(path).map_err(failed)?;
            // Editors and `echo` end a file with a line end, which is not meant.
            if bytes.ends_with(b"\n") {
                bytes.pop();
                bytes.pop_if(|last| *last == b'\r');
            }
            Ok(Revealed(bytes))
        }
    }
}

/// Of a password.
pub fn text(secret: &Secret) -> Result<String, SecretError> {
    let named = || match secret {
        Secret::Env(name) => format!("the environment variable {name}"),
        Secret::File(path) => path.display().to_string(),
    };
    String::from_utf8(reveal(secret)?.0).map_err(|_| SecretError::NoText(named()))
}

impl Revealed {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let cases = [
            ("hunter2", "hunter2"),
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            ("a\n\n", "a\n"),
            (" a ", " a "),
        ];
        for (written, read) in cases {
            fs::write(&path, written).unwrap();
            assert_eq!(text(&Secret::File(path.clone())).unwrap(), read, "{written:?}");
        }
        fs::write(&path, b"hunter2\xff").unwrap();
        let error = text(&Secret::File(path.clone())).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not UTF-8", path.display()));
        fs::remove_file(&path).unwrap();
        let error = check(&Secret::File(path.clone())).unwrap_err();
        assert_eq!(error.to_string(), format!("{} cannot be read", path.display()));
    }

    #[test]
    fn variables() {
        let error = check(&Secret::Env("MANADE_NOT_SET".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "the environment variable MANADE_NOT_SET is not set");
        assert!(!text(&Secret::Env("PATH".to_owned())).unwrap().is_empty());
        assert_eq!(format!("{:?}", reveal(&Secret::Env("PATH".to_owned())).unwrap()), "Revealed");
    }
}
