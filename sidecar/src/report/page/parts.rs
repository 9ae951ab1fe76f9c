//! The parts of the page, each a piece of markup that stands for itself.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};
use sluice_core::{Change, Flink, Step, Waiting};

use super::attention;
use crate::{
    observe::Trouble,
    report::{
        history::{Entry, Event},
        samples::Sample,
        status::Status,
    },
};

/// So many streams are named; the others are counted.
const STREAMS: usize = 8;

/// Who follows what.
pub(super) fn about(status: Option<&Status>) -> Markup {
    let Some(status) = status else { return html! {} };
    let seen = &status.observation;
    let job = seen.flink.as_ref().and_then(|flink| flink.value.job());
    html! {
        p {
            @if let Some(job) = job { "job " strong { (job.name) } " follows " } @else { "follows " }
            @for (i, stream) in seen.streams.iter().take(STREAMS).enumerate() {
                @if i > 0 { ", " } strong { (stream.name) }
            }
            @if seen.streams.len() > STREAMS { " and " (seen.streams.len() - STREAMS) " more streams" }
            @if seen.streams.is_empty() { "no stream yet" }
        }
        @if status.dry_run { p .badge { "dry run: nothing is carried out" } }
    }
}

/// What the clock will bring.
pub(super) fn clock(now: Timestamp, status: &Status) -> Markup {
    html! {
        @match status.next_look {
            Some(next) if next > now => { "Next look in " (seconds(next.duration_since(now))) "." }
            Some(next) if now > next + LATE => { "The last look is " (seconds(now.duration_since(status.at))) " old." }
            _ => { "Looking now." }
        }
        @if let Some(until) = status.explanation.until.filter(|until| *until > now) {
            " Ends by itself in " strong { (seconds(until.duration_since(now))) } ", at " (moment(until)) "."
        }
        " " (capital(status.explanation.attention.in_words())) "."
    }
}

/// A look that is so long overdue is not under way.
const LATE: Duration = Duration::from_secs(5);

fn seconds(span: jiff::SignedDuration) -> String {
    let seconds = span.as_secs_f64();
    if seconds < 100.0 { format!("{seconds:.1} s") } else { format!("{:.0} min", seconds / 60.0) }
}

