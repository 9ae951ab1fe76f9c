//! The flags of `sluice inject`.

use std::path::PathBuf;

use clap::Args;

use crate::inject::settings::AgentSettings;

/// `sluice inject`.
#[derive(Debug, Args)]
#[command(after_help = INJECT_HELP)]
pub struct InjectArgs {
    /// The manifests; `-` is standard input. Comments, order and indentation stay as they are.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// The agent's image; by default that of this version, without a registry, or what the container has.
    #[arg(long, env = "SLUICE_IMAGE", value_name = "IMAGE", help_heading = "Inject")]
    pub image: Option<String>,

    /// The JobManager's workload, where several in the files could be it.
    #[arg(long, env = "SLUICE_JOB_MANAGER", value_name = "NAME", help_heading = "Inject")]
    pub job_manager: Option<String>,

    /// Print what would change (a unified diff) instead of the manifests. Secrets are left out.
    #[arg(long, env = "SLUICE_DIFF", help_heading = "Inject")]
    pub diff: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub settings: AgentSettings,
}

const INJECT_HELP: &str = "\
The flags of the agent are those of `sluice run`; what is given is written into the container's
environment, and what is not given stays as it is. --deployment is found in the files where they have
the TaskManagers; --namespace is where the manifests are applied to, if they do not say it.";
