//! One Flink, one driver, some changes of width one after the other.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use sluice_e2e::scene::{LONG, SCOPE, Scene, Setting};
use sluice_lab::{Admin, Pravega};

use crate::{
    driver::Driver,
    hand::Hand,
    now,
    results::{Part, Row},
    watch::{self, Watched},
};

/// All sessions read the same stream.
const STREAM: &str = "rescale";
/// The longest time that the noise of the machine is looked for after a change.
const LONGEST_QUIET: Duration = Duration::from_secs(30);

/// On top of the lab's own, and the same for all drivers: what Flink's configuration in `jobmanager/` recommends.
const OPTIONS: [(&str, &str); 4] = [
    ("web.refresh-interval", "200"),
    ("restart-strategy.type", "fixed-delay"),
    ("restart-strategy.fixed-delay.attempts", "2147483647"),
    ("restart-strategy.fixed-delay.delay", "500 ms"),
];

/// What of the configuration is named beside the figures.
const NAMED: [&str; 9] = [
    "execution.checkpointing.interval",
    "heartbeat.",
    "jobmanager.adaptive-scheduler.",
    "jobmanager.scheduler",
    "parallelism.default",
    "restart-strategy.",
    "scheduler-mode",
    "taskmanager.numberOfTaskSlots",
    "web.refresh-interval",
];

/// A session to play.
#[derive(Clone, Debug)]
pub struct Session {
    pub part: Part,
    pub flink: String,
    pub driver: Driver,
    pub repeat: u32,
    pub repeats: u32,
    pub rate: u32,
    pub checkpoint_interval: Duration,
    pub changes: Vec<(u32, u32)>,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<_> = self.changes.iter().map(|(from, to)| format!("{from}→{to}")).collect();
        let Self { flink, driver, repeat, repeats, .. } = self;
        write!(f, "Flink {flink}, {}, {}, {} of {repeats}", driver.name(), changes.join(" "), repeat + 1)
    }
}

/// One change that was played, and the quiet time after it.
#[derive(Debug)]
struct Played {
    change: (u32, u32),
    asked: Timestamp,
    decided: Timestamp,
    watched: Watched,
    quiet_until: Timestamp,
}

impl Session {
    /// Plays the session and measures each of its changes.
    pub async fn play(&self, pravega: &Pravega) -> Result<Vec<Row>> {
        let first = self.changes.first().context("no changes")?.0;
        let stock = self.driver == Driver::Stock;
        let setting = Setting {
            flink: self.flink.clone(),
            mode: self.driver.mode(),
            segments: first,
            checkpoint_interval: self.checkpoint_interval,
            // Questions are answered freshly everywhere: nothing of the job depends on it.
            options: OPTIONS[..if stock { 1 } else { OPTIONS.len() }]
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            stock_timeouts: stock,
            measured: true,
            ..Setting::default()
        };
        let mut scene = Scene::open_as(pravega, STREAM, &setting).await?;
        let load = scene.load(self.rate)?;
        let mut hand = Hand::start(&mut scene, self.driver, first).await?;
        scene.flink.wait_running(first, LONG).await?;
        watch::until_over(&scene.flink, &watch::before(&scene.flink).await?, first, first + self.driver.spares())
            .await?;
        scene.flink.wait_checkpoint(LONG).await?;
        hand.in_step(first).await?;

        let mut played = Vec::new();
        for (index, change) in self.changes.iter().enumerate() {
            self.wait_for_phase(&scene).await?;
            let sample = self.repeat * u32::try_from(self.changes.len())? + u32::try_from(index)?;
            let done = self.change(&mut scene, &mut hand, *change, sample).await;
            played.push(done.with_context(|| format!("{}→{}", change.0, change.1))?);
        }
        load.stop().await?;
        let mut rows = vec![Row::settings(self, named(scene.flink.configuration().await?))];
        let timeline = scene.trace.read()?;
        for Played { change, asked, decided, watched, quiet_until } in &played {
            let Watched { running, over, restarts, removal } = *watched;
            let calm = over..*quiet_until;
            rows.push(Row::Change {
                key: self.key(),
                from: change.0,
                to: change.1,
                follow_ms: milliseconds(*asked, running),
                decision_ms: milliseconds(*decided, running),
                restarts,
                replayed: timeline.replayed(*decided, over),
                rate: self.rate,
                silence_ms: whole_milliseconds(timeline.longest_silence(*decided, over).length()),
                noise_ms: whole_milliseconds(timeline.longest_silence(calm.start, calm.end).length()),
                late_ms: whole_milliseconds(timeline.longest_delay(*decided, over)),
                removal_restarts: removal.map(|(_, restarts)| restarts),
                removal_replayed: removal.map(|(at, _)| timeline.replayed(at, over)),
            });
        }
        hand.stop().await;
        scene.close().await;
        Ok(rows)
    }

    async fn change(&self, scene: &mut Scene, hand: &mut Hand, change: (u32, u32), sample: u32) -> Result<Played> {
        let (from, to) = change;
        let before = watch::before(&scene.flink).await?;
        let asked = scale(&scene.admin, to).await?;
        tokio::time::sleep(self.driver.unnoticed(sample)).await;
        let begun = now();
        hand.set(scene, to)?;
        let watched = watch::until_over(&scene.flink, &before, to, to + self.driver.spares()).await?;
        hand.in_step(to).await?;
        let decided = hand.decided_after(asked).await?.unwrap_or(begun);
        ensure!(watched.running >= decided, "it ran at {to} before anybody decided to leave {from}");
        let length = Duration::try_from(watched.over.duration_since(decided))?.min(LONGEST_QUIET);
        let quiet_until = watched.over + length;
        tokio::time::sleep(Duration::try_from(quiet_until.duration_since(now())).unwrap_or_default()).await;
        Ok(Played { change, asked, decided, watched, quiet_until })
    }

    /// Waits until the last checkpoint is as old as it shall be in this repetition: the repetitions
    /// cover the time between two checkpoints evenly.
    async fn wait_for_phase(&self, scene: &Scene) -> Result<()> {
        let wanted = self.checkpoint_interval.mul_f64((f64::from(self.repeat) + 0.5) / f64::from(self.repeats));
        let close = Duration::from_millis(500);
        let end = now() + self.checkpoint_interval * 3;
        while now() < end {
            let last = scene.flink.checkpoints().await?.last_begun.context("no checkpoint")?;
            let age = Duration::try_from(now().duration_since(last)).unwrap_or_default();
            if age.abs_diff(wanted) < close {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }
}

/// Scales the stream, and answers when the controller was first seen to say so.
async fn scale(admin: &Admin, width: u32) -> Result<Timestamp> {
    let scaling = {
        let admin = admin.clone();
        tokio::spawn(async move { admin.scale_to(SCOPE, STREAM, width).await })
    };
    let end = now() + Duration::from_secs(30);
    while now() < end {
        if admin.segments(SCOPE, STREAM).await?.len() == width as usize {
            let seen = now();
            scaling.await??;
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("the stream does not scale to {width}")
}

fn named(configuration: BTreeMap<String, String>) -> Vec<String> {
    let told = |name: &String| NAMED.iter().any(|prefix| name.starts_with(prefix));
    configuration.into_iter().filter(|(name, _)| told(name)).map(|(name, value)| format!("{name}: {value}")).collect()
}

fn milliseconds(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.duration_since(from).as_millis()).unwrap_or(i64::MAX)
}

fn whole_milliseconds(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}