fn moment(at: Timestamp) -> Markup {
    html! { time datetime={ (format!("{at:.0}")) } { (at.strftime("%H:%M:%S")) } }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

/// The numbers of the newest look.
pub(super) fn figures(now: Timestamp, status: &Status) -> Markup {
    let seen = &status.observation;
    let flink = seen.flink.as_ref().map(|flink| &flink.value);
    let pool = seen.pool.as_ref().map(|pool| &pool.value);
    let job = flink.and_then(Flink::job);
    let segments = seen.streams.iter().map(|stream| Some(stream.shape.as_ref()?.value.segments.0)).sum::<Option<u32>>();
    html! {
        dl .figures {
            div {
                dt { "Segments" }
                dd { (known(segments.filter(|_| !seen.streams.is_empty()))) }
                (old(seen.streams.iter().filter_map(|stream| Some(stream.shape.as_ref()?.age(now))).max()))
                @for stream in seen.streams.iter().take(STREAMS) {
                    @if let Some(shape) = &stream.shape {
                        dd .note {
                            @if seen.streams.len() > 1 { (stream.name) ": " (shape.value) }
                            @else if let Some(epoch) = shape.value.epoch { "epoch " (epoch) }
                        }
                    }
                }
            }
            div {
                dt { "Wanted" }
                dd { (known(status.wanted.map(|wanted| wanted.width.task_managers))) }
                @if let Some(wanted) = status.wanted {
                    dd .note { "TaskManagers, for parallelism " (wanted.width.parallelism) }
                    @if let Some(limit) = wanted.limit {
                        dd .note { "bounded by " (limit.as_str()) "; the segments ask for " (wanted.unbounded) }
                    }
                }
            }
            div {
                dt { "TaskManagers" }
                dd { (known(flink.map(Flink::registered))) }
                (old(seen.flink.as_ref().map(|flink| flink.age(now))))
                @if let Some(pool) = pool { dd .note { (pool.replicas) " asked for, " (pool.ready) " ready" } }
                @if let Some(idle) = flink.and_then(Flink::idle).filter(|idle| idle.0 > 0) { dd .note { (idle) " without work" } }
            }
            div {
                dt { "Parallelism" }
                dd { (known(job.map(|job| job.parallelism))) }
                (old(seen.flink.as_ref().map(|flink| flink.age(now))))
                @if let Some(job) = job { dd .note { (job.state.as_str()) } }
            }
            div {
                dt { "Records read" }
                dd { @match job.and_then(|job| job.records_per_second) { Some(rate) => { (rate) small { " per s" } }, None => (unknown()) } }
                @if let Some(pending) = job.and_then(|job| job.pending_records) { dd .note { (pending) " waiting" } }
            }
            div {
                dt { "Restarts left" }
                dd { (status.restart_budget_left) small { " this hour" } }
                @for (what, until) in [("growth", status.cooldown_until.up), ("shrinking", status.cooldown_until.down)] {
                    @if let Some(until) = until.filter(|until| *until > now) {
                        dd .note { (what) " rests for " (seconds(until.duration_since(now))) }
                    }
                }
            }
        }
    }
}

/// A number that is not of the last looks says so.
fn old(age: Option<Duration>) -> Markup {
    html! { @if let Some(age) = age.filter(|age| *age > LATE) { dd .note.old { "as of " (age.as_secs()) " s ago" } } }
}

fn known(value: Option<impl std::fmt::Display>) -> Markup {
    value.map_or_else(unknown, |value| html! { (value) })
}

fn unknown() -> Markup {
    html! { span .unknown { "unknown" } }
}

/// The change in flight, phase by phase.
pub(super) fn change(now: Timestamp, status: &Status) -> Markup {
    let Some(change) = &status.change else { return html! {} };
    html! {
        section aria-labelledby="change-title" {
            h2 #change-title { "Change " (change.id) " in flight" }
            p {
                (capital(change.direction.as_str())) " from parallelism " (change.from.parallelism) " on "
                (change.from.task_managers) " TaskManagers to " (change.to.parallelism) " on " (change.to.task_managers)
                ", " (change.strategy.as_str()) ", for " (seconds(now.duration_since(change.started))) "."
                @if let Some(step) = &status.step { " Now: " strong { (in_words(step)) } "." }
            }
            ol .phases {
                @for (name, at) in phases(change) {
                    li .(if at.is_some() { "past" } else { "ahead" }) {
                        (name) " "
                        @match at { Some(at) => (moment(at)), None => { span .unknown { "not yet" } } }
                    }
                }
            }
        }
    }
}

fn phases(change: &Change) -> Vec<(&'static str, Option<Timestamp>)> {
    let requirements = change.requirements.and_then(|requirements| requirements.seen);
    let mut phases = vec![("decided", Some(change.started)), ("TaskManagers asked for", change.replicas_set)];
    if change.direction == sluice_core::Direction::Up {
        phases.push(("slots there", change.slots_there));
    }
    if change.requirements.is_some() {
        phases.push(("requirements set", requirements));
    }
    phases.push(("checkpoint", change.asked.and_then(|asked| asked.completed)));
    phases.push(("running at the new width", change.running));
    phases
}

fn in_words(step: &Step) -> String {
    match step {
        Step::Wait(what) => match what {
            Waiting::Readings => "waiting for readings".into(),
            Waiting::TaskManagers => "waiting for TaskManagers".into(),
            Waiting::Savepoint => "waiting for a savepoint".into(),
            Waiting::Checkpoint => "waiting for a checkpoint".into(),
            Waiting::Job => "waiting for the job to run".into(),
            Waiting::Idle => "waiting to know which TaskManagers are idle".into(),
            Waiting::Removal => "waiting for TaskManagers to go".into(),
        },
        Step::TriggerSavepoint => "asking Flink for a savepoint".into(),
        Step::TriggerCheckpoint { .. } => "asking Flink for a checkpoint".into(),
        Step::SetRequirements { parallelism, .. } => format!("asking Flink for parallelism {parallelism}"),
        Step::MarkIdle { members } => format!("marking {} idle TaskManagers", members.len()),
        Step::Unmark { members } => format!("taking the mark off {} TaskManagers", members.len()),
        Step::SetReplicas { replicas, .. } => format!("asking for {replicas} TaskManagers"),
        Step::End(outcome) => format!("ended: {}", outcome.as_str()),
    }
}

/// The plot as a table.
pub(super) fn turns(turns: &[(Timestamp, Sample)]) -> Markup {
    html! {
        table #turns {
            thead { tr {
                @for name in ["Since (UTC)", "Segments", "Wanted TaskManagers", "TaskManagers", "Parallelism"] { th scope="col" { (name) } }
            } }
            tbody {
                @for (at, sample) in turns {
                    tr {
                        th scope="row" { (moment(*at)) }
                        @for value in [sample.segments, sample.wanted, sample.task_managers, sample.parallelism] { td { (known(value)) } }
                    }
                }
            }
        }
    }
}

