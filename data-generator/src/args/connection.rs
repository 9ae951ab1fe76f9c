//! Flags that say which Pravega, and as whom. Shared by every command.

use super::UsageError;
use super::parse;
use crate::pravega::{Controllers, Credentials, SessionOptions};
use clap::Args;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Which Pravega, and as whom.
#[derive(Args)]
#[command(next_help_heading = "Pravega")]
pub struct ConnectionArgs {
    /// Controller of the Pravega cluster, as tcp://host:port or, with TLS, tls://host:port. Several,
    /// separated by commas, are tried in order, at the start and whenever the one in use is lost.
    #[arg(
        long,
        env = "DATA_GENERATOR_CONTROLLER",
        default_value = "tcp://localhost:9090",
        value_name = "URI[,URI...]"
    )]
    pub controller: Controllers,

    /// Certificate authority to trust, a PEM file; needed with tls:// controllers.
    #[arg(long, env = "DATA_GENERATOR_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// User for Pravega's basic authentication.
    #[arg(long, env = "DATA_GENERATOR_USERNAME", value_name = "NAME")]
    pub username: Option<String>,

    /// File with that user's password; one newline at its end is not part of it.
    #[arg(long, env = "DATA_GENERATOR_PASSWORD_FILE", value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,

    /// The password itself. Others on the machine can read a flag: use the variable, or the file.
    #[arg(
        long,
        env = "DATA_GENERATOR_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true,
        requires = "username",
        conflicts_with = "password_file"
    )]
    pub password: Option<String>,

    /// How long a call to the controller may take, its retries included.
    #[arg(
        long,
        env = "DATA_GENERATOR_CALL_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION",
        value_parser = parse::some_time
    )]
    pub call_timeout: Duration,
}

/// Without the password.
impl fmt::Debug for ConnectionArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionArgs")
            .field("controller", &self.controller)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl TryFrom<&ConnectionArgs> for SessionOptions {
    type Error = UsageError;

    fn try_from(args: &ConnectionArgs) -> Result<Self, UsageError> {
        let read = |flag: &str, path: &PathBuf| {
            fs::read_to_string(path).map_err(|error| UsageError(format!("{flag} {}: {error}", path.display())))
        };
        let trusted = match (&args.tls_ca, args.controller.tls) {
            (Some(path), true) => {
                let pem = read("--tls-ca", path)?;
                if !pem.contains("-----BEGIN CERTIFICATE-----") {
                    return Err(UsageError(format!(
                        "--tls-ca {}: no certificate in it (a PEM file has a BEGIN CERTIFICATE line)",
                        path.display()
                    )));
                }
                vec![pem]
            }
            (None, true) => {
                return Err(UsageError(format!(
                    "--controller {} asks for TLS: name the certificate authority to trust with --tls-ca",
                    args.controller
                )));
            }
            (Some(_), false) => {
                return Err(UsageError(format!(
                    "--tls-ca is given but --controller {} is not TLS; write tls://host:port",
                    args.controller
                )));
            }
            (None, false) => Vec::new(),
        };
        let password = match (&args.password_file, &args.password) {
            (Some(path), _) => {
                let text = read("--password-file", path)?;
                let password = text.strip_suffix('\n').unwrap_or(&text);
                Some(password.strip_suffix('\r').unwrap_or(password).to_owned())
            }
            (None, password) => password.clone(),
        };
        let credentials = match (&args.username, password) {
            (Some(username), Some(password)) => Some(Credentials { username: username.clone(), password }),
            (Some(_), None) => {
                return Err(UsageError("--username needs --password-file, or --password".to_owned()));
            }
            (None, _) => None,
        };
        Ok(Self { controllers: args.controller.clone(), credentials, trusted, call_timeout: args.call_timeout })
    }
}
