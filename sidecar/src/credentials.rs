//! Who the agent says it is to a peer.
//!
//! The secret stands in a file and is read for every request: a rotated password or token is used
//! at the next look, and nothing that could be printed holds it.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;

use crate::mounted::{FileError, Mounted};

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

/// The flags that the credentials for one peer are given with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CredentialFlags {
    pub username: &'static str,
    pub password_file: &'static str,
    pub token_file: &'static str,
}

/// Credentials that could never be sent.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A user name that cannot be sent.
    #[error("{flag} `{given}`: a user name must not be empty or hold a colon")]
    Username {
        /// The flag.
        flag: &'static str,
        /// As it was written.
        given: String,
    },
    /// The file with the secret cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Credentials {
    /// What three flags say, of which at most one way is given.
    #[must_use]
    pub fn given(username: Option<String>, password_file: Option<PathBuf>, token_file: Option<PathBuf>) -> Self {
        match (username, password_file, token_file) {
            (Some(username), Some(password_file), _) => Self::Basic { username, password_file },
            (_, _, Some(token_file)) => Self::Bearer { token_file },
            _ => Self::None,
        }
    }

    /// The file must be readable at the start, or the agent could never ask anything.
    pub(crate) fn check(&self, flags: CredentialFlags) -> Result<(), CredentialsError> {
        if let Self::Basic { username, .. } = self
            && (username.is_empty() || username.contains(':'))
        {
            return Err(CredentialsError::Username { flag: flags.username, given: username.clone() });
        }
        Ok(self.header(flags).map(drop)?)
    }

    /// The header of now.
    pub(crate) fn header(&self, flags: CredentialFlags) -> Result<Option<HeaderValue>, FileError> {
        let (mounted, text) = match self {
            Self::None => return Ok(None),
            Self::Basic { username, password_file } => {
                let mounted = Mounted { flag: flags.password_file, file: password_file.clone() };
                let mut pair = format!("{username}:").into_bytes();
                pair.extend_from_slice(secret(&mounted)?.trim_end_matches(['\r', '\n']).as_bytes());
                (mounted, format!("Basic {}", STANDARD.encode(pair)))
            }
            Self::Bearer { token_file } => {
                let mounted = Mounted { flag: flags.token_file, file: token_file.clone() };
                let token = secret(&mounted)?;
                (mounted, format!("Bearer {}", token.trim()))
            }
        };
        let mut header = HeaderValue::try_from(text)
            .map_err(|_| mounted.unusable("it holds characters that no header may carry"))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    /// What to do about a peer that does not accept them.
    pub(crate) fn mend(&self, flags: CredentialFlags) -> String {
        let CredentialFlags { username, password_file, token_file } = flags;
        match self {
            Self::None => format!("none were given: set {username} and {password_file}, or {token_file}"),
            Self::Basic { .. } => format!("check {username} and {password_file}"),
            Self::Bearer { .. } => format!("check {token_file}"),
        }
    }
}

fn secret(mounted: &Mounted) -> Result<String, FileError> {
    let secret = mounted.read(LONGEST, "password or token")?;
    let secret = String::from_utf8(secret).map_err(|_| mounted.unusable("it is not text"))?;
    if secret.trim().is_empty() { Err(mounted.unusable("it is empty")) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FLAGS: CredentialFlags = CredentialFlags {
        username: "--pravega-username",
        password_file: "--pravega-password-file",
        token_file: "--pravega-token-file",
    };

    fn decoded(credentials: &Credentials) -> String {
        let header = credentials.header(FLAGS).unwrap().unwrap();
        let text = header.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
    }

    #[test]
    fn a_rotated_password_is_used_at_once_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let password_file = folder.path().join("password");
        fs::write(&password_file, "first word\n").unwrap();
        let credentials = Credentials::Basic { username: "sluice".into(), password_file: password_file.clone() };
        credentials.check(FLAGS).unwrap();
        assert_eq!(decoded(&credentials), "sluice:first word");
        fs::write(&password_file, "second").unwrap();
        assert_eq!(decoded(&credentials), "sluice:second");
        let header = credentials.header(FLAGS).unwrap();
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
            let error = Credentials::Bearer { token_file: token_file.clone() }.check(FLAGS).unwrap_err().to_string();
            assert!(error.contains("--pravega-token-file") && error.contains(part), "{error}");
            assert!(error.contains(&token_file.display().to_string()), "{error}");
        }
    }
}
