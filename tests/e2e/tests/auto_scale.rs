//! `make test-auto-scale`: the stream scales by itself, in Pravega's own time. Its auto-scaler looks at a
//! stream every two minutes, so this takes some seven minutes and has a target of its own.
//! `cargo test -p sluice-e2e --test auto_scale -- --ignored`

use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_e2e::{
    lab::{Kind, Lab},
    reading::{Reading, SCOPE, number, wait},
};
use sluice_lab::{Pravega, Scaling};

/// What the policy gives one segment, in events per second.
const TARGET: u32 = 100;

/// Longer than any of Pravega's windows takes to split a segment, or to merge two.
const PATIENCE: Duration = Duration::from_mins(6);

fn main() -> Result<()> {
    let lab = Lab::new()?;
    let scenes = vec![lab.trial(Kind::AutoScaling, "a_stream_that_splits_and_merges_by_itself", splits_and_merges)];
    lab.run(scenes).exit()
}

/// Fifteen times the target rate splits the segment, silence merges its parts; the readers follow, and
/// nothing is lost.
async fn splits_and_merges(pravega: &mut Pravega) -> Result<()> {
    let scene = Reading::open_with(pravega, "elastic", Scaling::by_event_rate(TARGET, 4, 1)).await?;
    let load = scene.load("load", 0, &["--shape", "constant", "--rate", "1500/s", "--duration", "20m"])?;
    let (first, second) = (scene.reader("first", &[])?, scene.reader("second", &[])?);
    wait("Pravega splits the segment", PATIENCE, async || Ok(scene.segments().await? > 1)).await?;
    let widest = scene.segments().await?;
    load.stop().await?;
    wait("Pravega merges segments", PATIENCE, async || Ok(scene.segments().await? < widest)).await?;
    scene.admin.seal(SCOPE, &scene.stream).await?;
    let ends = [first.finish().await?, second.finish().await?];
    let account = scene.reconcile(&["load"])?;
    ensure!(number(&account, "lost") == 0, "{account}");
    println!("1→{widest} segments and back to fewer; {} and {} events", ends[0]["events"], ends[1]["events"]);
    scene.run.passed();
    Ok(())
}
