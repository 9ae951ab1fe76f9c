//! The main job on the real Pravega and the real Flink, one scene after the other on one Pravega.
//! `cargo test -p sluice-e2e --test lab -- --ignored [NAME]`

use std::time::Duration;

use anyhow::{Result, ensure};
use sluice_e2e::{
    adaptive::{
        a_person_and_a_killed_agent, a_spare_is_used_and_replaced_and_savepoints_are_kept,
        a_task_manager_that_never_comes, the_job_manager_comes_back_with_high_availability,
    },
    lab::{Kind, Lab},
    peers::{flink_asks_for_a_certificate, flink_is_encrypted_for_everyone},
    rescale::rescale_and_prove,
    scene::{LONG, Scene},
};
use sluice_lab::{
    Mode, Pravega,
    rig::{Agent, AgentPlan, Proxy, binary},
};

const DEFAULT: &str = "1.20.5";

fn main() -> Result<()> {
    let lab = Lab::new()?;
    macro_rules! scenes {
        ($($scene:path),* $(,)?) => { vec![$(lab.trial(Kind::TwoControllers, stringify!($scene), $scene)),*] };
    }
    let scenes = scenes![
        an_empty_pool_is_filled_and_the_stream_followed_1_3_2_1,
        the_stream_scales_during_a_restart_and_between_checkpoints,
        an_agent_killed_in_the_middle_of_a_change_is_continued,
        the_controller_goes_away_and_comes_back,
        a_second_controller_takes_over,
        flink_goes_away_and_comes_back,
        what_is_not_there_is_named,
        flink_asks_for_a_certificate,
        flink_is_encrypted_for_everyone,
        the_job_follows_on_flink_1_17,
        reactive_on_flink_1_20,
        adaptive_on_flink_1_20,
        reactive_on_flink_2_3,
        adaptive_on_flink_2_3,
        a_spare_is_used_and_replaced_and_savepoints_are_kept,
        a_person_and_a_killed_agent,
        a_task_manager_that_never_comes,
        the_job_manager_comes_back_with_high_availability,
    ];
    lab.run(scenes).exit()
}

async fn an_empty_pool_is_filled_and_the_stream_followed_1_3_2_1(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open(pravega, "main", DEFAULT, 1).await?;
    let load = scene.load(400)?;
    let mut agent = scene.agent().await?;
    agent.wait_in_step(1, LONG).await?;
    let plan = scene.agent_plan();
    ensure!(sluice("plan", &plan)?.contains("hold: the job is as wide as the stream"), "plan");
    ensure!(!sluice("check", &plan)?.contains("PROBLEM"), "check");
    for width in [3, 2, 1] {
        scene.scale(width).await?;
        agent.wait_in_step(width.into(), LONG).await?;
    }
    let (status, metrics) = agent.api.get("/metrics").await?;
    ensure!(
        status == 200
            && metrics.contains("sluice_changes_total{strategy=\"reactive\",direction=\"down\",outcome=\"done\"} 2"),
        "{metrics}"
    );
    ensure!(agent.api.get("/ready").await?.0 == 200, "not ready");
    let written = load.stop().await?;
    agent.stop().await;
    let proof = scene.prove_and_close(&written).await?;
    println!("{proof}");
    Ok(())
}

