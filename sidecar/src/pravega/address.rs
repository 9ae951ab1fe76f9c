//! Where a controller listens, as written in `--pravega-controller`.

use std::fmt;

use http::uri::Authority;

use super::ConfigError;

/// Host, port and whether the connection is encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub tls: bool,
    pub authority: Authority,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "tls" } else { "tcp" }, self.authority)
    }
}

/// Reads all addresses; each may itself be a list with commas.
pub(super) fn parse_all(given: &[String], has_ca: bool) -> Result<Vec<Address>, ConfigError> {
    let mut addresses: Vec<Address> = Vec::new();
    let mut scheme_before = None;
    for one in given.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|one| !one.is_empty()) {
        let refuse = |problem| ConfigError::Address { given: one.into(), problem };
        let (tls, rest) = match one.split_once("://") {
            Some(("tcp" | "pravega", rest)) => (Some(false), rest),
            Some(("tls" | "pravegas", rest)) => (Some(true), rest),
            Some(_) => return Err(refuse("the scheme must be tcp:// or tls://")),
            None => (scheme_before, one),
        };
        let tls_here = tls.unwrap_or(has_ca);
        scheme_before = tls;
        let authority: Authority =
            rest.trim_end_matches('/').parse().map_err(|_| refuse("it is not of the form host:port"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("credentials belong into --pravega-username and --pravega-password-file"));
        }
        if authority.host().is_empty() {
            return Err(refuse("the host is missing"));
        }
        if authority.port_u16().is_none() {
            return Err(refuse("the port is missing or not a number up to 65535; a controller's is usually 9090"));
        }
        let address = Address { tls: tls_here, authority };
        match (address.tls, has_ca) {
            (false, true) => return Err(ConfigError::NotEncrypted { address: address.to_string() }),
            (true, false) => return Err(ConfigError::NoCertificate { address: address.to_string() }),
            _ => {}
        }
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(ConfigError::NoAddress) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(given: &[&str], has_ca: bool) -> Result<Vec<String>, String> {
        let given: Vec<_> = given.iter().map(ToString::to_string).collect();
        parse_all(&given, has_ca)
            .map(|all| all.iter().map(ToString::to_string).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_to_write_an_address() {
        for (given, has_ca, expected) in [
            (&["tcp://a:9090"][..], false, &["tcp://a:9090"][..]),
            (&["a:9090", "b:9091"], false, &["tcp://a:9090", "tcp://b:9091"]),
            (&["pravega://a:9090/"], false, &["tcp://a:9090"]),
            (&["tls://a:9090", "b:9090"], true, &["tls://a:9090", "tls://b:9090"]),
            (&["tls://a:9090,b:9090"], true, &["tls://a:9090", "tls://b:9090"]),
            (&["pravegas://a:9090"], true, &["tls://a:9090"]),
            (&["a:9090"], true, &["tls://a:9090"]),
            (&[" tcp://[::1]:9090 ", ""], false, &["tcp://[::1]:9090"]),
            (&["a:9090", "a:9090"], false, &["tcp://a:9090"]),
        ] {
            assert_eq!(parse(given, has_ca).unwrap(), expected, "{given:?}");
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_refused_with_the_flag_and_what_was_seen() {
        for (given, has_ca, part) in [
            (&[][..], false, "names no controller"),
            (&[","], false, "names no controller"),
            (&["http://a:9090"], false, "must be tcp:// or tls://"),
            (&["tcp://a"], false, "port is missing"),
            (&["a:99999"], false, "65535"),
            (&["a b:9090"], false, "not of the form host:port"),
            (&["tcp://:9090"], false, "host is missing"),
            (&["tcp://me:secret@a:9090"], false, "--pravega-password-file"),
            (&["tls://a:9090"], false, "--pravega-ca"),
            (&["tcp://a:9090"], true, "tls://"),
        ] {
            let message = parse(given, has_ca).unwrap_err();
            assert!(message.contains("--pravega-controller") && message.contains(part), "{given:?}: {message}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(given in proptest::collection::vec(".{0,40}", 0..4), has_ca: bool) {
            let _ = parse_all(&given, has_ca);
        }
    }
}
