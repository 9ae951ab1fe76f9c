//! Pravega as what it really is: `ZooKeeper`, `BookKeeper`, controllers and a segment store, each a
//! process of its own with its data on disk.
//!
//! Started in the order in which they need each other: `ZooKeeper`; its first nodes, written over its
//! own protocol; bookies and controllers together; the segment store once a bookie is there. Ready
//! when every controller lists scopes, which needs all of them.

mod builder;
mod processes;
mod security;
mod zookeeper;

use std::time::Duration;

use thiserror::Error;

pub use builder::{AutoScale, Heaps, PravegaBuilder};
pub use security::{ADMIN, GUEST, Security};

use crate::admin::Admin;
use crate::cache::CacheError;
use crate::clock::Deadline;
use crate::ports::PortsError;
use crate::process::{Process, ProcessError};
use crate::rest;
use crate::run_dir::RunDir;
use crate::tools::MissingTool;
use processes::Processes;

/// How long each process may take to stop by itself.
const GRACE: Duration = Duration::from_secs(15);

/// Why Pravega does not run.
#[derive(Debug, Error)]
pub enum PravegaError {
    /// Its jars cannot be had.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No Java.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// No port is free.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// One of its processes failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be written, or `ZooKeeper` not be spoken to.
    #[error("cannot {doing}")]
    Io {
        /// What the lab was about to do.
        doing: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is no controller with this number.
    #[error("no controller {index}: this Pravega has {count}")]
    NoController {
        /// The number asked for, from 0.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

/// A running Pravega. Dropping it kills its processes; [`stop`](Self::stop) stops them in order.
#[derive(Debug)]
pub struct Pravega {
    run: RunDir,
    processes: Processes,
    http: reqwest::Client,
    ready_within: Duration,
    controllers: Vec<Option<Process>>,
    segment_store: Option<Process>,
    bookies: Vec<Process>,
    zookeeper: Process,
}

impl Pravega {
    /// Begins to describe a Pravega to be started in this run.
    #[must_use]
    pub fn builder(run: &RunDir) -> PravegaBuilder {
        PravegaBuilder::new(run)
    }

    /// The controllers as clients take them, each on its own: `tcp://127.0.0.1:port`, or
    /// `tls://localhost:port` with [`PravegaBuilder::secure`].
    #[must_use]
    pub fn controllers(&self) -> Vec<String> {
        self.processes.controller_uris()
    }

    /// All controllers in one address, as [`controllers`](Self::controllers): `tcp://127.0.0.1:port,127.0.0.1:port`.
    #[must_use]
    pub fn controller_uri(&self) -> String {
        self.processes.controller_uri()
    }

    /// The address of `ZooKeeper`, `host:port`: a Flink with high availability may share it.
    #[must_use]
    pub fn zookeeper(&self) -> String {
        self.processes.zookeeper_address()
    }

    /// The REST addresses of the controllers.
    #[must_use]
    pub fn rest_urls(&self) -> Vec<String> {
        let ports = self.processes.controllers.iter();
        ports.map(|controller| format!("http://127.0.0.1:{}", controller.rest)).collect()
    }

    /// `host:port` where Prometheus reads `/prometheus`, the controllers first, the segment store last;
    /// with [`PravegaBuilder::metrics`] only.
    #[must_use]
    pub fn metrics_addresses(&self) -> Vec<String> {
        let controllers = self.processes.controllers.iter().map(|controller| controller.rest);
        let ports = controllers.chain([self.processes.segment_store_rest]).filter(|_| self.processes.metrics);
        ports.map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// A client that creates and scales streams and tries every controller.
    #[must_use]
    pub fn admin(&self) -> Admin {
        match &self.processes.security {
            Some(security) => Admin::secure(&self.controllers(), security),
            None => Admin::new(&self.controllers()),
        }
    }

    /// Certificates and passwords; `None` without [`PravegaBuilder::secure`].
    #[must_use]
    pub fn security(&self) -> Option<&Security> {
        self.processes.security.as_ref()
    }

    /// Kills a controller (SIGKILL). Its sessions in `ZooKeeper` live on until they time out.
    pub fn kill_controller(&mut self, index: usize) -> Result<(), PravegaError> {
        if let Some(controller) = self.controller_slot(index)?.take() {
            controller.kill();
        }
        Ok(())
    }

    /// Stops a controller in its own time.
    pub async fn stop_controller(&mut self, index: usize) -> Result<(), PravegaError> {
        if let Some(controller) = self.controller_slot(index)?.take() {
            controller.stop(GRACE).await;
        }
        Ok(())
    }

    /// Freezes a controller: its ports stay open and nothing answers.
    pub fn pause_controller(&mut self, index: usize) -> Result<(), PravegaError> {
        self.controller_slot(index)?.iter_mut().for_each(Process::pause);
        Ok(())
    }

    /// Lets a frozen controller go on.
    pub fn resume_controller(&mut self, index: usize) -> Result<(), PravegaError> {
        self.controller_slot(index)?.iter_mut().for_each(Process::resume);
        Ok(())
    }

    /// Starts a controller again on the same ports and waits until it lists scopes.
    pub async fn start_controller(&mut self, index: usize) -> Result<(), PravegaError> {
        if self.controller_slot(index)?.is_none() {
            let controller = self.processes.start_controller(&self.run, index)?;
            self.controllers[index] = Some(controller);
        }
        self.wait_ready(index, Deadline::after(self.ready_within)).await
    }

    /// Kills the segment store (SIGKILL). Acknowledged events are safe in `BookKeeper`.
    pub fn kill_segment_store(&mut self) {
        if let Some(segment_store) = self.segment_store.take() {
            segment_store.kill();
        }
    }

    /// Starts the segment store again on the same port. It serves once it has recovered its
    /// containers from `BookKeeper`, some seconds later; clients wait for that by themselves.
    pub fn start_segment_store(&mut self) -> Result<(), PravegaError> {
        if self.segment_store.is_none() {
            self.segment_store = Some(self.processes.start_segment_store(&self.run)?);
        }
        Ok(())
    }

    /// Freezes the bookies: what is written is neither refused nor acknowledged, as with a full disk.
    pub fn pause_bookies(&mut self) {
        self.bookies.iter_mut().for_each(Process::pause);
    }

    /// Lets frozen bookies go on.
    pub fn resume_bookies(&mut self) {
        self.bookies.iter_mut().for_each(Process::resume);
    }

    /// The processes that run now: name and process id.
    #[must_use]
    pub fn running(&self) -> Vec<(String, u32)> {
        std::iter::once(&self.zookeeper)
            .chain(&self.bookies)
            .chain(&self.segment_store)
            .chain(self.controllers.iter().flatten())
            .map(|process| (process.name().to_owned(), process.pid()))
            .collect()
    }

    /// An error if a process that should run has ended.
    pub fn check(&mut self) -> Result<(), PravegaError> {
        self.zookeeper.check()?;
        self.bookies.iter_mut().try_for_each(Process::check)?;
        self.segment_store.iter_mut().try_for_each(Process::check)?;
        self.controllers.iter_mut().flatten().try_for_each(Process::check)?;
        Ok(())
    }

    /// Stops everything, in the reverse order of the start.
    pub async fn stop(mut self) -> Result<(), PravegaError> {
        let deadline = Deadline::after(GRACE);
        // Controllers first and together: each would otherwise see the other's end as a failure to
        // be mended.
        for controller in self.controllers.iter_mut().flatten() {
            controller.ask_to_stop();
        }
        for mut controller in self.controllers.drain(..).flatten() {
            controller.wait(deadline.remaining()).await;
        }
        if let Some(segment_store) = self.segment_store.take() {
            segment_store.stop(GRACE).await;
        }
        for bookie in self.bookies.drain(..) {
            bookie.stop(GRACE).await;
        }
        self.zookeeper.stop(GRACE).await;
        Ok(())
    }

    fn controller_slot(&mut self, index: usize) -> Result<&mut Option<Process>, PravegaError> {
        let count = self.controllers.len();
        self.controllers.get_mut(index).ok_or(PravegaError::NoController { index, count })
    }

    /// Waits until a controller lists scopes.
    async fn wait_ready(&mut self, index: usize, deadline: Deadline) -> Result<(), PravegaError> {
        let url = format!("{}/v1/scopes", self.rest_urls()[index]);
        // With users the REST API takes no question from strangers, so the other one is asked.
        let controller = [self.controllers()[index].clone()];
        let admin = self.processes.security.as_ref().map(|security| Admin::secure(&controller, security));
        loop {
            self.check()?;
            let answers = match &admin {
                Some(admin) => admin.lists_scopes().await,
                None => rest::answers(&self.http, &url).await,
            };
            if answers {
                return Ok(());
            }
            if deadline.is_over()
                && let Some(controller) = &self.controllers[index]
            {
                return Err(controller.not_ready(deadline.limit()).into());
            }
            deadline.rest().await;
        }
    }
}
