//! Controller addresses as written on the command line.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Where one controller listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Host name or IPv4 address.
    pub host: String,
    /// gRPC port.
    pub port: u16,
}

/// One or more controllers of the same Pravega, all with or all without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controllers {
    /// In the order given; never empty.
    pub addresses: Vec<Controller>,
    /// Whether they are spoken to over TLS.
    pub tls: bool,
}

/// Why a text is not a list of controllers.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AddressError {
    /// Nothing given.
    #[error("no address given; write tcp://host:port, several separated by commas")]
    Empty,
    /// The scheme is not one of ours.
    #[error("{0:?}: the scheme is neither tcp:// nor tls://")]
    Scheme(String),
    /// Host or port missing or unreadable.
    #[error("{0:?} is not host:port; write tcp://host:port, for example tcp://localhost:9090")]
    HostPort(String),
    /// One address with TLS and one without.
    #[error("tcp:// and tls:// are mixed; a Pravega cluster has either all or none")]
    Mixed,
}

impl FromStr for Controllers {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let mut addresses = Vec::new();
        let mut schemes = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (scheme, rest) = part.split_once("://").unwrap_or(("", part));
            match scheme {
                // As in Pravega's own clients, an address without scheme follows the one before.
                "" => schemes.extend(schemes.last().copied()),
                "tcp" => schemes.push(false),
                "tls" => schemes.push(true),
                _ => return Err(AddressError::Scheme(part.to_owned())),
            }
            addresses.push(host_port(rest).ok_or_else(|| AddressError::HostPort(part.to_owned()))?);
        }
        if addresses.is_empty() {
            return Err(AddressError::Empty);
        }
        let tls = schemes.first().copied().unwrap_or(false);
        if schemes.iter().any(|scheme| *scheme != tls) {
            return Err(AddressError::Mixed);
        }
        Ok(Self { addresses, tls })
    }
}

fn host_port(text: &str) -> Option<Controller> {
    let (host, port) = text.rsplit_once(':')?;
    let spelled = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (!host.is_empty() && host.bytes().all(spelled)).then_some(())?;
    Some(Controller { host: host.to_owned(), port: port.parse().ok().filter(|port| *port != 0)? })
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls" } else { "tcp" };
        for (index, address) in self.addresses.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{scheme}://{address}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_or_without_schemes() {
        for (text, shown) in [
            ("tcp://a:1", "tcp://a:1"),
            ("a:1", "tcp://a:1"),
            ("tcp://a:1,b-2.c:3", "tcp://a:1,tcp://b-2.c:3"),
            (" tcp://127.0.0.1:1 , tcp://b:2 ", "tcp://127.0.0.1:1,tcp://b:2"),
            ("tls://a:1,b:2", "tls://a:1,tls://b:2"),
        ] {
            let controllers: Controllers = text.parse().expect(text);
            assert_eq!(controllers.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for text in ["", ",", "a", "a:", ":1", "a:0", "a:99999", "tcp://a b:1", "http://a:1"] {
            let error = text.parse::<Controllers>().expect_err(text).to_string();
            assert!(error.contains(text) || error.contains("no address"), "{text}: {error}");
        }
        assert_eq!("tcp://a:1,tls://b:2".parse::<Controllers>(), Err(AddressError::Mixed));
    }
}
