//! Writes Flink's configuration, with the names and quirks of each version.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::cache::FlinkVersion;

/// Which scheduler runs the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The job takes every slot there is.
    Reactive,
    /// The job takes what is asked for over the REST API, as far as there are slots.
    Adaptive,
    /// The job's parallelism is fixed.
    Default,
}

/// The memory of a `TaskManager`, in MiB. Their sum is the size of the process as Flink counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskManagerMemory {
    /// Heap for Flink itself.
    pub framework_heap: u32,
    /// Heap for the job.
    pub task_heap: u32,
    /// Outside the heap: the network of Flink and of the job's clients.
    pub off_heap: u32,
    /// Buffers between tasks.
    pub network: u32,
    /// Classes.
    pub metaspace: u32,
    /// Threads, compiled code and the like.
    pub overhead: u32,
}

impl TaskManagerMemory {
    /// The heap of the process.
    #[must_use]
    pub fn heap(&self) -> u32 {
        self.framework_heap + self.task_heap
    }

    /// What the process may take outside the heap for buffers.
    #[must_use]
    pub fn direct(&self) -> u32 {
        self.off_heap + self.network
    }
}

impl Default for TaskManagerMemory {
    fn default() -> Self {
        Self { framework_heap: 48, task_heap: 112, off_heap: 96, network: 16, metaspace: 112, overhead: 48 }
    }
}

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Conf {
    pub version: FlinkVersion,
    pub mode: Mode,
    pub rpc_port: u16,
    pub rest_port: u16,
    pub slots: u32,
    /// The width that an adaptive job starts with.
    pub parallelism: u32,
    pub memory: TaskManagerMemory,
    pub checkpoint_interval: Duration,
    /// The `ZooKeeper` that keeps what the `JobManager` must not forget; none for no high availability.
    pub zookeeper: Option<String>,
    /// Whether rescaling and failures are handled as soon as Flink can, instead of as late as its
    /// defaults do.
    pub quick: bool,
    /// What the caller sets on top, and over everything here.
    pub options: BTreeMap<String, String>,
}

impl Conf {
    /// The name of the file: it changed with the format, from lines to YAML.
    pub fn file_name(&self) -> &'static str {
        if self.version.is_at_least(1, 19) { "config.yaml" } else { "flink-conf.yaml" }
    }

    /// The text of the file. `folder` takes checkpoints and savepoints, and temporary files.
    pub fn text(&self, folder: &Path) -> String {
        let mut all = self.addresses();
        all.extend(self.scheduling());
        all.extend(self.state(folder));
        all.extend(self.high_availability(folder));
        all.extend(self.task_managers());
        let mut all: BTreeMap<String, String> = all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        all.extend(self.options.clone());
        let yaml = self.version.is_at_least(1, 19);
        let line = |(name, value): (String, String)| {
            let value = if yaml { quote(&value) } else { value };
            [name, ": ".to_owned(), value, "\n".to_owned()].concat()
        };
        all.into_iter().map(line).collect()
    }

    fn addresses(&self) -> Vec<(&'static str, String)> {
        let loopback = || "127.0.0.1".to_owned();
        vec![
            ("jobmanager.rpc.address", loopback()),
            ("jobmanager.rpc.port", self.rpc_port.to_string()),
            ("jobmanager.bind-host", loopback()),
            ("rest.address", loopback()),
            ("rest.bind-address", loopback()),
            ("rest.port", self.rest_port.to_string()),
            ("rest.bind-port", self.rest_port.to_string()),
            ("web.submit.enable", "false".into()),
        ]
    }

    fn scheduling(&self) -> Vec<(&'static str, String)> {
        let mut options = match self.mode {
            Mode::Reactive => vec![("scheduler-mode", "reactive".to_owned())],
            Mode::Adaptive => vec![
                ("jobmanager.scheduler", "adaptive".to_owned()),
                ("parallelism.default", self.parallelism.to_string()),
                // Otherwise the width that it starts with would decide how wide it can become.
                ("pipeline.max-parallelism", "128".into()),
            ],
            Mode::Default => Vec::new(),
        };
        if self.quick {
            // Flink's own 3 s between two looks at the job hide what happens in between.
            options.push(("web.refresh-interval", "500".into()));
            // A killed TaskManager is given up at the first heartbeat it does not take, a hung one after
            // 15 s; by default it is 50 s for either.
            options.push(("heartbeat.interval", "1000".into()));
            options.push(("heartbeat.timeout", "15000".into()));
            options.push(("heartbeat.rpc-failure-threshold", "1".into()));
            if self.mode != Mode::Default {
                options.extend(self.quick_rescaling());
            }
            if self.mode == Mode::Adaptive && self.version.is_at_least(2, 3) {
                options.push(("web.adaptive-scheduler.rescale-history.size", "20".into()));
            }
        }
        options
    }

    /// Rescales as soon as slots come or go, instead of some 30 s after the last time.
    fn quick_rescaling(&self) -> Vec<(&'static str, String)> {
        if self.version.is_at_least(2, 0) {
            // Also in reactive mode it would wait a minute for further slots.
            vec![
                ("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling", "0s".into()),
                ("jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout", "1s".into()),
                ("jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout", "1s".into()),
            ]
        } else if self.version.is_at_least(1, 19) {
            vec![
                ("jobmanager.adaptive-scheduler.scaling-interval.min", "0s".into()),
                ("jobmanager.adaptive-scheduler.resource-stabilization-timeout", "1s".into()),
            ]
        } else {
            vec![("jobmanager.adaptive-scheduler.resource-stabilization-timeout", "1s".into())]
        }
    }

    fn state(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let [checkpoints, savepoints] = if self.version.is_at_least(2, 0) {
            ["execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"]
        } else {
            ["state.checkpoints.dir", "state.savepoints.dir"]
        };
        let path = |name: &str| format!("file://{}", folder.join(name).display());
        vec![
            ("execution.checkpointing.interval", format!("{}ms", self.checkpoint_interval.as_millis())),
            ("execution.checkpointing.mode", "EXACTLY_ONCE".into()),
            (checkpoints, path("checkpoints")),
            (savepoints, path("savepoints")),
            ("io.tmp.dirs", folder.join("tmp").display().to_string()),
        ]
    }

    fn high_availability(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let Some(zookeeper) = &self.zookeeper else { return Vec::new() };
        vec![
            ("high-availability.type", "zookeeper".into()),
            ("high-availability.zookeeper.quorum", zookeeper.clone()),
            ("high-availability.storageDir", format!("file://{}", folder.join("high-availability").display())),
            ("high-availability.jobmanager.port", self.rpc_port.to_string()),
            // A killed JobManager still counts as the leader for this long; by default a minute.
            ("high-availability.zookeeper.client.session-timeout", "8000".into()),
        ]
    }

    fn task_managers(&self) -> Vec<(&'static str, String)> {
        let memory = &self.memory;
        let mebibytes = |number: u32| format!("{number}m");
        vec![
            ("taskmanager.host", "127.0.0.1".into()),
            ("taskmanager.bind-host", "127.0.0.1".into()),
            ("taskmanager.numberOfTaskSlots", self.slots.to_string()),
            // Started without Flink's own script, a TaskManager wants each of these.
            ("taskmanager.cpu.cores", format!("{}.0", self.slots)),
            ("taskmanager.memory.framework.heap.size", mebibytes(memory.framework_heap)),
            ("taskmanager.memory.task.heap.size", mebibytes(memory.task_heap)),
            ("taskmanager.memory.framework.off-heap.size", mebibytes(memory.off_heap)),
            ("taskmanager.memory.task.off-heap.size", mebibytes(0)),
            ("taskmanager.memory.network.min", mebibytes(memory.network)),
            ("taskmanager.memory.network.max", mebibytes(memory.network)),
            ("taskmanager.memory.managed.size", mebibytes(0)),
            ("taskmanager.memory.jvm-metaspace.size", mebibytes(memory.metaspace)),
            ("taskmanager.memory.jvm-overhead.min", mebibytes(memory.overhead)),
            ("taskmanager.memory.jvm-overhead.max", mebibytes(memory.overhead)),
        ]
    }
}

