//! Against a real Pravega: what the generator says is acknowledged is in the stream, each event once,
//! whatever happens to the stream and the controller meanwhile.

#![allow(clippy::disallowed_methods, reason = "a test of real time against a real service")]

use anyhow::{Context, Result, ensure};
use data_generator::event;
use pravega_client::client_factory::ClientFactoryAsync;
use pravega_client_config::ClientConfigBuilder;
use pravega_client_shared::ScopedStream;
use serde_json::Value;
use sluice_lab::{Pravega, RunDir};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// Sequence numbers seen, and how many events were seen twice, for each writer.
#[derive(Debug, Default)]
struct Seen {
    sequences: BTreeSet<u64>,
    duplicates: u64,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real Pravega: make test-lab"]
async fn what_is_acknowledged_is_in_the_stream_once() -> Result<()> {
    let run = RunDir::fresh()?;
    let mut pravega = Pravega::builder(&run).start().await?;
    let admin = pravega.admin();
    let summary = run.path().join("summary.json");
    let mut generator = write(
        &pravega.controller_uri(),
        &["--scaling", "fixed", "--writers", "2", "--steps", "500/s:20s,2000/s:40s,500/s:20s"],
        &summary,
    )?;

    // One to three segments, with the controller killed right afterwards and away for 20 s: writers
    // that had not yet asked for the successors must wait for it.
    sleep(Duration::from_secs(10)).await;
    admin.scale_to("test", "acknowledged", 3).await?;
    pravega.kill_controller(0)?;
    sleep(Duration::from_secs(20)).await;
    pravega.start_controller(0).await?;
    sleep(Duration::from_secs(5)).await;
    admin.scale_to("test", "acknowledged", 2).await?;

    let status = timeout(Duration::from_mins(3), generator.wait()).await.context("the generator hangs")??;
    ensure!(status.success(), "the generator ended with {status}");
    let summary = read_json(&summary)?;
    let wanted = 500 * 20 + 2_000 * 40 + 500 * 20;
    ensure!(summary["written"] == wanted && summary["acknowledged"] == wanted, "{summary}");
    ensure!(summary["retries"] == 0, "a controller that comes back costs no retry: {summary}");
    // Leaves room for a machine that is busy at the very end; half a percent is usual.
    let rate = summary["rate"].as_f64().unwrap_or_default();
    let wanted_rate = summary["wanted_rate"].as_f64().unwrap_or_default();
    ensure!((rate - wanted_rate).abs() <= 0.02 * wanted_rate, "wanted {wanted_rate}/s, got {rate}/s");

    let seen = read_back(&pravega, wanted).await?;
    for writer in 0..2 {
        let seen = seen.get(&writer).with_context(|| format!("nothing from writer {writer}"))?;
        let whole: BTreeSet<u64> = (0..wanted / 2).collect();
        ensure!(seen.sequences == whole, "writer {writer}: {} events", seen.sequences.len());
        ensure!(seen.duplicates == 0, "writer {writer}: {} duplicates", seen.duplicates);
    }
    pravega.stop().await?;
    run.passed();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a real Pravega: make test-lab"]
async fn what_cannot_be_written_is_reported_and_not_waited_for() -> Result<()> {
    let run = RunDir::fresh()?;
    let mut pravega = Pravega::builder(&run).start().await?;
    let uri = pravega.controller_uri();
    let summary = run.path().join("summary.json");

    // Sealed while it is written to: named, with what was acknowledged until then.
    let mut generator = write(&uri, &["--rate", "200/s", "--duration", "60s"], &summary)?;
    sleep(Duration::from_secs(5)).await;
    pravega.admin().seal("test", "acknowledged").await?;
    let status = timeout(Duration::from_secs(30), generator.wait()).await.context("hangs over a sealed stream")??;
    ensure!(status.code() == Some(74), "a sealed stream ends the run with {status}");
    let sealed = read_json(&summary)?;
    ensure!(sealed["errors"][0].as_str().is_some_and(|error| error.contains("sealed")), "{sealed}");
    let acknowledged = sealed["acknowledged"].as_u64().unwrap_or_default();
    ensure!(acknowledged > 0 && sealed["written"].as_u64() > Some(acknowledged), "{sealed}");

    // Sealed before: refused at once.
    let mut generator = write(&uri, &["--rate", "200/s"], &summary)?;
    let status = timeout(Duration::from_secs(30), generator.wait()).await.context("hangs over a sealed stream")??;
    ensure!(status.code() == Some(73), "a stream that is sealed already ends the run with {status}");

    // The segment store gone for good: given up within the deadline.
    let more = ["--stream", "given-up", "--rate", "200/s", "--give-up-after", "10s"];
    let mut generator = write(&uri, &more, &summary)?;
    sleep(Duration::from_secs(5)).await;
    pravega.kill_segment_store();
    let killed = Instant::now();
    let status = timeout(Duration::from_mins(1), generator.wait()).await.context("hangs without a segment store")??;
    ensure!(status.code() == Some(74), "a dead segment store ends the run with {status}");
    ensure!(killed.elapsed() < Duration::from_secs(20), "gave up only after {:?}", killed.elapsed());
    drop(pravega);
    run.passed();
    Ok(())
}

/// Starts the program, writing to `test/acknowledged` unless the arguments say otherwise.
fn write(controller: &str, args: &[&str], summary: &Path) -> Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_data-generator"));
    command.args(["write", "--controller", controller, "--scope", "test"]);
    if !args.contains(&"--stream") {
        command.args(["--stream", "acknowledged"]);
    }
    command.args(args).arg("--summary").arg(summary);
    command.kill_on_drop(true).stdin(Stdio::null());
    command.spawn().context("the generator starts")
}

fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_slice(&text)?)
}

/// Reads the stream from its head until so many events are there and, for duplicates, a little longer.
async fn read_back(pravega: &Pravega, wanted: u64) -> Result<BTreeMap<u32, Seen>> {
    let controller = pravega.controllers().remove(0);
    let config = ClientConfigBuilder::default().controller_uri(controller.as_str()).build();
    let factory = ClientFactoryAsync::new(config.map_err(anyhow::Error::msg)?, Handle::current());
    let stream = ScopedStream::from("test/acknowledged");
    let group = factory.create_reader_group("read-back".to_owned(), stream).await;
    let mut reader = group.create_reader("reader".to_owned()).await;

    let mut seen: BTreeMap<u32, Seen> = BTreeMap::new();
    let mut events = 0;
    let mut last_event = Instant::now();
    loop {
        let patience = Duration::from_secs(if events < wanted { 30 } else { 5 });
        if last_event.elapsed() > patience {
            return Ok(seen);
        }
        match timeout(Duration::from_secs(1), reader.acquire_segment()).await {
            Ok(Ok(Some(mut slice))) => {
                for read in slice.by_ref() {
                    let identity = event::parse(&read.value)?.identity;
                    let of_writer = seen.entry(identity.writer).or_default();
                    if !of_writer.sequences.insert(identity.sequence) {
                        of_writer.duplicates += 1;
                    }
                    events += 1;
                    last_event = Instant::now();
                }
                reader.release_segment(slice).await?;
            }
            Ok(Ok(None)) => sleep(Duration::from_millis(20)).await,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
}
