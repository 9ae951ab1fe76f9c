//! Scenes in which the metric is not the truth: for how long was each follower at the wrong number?

use std::time::{Duration, Instant};

use anyhow::Result;
use sluice_e2e::process_cost::instant;
use sluice_lab::{Admin, Pravega, Scaling};

use super::{BENCH, Lane, Pipeline, Rival, SLUICE, replicas::Replicas};

/// How often the four numbers are read.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// How long a follower is given after each change: scrape, HPA and adapter together take up to 30 s.
const FOLLOWING: Duration = Duration::from_secs(45);
/// A gauge that was not set for three minutes is dropped when the controller sets another.
const IDLE: Duration = Duration::from_secs(190);

/// What one scene watches.
struct Scene<'a> {
    pipeline: &'a Pipeline,
    replicas: &'a Replicas,
    lane: &'a Lane,
    begun: Instant,
    wrong: Wrong,
    last: Option<Look>,
}

/// The truth, and what was made of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    segments: u32,
    metric: Option<u32>,
    hpa: Option<u32>,
    sluice: Option<u32>,
}

/// For how long each was not what the controller says.
#[derive(Default)]
struct Wrong {
    metric: Duration,
    hpa: Duration,
    sluice: Duration,
}

impl<'a> Scene<'a> {
    fn begin(name: &str, pipeline: &'a Pipeline, replicas: &'a Replicas, lane: &'a Lane) -> Self {
        println!("{name}\n    {:>6}  segments  metric  HPA  Sluice", "s");
        Self { pipeline, replicas, lane, begun: instant(), wrong: Wrong::default(), last: None }
    }

    /// Looks on for so long, and prints each change.
    async fn watch(&mut self, time: Duration) -> Result<()> {
        let (begun, mut before) = (instant(), instant());
        while begun.elapsed() < time {
            let look = Look {
                segments: u32::try_from(self.lane.admin.segments(BENCH, &self.lane.stream).await?.len())?,
                metric: self.pipeline.sees(&self.lane.stream).await?,
                hpa: self.replicas.now(&self.lane.deployment(Rival::Hpa.name())),
                sluice: self.replicas.now(&self.lane.deployment(SLUICE)),
            };
            let passed = before.elapsed();
            before = instant();
            let truth = Some(look.segments);
            for (what, wrong) in [
                (look.metric, &mut self.wrong.metric),
                (look.hpa, &mut self.wrong.hpa),
                (look.sluice, &mut self.wrong.sluice),
            ] {
                if what != truth {
                    *wrong += passed;
                }
            }
            if self.last != Some(look) {
                let shown = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
                println!(
                    "    {:>6.1}  {:>8}  {:>6}  {:>3}  {:>6}",
                    self.begun.elapsed().as_secs_f64(),
                    look.segments,
                    shown(look.metric),
                    shown(look.hpa),
                    shown(look.sluice)
                );
                self.last = Some(look);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    fn end(self) {
        println!(
            "  of {:.0} s: metric wrong or gone {:.1} s, HPA at the wrong number {:.1} s, Sluice {:.1} s\n",
            self.begun.elapsed().as_secs_f64(),
            self.wrong.metric.as_secs_f64(),
            self.wrong.hpa.as_secs_f64(),
            self.wrong.sluice.as_secs_f64()
        );
    }
}

/// Plays all scenes, or only the first.
pub async fn play(
    pravega: &mut Pravega,
    pipeline: &Pipeline,
    replicas: &Replicas,
    lane: &Lane,
    quick: bool,
) -> Result<()> {
    let through: Vec<Admin> = pravega.controllers().into_iter().map(|controller| Admin::new(&[controller])).collect();

    let mut scene = Scene::begin("changes through one controller, then the other", pipeline, replicas, lane);
    scene.watch(Duration::from_secs(5)).await?;
    for (admin, width) in [(&through[0], 2), (&through[1], 4), (&through[0], 3), (&through[1], 2)] {
        lane.scale(admin, width).await?;
        scene.watch(FOLLOWING).await?;
    }
    scene.end();
    if quick {
        return Ok(());
    }

    let mut scene = Scene::begin("each controller restarted, then a change", pipeline, replicas, lane);
    lane.scale(&lane.admin, 4).await?;
    scene.watch(FOLLOWING).await?;
    for index in 0..2 {
        pravega.stop_controller(index).await?;
        scene.watch(Duration::from_secs(5)).await?;
        pravega.start_controller(index).await?;
        scene.watch(Duration::from_secs(20)).await?;
    }
    lane.scale(&lane.admin, 2).await?;
    scene.watch(FOLLOWING).await?;
    scene.end();

    let mut scene =
        Scene::begin("a change while one controller is away, which then comes back", pipeline, replicas, lane);
    pravega.kill_controller(0)?;
    lane.scale(&through[1], 5).await?;
    scene.watch(FOLLOWING).await?;
    pravega.start_controller(0).await?;
    lane.scale(&through[0], 3).await?;
    scene.watch(FOLLOWING).await?;
    pravega.kill_controller(1)?;
    lane.scale(&through[0], 6).await?;
    scene.watch(FOLLOWING).await?;
    pravega.start_controller(1).await?;
    scene.watch(Duration::from_secs(30)).await?;
    scene.end();

    let mut scene = Scene::begin("an idle stream, while others are made", pipeline, replicas, lane);
    scene.watch(IDLE).await?;
    for name in ["other-1", "other-2", "other-3", "other-4"] {
        lane.admin.create_stream(BENCH, name, Scaling::fixed(1)).await?;
        lane.admin.scale_to(BENCH, name, 2).await?;
    }
    scene.watch(FOLLOWING).await?;
    scene.end();
    Ok(())
}