/// Puts a value in quotes if YAML would read it as something else.
fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let starts_well = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    if starts_well && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(version: &str, mode: Mode) -> Conf {
        Conf {
            version: version.parse().expect("a version"),
            mode,
            rpc_port: 20_001,
            rest_port: 20_002,
            slots: 1,
            parallelism: 2,
            memory: TaskManagerMemory::default(),
            checkpoint_interval: Duration::from_secs(10),
            zookeeper: None,
            quick: true,
            options: BTreeMap::from([("rest.port".to_owned(), "8081".to_owned())]),
        }
    }

    fn text(version: &str, mode: Mode) -> String {
        conf(version, mode).text(Path::new("/run/flink"))
    }

    #[test]
    fn names_follow_the_version() {
        assert_eq!(conf("1.17.2", Mode::Reactive).file_name(), "flink-conf.yaml");
        assert_eq!(conf("1.20.5", Mode::Reactive).file_name(), "config.yaml");
        assert!(text("1.17.2", Mode::Reactive).contains("state.checkpoints.dir: file:///run/flink/checkpoints\n"));
        assert!(text("1.20.5", Mode::Reactive).contains("state.checkpoints.dir: \"file:///run/flink/checkpoints\"\n"));
        assert!(
            text("2.3.0", Mode::Reactive).contains("execution.checkpointing.dir: \"file:///run/flink/checkpoints\"\n")
        );
    }

    #[test]
    fn modes_and_rescaling_follow_the_version() {
        let reactive = text("1.20.5", Mode::Reactive);
        assert!(reactive.contains("scheduler-mode: reactive\n"));
        assert!(reactive.contains("scaling-interval.min: 0s\n"));
        let adaptive = text("2.3.0", Mode::Adaptive);
        assert!(adaptive.contains("jobmanager.scheduler: adaptive\n") && !adaptive.contains("scheduler-mode"));
        assert!(adaptive.contains("executing.cooldown-after-rescaling: 0s\n"));
        assert!(adaptive.contains("parallelism.default: 2\n"));
        assert!(!reactive.contains("parallelism.default"));
        let fixed = text("1.18.1", Mode::Default);
        assert!(!fixed.contains("adaptive") && !fixed.contains("reactive"));
    }

    #[test]
    fn the_caller_has_the_last_word() {
        let text = text("1.20.5", Mode::Reactive);
        assert!(text.contains("rest.port: 8081\n") && !text.contains("rest.port: 20002\n"));
    }

    #[test]
    fn the_whole_file() {
        assert_eq!(text("1.17.2", Mode::Default), include_str!("../../tests/golden/flink-conf-1.17.2.yaml"));
        assert_eq!(text("2.3.0", Mode::Reactive), include_str!("../../tests/golden/config-2.3.0.yaml"));
    }

    #[test]
    fn quotes_where_yaml_needs_them() {
        for (value, quoted) in [
            ("10s", "10s"),
            ("/tmp/a", "/tmp/a"),
            ("file:///tmp/a", "\"file:///tmp/a\""),
            ("a \"b\" \\", "\"a \\\"b\\\" \\\\\""),
            ("-Xmx1g", "\"-Xmx1g\""),
            ("", "\"\""),
        ] {
            assert_eq!(quote(value), quoted);
        }
    }
}
