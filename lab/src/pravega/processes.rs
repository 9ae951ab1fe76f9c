//! The command line and the configuration file of each process of Pravega.
//!
//! Every size is chosen for one machine with few cores; whatever can listen on the loopback only does.
//! The controllers' gRPC port is the exception: the product always listens on all addresses.

use std::path::PathBuf;

use super::builder::{AutoScale, Heaps};
use super::security::Security;
use super::zookeeper::LEDGERS;
use super::{Pravega, PravegaError};
use crate::clock::Deadline;
use crate::java::JavaProcess;
use crate::process::{Process, ProcessError};
use crate::rest;
use crate::run_dir::RunDir;
use crate::tools::Java;

/// How many segment containers the segment store runs. Each costs memory and start time; the number
/// does not limit the number of segments.
const CONTAINERS: u32 = 4;
/// The cache of the segment store in bytes, outside its heap.
const CACHE_BYTES: u64 = 96 << 20;
/// How long the controllers wait before they give containers to a segment store that has appeared.
/// The product's 10 s let several of them arrive; here there is one.
const REBALANCE_SECONDS: u32 = 1;
/// How often rates and percentiles in the metrics are brought up to date.
const METRICS_SECONDS: u32 = 10;

const LOGBACK: &str = r#"<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level [%thread] %logger{30} - %msg%n</pattern></encoder>
  </appender>
  <!-- Each of these says something for every request or connection. -->
  <logger name="io.netty.handler.logging" level="WARN"/>
  <logger name="io.pravega.common.tracing" level="WARN"/>
  <root level="INFO"><appender-ref ref="out"/></root>
</configuration>
"#;

/// The ports of one controller.
#[derive(Debug, Clone, Copy)]
pub struct ControllerPorts {
    /// What clients speak to.
    pub grpc: u16,
    /// REST API and metrics.
    pub rest: u16,
}

/// Everything that the command lines depend on.
#[derive(Debug)]
pub struct Processes {
    pub java: Java,
    pub jars: Vec<PathBuf>,
    pub data: PathBuf,
    pub zookeeper: u16,
    pub bookies: Vec<u16>,
    pub segment_store: u16,
    /// Where the segment store serves its metrics, if they are on.
    pub segment_store_rest: u16,
    pub controllers: Vec<ControllerPorts>,
    pub heaps: Heaps,
    pub auto_scale: AutoScale,
    pub metrics: bool,
    pub security: Option<Security>,
    /// The address under which other machines, or pods, reach this one.
    pub published: Option<String>,
}

impl Processes {
    /// All controllers in one address.
    pub fn controller_uri(&self) -> String {
        let (scheme, host) = self.scheme_and_host();
        let all: Vec<String> =
            self.controllers.iter().map(|controller| format!("{host}:{}", controller.grpc)).collect();
        format!("{scheme}://{}", all.join(","))
    }

    /// The controllers, each on its own.
    pub fn controller_uris(&self) -> Vec<String> {
        let (scheme, host) = self.scheme_and_host();
        self.controllers.iter().map(|controller| format!("{scheme}://{host}:{}", controller.grpc)).collect()
    }

    /// With TLS a server goes by the name in its certificate.
    fn scheme_and_host(&self) -> (&'static str, &'static str) {
        if self.security.is_some() { ("tls", "localhost") } else { ("tcp", "127.0.0.1") }
    }

    /// The address that clients are told to connect to.
    fn published_host(&self) -> &str {
        self.published.as_deref().unwrap_or(self.scheme_and_host().1)
    }

