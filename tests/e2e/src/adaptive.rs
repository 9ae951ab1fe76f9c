//! What only the adaptive strategy can do, and what people and machines do to it, on the real Flink.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sluice_lab::{
    Mode, Pravega, rest,
    rig::{Agent, Look},
};

use crate::scene::{LONG, Scene, Setting};

fn adaptive(flink: &str) -> Setting {
    Setting { flink: flink.into(), mode: Mode::Adaptive, ..Setting::default() }
}

/// In step at this width, with so many TaskManagers beyond it.
async fn in_step(agent: &mut Agent, width: u64, spares: u64) -> Result<Look> {
    let what = format!("in step at {width} with {spares} spare");
    let done = |look: &Look| {
        let as_wanted = look.parallelism() == Some(width) && look.registered() == Some(width + spares);
        look.reason() == "in_step" && as_wanted
    };
    agent.wait(&what, LONG, done).await
}

/// The last change that ended.
async fn last_change(agent: &Agent) -> Result<Value> {
    let look = agent.api.look().await?.context("no look yet")?;
    Ok(look.0["last"].clone())
}

/// Sends Flink requirements of somebody else's.
async fn set_upper_bound(scene: &Scene, upper: u32) -> Result<()> {
    let url = format!("{}/jobs/{}/resource-requirements", scene.flink.rest_url(), scene.flink.job_id());
    let http = rest::client();
    let mut requirements: Value = http.get(&url).send().await?.json().await?;
    for vertex in requirements.as_object_mut().into_iter().flatten().map(|(_, vertex)| vertex) {
        vertex["parallelism"]["upperBound"] = json!(upper);
    }
    ensure!(http.put(&url).json(&requirements).send().await?.status().is_success(), "Flink refused {requirements}");
    Ok(())
}

/// A split is followed on the spare, which is replaced; before each change there is a savepoint.
pub async fn a_spare_is_used_and_replaced_and_savepoints_are_kept(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open_as(pravega, "spares", &adaptive("2.3.0")).await?;
    let load = scene.load(300)?;
    let mut plan = scene.agent_plan();
    plan.flags.extend(["--spare-task-managers", "1", "--savepoint-before-change"].map(str::to_owned));
    let mut agent = Agent::start(&scene.run, &plan).await?;
    in_step(&mut agent, 1, 1).await?;
    scene.flink.wait_checkpoint(LONG).await?;
    let before = scene.flink.checkpoints().await?.restored;
    for (n, width) in [(1, 2), (2, 1)] {
        scene.scale(width).await?;
        in_step(&mut agent, width.into(), 1).await?;
        let restarts = scene.flink.checkpoints().await?.restored - before;
        ensure!(restarts == n, "{restarts} restarts for {n} changes and a spare that came or went");
    }
    let last = last_change(&agent).await?;
    let savepoint = last.pointer("/change/savepoint/location").and_then(Value::as_str).context("no savepoint")?;
    let folder = savepoint.trim_start_matches("file:");
    ensure!(std::path::Path::new(folder).join("_metadata").is_file(), "no savepoint in {folder}");
    let (_, metrics) = agent.api.get("/metrics").await?;
    let idle = metrics.lines().find_map(|line| line.strip_prefix("sluice_idle_task_manager_seconds_total "));
    ensure!(idle.and_then(|seconds| seconds.parse().ok()).is_some_and(|seconds: f64| seconds > 1.0), "{idle:?}");
    let written = load.stop().await?;
    agent.stop().await;
    scene.prove_and_close(&written).await?;
    Ok(())
}

/// A person's requirements are overruled once and then left alone; an agent that is killed in
/// mid-change is continued with no second restart.
pub async fn a_person_and_a_killed_agent(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open_as(pravega, "person", &adaptive("1.20.5")).await?;
    let load = scene.load(200)?;
    let mut agent = scene.agent().await?;
    in_step(&mut agent, 1, 0).await?;
    scene.flink.wait_checkpoint(LONG).await?;
    for width in [3, 2] {
        let before = scene.flink.checkpoints().await?.restored;
        scene.scale(width).await?;
        agent.wait("a change in flight", LONG, |look| look.change().is_some()).await?;
        agent.kill();
        agent = scene.agent().await?;
        in_step(&mut agent, width.into(), 0).await?;
        let restarts = scene.flink.checkpoints().await?.restored - before;
        ensure!(restarts == 1, "{restarts} restarts on the way to {width}");
    }
    set_upper_bound(&scene, 1).await?;
    agent.wait("it is noticed", LONG, |look| look.reason() != "in_step").await?;
    in_step(&mut agent, 2, 0).await?;
    set_upper_bound(&scene, 1).await?;
    let look = agent.wait("standing back", LONG, |look| look.reason() == "contested").await?;
    ensure!(look.because().contains("upper bound of the job's parallelism to 1"), "{look}");
    let written = load.stop().await?;
    agent.stop().await;
    scene.prove_and_close(&written).await?;
    Ok(())
}

/// One of two TaskManagers never comes: the job goes as wide as there are slots, and that is said.
pub async fn a_task_manager_that_never_comes(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open_as(pravega, "missing", &adaptive("1.20.5")).await?;
    let load = scene.load(200)?;
    let mut plan = scene.agent_plan();
    let script = scene.flink.task_manager_script().display().to_string();
    plan.task_manager_command = format!("sh -c 'case {{id}} in *-3) exec sleep 600;; *) exec sh {script};; esac'");
    plan.flags.extend(["--slots-deadline", "20s"].map(str::to_owned));
    let mut agent = Agent::start(&scene.run, &plan).await?;
    in_step(&mut agent, 1, 0).await?;
    scene.scale(3).await?;
    let done = |look: &Look| look.reason() == "capacity_limited" && look.parallelism() == Some(2);
    let look = agent.wait("as wide as there are slots", LONG, done).await?;
    ensure!(look.0.pointer("/capacity/task_managers") == Some(&json!(2)), "{look}");
    ensure!(last_change(&agent).await?.pointer("/cost/restarts") == Some(&json!(1)), "{look}");
    let written = load.stop().await?;
    agent.stop().await;
    scene.prove_and_close(&written).await?;
    Ok(())
}

/// The JobManager is killed and comes back with what it had kept in ZooKeeper: nothing is narrowed
/// meanwhile, and afterwards the agent goes on.
pub async fn the_job_manager_comes_back_with_high_availability(pravega: &mut Pravega) -> Result<()> {
    let mut setting = adaptive("2.3.0");
    setting.zookeeper = Some(pravega.zookeeper());
    let mut scene = Scene::open_as(pravega, "failover-ha", &setting).await?;
    let load = scene.load(200)?;
    let mut agent = scene.agent().await?;
    in_step(&mut agent, 1, 0).await?;
    scene.scale(2).await?;
    in_step(&mut agent, 2, 0).await?;
    scene.flink.wait_checkpoint(LONG).await?;
    scene.flink.kill_job_manager();
    agent.wait("it is noticed", LONG, |look| look.reason() != "in_step").await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    scene.flink.start_job_manager().await?;
    let look = in_step(&mut agent, 2, 0).await?;
    ensure!(look.replicas() == Some(2), "{look}");
    scene.scale(1).await?;
    in_step(&mut agent, 1, 0).await?;
    let written = load.stop().await?;
    agent.stop().await;
    scene.prove_and_close(&written).await?;
    Ok(())
}
