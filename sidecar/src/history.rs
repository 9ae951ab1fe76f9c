//! `sluice history`: what an agent decided and changed, and why, as a table or as JSON.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets::UTF8_HORIZONTAL_ONLY};
use http::Request;
use jiff::Timestamp;
use sluice_core::Cost;

use crate::{
    args::{Output, duration},
    clock,
    http_peer::{Body, HttpPeer, base_url, beneath},
    report::{
        history::{Entry, Event},
        history_file::Kept,
        redact::redact,
    },
};

/// `EX_UNAVAILABLE` of sysexits.h: there is no history to be had.
const UNAVAILABLE: u8 = 69;

/// Where the agent of this machine or pod listens.
const HERE: &str = "http://localhost:9464";

/// `sluice history`.
#[derive(Debug, Args)]
pub struct HistoryCommand {
    /// The agent to ask; by default the one of this machine or pod, `http://localhost:9464`.
    #[arg(long, env = "SLUICE_URL", value_name = "URL", conflicts_with = "file")]
    pub url: Option<String>,

    /// The file that an agent left (--history-file), instead of asking one.
    #[arg(long, env = "SLUICE_FILE", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Only what is not older than this.
    #[arg(long, env = "SLUICE_SINCE", value_name = "DURATION", value_parser = duration)]
    pub since: Option<Duration>,

    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Prints the history, oldest first.
pub async fn history(args: HistoryCommand) -> anyhow::Result<ExitCode> {
    let found = match &args.file {
        Some(file) => from_file(file),
        None => from_agent(args.url.as_deref().unwrap_or(HERE)).await,
    };
    let (mut entries, damage) = match found {
        Ok(found) => found,
        Err(error) => {
            eprintln!("{}", redact(&format!("{error:#}")));
            return Ok(ExitCode::from(UNAVAILABLE));
        }
    };
    let now = clock::now();
    entries.retain(|entry| args.since.is_none_or(|since| now <= entry.at + since));
    let told = match args.output {
        Output::Json => serde_json::to_string_pretty(&entries)?,
        Output::Text if entries.is_empty() => "nothing happened".to_owned(),
        Output::Text => table(&entries).to_string(),
    };
    writeln!(io::stdout(), "{told}")?;
    Ok(match damage {
        Some(damage) => {
            eprintln!("{damage}");
            ExitCode::from(UNAVAILABLE)
        }
        None => ExitCode::SUCCESS,
    })
}

type Found = (Vec<Entry>, Option<String>);

fn from_file(file: &std::path::Path) -> anyhow::Result<Found> {
    let text = std::fs::read(file).with_context(|| format!("--file {}: cannot be read", file.display()))?;
    let (kept, damage) = Kept::from_text(&String::from_utf8_lossy(&text));
    Ok((kept.entries, damage.map(|damage| format!("--file {}: {damage}", file.display()))))
}

async fn from_agent(url: &str) -> anyhow::Result<Found> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let said = || format!("--url {url}: no history from there; give the address of a running agent, or --file");
    let base = base_url(url).map_err(anyhow::Error::msg).with_context(said)?;
    let request = Request::get(beneath(&base, &["history"]).as_str()).body(Body::default()).with_context(said)?;
    let reply = HttpPeer::new(&base, PATIENCE, None, None)?.send(request).await.with_context(said)?;
    anyhow::ensure!(reply.status.is_success(), "{}: it answered {}", said(), reply.status);
    Ok((serde_json::from_slice(&reply.body).with_context(said)?, None))
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(width());
    }
    table.set_header(["when (UTC)", "what", "why", "in words", "silent", "restarts", "read twice"]);
    for entry in entries {
        let cost = match &entry.event {
            Event::Ended { cost, .. } => *cost,
            Event::Decision { .. } => Cost::default(),
        };
        let seconds =
            |what: Option<Duration>| what.map_or_else(String::new, |what| format!("{:.1} s", what.as_secs_f64()));
        table.add_row([
            when(entry.at),
            entry.event.kind().to_owned(),
            entry.event.reason().to_owned(),
            one_line(&entry.text),
            seconds(cost.downtime),
            cost.restarts.map_or_else(String::new, |n| n.to_string()),
            seconds(cost.replayed),
        ]);
    }
    table
}

/// As wide as `$COLUMNS` says, or wide enough for a sentence.
fn width() -> u16 {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|n| *n >= 60).unwrap_or(140)
}

fn when(at: Timestamp) -> String {
    at.strftime("%m-%d %H:%M:%S").to_string()
}

/// Foreign text, with nothing in it that a terminal would obey.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use sluice_core::{Decision, Hold};

    use super::*;
    use crate::report::history::History;

    #[test]
    fn the_table_says_when_what_and_why_and_nothing_that_a_terminal_obeys() {
        let mut history = History::new(9);
        let hostile = Decision::Hold(Hold::Paused { by: "\u{1b}[31mme\nand you".into() });
        assert!(history.decision(Timestamp::UNIX_EPOCH, &hostile));
        let text = table(&history.entries().cloned().collect::<Vec<_>>()).to_string();
        assert!(text.contains("01-01 00:00:00") && text.contains("hold: paused by  [31mme and you"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
