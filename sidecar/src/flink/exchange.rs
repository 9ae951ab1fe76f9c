//! One request and its reply over HTTP: bounded in time and size, and every way to fail told apart.

use std::{error::Error, time::Duration};

use reqwest::{Method, StatusCode, Url, redirect};
use serde::{Serialize, de::DeserializeOwned};

use super::{ConfigError, FlinkError, FlinkOptions, replies::Errors};

/// A reply is some kilobytes, for the largest jobs some hundred. More is not Flink's.
const LARGEST: usize = 16 * 1024 * 1024;

/// The REST API as a place.
#[derive(Debug)]
pub(super) struct Rest {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
}

/// A status and what came with it.
struct Reply {
    url: Url,
    status: StatusCode,
    body: Vec<u8>,
}

impl Rest {
    pub(super) fn new(options: &FlinkOptions) -> Result<Self, ConfigError> {
        let refuse = |problem: String| ConfigError::Url { given: options.url.clone(), problem };
        let base = Url::parse(options.url.trim()).map_err(|error| refuse(error.to_string()))?;
        match base.scheme() {
            "http" => {}
            "https" => return Err(ConfigError::Https { given: options.url.clone() }),
            other => return Err(refuse(format!("the scheme is {other}"))),
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(refuse("it must not hold a user name or password".into()));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(refuse("it must not hold a query or fragment".into()));
        }
        if options.timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .timeout(options.timeout)
            // The JobManager is next door; a proxy for the world outside must not see the requests.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .build()
            .map_err(ConfigError::Client)?;
        Ok(Self { http, base, timeout: options.timeout })
    }

    /// The longest that one request may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
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
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // What stands in a path comes from outside and is escaped here.
            segments.pop_if_empty().extend(path);
        }
        url.set_query(query);
        url
    }

    async fn send(&self, method: Method, url: Url, body: Option<Vec<u8>>) -> Result<Reply, FlinkError> {
        let mut request = self.http.request(method, url.clone());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let mut response = request.send().await.map_err(|error| self.failed(&url, &error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&url, &error))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(bad_answer(&url, "it is larger than 16 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { url, status: response.status(), body })
    }

    fn failed(&self, url: &Url, error: &reqwest::Error) -> FlinkError {
        if error.is_timeout() {
            return FlinkError::Timeout { url: url.to_string(), timeout: self.timeout };
        }
        let mut root: &dyn Error = error;
        while let Some(source) = root.source() {
            root = source;
        }
        FlinkError::Unreachable { url: url.to_string(), why: one_line(&root.to_string()) }
    }
}

impl Reply {
    fn success(self) -> Result<Self, FlinkError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let url = self.url.to_string();
        let said = self.said();
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

/// Foreign text, fit for one line of a log.
fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}
