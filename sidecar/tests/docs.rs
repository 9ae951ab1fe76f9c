//! `docs/cli.md`, `docs/metrics.md` and `docs/reasons.md` are made from the program. `make docs` writes them; here
//! they are compared.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use clap::CommandFactory as _;
use jiff::Timestamp;
use sluice::{
    args::Cli,
    report::{
        metrics::Metrics,
        status::{Shared, Status},
    },
};
use sluice_core::{
    Capacity, Decision, Flink, FlinkVersion, Guard, Hold, Job, JobState, Memory, Observation, Parallelism, Policy,
    PolicyOptions, Pool, Reading, Scheduler, Segments, Stream, StreamName, StreamShape, TaskManagers,
};

fn compare(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file);
    if std::env::var_os("SLUICE_UPDATE_DOCS").is_some() {
        fs::write(&path, made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/{file} is not what the program says: run `make docs`");
}

#[test]
fn cli() {
    let mut text = String::from("<!-- Made by `make docs` from the program. -->\n\n# Command line\n");
    let mut root = Cli::command().term_width(100);
    root.build();
    write!(text, "\n```text\n{}```\n", root.render_long_help()).unwrap();
    for command in root.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let help = command.clone().term_width(100).render_long_help().to_string();
        write!(text, "\n## sluice {}\n\n```text\n{}```\n", command.get_name(), without_environment(&help)).unwrap();
    }
    compare("cli.md", &text);
}

/// Help shows the values that the environment has at the moment; the document must not.
fn without_environment(help: &str) -> String {
    let mut lines: Vec<_> = help.lines().map(str::trim_end).map(str::to_owned).collect();
    for line in &mut lines {
        if let Some((before, rest)) = line.split_once("[env: ")
            && let Some((pair, after)) = rest.split_once(']')
        {
            let name = pair.split('=').next().unwrap_or_default();
            *line = format!("{before}[env: {name}]{after}");
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn reasons() {
    let mut text = String::from("<!-- Made by `make docs` from the program. -->\n\n# Why Sluice holds\n\n");
    text.push_str(
        "Every look ends in a decision, and most are to hold. The guards below are asked in this order; the first that \
         objects is the answer. Its reason has one name everywhere: in the log, in \
         `sluice_decisions_total{decision=\"hold\",reason=\"…\"}`, in `/state`, in `/history`, on the page and here. \
         `sluice plan`, the page and `/state` say the same as this table, with the numbers of the moment.\n\n",
    );
    text.push_str("| reason | what it means | what would change it | what it asks of a person |\n|---|---|---|---|\n");
    for guard in Guard::ALL {
        let Guard { reason, means, mend, attention } = guard;
        writeln!(text, "| `{reason}` | {means} | {mend} | {} |", attention.in_words()).unwrap();
    }
    compare("reasons.md", &text);
}

#[test]
fn metrics() {
    let shared = Shared::default();
    let metrics = Metrics::new(shared.clone());
    shared.set_status(everything_known());
    let text = metrics.encode().unwrap();
    let mut table = String::from("<!-- Made by `make docs` from the program. -->\n\n# Metrics\n\n");
    table.push_str("Served at `/metrics` as OpenMetrics. A gauge whose value is not known is absent, not 0.\n\n");
    table.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else { continue };
        let typed = format!("# TYPE {name} ");
        let kind = text.lines().find_map(|line| line.strip_prefix(&typed)).unwrap_or_default();
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let help = help.trim_end_matches('.');
        writeln!(table, "| `{name}{suffix}` | {kind} | {} | {help} |", labels(&text, name)).unwrap();
    }
    table.push_str("\n`sluice_decisions_total` has these kinds and reasons, all of them from the start:\n\n");
    for (decision, reason) in Decision::labels() {
        writeln!(table, "- `{decision}` `{reason}`").unwrap();
    }
    compare("metrics.md", &table);
}

fn labels(text: &str, name: &str) -> String {
    let sample = text.lines().find(|line| line.starts_with(name) && !line.starts_with('#') && line.contains('{'));
    let inside = sample.and_then(|line| line.split_once('{')?.1.split_once('}')).map_or("", |(inside, _)| inside);
    let names = inside.split("\",").filter_map(|pair| Some(format!("`{}`", pair.split_once('=')?.0)));
    names.filter(|name| name != "`le`").collect::<Vec<_>>().join(", ")
}

fn everything_known() -> Status {
    let at = Timestamp::UNIX_EPOCH + Duration::from_hours(1);
    let job = Job {
        id: "a".repeat(32),
        name: "busy-reader".into(),
        state: JobState::Running,
        running_since: Some(at),
        parallelism: Parallelism(1),
        max_parallelism: Parallelism(128),
        stopped: None,
        whole_since: None,
        all_subtasks_run: true,
        vertices: Vec::new(),
        slot_sharing_groups: 1,
        busy: None,
        rescale: None,
        checkpoints: None,
        pending_records: Some(0),
        records_per_second: Some(0),
    };
    let flink = Flink {
        version: FlinkVersion(1, 20),
        scheduler: Scheduler::Reactive,
        jobs: vec![job],
        task_managers: Vec::new(),
    };
    let pool = Pool { replicas: TaskManagers(1), ready: TaskManagers(1), ..Pool::default() };
    let shape = StreamShape { segments: Segments(1), epoch: Some(0) };
    let name = StreamName { scope: "dna".into(), stream: "reads".into() };
    let seen = Observation {
        streams: vec![Stream { name, shape: Some(Reading { at, value: shape }) }],
        flink: Some(Reading { at, value: flink }),
        pool: Some(Reading { at, value: pool }),
        ..Observation::default()
    };
    let policy = Policy::try_from(PolicyOptions::default()).unwrap();
    let capacity = Some(Capacity { task_managers: TaskManagers(1), until: at });
    let memory = Memory { capacity, ..Memory::default() };
    Status::new(at, seen, Decision::Hold(Hold::InStep), None, &memory, &policy)
}
