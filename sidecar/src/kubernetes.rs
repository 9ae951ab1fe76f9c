//! SEE and DO: the Kubernetes API, as far as every part of the agent needs it: calls with time limits
//! (`api`), objects that are watched (`watched`), and the Lease that says which agent acts (`lease`).

pub mod api;
mod error;
pub mod lease;
#[cfg(test)]
pub(crate) mod scripted;
pub mod watched;

pub use api::{Api, ConnectOptions};
pub use error::KubernetesError;
pub(crate) use error::check_name;

/// The name of the pod that the agent runs in; outside a cluster that of the machine.
#[must_use]
pub fn instance() -> String {
    let pod = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    pod.unwrap_or_else(host)
}
