//! What can be chosen about a Pravega, and its start.

use std::fs;
use std::time::Duration;

use super::processes::{ControllerPorts, Processes};
use super::security::Security;
use super::{Pravega, PravegaError, zookeeper};
use crate::cache::Cache;
use crate::clock::Deadline;
use crate::process::Process;
use crate::progress::Progress;
use crate::rest;
use crate::run_dir::RunDir;
use crate::tools;

/// When Pravega scales a stream by itself. The windows over which it looks at the load are fixed in
/// the product: nothing happens within the first two minutes, and a quiet segment is given back when
/// no report has come for [`cache_expiry`](Self::cache_expiry).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoScale {
    /// After a segment was made, how long it is left alone.
    pub cooldown: Duration,
    /// How long a segment does not repeat a request to be scaled.
    pub mute: Duration,
    /// How often the reports of quiet segments are looked through.
    pub clean_up: Duration,
    /// When a segment without reports counts as quiet.
    pub cache_expiry: Duration,
}

impl AutoScale {
    /// The defaults of the product: minutes.
    #[must_use]
    pub fn stock() -> Self {
        let minutes = Duration::from_mins;
        Self { cooldown: minutes(10), mute: minutes(10), clean_up: minutes(5), cache_expiry: minutes(20) }
    }

    /// As quick as the product can be made with its own settings: up some two minutes after the load
    /// came, down some two and a half after it went.
    #[must_use]
    pub fn quick() -> Self {
        let seconds = Duration::from_secs;
        Self { cooldown: seconds(30), mute: seconds(30), clean_up: seconds(30), cache_expiry: seconds(180) }
    }
}

/// The heaps of the processes, in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heaps {
    /// `ZooKeeper`; 24 is the least.
    pub zookeeper: u32,
    /// Each bookie; below 40 it dies under load.
    pub bookie: u32,
    /// The segment store; 96 is the least. It has as much again outside the heap.
    pub segment_store: u32,
    /// Each controller; 64 is the least.
    pub controller: u32,
}

impl Default for Heaps {
    fn default() -> Self {
        Self { zookeeper: 32, bookie: 64, segment_store: 192, controller: 96 }
    }
}

/// Describes a Pravega to be started.
#[derive(Debug, Clone)]
pub struct PravegaBuilder {
    run: RunDir,
    cache: Option<Cache>,
    progress: Progress,
    controllers: usize,
    first_controller_port: Option<u16>,
    bookies: usize,
    heaps: Heaps,
    auto_scale: AutoScale,
    metrics: bool,
    secure: bool,
    published: Option<String>,
    ready_within: Duration,
}

impl PravegaBuilder {
    pub(super) fn new(run: &RunDir) -> Self {
        Self {
            run: run.clone(),
            cache: None,
            progress: Progress::detect(),
            controllers: 1,
            first_controller_port: None,
            bookies: 1,
            heaps: Heaps::default(),
            auto_scale: AutoScale::quick(),
            metrics: false,
            secure: false,
            published: None,
            ready_within: Duration::from_mins(2),
        }
    }

    /// Where the jars are kept; the user's cache folder if not given.
    #[must_use]
    pub fn cache(mut self, cache: &Cache) -> Self {
        self.cache = Some(cache.clone());
        self
    }

    /// How progress is shown.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// How many controllers; 1 if not given.
    #[must_use]
    pub fn controllers(mut self, count: usize) -> Self {
        self.controllers = count.max(1);
        self
    }

    /// The port of the first controller's gRPC service; any free one if not given.
    #[must_use]
    pub fn controller_port(mut self, port: u16) -> Self {
        self.first_controller_port = Some(port);
        self
    }

    /// How many bookies: with 3, each event is on two of them and one may be killed without a stall.
    #[must_use]
    pub fn bookies(mut self, count: usize) -> Self {
        self.bookies = count.max(1);
        self
    }

    /// The heaps of the processes.
    #[must_use]
    pub fn heaps(mut self, heaps: Heaps) -> Self {
        self.heaps = heaps;
        self
    }

    /// When streams with a rate policy are scaled; [`AutoScale::quick`] if not given.
    #[must_use]
    pub fn auto_scale(mut self, auto_scale: AutoScale) -> Self {
        self.auto_scale = auto_scale;
        self
    }

