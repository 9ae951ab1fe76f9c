//! One request and its reply over HTTP, and every way to fail told apart.

use std::time::Duration;

use http::{Method, Request, StatusCode, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::{ConfigError, FlinkError, FlinkOptions, FlinkTls, replies::Errors};
use crate::{
    http_peer::{self, HttpPeer, NoReply, base_url, beneath, is_host_name, one_line},
    mounted::Mounted,
    tls::{Identity, TlsFiles},
};

/// The REST API as a place.
#[derive(Debug)]
pub(super) struct Rest {
    http: HttpPeer,
    base: Url,
}

/// A status and what came with it.
struct Reply {
    url: Url,
    status: StatusCode,
    location: Option<String>,
    body: Vec<u8>,
}

impl Rest {
    pub(super) fn new(options: &FlinkOptions) -> Result<Self, ConfigError> {
        let given = || options.url.clone();
        let base = base_url(&options.url).map_err(|problem| ConfigError::Url { given: given(), problem })?;
        if options.timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        match (base.scheme() == "https", &options.tls) {
            (true, None) => return Err(ConfigError::NoCertificate { given: given() }),
            (false, Some(_)) => return Err(ConfigError::NotEncrypted { given: given() }),
            (true, Some(_)) | (false, None) => {}
        }
        let server_name = options.tls.as_ref().and_then(|tls| tls.server_name.clone());
        if let Some(given) = server_name.as_ref().filter(|name| !is_host_name(name)) {
            return Err(ConfigError::ServerName { given: given.clone() });
        }
        let files = options.tls.as_ref().map(FlinkTls::files);
        Ok(Self { http: HttpPeer::new(&base, options.timeout, files, server_name)?, base })
    }

    /// The longest that one request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.http.timeout()
    }

    /// What must be there.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, FlinkError> {
        self.send(Method::GET, self.url(path, None), None).await?.success()?.parse()
    }

    /// What may be missing: `None` if Flink itself says that it is not there.
    pub(super) async fn find<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Option<T>, FlinkError> {
        let reply = self.send(Method::GET, self.url(path, None), None).await?;
        if reply.status == StatusCode::NOT_FOUND && reply.is_about_a_missing_entity() {
            return Ok(None);
        }
        reply.success()?.parse().map(Some)
    }

    /// With a query, given as it stands in the URL.
    pub(super) async fn query<T: DeserializeOwned>(&self, path: &[&str], query: &str) -> Result<T, FlinkError> {
        self.send(Method::GET, self.url(path, Some(query)), None).await?.success()?.parse()
    }

    /// Asks for something to be done; the reply does not matter.
    pub(super) async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<(), FlinkError> {
        self.submit(Method::POST, path, body).await
    }

    /// Asks for something to be so; the reply does not matter.
    pub(super) async fn put(&self, path: &[&str], body: &impl Serialize) -> Result<(), FlinkError> {
        self.submit(Method::PUT, path, body).await
    }

    async fn submit(&self, method: Method, path: &[&str], body: &impl Serialize) -> Result<(), FlinkError> {
        let url = self.url(path, None);
        let body = serde_json::to_vec(body).map_err(|error| bad_answer(&url, &error.to_string()))?;
        self.send(method, url, Some(body)).await?.success().map(drop)
    }

    /// An answer that could be read and yet makes no sense.
    pub(super) fn bad_answer(&self, path: &str, problem: &str) -> FlinkError {
        let url = format!("{}/{}", self.base.as_str().trim_end_matches('/'), path.trim_start_matches('/'));
        FlinkError::BadAnswer { url, problem: problem.into() }
    }

    fn url(&self, path: &[&str], query: Option<&str>) -> Url {
        let mut url = beneath(&self.base, path);
        url.set_query(query);
        url
    }

    async fn send(&self, method: Method, url: Url, body: Option<Vec<u8>>) -> Result<Reply, FlinkError> {
        let mut request = Request::builder().method(method).uri(url.as_str());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.unwrap_or_default());
        let request = request.map_err(|error| bad_answer(&url, &format!("it cannot be asked for: {error}")))?;
        let http_peer::Reply { status, location, body } =
            self.http.send(request).await.map_err(|failure| self.failed(&url, failure))?;
        Ok(Reply { url, status, location, body })
    }

    fn failed(&self, url: &Url, failure: NoReply) -> FlinkError {
        let address = url.to_string();
        match failure {
            NoReply::Timeout => FlinkError::Timeout { url: address, timeout: self.http.timeout() },
            NoReply::Unreachable(why) => FlinkError::Unreachable { url: address, why },
            NoReply::Tls(why) => FlinkError::Tls { url: address, mend: FlinkError::mend_of_tls(&why), why },
            NoReply::TooLarge => bad_answer(url, "it is larger than 16 MiB"),
        }
    }
}

impl FlinkTls {
    fn files(&self) -> TlsFiles {
        let mounted = |flag, file: &std::path::PathBuf| Mounted { flag, file: file.clone() };
        let identity = self.identity.as_ref().map(|(certificate, key)| Identity {
            certificate: mounted("--flink-client-certificate", certificate),
            key: mounted("--flink-client-key", key),
        });
        TlsFiles { ca: mounted("--flink-ca", &self.ca), identity }
    }
}

impl Reply {
    fn success(self) -> Result<Self, FlinkError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let url = self.url.to_string();
        let said = match &self.location {
            Some(to) if self.status.is_redirection() => format!("it redirects to {}", one_line(to)),
            _ => self.said(),
        };
        Err(match self.status {
            StatusCode::SERVICE_UNAVAILABLE => FlinkError::Unavailable { url, said },
            status => FlinkError::Status { url, status: status.as_u16(), said },
        })
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, FlinkError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let start = one_line(&String::from_utf8_lossy(&self.body));
            let start: String = start.chars().take(60).collect();
            bad_answer(&self.url, &format!("{error} (it begins with `{start}`)"))
        })
    }

    /// Flink answers 404 both for a job or operation that it does not know and for a path that it
    /// does not know; a proxy in front of it has a 404 of its own.
    fn is_about_a_missing_entity(&self) -> bool {
        serde_json::from_slice::<Errors>(&self.body).is_ok_and(|errors| errors.name_a_missing_entity())
    }

    fn said(&self) -> String {
        match serde_json::from_slice::<Errors>(&self.body) {
            Ok(errors) => one_line(&errors.message()),
            Err(_) => one_line(&String::from_utf8_lossy(&self.body)),
        }
    }
}

fn bad_answer(url: &Url, problem: &str) -> FlinkError {
    FlinkError::BadAnswer { url: url.to_string(), problem: problem.into() }
}
