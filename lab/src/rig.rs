//! What stands around the real services in the demo and the tests: the agent and the generator as
//! processes, the ledger that proves what the job counted, and the trace that times it.

pub mod agent;
pub mod generator;
pub mod ledger;
pub mod prometheus;
pub mod proxy;
pub mod trace;

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

pub use agent::{Agent, AgentApi, AgentPlan, Look};
pub use generator::{Generator, Load, Written};
pub use ledger::{Ledger, Proof};
pub use prometheus::{Prometheus, Target};
pub use proxy::Proxy;
pub use trace::{Silence, Timeline, Trace};

/// A binary of this workspace, beside the program that asks (tests live one folder below). A benchmark
/// is built for release; what it does not measure may be there for debugging only.
pub fn binary(name: &str) -> Result<PathBuf> {
    let me = env::current_exe().context("where this program is")?;
    let beside = me.parent().map(|folder| folder.join(name));
    let above = me.parent().and_then(|folder| folder.parent()).map(|folder| folder.join(name));
    let debug = me.ancestors().nth(3).map(|target| target.join("debug").join(name));
    let found = [beside, above, debug].into_iter().flatten().find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run `cargo build --workspace --bins`"))
}
