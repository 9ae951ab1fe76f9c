//! The figures as a table: a column for each autoscaler.

use std::{fmt::Write as _, time::Duration};

use humantime::format_duration;

use super::{
    Simulation,
    score::{Following, Score},
    trace::whole,
};

const NAME: usize = 38;
const COLUMN: usize = 14;

type Cell = fn(&Score, u64) -> String;

/// The lines of the table.
const LINES: [(&str, Cell); 15] = [
    ("TaskManagers added, times", |score, _| score.changes_up.to_string()),
    ("TaskManagers removed, times", |score, _| score.changes_down.to_string()),
    ("restarts of the job", |score, _| score.restarts.to_string()),
    ("  the job did not run for", |score, _| time(score.stopped_seconds)),
    ("  input read twice", |score, _| time(score.replayed_seconds)),
    ("splits followed", |score, _| of(&score.splits)),
    ("  after, on average", |score, _| mean(&score.splits)),
    ("merges followed", |score, _| of(&score.merges)),
    ("  after, on average", |score, _| mean(&score.merges)),
    ("narrower than needed for", |score, all| share(score.under_seconds, all)),
    ("  longest at a stretch", |score, _| time(score.longest_under_seconds)),
    ("  TaskManager-seconds lacking", |score, _| score.under_task_manager_seconds.to_string()),
    ("more TaskManagers than needed for", |score, all| share(score.over_seconds, all)),
    ("  TaskManager-seconds too many", |score, _| score.over_task_manager_seconds.to_string()),
    ("TaskManager-seconds", |score, _| score.task_manager_seconds.to_string()),
];

/// What was followed, and how each autoscaler did.
pub fn text(simulation: &Simulation) -> String {
    let mut text = format!("{}, {}: {}\n\n", simulation.trace, time(simulation.seconds), stream(&simulation.segments));
    // Writing to a string cannot fail.
    let _ = write!(text, "{:NAME$}", "");
    for run in &simulation.runs {
        let _ = write!(text, "{:>COLUMN$}", run.name);
    }
    for (name, cell) in LINES {
        let _ = write!(text, "\n{name:NAME$}");
        for run in &simulation.runs {
            let _ = write!(text, "{:>COLUMN$}", cell(&run.outcome.score, simulation.seconds));
        }
    }
    text.push('\n');
    for run in &simulation.runs {
        let mut held: Vec<_> = run.outcome.held_seconds.iter().collect();
        held.sort_by_key(|(_, seconds)| std::cmp::Reverse(**seconds));
        let reasons: Vec<_> = held.iter().map(|(reason, seconds)| format!("{reason} {}", time(**seconds))).collect();
        if !reasons.is_empty() {
            let _ = write!(text, "\n{} held for: {}", run.name, reasons.join(", "));
        }
    }
    text.trim_end().to_owned() + "\n"
}

fn stream(segments: &[(u64, u32)]) -> String {
    let values = || segments.iter().map(|(_, segments)| *segments);
    let (least, most) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
    let changes = |rises: bool| segments.windows(2).filter(|pair| (pair[1].1 > pair[0].1) == rises).count();
    format!("{least} to {most} segments, {} times more and {} times fewer", changes(true), changes(false))
}

fn time(seconds: u64) -> String {
    match seconds {
        0..3600 => format_duration(Duration::from_secs(seconds)).to_string(),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

fn share(seconds: u64, all: u64) -> String {
    format!("{:.2} %", seconds as f64 / all.max(1) as f64 * 100.0)
}

fn of(following: &Following) -> String {
    format!("{} of {}", following.followed, following.all)
}

fn mean(following: &Following) -> String {
    following.mean_seconds.map_or("-".to_owned(), |mean| match whole(mean) {
        Some(long @ 60..) => time(long),
        _ => format!("{mean:.1}s"),
    })
}
