//! The Lease's flags.

use std::time::Duration;

use clap::Args;

use super::duration;

/// Which of several agents acts.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Leadership")]
pub struct LeaseArgs {
    /// The Lease that says which agent acts, and carries what the next one must know. It is in the
    /// Deployment's namespace and ships with the manifests; the agent never creates it. By default
    /// `sluice-` and the name of the Deployment.
    #[arg(long, env = "SLUICE_LEASE", value_name = "NAME", requires = "deployment", conflicts_with = "no_lease")]
    pub lease: Option<String>,

    /// There is one agent alone and no Lease: what must outlive it is in --state-file.
    #[arg(long, env = "SLUICE_NO_LEASE")]
    pub no_lease: bool,

    /// How long another agent waits before it takes over from one that is gone.
    #[arg(long, env = "SLUICE_LEASE_DURATION", value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,

    /// How often the Lease is renewed, or looked at by an agent that waits for it.
    #[arg(long, env = "SLUICE_LEASE_RENEW", value_name = "DURATION", default_value = "3s", value_parser = duration)]
    pub lease_renew: Duration,
}

impl LeaseArgs {
    /// The Lease of the agents that look after this Deployment; `None` if there is to be none.
    #[must_use]
    pub fn name(&self, deployment: &str) -> Option<String> {
        (!self.no_lease).then(|| self.lease.clone().unwrap_or_else(|| Self::default_name(deployment)))
    }

    /// What it is called unless somebody says otherwise.
    #[must_use]
    pub fn default_name(deployment: &str) -> String {
        format!("sluice-{deployment}")
    }
}
