//! What can go wrong at the Kubernetes API, and what a person can do about it.

use std::{error::Error, time::Duration};

use kube::{core::Status, runtime::watcher};

use super::api::{Call, Resource};

/// Why an object of the cluster could not be read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KubernetesError {
    /// There is no usable configuration of the cluster's client.
    #[error(
        "no way to reach Kubernetes: {0}; outside a cluster name a kubeconfig in KUBECONFIG, inside one mount the \
         ServiceAccount's token"
    )]
    Config(String),
    /// A name that no object can have.
    #[error("{flag}: `{name}` cannot be a name in Kubernetes: {why}")]
    Name {
        /// The flag it came from.
        flag: &'static str,
        /// What was given.
        name: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// No answer, because there is no connection.
    #[error("{what}: cannot reach the Kubernetes API: {why}")]
    Unreachable {
        /// Whose sake the call was for.
        what: String,
        /// The whole chain of causes.
        why: String,
    },
    /// No answer in time.
    #[error("{what}: the Kubernetes API did not answer `{call}` within {timeout:?}{before}")]
    Timeout {
        /// Whose sake the call was for.
        what: String,
        /// Verb and resource.
        call: String,
        /// The limit.
        timeout: Duration,
        /// What it answered before, if anything.
        before: String,
    },
    /// RBAC or an admission plugin says no.
    #[error(
        "{what}: the agent may not {verb} {resource} ({message}); its ServiceAccount needs a Role in that namespace \
         with apiGroups [{group}], resources [{resource}], verbs [{verb}]"
    )]
    Forbidden {
        /// Whose sake the call was for.
        what: String,
        /// What the server said.
        message: String,
        /// For the Role.
        group: &'static str,
        /// For the Role.
        resource: String,
        /// For the Role.
        verb: &'static str,
    },
    /// The credentials are not accepted.
    #[error(
        "{what}: the Kubernetes API does not accept the agent's credentials ({message}); is its token still valid?"
    )]
    Unauthorized {
        /// Whose sake the call was for.
        what: String,
        /// What the server said.
        message: String,
    },
    /// No such object.
    #[error("{what} does not exist ({message})")]
    NotFound {
        /// Whose sake the call was for.
        what: String,
        /// What the server said.
        message: String,
    },
    /// Somebody else wrote at the same moment.
    #[error("{what}: somebody else changed it at the same moment ({message})")]
    Conflict {
        /// Whose sake the call was for.
        what: String,
        /// What the server said.
        message: String,
    },
    /// Too many requests.
    #[error("{what}: the Kubernetes API is overloaded and asks to come back later ({message})")]
    Throttled {
        /// Whose sake the call was for.
        what: String,
        /// What the server said.
        message: String,
        /// How long to stay away.
        retry_after: Option<Duration>,
    },
    /// The server failed.
    #[error("{what}: the Kubernetes API failed at `{call}` with {code} ({message})")]
    Server {
        /// Whose sake the call was for.
        what: String,
        /// Verb and resource.
        call: String,
        /// The HTTP status.
        code: u16,
        /// What the server said.
        message: String,
        /// How long to stay away.
        retry_after: Option<Duration>,
    },
    /// The server takes the request for wrong.
    #[error("{what}: the Kubernetes API rejected `{call}` with {code} ({message})")]
    Rejected {
        /// Whose sake the call was for.
        what: String,
        /// Verb and resource.
        call: String,
        /// The HTTP status.
        code: u16,
        /// What the server said.
        message: String,
    },
    /// An answer that cannot be understood.
    #[error("{what}: the answer to `{call}` is not what the Kubernetes API answers ({why})")]
    Malformed {
        /// Whose sake the call was for.
        what: String,
        /// Verb and resource.
        call: String,
        /// What is wrong with it.
        why: String,
    },
}

