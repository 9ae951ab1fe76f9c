//! `docs/api.md`, `docs/cli.md`, `docs/metrics.md` and `docs/reasons.md` are made from the program. `make docs` writes them; here
//! they are compared.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use clap::CommandFactory as _;
use jiff::Timestamp;
use sluice::{
    args::Cli,
    report::{
        metrics::Metrics,
        page,
        status::{Shared, Status},
    },
};
use sluice_core::{
    Capacity, Change, Cost, Decision, Direction, Ended, Flink, FlinkVersion, Guard, Hold, Job, JobState, Memory,
    Observation, Outcome, Parallelism, Policy, PolicyOptions, Pool, Reading, Scheduler, Segments, Strategy, Stream,
    StreamName, StreamShape, TaskManagers, Width,
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
fn api() {
    let shared = Shared::default();
    let now = Timestamp::UNIX_EPOCH + Duration::from_hours(1);
    let mut status = everything_known();
    status.next_look = Some(now + Duration::from_secs(1));
    let _ = shared.decided(now, &status.decision);
    shared.ended(&an_ended_change(now));
    shared.set_status(status);
    let pretty = |value: serde_json::Value| serde_json::to_string_pretty(&value).unwrap();
    let state = pretty(serde_json::to_value(&*shared.status().unwrap()).unwrap());
    let history = pretty(serde_json::to_value(shared.history_since(0)).unwrap());
    let plot = pretty(serde_json::to_value(page::plot(now, &shared)).unwrap());
    let text = include_str!("api.md.in");
    let text = text.replace("@STATE@", &state).replace("@HISTORY@", &history).replace("@PLOT@", &plot);
    compare("api.md", &text);
}

fn an_ended_change(at: Timestamp) -> Ended {
    let width = |n| Width { parallelism: Parallelism(n), task_managers: TaskManagers(n) };
    let change = Change {
        id: 7,
        strategy: Strategy::Adaptive,
        direction: Direction::Up,
        job: "a".repeat(32),
        segments: Segments(2),
        from: width(1),
        to: width(2),
        started: at,
        target_since: at,
        registered_before: TaskManagers(1),
        restored_before: Some(0),
        pending_before: Some(0),
        rate_before: Some(1000),
        expected_start: Some(Duration::from_secs(9)),
        savepoint: None,
        asked: None,
        requirements: None,
        replicas_set: Some(at),
        first_arrival: None,
        slots_there: Some(at + Duration::from_secs(9)),
        idle: None,
        stopped: Vec::new(),
        chosen: None,
        pinned: None,
        running: Some(at + Duration::from_secs(11)),
    };
    let cost = Cost {
        restarts: Some(1),
        downtime: Some(Duration::from_millis(900)),
        replayed: Some(Duration::from_millis(400)),
        replayed_records: Some(400),
        rescale: None,
    };
    Ended { change, at: at + Duration::from_secs(13), outcome: Outcome::Done, cost, recovered: None }
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