/// What `sluice plan` or `sluice check` prints beside the agent that runs.
fn sluice(command: &str, plan: &AgentPlan) -> Result<String> {
    let output = std::process::Command::new(binary("sluice")?).arg(command).args(plan.settings()).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{command}: {said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

async fn the_job_follows_on_flink_1_17(pravega: &mut Pravega) -> Result<()> {
    follow_up_and_down(pravega, "flink-1-17", "1.17.2").await
}

async fn reactive_on_flink_1_20(pravega: &mut Pravega) -> Result<()> {
    rescale_and_prove(pravega, DEFAULT, Mode::Reactive).await
}

async fn adaptive_on_flink_1_20(pravega: &mut Pravega) -> Result<()> {
    rescale_and_prove(pravega, DEFAULT, Mode::Adaptive).await
}

async fn reactive_on_flink_2_3(pravega: &mut Pravega) -> Result<()> {
    rescale_and_prove(pravega, "2.3.0", Mode::Reactive).await
}

async fn adaptive_on_flink_2_3(pravega: &mut Pravega) -> Result<()> {
    rescale_and_prove(pravega, "2.3.0", Mode::Adaptive).await
}

async fn follow_up_and_down(pravega: &mut Pravega, stream: &str, flink: &str) -> Result<()> {
    let mut scene = Scene::open(pravega, stream, flink, 1).await?;
    let load = scene.load(300)?;
    let mut agent = scene.agent().await?;
    agent.wait_in_step(1, LONG).await?;
    for width in [2, 1] {
        scene.scale(width).await?;
        agent.wait_in_step(width.into(), LONG).await?;
    }
    let written = load.stop().await?;
    agent.stop().await;
    scene.prove_and_close(&written).await?;
    Ok(())
}

/// Without an agent: what is tried is the source. The stream scales several times between two
/// checkpoints, and again while the job restarts because a TaskManager was killed.
async fn the_stream_scales_during_a_restart_and_between_checkpoints(pravega: &mut Pravega) -> Result<()> {
    let interval = Duration::from_secs(15);
    let mut scene = Scene::open_with(pravega, "scales", DEFAULT, 2, interval).await?;
    let load = scene.load(300)?;
    scene.flink.start_task_manager("first")?;
    scene.flink.start_task_manager("second")?;
    scene.flink.wait_running(2, LONG).await?;
    scene.flink.wait_checkpoint(LONG).await?;
    for segments in [3, 1, 2] {
        scene.scale(segments).await?;
    }
    scene.flink.kill_task_manager("second");
    for segments in [4, 2] {
        scene.scale(segments).await?;
    }
    scene.flink.wait_running(1, LONG).await?;
    scene.scale(3).await?;
    scene.flink.start_task_manager("third")?;
    scene.flink.wait_running(2, LONG).await?;
    scene.flink.wait_checkpoint(LONG).await?;
    let written = load.stop().await?;
    scene.prove_and_close(&written).await?;
    Ok(())
}

async fn an_agent_killed_in_the_middle_of_a_change_is_continued(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open(pravega, "killed", DEFAULT, 1).await?;
    let load = scene.load(200)?;
    let mut agent = scene.agent().await?;
    agent.wait_in_step(1, LONG).await?;
    for (width, restarts) in [(3, 2), (1, 1)] {
        let before = agent.api.look().await?.and_then(|look| look.restored()).unwrap_or_default();
        scene.scale(width).await?;
        agent.wait("a change in flight", LONG, |look| look.change().is_some()).await?;
        agent.kill();
        agent = scene.agent().await?;
        let look = agent.wait_in_step(width.into(), LONG).await?;
        let restarted = look.restored().unwrap_or_default() - before;
        // Flink 1.20 restarts the job once for each TaskManager that arrives apart; two can come.
        ensure!(restarted <= restarts, "{restarted} restarts on the way to {width}");
    }
    let started = std::fs::read_dir(scene.run.logs())?
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with("taskmanager-"))
        .count();
    ensure!(started == 3, "{started} TaskManagers were ever started, 3 were needed: one was not adopted");
    let written = load.stop().await?;
    agent.stop().await;
    scene.prove_and_close(&written).await?;
    Ok(())
}

async fn the_controller_goes_away_and_comes_back(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open(pravega, "away", DEFAULT, 3).await?;
    let load = scene.load(100)?;
    let mut plan = scene.agent_plan();
    plan.controllers.truncate(1);
    plan.flags.extend(["--staleness".into(), "6s".into()]);
    let mut agent = Agent::start(&scene.run, &plan).await?;
    agent.wait_in_step(3, LONG).await?;

    pravega.kill_controller(0)?;
    scene.scale(1).await?; // Through the other controller, which this agent does not know.
    let away = tokio::time::Instant::now();
    agent.wait("held as stale", LONG, |look| look.reason() == "stale").await?;
    while away.elapsed() < Duration::from_secs(30) {
        let look = agent.api.look().await?;
        ensure!(look.is_none_or(|look| look.replicas() == Some(3)), "it shrank without knowing the stream");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    pravega.start_controller(0).await?;
    agent.wait_in_step(1, LONG).await?;
    let written = load.stop().await?;
    agent.stop().await;
    scene.prove_and_close(&written).await?;
    Ok(())
}

async fn a_second_controller_takes_over(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open(pravega, "failover", DEFAULT, 1).await?;
    let mut agent = scene.agent().await?;
    agent.wait_in_step(1, LONG).await?;
    pravega.kill_controller(0)?;
    scene.scale(2).await?;
    let look = agent.wait("the split is seen", Duration::from_secs(20), |look| look.segments() == Some(2)).await;
    pravega.start_controller(0).await?;
    look?;
    agent.wait_in_step(2, LONG).await?;
    agent.stop().await;
    scene.close().await;
    Ok(())
}

async fn flink_goes_away_and_comes_back(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open(pravega, "rest", DEFAULT, 1).await?;
    let proxy = Proxy::to(scene.flink.rest_url().trim_start_matches("http://").parse()?).await?;
    let mut plan = scene.agent_plan();
    plan.flink_url = Some(proxy.url());
    plan.flags.extend(["--staleness".into(), "5s".into()]);
    let mut agent = Agent::start(&scene.run, &plan).await?;
    agent.wait_in_step(1, LONG).await?;
    proxy.set_open(false);
    agent.wait("Flink is stale", LONG, |look| look.reason() == "stale").await?;
    scene.scale(2).await?;
    agent.wait("the split is seen", LONG, |look| look.segments() == Some(2)).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let look = agent.wait("held", LONG, |look| look.reason() == "stale").await?;
    ensure!(look.replicas() == Some(1), "it acted without Flink: {look}");
    proxy.set_open(true);
    agent.wait_in_step(2, LONG).await?;
    agent.stop().await;
    scene.close().await;
    Ok(())
}

/// A missing stream, scope or job: the agent stays up, is not ready, and says what it misses.
async fn what_is_not_there_is_named(pravega: &mut Pravega) -> Result<()> {
    let mut scene = Scene::open(pravega, "there", DEFAULT, 1).await?;
    let nowhere = "tcp://127.0.0.1:1";
    for (what, reason, named) in [
        ("stream", "unreadable", ["--stream", "nothing"]),
        ("scope", "unreadable", ["--scope", "nowhere"]),
        ("job", "job_not_running", ["--flink-job 'nobody'", "the cluster has"]),
        ("controller", "unreadable", ["--pravega-controller", "127.0.0.1:1"]),
    ] {
        let mut plan = scene.agent_plan();
        match what {
            "stream" => plan.stream = "nothing".into(),
            "scope" => plan.scope = "nowhere".into(),
            "job" => plan.flags.extend(["--flink-job".into(), "nobody".into()]),
            _ => plan.controllers = vec![nowhere.into()],
        }
        let mut agent = Agent::start(&scene.run, &plan).await?;
        let look = agent.wait(reason, Duration::from_secs(30), |look| look.reason() == reason).await?;
        ensure!(look.replicas() == Some(0), "it acted: {look}");
        let (status, said) = agent.api.get("/ready").await?;
        ensure!(status == 503, "{status} {said}");
        let log = agent.log()?;
        for text in named {
            ensure!(log.contains(text), "the log does not name {text}: {log}");
        }
        agent.stop().await;
    }
    scene.close().await;
    Ok(())
}