impl KubernetesError {
    /// A short name for logs and labels, out of a closed set.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::Name { .. } => "config",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Forbidden { .. } => "forbidden",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::Throttled { .. } => "throttled",
            Self::Server { .. } => "server",
            Self::Rejected { .. } => "rejected",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Whether the same call may well succeed a moment later.
    pub(crate) fn passes_by_itself(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Throttled { .. } | Self::Server { .. })
    }

    /// How long the server wants to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn config(error: &(dyn Error + 'static)) -> Self {
        Self::Config(chain(error))
    }

    pub(crate) fn timeout(call: Call<'_>, timeout: Duration, last: Option<String>) -> Self {
        let before = last.map(|last| format!(" (before that: {last})")).unwrap_or_default();
        Self::Timeout { what: call.what.to_owned(), call: call.to_string(), timeout, before }
    }

    pub(crate) fn malformed(call: Call<'_>, error: &(dyn Error + 'static)) -> Self {
        Self::Malformed { what: call.what.to_owned(), call: call.to_string(), why: chain(error) }
    }

    /// What is watched has not been heard of yet.
    pub(crate) fn silent(what: &str, resource: Resource, timeout: Duration) -> Self {
        Self::timeout(Call { verb: "list", resource, subresource: None, what }, timeout, None)
    }

    /// There is no object of that name among those that are watched.
    pub(crate) fn missing(what: &str) -> Self {
        Self::NotFound { what: what.to_owned(), message: "no object of this name".to_owned() }
    }

    pub(crate) fn from_watch(what: &str, resource: Resource, error: watcher::Error) -> Self {
        let call = |verb| Call { verb, resource, subresource: None, what };
        match error {
            watcher::Error::InitialListFailed(error) => Self::from_answer(call("list"), error),
            watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => {
                Self::from_answer(call("watch"), error)
            }
            watcher::Error::WatchError(status) => Self::from_status(call("watch"), *status),
            error @ watcher::Error::NoResourceVersion => Self::malformed(call("list"), &error),
        }
    }

    pub(crate) fn from_answer(call: Call<'_>, error: kube::Error) -> Self {
        let what = call.what.to_owned();
        match error {
            kube::Error::Api(status) => Self::from_status(call, *status),
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::malformed(call, &error),
            kube::Error::Auth(_) => Self::Unauthorized { what, message: chain(&error) },
            kube::Error::Service(error) => Self::Unreachable { what, why: chain(&*error) },
            other => Self::Unreachable { what, why: chain(&other) },
        }
    }

    fn from_status(call: Call<'_>, status: Status) -> Self {
        let (what, name) = (call.what.to_owned(), call.to_string());
        let retry_after = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|&s| s > 0);
        let retry_after = retry_after.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let code = status.code;
        let message = if status.message.is_empty() { status.reason } else { status.message };
        match code {
            401 => Self::Unauthorized { what, message },
            403 => Self::Forbidden {
                what,
                message,
                group: call.resource.group,
                resource: call.rbac_resource(),
                verb: call.verb,
            },
            404 => Self::NotFound { what, message },
            409 => Self::Conflict { what, message },
            429 => Self::Throttled { what, message, retry_after },
            500.. => Self::Server { what, call: name, code, message, retry_after },
            _ => Self::Rejected { what, call: name, code, message },
        }
    }
}

impl Call<'_> {
    fn rbac_resource(&self) -> String {
        match self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.resource.plural),
            None => self.resource.plural.to_owned(),
        }
    }
}

impl std::fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.rbac_resource())
    }
}

/// The longest name of a Deployment.
const LONGEST_NAME: usize = 253;

/// Names become part of a path.
pub(crate) fn check_name(flag: &'static str, name: &str) -> Result<(), KubernetesError> {
    let bad = |why| Err(KubernetesError::Name { flag, name: name.to_owned(), why });
    if name.is_empty() || name.len() > LONGEST_NAME {
        return bad("it must have 1 to 253 characters");
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.') {
        return bad("only a-z, 0-9, `-` and `.` may stand in it");
    }
    let ends = [name.as_bytes().first(), name.as_bytes().last()];
    if !ends.into_iter().flatten().all(u8::is_ascii_alphanumeric) {
        return bad("it must begin and end with a letter or a digit");
    }
    Ok(())
}

/// The whole chain of causes; an HTTP client's outermost error alone says nothing.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