/// What happened, newest first.
pub(super) fn history(entries: &[Entry], most: usize) -> Markup {
    html! {
        table #history {
            thead { tr {
                @for name in ["When (UTC)", "What", "Why", "In words", "Silent", "Restarts", "Read twice"] { th scope="col" { (name) } }
            } }
            tbody {
                @for entry in entries.iter().rev().take(most) {
                    @let (kind, reason) = (entry.event.kind(), entry.event.reason());
                    tr .(attention(kind, reason).as_str()) {
                        th scope="row" { time datetime={ (format!("{:.0}", entry.at)) } { (entry.at.strftime("%m-%d %H:%M:%S")) } }
                        td { (kind) }
                        td { code { (reason) } }
                        td .words { (without_kind(entry)) }
                        (cost(&entry.event))
                    }
                }
            }
        }
    }
}

/// The words beside the columns that have named kind and reason already.
fn without_kind(entry: &Entry) -> &str {
    let (kind, reason) = (entry.event.kind(), entry.event.reason());
    let rest = entry.text.strip_prefix(kind).map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
    let rest = rest.map(|rest| rest.strip_prefix(reason).unwrap_or(rest));
    rest.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&entry.text)
}

fn cost(event: &Event) -> Markup {
    let Event::Ended { cost, .. } = event else { return html! { td {} td {} td {} } };
    if cost.restarts == Some(0) {
        return html! { td { "not" } td { "0" } td { "nothing" } };
    }
    let time = |what: Option<Duration>| what.map(|what| format!("{:.1} s", what.as_secs_f64()));
    html! {
        td { (known(time(cost.downtime))) }
        td { (known(cost.restarts)) }
        td { (known(time(cost.replayed))) }
    }
}

/// What is read, how old it is, and what is wrong with it.
pub(super) fn sources(now: Timestamp, status: &Status, troubles: &[Trouble]) -> Markup {
    let seen = &status.observation;
    let streams = seen.streams.iter().map(|stream| {
        (format!("segments of {}", stream.name), "pravega", stream.shape.as_ref().map(|shape| shape.age(now)))
    });
    let flink = ("Flink".to_owned(), "flink", seen.flink.as_ref().map(|flink| flink.age(now)));
    let pool = ("TaskManagers' owner".to_owned(), "task_managers", seen.pool.as_ref().map(|pool| pool.age(now)));
    let rows: Vec<_> = streams.chain([flink, pool]).collect();
    let other = troubles.iter().filter(|trouble| !rows.iter().any(|(_, source, _)| *source == trouble.source));
    html! {
        table #sources {
            thead { tr { th scope="col" { "Source" } th scope="col" { "Last read" } th scope="col" { "Trouble" } } }
            tbody {
                @for (name, source, age) in &rows {
                    (source_row(name, *age, troubles.iter().filter(|trouble| trouble.source == *source)))
                }
                @for trouble in other { (source_row(trouble.source, None, [trouble].into_iter())) }
            }
        }
    }
}

fn source_row<'a>(name: &str, age: Option<Duration>, troubles: impl Iterator<Item = &'a Trouble>) -> Markup {
    let troubles: Vec<_> = troubles.collect();
    html! {
        tr .(if troubles.is_empty() { "none" } else { "look" }) {
            th scope="row" { (name) }
            td { @match age { Some(age) => { (format!("{:.0} s ago", age.as_secs_f64())) }, None => { span .unknown { "never" } } } }
            td .words {
                @for trouble in &troubles { p { code { (trouble.kind) } " " (trouble.message) } }
                @if troubles.is_empty() { "none" }
            }
        }
    }
}
