//! Changes of width under load, one after the other, each event counted exactly once. The scene that is
//! played on every version of Flink and with each strategy.

use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_lab::{FlinkVersion, Mode, Pravega, rig::Agent};

use crate::scene::{LONG, MANY_RESTARTS, Scene, Setting};

/// The widths after the first, which is 1: up and down, by one and by several.
pub const WIDTHS: [u32; 6] = [3, 2, 4, 1, 2, 1];
/// Events per second: enough to be always on the way, little enough for four JVMs on two cores.
const RATE: u32 = 300;
/// A restart that a change caused without need has begun by then.
const AFTERMATH: Duration = Duration::from_secs(3);

/// The name of a strategy, as the mode of Flink's scheduler leads to it.
#[must_use]
pub fn strategy(mode: Mode) -> &'static str {
    match mode {
        Mode::Reactive => "reactive",
        Mode::Adaptive => "adaptive",
        Mode::Default => "none",
    }
}

/// Whether the strategy exists on that version: the REST endpoint that the adaptive one needs came
/// with 1.18.
#[must_use]
pub fn offers(flink: FlinkVersion, mode: Mode) -> bool {
    match mode {
        Mode::Reactive => true,
        Mode::Adaptive => flink.is_at_least(1, 18),
        Mode::Default => false,
    }
}

/// Follows the stream through [`WIDTHS`] under load and proves that nothing is lost or counted twice.
/// With the adaptive strategy each change must restart the job exactly once, and the removal of idle
/// TaskManagers never.
pub async fn rescale_and_prove(pravega: &Pravega, flink: &str, mode: Mode) -> Result<()> {
    let strategy = strategy(mode);
    let setting = Setting { flink: flink.into(), mode, ..Setting::default() };
    let stream = format!("{strategy}-{}", flink.replace('.', "-"));
    let mut scene = Scene::open_as(pravega, &stream, &setting).await?;
    let load = scene.load(RATE)?;
    let mut plan = scene.agent_plan();
    plan.flags.extend(MANY_RESTARTS.map(str::to_owned));
    let mut agent = Agent::start(&scene.run, &plan).await?;
    agent.wait_in_step(1, LONG).await?;
    scene.flink.wait_checkpoint(LONG).await?;
    let (mut from, mut told) = (1, Vec::new());
    for to in WIDTHS {
        let before = scene.flink.checkpoints().await?.restored;
        scene.scale(to).await?;
        agent.wait_in_step(to.into(), LONG).await?;
        tokio::time::sleep(AFTERMATH).await;
        let restarts = scene.flink.checkpoints().await?.restored - before;
        ensure!(restarts > 0, "{from}→{to} without a restart");
        ensure!(mode != Mode::Adaptive || restarts == 1, "{from}→{to} cost {restarts} restarts");
        told.push(format!("{from}→{to} ({restarts})"));
        from = to;
    }
    let written = load.stop().await?;
    agent.stop().await;
    let proof = scene.prove_and_close(&written).await?;
    println!("Flink {flink}, {strategy}, changes and their restarts: {}; {proof}", told.join(" "));
    Ok(())
}
