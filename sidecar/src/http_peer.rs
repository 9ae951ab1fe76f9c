//! One peer that is spoken to over HTTP (Flink, Prometheus): each request bounded in time and size,
//! encrypted where files say with what. Before each request those files are looked at again, so that
//! renewed certificates need no restart.

use std::{
    error::Error,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{
    HeaderValue, Request, StatusCode,
    header::{LOCATION, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, pki_types::ServerName};
use url::Url;

use crate::{
    mounted::FileError,
    tls::{self, TlsContents, TlsFiles, handshake_failure},
};

/// A reply is some kilobytes, for the largest jobs some hundred. More is not what was asked for.
const LARGEST: usize = 16 * 1024 * 1024;

/// Connections that nobody used for so long are closed; the peer may have closed them already.
const IDLE: Duration = Duration::from_secs(30);

/// The body of a request.
pub(crate) type Body = Full<bytes::Bytes>;

type Connections = Client<HttpsConnector<HttpConnector>, Body>;

/// A peer. Redirects are not followed and no proxy stands in between.
pub(crate) struct HttpPeer {
    timeout: Duration,
    tls: Option<TlsFiles>,
    server_name: Option<ServerName<'static>>,
    held: Mutex<Held>,
}

/// What is kept from one request to the next.
struct Held {
    connections: Connections,
    /// What the connections were made with.
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
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum NoReply {
    Unreachable(String),
    Timeout,
    /// The two sides could not agree on an encrypted connection.
    Tls(String),
    TooLarge,
}

impl HttpPeer {
    /// Reads the files and connects to nothing yet.
    pub fn new(
        timeout: Duration,
        tls: Option<TlsFiles>,
        server_name: Option<ServerName<'static>>,
    ) -> Result<Self, PeerError> {
        let contents = tls.as_ref().map(TlsFiles::read).transpose()?;
        let config = match tls.as_ref().zip(contents.as_ref()) {
            Some((files, contents)) => files.config(contents)?,
            None => tls::trusts_nobody()?,
        };
        let connections = connections(timeout, config, server_name.clone());
        Ok(Self { timeout, tls, server_name, held: Mutex::new(Held { connections, contents, said: None }) })
    }

    /// The longest that one request may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// One request and the whole reply.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Reply, NoReply> {
        let agent = HeaderValue::from_static(concat!("sluice/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, agent);
        let connections = self.connections();
        let exchange = async {
            let response = connections.request(request).await.map_err(|error| why(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, LARGEST)
                .collect()
                .await
                .map_err(|error| if error.is::<LengthLimitError>() { NoReply::TooLarge } else { why(&*error) })?;
            let location = head.headers.get(LOCATION).and_then(|to| to.to_str().ok()).map(str::to_owned);
            Ok(Reply { status: head.status, location, body: body.to_bytes().to_vec() })
        };
        tokio::time::timeout(self.timeout, exchange).await.unwrap_or(Err(NoReply::Timeout))
    }

    /// The connections, made anew if the files say something else than before. Files that cannot be
    /// used (a rotation may be half done) change nothing: what was read before may still hold.
    fn connections(&self) -> Connections {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(files) = &self.tls else { return held.connections.clone() };
        let renewed = files.read().and_then(|contents| {
            if held.contents.as_ref() == Some(&contents) {
                return Ok(None);
            }
            Ok(Some((files.config(&contents)?, contents)))
        });
        match renewed {
            Ok(None) => held.said = None,
            Ok(Some((config, contents))) => {
                tracing::info!(file = %files.ca.file.display(), "certificates were replaced; new connections use them");
                held.connections = connections(self.timeout, config, self.server_name.clone());
                held.contents = Some(contents);
                held.said = None;
            }
            Err(error) => {
                if held.said.as_ref() != Some(&error) {
                    tracing::warn!("{error}; what was read before is still used");
                    held.said = Some(error);
                }
            }
        }
        held.connections.clone()
    }
}

impl fmt::Debug for HttpPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPeer").field("timeout", &self.timeout).field("tls", &self.tls).finish_non_exhaustive()
    }
}

fn connections(timeout: Duration, config: ClientConfig, server_name: Option<ServerName<'static>>) -> Connections {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(timeout));
    let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
    let builder = match server_name {
        Some(name) => builder.with_server_name_resolver(FixedServerNameResolver::new(name)),
        None => builder,
    };
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_timer(TokioTimer::new())
        .build(builder.enable_http1().wrap_connector(http))
}

fn why(error: &(dyn Error + 'static)) -> NoReply {
    if let Some(tls) = handshake_failure(error) {
        return NoReply::Tls(one_line(&tls));
    }
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    NoReply::Unreachable(one_line(&root.to_string()))
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
