//! `make pictures`: draws the dashboards that are shipped, from what a real Prometheus has seen of a real
//! run, into docs/img. Pravega scales the stream by itself, so it takes some ten minutes.

mod draw;
mod scale;

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use sluice_e2e::{dashboards, scene::SCOPE, watched::Watched};
use sluice_lab::{AutoScale, Pravega, RunDir, Scaling};

use draw::{Filled, Picture};

const STREAM: &str = "reads";

/// What the stream's policy gives one segment, in events per second, and into how many it splits.
const EVENTS_PER_SEGMENT: u32 = 100;
const SPLIT_FACTOR: u32 = 4;

/// A wave that is well above the policy for two minutes, and then silence: the least after which Pravega
/// splits and merges.
const LOAD: [&str; 4] = ["--steps", "300/s:20s,900/s:30s,1500/s:100s,700/s:30s,0/s:6m", "--shape", "step"];
const LASTS: Duration = Duration::from_mins(8);

/// Between two points of a picture.
const STEP: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<()> {
    let out = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/img");
    let run = RunDir::fresh()?;
    let auto_scale =
        AutoScale { cache_expiry: Duration::from_secs(135), clean_up: Duration::from_secs(10), ..AutoScale::quick() };
    let pravega = Pravega::builder(&run).metrics(true).auto_scale(auto_scale).start().await?;
    let admin = pravega.admin();
    admin.create_scope(SCOPE).await?;
    admin.create_stream(SCOPE, STREAM, Scaling::by_event_rate(EVENTS_PER_SEGMENT, SPLIT_FACTOR, 1)).await?;
    let watched = Watched::open(&pravega, STREAM, None, &[], &LOAD).await?;
    tokio::time::sleep(LASTS).await;

    let span = watched.span().await?;
    for dashboard in dashboards::shipped()? {
        let mut filled = Vec::new();
        for panel in dashboard.panels {
            let mut series = Vec::new();
            for query in &panel.queries {
                let shown = watched.shown(query, STEP).await?;
                series.extend(shown.into_iter().map(|series| (query.legend.clone(), series)));
            }
            filled.push(Filled { panel, series });
        }
        let mut changes = Vec::new();
        for mark in dashboard.annotations.iter().filter(|mark| mark.legend == "Changes") {
            changes.extend(watched.shown(mark, STEP).await?);
        }
        let name = dashboard.uid.trim_start_matches("sluice-");
        let file = out.join(format!("dashboard-{name}.svg"));
        Picture { title: &dashboard.title, span, panels: &filled, changes: &changes }.draw(&file)?;
        println!("{}", file.display());
    }
    let scaled = watched.prometheus.query("max(sluice_stream_epoch) >= 2").await?;
    ensure!(!scaled.is_empty(), "Pravega has not both split and merged the stream: there is too little to see");
    watched.close().await?;
    pravega.stop().await?;
    run.passed();
    Ok(())
}
