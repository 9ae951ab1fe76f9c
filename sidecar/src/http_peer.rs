//! One peer that is spoken to over HTTP (Flink, Prometheus): each request bounded in time and size,
//! encrypted where files say with what. Before each request those files are looked at again, so that
//! renewed certificates need no restart.

#[cfg(test)]
mod tests;

use std::{
    error::Error,
    fmt,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Request, StatusCode, header::LOCATION};
use reqwest::{
    Client, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use rustls::ClientConfig;

use crate::{
    mounted::FileError,
    tls::{self, TlsContents, TlsFiles, handshake_failure},
};

/// A reply is some kilobytes, for the largest jobs some hundred. More is not what was asked for.
const LARGEST: usize = 16 * 1024 * 1024;

/// The body of a request.
pub(crate) type Body = Vec<u8>;

/// A peer. Redirects are not followed and no proxy stands in between.
pub(crate) struct HttpPeer {
    timeout: Duration,
    tls: Option<TlsFiles>,
    alias: Option<Alias>,
    held: Mutex<Held>,
}

/// The name that the peer's certificate bears, where it is not the one by which it is reached.
#[derive(Clone)]
struct Alias {
    name: String,
    host: String,
}

/// What is kept from one request to the next.
struct Held {
    client: Client,
    /// What its connections were made with.
    contents: Option<TlsContents>,
    /// What was said of files that cannot be used now.
    said: Option<FileError>,
}

/// What the peer replied.
pub(crate) struct Reply {
    pub status: StatusCode,
    /// Where a redirect leads.
    pub location: Option<String>,
    pub body: Vec<u8>,
}

/// Why a peer could never be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// One of the files cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The TLS library cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The client cannot be set up.
    #[error("cannot set up the HTTP client")]
    Client(#[from] reqwest::Error),
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoReply {
    #[error("it is not reached: {0}")]
    Unreachable(String),
    #[error("it does not answer in time")]
    Timeout,
    #[error("the two sides cannot agree on an encrypted connection: {0}")]
    Tls(String),
    #[error("its answer is larger than 16 MiB")]
    TooLarge,
}

impl HttpPeer {
    /// Reads the files and connects to nothing yet. `server_name` is what the certificate of the peer
    /// at `base` bears, where that is another name.
    pub fn new(
        base: &Url,
        timeout: Duration,
        tls: Option<TlsFiles>,
        server_name: Option<String>,
    ) -> Result<Self, PeerError> {
        let contents = tls.as_ref().map(TlsFiles::read).transpose()?;
        let config = match tls.as_ref().zip(contents.as_ref()) {
            Some((files, contents)) => files.config(contents)?,
            None => tls::trusts_nobody()?,
        };
        let alias = server_name.zip(base.host_str()).map(|(name, host)| Alias { name, host: host.to_owned() });
        let client = client(timeout, config, alias.clone())?;
        Ok(Self { timeout, tls, alias, held: Mutex::new(Held { client, contents, said: None }) })
    }

    /// The longest that one request may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// One request and the whole reply.
    pub async fn send(&self, request: Request<Body>) -> Result<Reply, NoReply> {
        let mut request = reqwest::Request::try_from(request).map_err(|error| why(&error))?;
        if let Some(alias) = &self.alias {
            // It was checked to be a host name.
            let _ = request.url_mut().set_host(Some(&alias.name));
        }
        let mut response = self.client().execute(request).await.map_err(|error| why(&error))?;
        let location = response.headers().get(LOCATION).and_then(|to: &HeaderValue| to.to_str().ok());
        let (status, location) = (response.status(), location.map(str::to_owned));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| why(&error))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(NoReply::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, location, body })
    }

    /// The client, made anew if the files say something else than before. Files that cannot be used (a
    /// rotation may be half done) change nothing: what was read before may still hold.
    fn client(&self) -> Client {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(files) = &self.tls else { return held.client.clone() };
        let renewed = files.read().and_then(|contents| {
            if held.contents.as_ref() == Some(&contents) {
                return Ok(None);
            }
            let config = files.config(&contents)?;
            let client = client(self.timeout, config, self.alias.clone());
            Ok(Some((client.map_err(|error| files.ca.unusable(error.to_string()))?, contents)))
        });
        match renewed {
            Ok(None) => held.said = None,
            Ok(Some((client, contents))) => {
                tracing::info!(file = %files.ca.file.display(), "certificates were replaced; new connections use them");
                *held = Held { client, contents: Some(contents), said: None };
            }
            Err(error) => {
                if held.said.as_ref() != Some(&error) {
                    tracing::warn!("{error}; what was read before is still used");
                    held.said = Some(error);
                }
            }
        }
        held.client.clone()
    }
}

impl fmt::Debug for HttpPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPeer").field("timeout", &self.timeout).field("tls", &self.tls).finish_non_exhaustive()
    }
}

fn client(timeout: Duration, config: ClientConfig, alias: Option<Alias>) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        // The peer is next door; a proxy for the world outside must not see the requests.
        .no_proxy()
        .redirect(redirect::Policy::none())
        .tls_backend_preconfigured(config);
    match alias {
        Some(alias) => builder.dns_resolver(alias),
        None => builder,
    }
    .build()
}

/// Asked for by the name in its certificate, the peer is found where its address says.
impl Resolve for Alias {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.trim_matches(['[', ']']).to_owned();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn why(error: &(dyn Error + 'static)) -> NoReply {
    if error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout) {
        return NoReply::Timeout;
    }
    if let Some(tls) = handshake_failure(error) {
        return NoReply::Tls(one_line(&tls));
    }
    NoReply::Unreachable(one_line(&root_cause(error).to_string()))
}

/// What an error comes from: the outermost one of an HTTP client says nothing.
pub(crate) fn root_cause<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root
}

/// A name that can stand in a certificate and be looked up, so no address.
pub(crate) fn is_host_name(name: &str) -> bool {
    name.parse::<IpAddr>().is_err() && rustls::pki_types::DnsName::try_from(name).is_ok()
}

/// Reads the address of a peer. A problem is told in words that follow the flag and what was given.
pub(crate) fn base_url(given: &str) -> Result<Url, String> {
    let base = Url::parse(given.trim()).map_err(|error| error.to_string())?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(format!("the scheme is {}", base.scheme()));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err("it must not hold a user name or password".into());
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err("it must not hold a query or fragment".into());
    }
    Ok(base)
}

/// A place below `base`. What stands in the path comes from outside and is escaped here.
pub(crate) fn beneath(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

/// Foreign text, fit for one line of a log.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}
