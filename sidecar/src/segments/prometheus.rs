//! The second source of segments: the gauge `pravega_controller_segments_count`, as a Prometheus (or
//! what speaks its query API) has it.
//!
//! The gauge is not the number of segments but a memory of it: a controller sets it when it creates or
//! scales a stream, and says nothing more. So whatever is not one fresh sample of one series is no
//! number at all here. How old a sample is, is asked of Prometheus too, by its own clock.

mod answer;
mod error;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use http::{Request, StatusCode, header::AUTHORIZATION};
use sluice_core::{Segments, StreamName};
use url::Url;

use self::answer::{Answer, Point};
pub use self::error::{ConfigError, PrometheusError};
use crate::{
    credentials::{CredentialFlags, Credentials},
    http_peer::{Body, HttpPeer, NoReply, base_url, beneath, is_host_name, one_line},
    mounted::Mounted,
    tls::TlsFiles,
};

/// What is asked for one stream if nothing else is said: what the controllers export.
pub const DEFAULT_QUERY: &str = r#"pravega_controller_segments_count{scope="$scope",stream="$stream"}"#;

const FLAGS: CredentialFlags = CredentialFlags {
    username: "--prometheus-username",
    password_file: "--prometheus-password-file",
    token_file: "--prometheus-token-file",
};

/// How to reach Prometheus, and what to ask.
#[derive(Clone, Debug)]
pub struct PrometheusOptions {
    /// Its address, with a path if it stands behind one.
    pub url: String,
    /// The query for one stream, with `$scope` and `$stream` where its names go.
    pub query: String,
    /// How many streams are followed.
    pub streams: usize,
    /// PEM file with the certificates that sign its own. Needed for `https://`.
    pub ca_certificate: Option<PathBuf>,
    /// The name that its certificate carries, where it is not the host of the URL.
    pub tls_server_name: Option<String>,
    /// Who the agent says it is.
    pub credentials: Credentials,
    /// The longest that one request may take; a reading takes two.
    pub timeout: Duration,
}

/// One Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    http: HttpPeer,
    base: Url,
    query: String,
    credentials: Credentials,
}

/// The newest sample of the one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its value.
    pub segments: Segments,
    /// How old it is, by Prometheus' clock.
    pub age: Duration,
}

impl Prometheus {
    /// Checks the options and reads the files that they name. Connects to nothing yet.
    pub fn new(options: PrometheusOptions) -> Result<Self, ConfigError> {
        let PrometheusOptions { url, query, streams, ca_certificate, tls_server_name, credentials, timeout } = options;
        let base = base_url(&url).map_err(|problem| ConfigError::Url { given: url.clone(), problem })?;
        match (base.scheme() == "https", &ca_certificate) {
            (true, None) => return Err(ConfigError::NoCertificate { given: url }),
            (false, Some(_)) => return Err(ConfigError::NotEncrypted { given: url }),
            (true, Some(_)) | (false, None) => {}
        }
        if query.trim().is_empty() {
            return Err(ConfigError::NoQuery);
        }
        if streams > 1 && !query.contains("$stream") {
            return Err(ConfigError::SameQuery { query });
        }
        if timeout.is_zero() {
            return Err(ConfigError::Timeout);
        }
        credentials.check(FLAGS)?;
        if base.scheme() == "http" && !matches!(credentials, Credentials::None) {
            tracing::warn!(%base, "credentials go to this Prometheus unencrypted; use https:// and --prometheus-ca");
        }
        if let Some(given) = tls_server_name.as_ref().filter(|name| !is_host_name(name)) {
            return Err(ConfigError::ServerName { given: given.clone() });
        }
        let files =
            ca_certificate.map(|file| TlsFiles { ca: Mounted { flag: "--prometheus-ca", file }, identity: None });
        Ok(Self { http: HttpPeer::new(&base, timeout, files, tls_server_name)?, base, query, credentials })
    }

    /// The newest sample of the stream's gauge.
    pub async fn segments(&self, name: &StreamName) -> Result<Sample, PrometheusError> {
        let query = query_for(&self.query, name);
        // In this order a sample that comes in between is taken for older than it is, not for newer.
        let time = self.ask(&format!("timestamp({query})"), name).await;
        if let Err(PrometheusError::SeveralSeries { .. }) = &time {
            // What tells more than their times is their values.
            self.ask(&query, name).await?;
        }
        let age = time?.age();
        let value = self.ask(&query, name).await?.value;
        let segments = segments(value)
            .ok_or_else(|| PrometheusError::BadValue { stream: name.clone(), value: value.to_string() })?;
        Ok(Sample { segments, age })
    }

    /// Runs a query that must have one series as its answer.
    async fn ask(&self, query: &str, name: &StreamName) -> Result<Point, PrometheusError> {
        let mut url = beneath(&self.base, &["api", "v1", "query"]);
        url.query_pairs_mut().append_pair("query", query);
        let address = self.base.to_string();
        let bad_answer = |problem: String| PrometheusError::BadAnswer { url: self.base.to_string(), problem };
        let mut request = Request::get(url.as_str());
        if let Some(header) = self.credentials.header(FLAGS)? {
            request = request.header(AUTHORIZATION, header);
        }
        let request = request.body(Body::default()).map_err(|error| bad_answer(error.to_string()))?;
        let reply = self.http.send(request).await.map_err(|failure| match failure {
            NoReply::Unreachable(why) => PrometheusError::Unreachable { url: address.clone(), why },
            NoReply::Tls(why) => PrometheusError::Tls { url: address.clone(), why },
            NoReply::Timeout => PrometheusError::Timeout { url: address.clone(), timeout: self.http.timeout() },
            NoReply::TooLarge => bad_answer("it is larger than 16 MiB".into()),
        })?;
        let said = || Answer::error(&reply.body).unwrap_or_else(|| one_line(&String::from_utf8_lossy(&reply.body)));
        match reply.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                let mend = self.credentials.mend(FLAGS);
                return Err(PrometheusError::Unauthenticated { url: address, said: said(), mend });
            }
            StatusCode::FORBIDDEN => return Err(PrometheusError::PermissionDenied { url: address, said: said() }),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if Answer::error(&reply.body).is_some() => {
                return Err(PrometheusError::BadQuery { query: query.to_owned(), said: said() });
            }
            status => {
                let said = match &reply.location {
                    Some(to) if status.is_redirection() => format!("it redirects to {}", one_line(to)),
                    _ => said(),
                };
                return Err(PrometheusError::Status { url: address, status: status.as_u16(), said });
            }
        }
        let series = Answer::series(&reply.body).map_err(bad_answer)?;
        match series.as_slice() {
            [one] => Ok(one.point),
            [] => Err(PrometheusError::NoSeries { stream: name.clone(), query: query_for(&self.query, name) }),
            several => Err(PrometheusError::SeveralSeries {
                stream: name.clone(),
                count: several.len(),
                differ: answer::differences(several),
            }),
        }
    }
}

/// Puts the names of the stream into the query, as its strings are written.
fn query_for(query: &str, name: &StreamName) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    query.replace("$scope", &escaped(&name.scope)).replace("$stream", &escaped(&name.stream))
}

/// A whole number of at least one: an open stream has no fewer, and whether one is sealed a gauge does
/// not tell.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be one of these numbers")]
fn segments(value: f64) -> Option<Segments> {
    let counts = value >= 1.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0;
    counts.then_some(Segments(value as u32))
}