    /// Where whatever clients connect to listens.
    fn listening_host(&self) -> &'static str {
        if self.published.is_some() { "0.0.0.0" } else { "127.0.0.1" }
    }

    /// The files that the processes read: name beneath the data folder, and text.
    pub fn configuration(&self) -> Vec<(String, String)> {
        let mut files = vec![
            ("logback.xml".to_owned(), LOGBACK.to_owned()),
            // The segment store insists on a file although everything comes by system properties.
            ("segment-store.properties".to_owned(), String::new()),
            ("zookeeper.cfg".to_owned(), self.zookeeper_cfg()),
        ];
        files.extend((0..self.bookies.len()).map(|index| (bookie_file(index), self.bookie_conf(index))));
        files
    }

    fn zookeeper_cfg(&self) -> String {
        format!(
            "clientPort={}\n\
             clientPortAddress=127.0.0.1\n\
             dataDir={}\n\
             tickTime=2000\n\
             maxClientCnxns=0\n\
             admin.enableServer=false\n",
            self.zookeeper,
            self.data.join("zookeeper").display(),
        )
    }

    fn bookie_conf(&self, index: usize) -> String {
        let data = self.data.join(format!("bookie-{}", index + 1));
        // The journal is written but not forced to the disk: here processes are killed, never the
        // machine, and what a killed process wrote is safe with the kernel.
        format!(
            "bookiePort={port}\n\
             advertisedAddress=127.0.0.1\n\
             listeningInterface=lo\n\
             allowLoopback=true\n\
             metadataServiceUri=zk+hierarchical://{zookeeper}{LEDGERS}\n\
             journalDirectories={data}/journal\n\
             ledgerDirectories={data}/ledgers\n\
             journalSyncData=false\n\
             journalMaxSizeMB=32\n\
             journalPreAllocSizeMB=4\n\
             logSizeLimit=33554432\n\
             entryLogFilePreallocationEnabled=false\n\
             skipListSizeLimit=4194304\n\
             pageLimit=512\n\
             diskUsageThreshold=0.98\n\
             diskUsageWarnThreshold=0.97\n\
             minUsableSizeForIndexFileCreation=67108864\n\
             minUsableSizeForEntryLogCreation=67108864\n\
             numAddWorkerThreads=1\n\
             numReadWorkerThreads=1\n\
             serverNumIOThreads=1\n\
             httpServerEnabled=false\n",
            port = self.bookies[index],
            zookeeper = self.zookeeper_address(),
            data = data.display(),
        )
    }

    pub fn zookeeper_address(&self) -> String {
        format!("127.0.0.1:{}", self.zookeeper)
    }

    fn java(&self, main: &str, heap: u32) -> JavaProcess {
        JavaProcess::new(&self.java, main, heap)
            .property("logback.configurationFile", self.data.join("logback.xml").display())
            .class_path(&self.jars)
    }

    pub fn start_zookeeper(&self, run: &RunDir) -> Result<Process, ProcessError> {
        let java = self
            .java("org.apache.zookeeper.server.ZooKeeperServerMain", self.heaps.zookeeper)
            .property("zookeeper.forceSync", "no")
            .arg(self.data.join("zookeeper.cfg").to_string_lossy());
        Process::start(run, "zookeeper", &java.launch())
    }

    pub fn start_bookies(&self, run: &RunDir) -> Result<Vec<Process>, ProcessError> {
        let start = |index| {
            let java = self
                .java("org.apache.bookkeeper.server.Main", self.heaps.bookie)
                .direct_memory(64)
                .property("io.netty.maxDirectMemory", 0)
                .arg("--conf")
                .arg(self.data.join(bookie_file(index)).to_string_lossy());
            Process::start(run, &format!("bookie-{}", index + 1), &java.launch())
        };
        (0..self.bookies.len()).map(start).collect()
    }

    pub fn start_segment_store(&self, run: &RunDir) -> Result<Process, ProcessError> {
        // With three bookies two copies of everything, so that one bookie may go; else one copy.
        let copies = if self.bookies.len() >= 3 { 2 } else { 1 };
        let mut java = self
            .java("io.pravega.segmentstore.server.host.ServiceStarter", self.heaps.segment_store)
            .direct_memory(self.heaps.segment_store.max(160))
            .property("pravega.configurationFile", self.data.join("segment-store.properties").display())
            .property("pravegaservice.cache.size.max", CACHE_BYTES)
            .property("pravegaservice.container.count", CONTAINERS)
            .property("pravegaservice.zk.connect.uri", self.zookeeper_address())
            .property("pravegaservice.service.listener.host.nameOrIp", self.listening_host())
            .property("pravegaservice.service.listener.port", self.segment_store)
            .property("pravegaservice.service.published.host.nameOrIp", self.published_host())
            .property("pravegaservice.threadPool.core.size", 20)
            .property("pravegaservice.threadPool.storage.size", 20)
            .property("pravegaservice.admin.gateway.enable", false)
            .property("pravegaservice.dataLog.impl.name", "BOOKKEEPER")
            .property("bookkeeper.zk.connect.uri", self.zookeeper_address())
            .property("bookkeeper.ledger.path", LEDGERS)
            .property("bookkeeper.ensemble.size", copies)
            .property("bookkeeper.write.quorum.size", copies)
            .property("bookkeeper.ack.quorum.size", copies)
            .property("pravegaservice.storage.impl.name", "FILESYSTEM")
            .property("filesystem.root", self.data.join("long-term-storage").display())
            .property("autoScale.controller.connect.uri", self.controller_uri())
            .property("autoScale.cooldown.time.seconds", self.auto_scale.cooldown.as_secs())
            .property("autoScale.mute.time.seconds", self.auto_scale.mute.as_secs())
            .property("autoScale.cache.cleanUp.interval.seconds", self.auto_scale.clean_up.as_secs())
            .property("autoScale.cache.expiry.seconds", self.auto_scale.cache_expiry.as_secs());
        java = if self.metrics {
            java.property("pravegaservice.rest.listener.enable", true)
                .property("pravegaservice.rest.listener.host.ip", "127.0.0.1")
                .property("pravegaservice.rest.listener.port", self.segment_store_rest)
                .property("metrics.statistics.enable", true)
                .property("metrics.prometheus.enable", true)
                .property("metrics.output.frequency.seconds", METRICS_SECONDS)
                .property("HOSTNAME", "segment-store")
        } else {
            java.property("pravegaservice.rest.listener.enable", false)
        };
        if let Some(security) = &self.security {
            java = security.of_segment_store(java);
        }
        Process::start(run, "segment-store", &java.launch())
    }

    pub fn start_controller(&self, run: &RunDir, index: usize) -> Result<Process, ProcessError> {
        let ControllerPorts { grpc, rest } = self.controllers[index];
        let name = format!("controller-{}", index + 1);
        let mut java = self
            .java("io.pravega.controller.server.Main", self.heaps.controller)
            .direct_memory(64)
            // The name under which its metrics appear.
            .property("HOSTNAME", &name)
            .property("controller.zk.connect.uri", self.zookeeper_address())
            .property("controller.container.count", CONTAINERS)
            .property("controller.rebalance.interval.seconds.min", REBALANCE_SECONDS)
            .property("controller.service.rpc.listener.port", grpc)
            .property("controller.service.rpc.published.host.nameOrIp", self.published_host())
            .property("controller.service.rpc.published.port", grpc)
            .property("controller.service.rest.listener.host.ip", self.listening_host())
            .property("controller.service.rest.listener.port", rest)
            .property("controller.service.asyncTaskPool.size", 20)
            .property("controller.retention.bucket.count", 1)
            .property("controller.watermarking.bucket.count", 1);
        if self.metrics {
            java = java
                .property("controller.metrics.statistics.enable", true)
                .property("controller.metrics.prometheus.enable", true)
                .property("controller.metrics.output.frequency.seconds", METRICS_SECONDS);
        }
        if let Some(security) = &self.security {
            java = security.of_controller(java);
        }
        Process::start(run, &name, &java.launch())
    }
}