    /// Whether controllers and segment store serve Prometheus metrics beside their REST APIs
    /// ([`Pravega::metrics_addresses`]); off if not given.
    #[must_use]
    pub fn metrics(mut self, on: bool) -> Self {
        self.metrics = on;
        self
    }

    /// With TLS everywhere, and basic authentication: [`Pravega::security`] has the certificate to
    /// trust and the users [`ADMIN`](super::ADMIN) and [`GUEST`](super::GUEST). Without, if not called.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// The address under which clients elsewhere reach this machine: what they connect to then listens
    /// on all its addresses. For the loopback only, if not called.
    #[must_use]
    pub fn published(mut self, host: impl Into<String>) -> Self {
        self.published = Some(host.into());
        self
    }

    /// How long the whole start may take; two minutes if not given.
    #[must_use]
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Starts it and waits until every controller lists scopes.
    pub async fn start(self) -> Result<Pravega, PravegaError> {
        let java = tools::java()?;
        let cache = self.cache.map_or_else(Cache::open, Ok)?;
        let jars = cache.pravega(self.progress).await?;
        let run = self.run;
        let data = run.path().join("pravega");

        let mut controllers = Vec::with_capacity(self.controllers);
        for index in 0..self.controllers {
            let grpc = match self.first_controller_port.filter(|_| index == 0) {
                Some(port) => run.exact_port(port)?,
                None => run.port()?,
            };
            controllers.push(ControllerPorts { grpc, rest: run.port()? });
        }
        let bookies = (0..self.bookies).map(|_| run.port()).collect::<Result<Vec<_>, _>>()?;
        let security = self.secure.then(|| Security::create(&data.join("security"), &java)).transpose()?;
        let processes = Processes {
            java,
            security,
            jars,
            zookeeper: run.port()?,
            bookies,
            segment_store: run.port()?,
            segment_store_rest: run.port()?,
            controllers,
            data,
            heaps: self.heaps,
            auto_scale: self.auto_scale,
            metrics: self.metrics,
            published: self.published,
        };
        processes.write_configuration().map_err(|source| PravegaError::Io {
            doing: format!("write the configuration of Pravega to {}", processes.data.display()),
            source,
        })?;

        let task = self.progress.task(format!("starting Pravega with {} controller(s)", self.controllers));
        let deadline = Deadline::after(self.ready_within);
        let mut zookeeper = processes.start_zookeeper(&run)?;
        initialise(&mut zookeeper, processes.zookeeper, deadline).await?;
        let mut pravega = Pravega {
            zookeeper,
            bookies: processes.start_bookies(&run)?,
            controllers: Vec::new(),
            segment_store: None,
            http: rest::client(),
            ready_within: self.ready_within,
            run,
            processes,
        };
        for index in 0..self.controllers {
            let controller = pravega.processes.start_controller(&pravega.run, index)?;
            pravega.controllers.push(Some(controller));
        }
        pravega.wait_for_bookies(deadline).await?;
        pravega.start_segment_store()?;
        for index in 0..self.controllers {
            pravega.wait_ready(index, deadline).await?;
        }
        task.done("ready");
        Ok(pravega)
    }
}

/// Writes the nodes that Pravega and `BookKeeper` expect, as soon as `ZooKeeper` answers.
async fn initialise(process: &mut Process, port: u16, deadline: Deadline) -> Result<(), PravegaError> {
    loop {
        process.check()?;
        match zookeeper::Session::open(port).await {
            Ok(session) => {
                return session.create_all(&zookeeper::first_nodes()).await.map_err(|source| PravegaError::Io {
                    doing: "write the first nodes into ZooKeeper".into(),
                    source,
                });
            }
            Err(_) if deadline.is_over() => return Err(process.not_ready(deadline.limit()).into()),
            Err(_) => deadline.rest().await,
        }
    }
}

impl Processes {
    /// Files that the processes read at their start.
    fn write_configuration(&self) -> std::io::Result<()> {
        fs::create_dir_all(self.data.join("long-term-storage"))?;
        for (name, text) in self.configuration() {
            fs::write(self.data.join(name), text)?;
        }
        Ok(())
    }
}
