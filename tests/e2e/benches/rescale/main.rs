//! `make bench-rescale`: what a change of width costs a running job, by who drives it, and how long it
//! takes from a change of the stream to a job of the new width.
//!
//! One Pravega and one stream for all; each session starts a Flink of its own, plays its changes under
//! one driver and measures them from outside, with Flink's REST API and the job's trace. The drivers
//! take turns. What a session has measured is kept in a file, so that a run that was interrupted goes
//! on where it stopped, and a session that fails is reported and tried again by the next run.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use jiff::Timestamp;
use sluice_lab::{Pravega, RunDir};

mod driver;
mod hand;
mod results;
mod session;
mod table;
mod watch;

use driver::Driver;
use results::{Part, Results, Row};
use session::Session;

/// Longer than any session that goes well.
const LIMIT_OF_A_SESSION: Duration = Duration::from_mins(12);

/// Measures what rescaling costs.
#[derive(Debug, Parser)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
struct Args {
    /// Versions of Flink.
    #[arg(long, default_values = ["1.20.5", "2.3.0"])]
    flink: Vec<String>,
    /// Who drives the changes; all except `stock` if not given.
    #[arg(long, value_enum)]
    driver: Vec<Driver>,
    /// Which measurements; both if not given.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// How often each is repeated, at least.
    #[arg(long, default_value_t = 5)]
    repeats: u32,
    /// Events written per second.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// How often Flink takes a checkpoint by itself.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    checkpoint_interval: Duration,
    /// No session is begun after this time.
    #[arg(long, default_value = "3h", value_parser = humantime::parse_duration)]
    limit: Duration,
    /// Where the measurements are kept; those that are there already are not made again.
    #[arg(long, default_value = "out/rescale.jsonl")]
    results: PathBuf,
    /// Begin anew.
    #[arg(long)]
    fresh: bool,
    /// Print the tables of what is there, and measure nothing.
    #[arg(long)]
    print: bool,
    /// Once and little, to see whether it works: 1→3→1 and 1→2, into a file of its own.
    #[arg(long)]
    quick: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = Args::parse();
    if args.quick {
        args.repeats = 1;
        args.fresh = !args.print;
        args.results.set_extension("quick.jsonl");
    }
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut results = Results::open(&root.join(&args.results), args.fresh)?;
    if !args.print {
        measure(&args, &mut results).await?;
    }
    println!("\n{}", table::markdown(results.rows(), args.rate));
    Ok(())
}

async fn measure(args: &Args, results: &mut Results) -> Result<()> {
    let sessions: Vec<Session> = plan(args).into_iter().filter(|session| !results.has(session)).collect();
    let run = RunDir::fresh()?;
    let pravega = Pravega::builder(&run).start().await?;
    let (begun, mut failed) = (now(), 0);
    for (index, session) in sessions.iter().enumerate() {
        if now() > begun + args.limit {
            println!(
                "the limit is reached: {} of {} sessions are left for another run",
                sessions.len() - index,
                sessions.len()
            );
            break;
        }
        println!("[{}/{}] {session}", index + 1, sessions.len());
        let played = tokio::time::timeout(LIMIT_OF_A_SESSION, session.play(&pravega)).await;
        match played.context("it takes too long").and_then(|played| played) {
            Ok(rows) => {
                for row in &rows {
                    println!("    {row}");
                }
                results.add(rows)?;
            }
            Err(error) => {
                failed += 1;
                println!("    FAILED: {error:#}");
                results.add(vec![Row::failed(session, &error)])?;
            }
        }
    }
    pravega.stop().await?;
    if failed == 0 {
        run.passed();
    }
    Ok(())
}

/// All sessions, in an order in which drivers and versions take turns.
fn plan(args: &Args) -> Vec<Session> {
    let usual = |driver: &Driver| args.driver.is_empty() && *driver != Driver::Stock;
    let wanted = |driver: &Driver| usual(driver) || args.driver.contains(driver);
    let mut sessions = Vec::new();
    for part in [Part::Changes, Part::Follow] {
        if !args.part.is_empty() && !args.part.contains(&part) {
            continue;
        }
        let repeats = part.sessions(args.repeats);
        for repeat in 0..repeats {
            for flink in &args.flink {
                let mut drivers: Vec<Driver> = part.drivers().iter().copied().filter(wanted).collect();
                let turn = repeat as usize % drivers.len().max(1);
                drivers.rotate_left(turn);
                sessions.extend(drivers.into_iter().map(|driver| Session {
                    part,
                    flink: flink.clone(),
                    driver,
                    repeat,
                    repeats,
                    rate: args.rate,
                    checkpoint_interval: args.checkpoint_interval,
                    changes: part.changes(args.quick).to_vec(),
                }));
            }
        }
    }
    sessions
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's clock")]
fn now() -> Timestamp {
    Timestamp::now()
}
