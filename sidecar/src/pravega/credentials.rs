//! Who the agent says it is to the controllers.
//!
//! The secret stands in a file and is read for every request: a rotated password or token is used
//! at the next look, and nothing that could be printed holds it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tonic::metadata::AsciiMetadataValue;

use super::{ConfigError, ControllerError};

/// No secret is longer; a path that points at something else by mistake is not read whole.
const LONGEST: u64 = 64 * 1024;

/// What is sent in the `authorization` header.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A user name, and the password from a file.
    Basic {
        /// The user.
        username: String,
        /// The file with the password; a newline at its end does not count.
        password_file: PathBuf,
    },
    /// A bearer token from a file.
    Bearer {
        /// The file with the token; white space around it does not count.
        token_file: PathBuf,
    },
}

impl Credentials {
    /// The file must be readable at the start, or the agent could never ask anything.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let Self::Basic { username, .. } = self
            && (username.is_empty() || username.contains(':'))
        {
            return Err(ConfigError::Username { given: username.clone() });
        }
        self.header().map(drop).map_err(|error| ConfigError::Credentials(Box::new(error)))
    }

    /// The header of now.
    pub(super) fn header(&self) -> Result<Option<AsciiMetadataValue>, ControllerError> {
        let (flag, file, text) = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password_file } => {
                let flag = "--pravega-password-file";
                let mut pair = format!("{username}:").into_bytes();
                let secret = read(password_file).map_err(|problem| unusable(flag, password_file, problem))?;
                pair.extend_from_slice(secret.trim_end_matches(['\r', '\n']).as_bytes());
                (flag, password_file, format!("Basic {}", STANDARD.encode(pair)))
            }
            Self::Bearer { token_file } => {
                let flag = "--pravega-token-file";
                let secret = read(token_file).map_err(|problem| unusable(flag, token_file, problem))?;
                (flag, token_file, format!("Bearer {}", secret.trim()))
            }
        };
        let mut header = AsciiMetadataValue::try_from(text)
            .map_err(|_| unusable(flag, file, "it holds characters that no header may carry".into()))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// What to do about a controller that does not accept them.
    pub(super) fn mend(&self) -> &'static str {
        match self {
            Self::None => {
                "none were given: set --pravega-username and --pravega-password-file, or --pravega-token-file"
            }
            Self::Basic { .. } => "check --pravega-username and --pravega-password-file",
            Self::Bearer { .. } => "check --pravega-token-file",
        }
    }
}

fn unusable(flag: &'static str, file: &Path, problem: String) -> ControllerError {
    ControllerError::Credentials { flag, file: file.into(), problem }
}

fn read(file: &Path) -> Result<String, String> {
    // A named pipe would block the whole agent until somebody wrote into it.
    let about = fs::metadata(file).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is not a regular file".into());
    }
    if about.len() > LONGEST {
        return Err(format!("it has {} bytes, which is no password or token", about.len()));
    }
    let secret = fs::read_to_string(file).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => "it is not text".into(),
        _ => error.to_string(),
    })?;
    if secret.trim().is_empty() { Err("it is empty".into()) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(credentials: &Credentials) -> String {
        let header = credentials.header().unwrap().unwrap();
        let text = header.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn a_rotated_password_is_used_at_once_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let password_file = folder.path().join("password");
        fs::write(&password_file, "first word\n").unwrap();
        let credentials = Credentials::Basic { username: "sluice".into(), password_file: password_file.clone() };
        credentials.check().unwrap();
        assert_eq!(decoded(&credentials), "sluice:first word");
        fs::write(&password_file, "second").unwrap();
        assert_eq!(decoded(&credentials), "sluice:second");
        let header = credentials.header().unwrap();
        assert!(!format!("{credentials:?} {header:?}").contains(&STANDARD.encode("sluice:second")));
    }

    #[test]
    fn a_file_that_holds_no_secret_is_named_with_its_flag() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let file = folder.path().join(name);
            fs::write(&file, content).unwrap();
            file
        };
        for (token_file, part) in [
            (folder.path().join("missing"), "No such file"),
            (folder.path().to_path_buf(), "not a regular file"),
            (file("empty", b" \n"), "empty"),
            (file("binary", &[0xff, 0xfe]), "not text"),
            (file("lines", b"one\ntwo"), "characters"),
            (file("big", &vec![b'a'; 70_000]), "70000 bytes"),
        ] {
            let error = Credentials::Bearer { token_file: token_file.clone() }.check().unwrap_err().to_string();
            assert!(error.contains("--pravega-token-file") && error.contains(part), "{error}");
            assert!(error.contains(&token_file.display().to_string()), "{error}");
        }
    }
}