fn bookie_file(index: usize) -> String {
    format!("bookie-{}.conf", index + 1)
}

impl Pravega {
    /// Waits until every bookie takes connections: the segment store gives up on its containers for a
    /// while if it finds none.
    pub(super) async fn wait_for_bookies(&mut self, deadline: Deadline) -> Result<(), PravegaError> {
        for (index, port) in self.processes.bookies.iter().enumerate() {
            loop {
                self.bookies[index].check()?;
                if rest::is_open(*port).await {
                    break;
                }
                if deadline.is_over() {
                    return Err(self.bookies[index].not_ready(deadline.limit()).into());
                }
                deadline.rest().await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::zookeeper::CLUSTER;
    use super::*;

    fn processes() -> Processes {
        Processes {
            java: Java { program: "java".into(), major: 17, version: "17".into() },
            jars: vec!["/jars/a.jar".into()],
            data: "/run/pravega".into(),
            zookeeper: 20_001,
            bookies: vec![20_002],
            segment_store: 20_003,
            segment_store_rest: 20_008,
            controllers: vec![
                ControllerPorts { grpc: 20_004, rest: 20_005 },
                ControllerPorts { grpc: 20_006, rest: 20_007 },
            ],
            heaps: Heaps::default(),
            auto_scale: AutoScale::quick(),
            metrics: false,
            security: None,
            published: None,
        }
    }

    #[test]
    fn both_controllers_are_in_the_address() {
        assert_eq!(processes().controller_uri(), "tcp://127.0.0.1:20004,127.0.0.1:20006");
    }

    #[test]
    fn others_reach_it_only_where_it_is_published() {
        let local = processes();
        assert_eq!((local.published_host(), local.listening_host()), ("127.0.0.1", "127.0.0.1"));
        let published = Processes { published: Some("10.0.0.7".into()), ..processes() };
        assert_eq!((published.published_host(), published.listening_host()), ("10.0.0.7", "0.0.0.0"));
    }

    #[test]
    fn configuration_names_the_ports_and_stays_on_the_loopback() {
        let files = processes().configuration();
        let text = |name: &str| &files.iter().find(|(file, _)| file == name).expect("it is among the files").1;
        assert_eq!(
            text("zookeeper.cfg"),
            "clientPort=20001\nclientPortAddress=127.0.0.1\ndataDir=/run/pravega/zookeeper\n\
             tickTime=2000\nmaxClientCnxns=0\nadmin.enableServer=false\n"
        );
        let bookie = text("bookie-1.conf");
        for line in [
            "bookiePort=20002\n",
            "listeningInterface=lo\n",
            "metadataServiceUri=zk+hierarchical://127.0.0.1:20001/pravega/pravega-cluster/bookkeeper/ledgers\n",
            "ledgerDirectories=/run/pravega/bookie-1/ledgers\n",
        ] {
            assert!(bookie.contains(line), "{line}");
        }
        assert!(LEDGERS.starts_with(CLUSTER));
    }
}
