//! The agent as users run it: in the JobManager's pod, on a real Kubernetes with real pods. One scene after
//! the other on one stage (`sluice_e2e::kubernetes`); what each breaks is said in its name.
//! `make test-kubernetes`, or `cargo test -p sluice-e2e --test kubernetes -- --ignored [NAME]`; with `KEDA=1` the
//! scenes with KEDA and with the overlays that Sluice is measured against come too.

use std::{
    convert::Infallible,
    env, fs,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};
use sluice_e2e::kubernetes::{
    Adapter, Cluster, DEPLOYMENT, LONG, NODES, Namespace, NotHere, PodAgent, SAMPLE, Stage, Variant, until,
};
use sluice_lab::rig::Look;
use tokio::runtime::Runtime;

/// Long enough to see that something is left alone: some ten looks of the agent.
const LEFT_ALONE: Duration = Duration::from_secs(8);
/// A restart that a change caused without need has begun by then.
const AFTERMATH: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let theatre = Theatre::default();
    macro_rules! scenes {
        ($($scene:ident),* $(,)?) => { vec![$(theatre.trial(stringify!($scene), $scene)),*] };
    }
    let mut scenes = scenes![
        the_job_manager_starts_while_pravega_is_away,
        the_job_follows_1_4_2_1,
        an_agent_killed_in_mid_change_is_continued,
        a_killed_job_manager_pod_comes_back_with_its_job,
        the_api_server_is_away_for_30_s,
        a_stolen_lease_is_respected,
        a_quota_that_is_too_small,
        pods_that_cannot_be_scheduled,
        a_deployment_at_0_replicas_is_filled,
        an_hpa_on_the_same_deployment,
        a_person_insists_on_other_replicas,
        a_permission_is_missing,
        a_flag_of_the_agent_is_misspelt,
        an_injected_job_of_the_samples_shape_follows,
    ];
    // These need KEDA on the cluster, and minutes.
    if env::var_os("KEDA").is_some_and(|keda| !keda.is_empty()) {
        scenes.extend(scenes![
            a_scaled_object_on_the_same_deployment,
            the_overlay_keda_follows_without_sluice,
            the_overlay_hpa_follows_without_sluice,
        ]);
    }
    scenes.extend(scenes![every_event_was_counted_exactly_once]);
    libtest_mimic::run(&arguments, scenes).exit_code()
}

/// Where the scenes are played: set when the first of them begins.
#[derive(Clone, Default)]
struct Theatre(Arc<Mutex<Option<Play>>>);

/// A runtime, and the stage unless this machine cannot have one.
struct Play {
    runtime: Runtime,
    stage: Option<Stage>,
    /// The scene before has failed, and may have left something broken.
    disturbed: bool,
}

impl Theatre {
    fn trial<F>(&self, name: &str, scene: F) -> Trial
    where
        F: AsyncFnOnce(&Stage) -> Result<()> + Send + 'static,
    {
        let theatre = self.clone();
        Trial::test(name, move || theatre.play(scene).map_err(|error| Failed::from(format!("{error:#}"))))
            .with_ignored_flag(true)
    }

    fn play<F>(&self, scene: F) -> Result<()>
    where
        F: AsyncFnOnce(&Stage) -> Result<()>,
    {
        let mut play = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if play.is_none() {
            *play = Some(Play::begin()?);
        }
        let Some(Play { runtime, stage: Some(stage), disturbed }) = play.as_mut() else {
            println!("    skipped: no cluster on this machine, see above");
            return Ok(());
        };
        runtime.block_on(async {
            if *disturbed {
                stage.mend().await?;
            }
            *disturbed = true;
            match scene(stage).await {
                Ok(()) => *disturbed = false,
                Err(error) if error.is::<NotHere>() => println!("    skipped: {error}"),
                Err(error) => return Err(error),
            }
            Ok(())
        })
    }
}

impl Play {
    fn begin() -> Result<Self> {
        let runtime = Runtime::new()?;
        let stage = runtime.block_on(async {
            match Cluster::up().await? {
                Some(cluster) => {
                    cluster.import_images().await?;
                    Stage::set(&cluster).await.map(Some)
                }
                None => Ok(None),
            }
        })?;
        Ok(Self { runtime, stage, disturbed: false })
    }
}

/// That is how the stage is set; what is left to see is that nothing had to be started again for it.
async fn the_job_manager_starts_while_pravega_is_away(stage: &Stage) -> Result<()> {
    ensure!(stage.agent.restarts().await? == 0, "the agent's container was started again");
    ensure!(stage.agent.held("unreadable").await? > 0, "the metric does not know of it");
    Ok(())
}

async fn the_job_follows_1_4_2_1(stage: &Stage) -> Result<()> {
    for segments in [4, 2, 1] {
        let before = stage.restored().await?;
        stage.follow(segments).await?;
        tokio::time::sleep(AFTERMATH).await;
        let restarts = stage.restored().await? - before;
        ensure!(restarts == 1, "to {segments}: {restarts} restarts");
    }
    let pod = stage.agent.pod().await?;
    let check = stage.space.kubectl(&["exec", &pod, "-c", "sluice", "--", "sluice", "check"]).await?;
    ensure!(!check.contains("PROBLEM"), "{check}");
    Ok(())
}

async fn an_agent_killed_in_mid_change_is_continued(stage: &Stage) -> Result<()> {
    for segments in [2, 1] {
        let (restored, restarts) = (stage.restored().await?, stage.agent.restarts().await?);
        stage.scale_stream(segments).await?;
        stage.agent.wait("a change in flight", LONG, |look| look.change().is_some()).await?;
        stage.agent.kill().await?;
        stage.agent.in_step(segments.into(), LONG).await?;
        ensure!(stage.agent.restarts().await? == restarts + 1, "the agent was not killed");
        ensure!(stage.agent.held("not_leader").await? == 0, "it waited for the Lease of the one before it");
        let restored = stage.restored().await? - restored;
        ensure!(restored == 1, "to {segments}: {restored} restarts of the job");
    }
    Ok(())
}

/// Without warning, as with a node that is lost. The same job comes back from its last checkpoint, and
/// nothing is narrowed meanwhile.
async fn a_killed_job_manager_pod_comes_back_with_its_job(stage: &Stage) -> Result<()> {
    stage.follow(2).await?;
    let (before, after) = lose_the_job_manager(&stage.space, &stage.agent, 2).await?;
    ensure!(before == after, "{before} came back as {after}");
    stage.follow(1).await
}

/// Kills the JobManager's pod, and waits until the job is as wide as before; nothing may be narrowed meanwhile.
/// Returns the job's id before and after.
async fn lose_the_job_manager(space: &Namespace, agent: &PodAgent, width: u64) -> Result<(Value, Value)> {
    let id = |look: &Look| look.0.pointer("/observation/flink/value/jobs/0/id").cloned().context("a job without an id");
    let before = id(&agent.look().await.context("no look")?)?;
    let pod = agent.pod().await?;
    space.kubectl(&["delete", "pod", &pod, "--grace-period=0", "--force"]).await?;
    until("another JobManager's pod", LONG, async || Ok((agent.pod().await? != pod).then_some(()))).await?;
    tokio::select! {
        narrowed = stays(space, width) => match narrowed? {},
        after = agent.in_step(width, LONG) => Ok((before, id(&after?)?)),
    }
}

async fn stays(space: &Namespace, width: u64) -> Result<Infallible> {
    loop {
        let replicas = space.replicas(DEPLOYMENT).await?;
        ensure!(replicas == width, "{replicas} replicas while the JobManager was away");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The agent stays up, acts on nothing, and follows when the API server is back.
async fn the_api_server_is_away_for_30_s(stage: &Stage) -> Result<()> {
    let restarts = stage.agent.restarts().await?;
    stage.space.cluster.lab(&["stop", "kube-apiserver"]).await?;
    stage.scale_stream(2).await?;
    let away = tokio::time::sleep(Duration::from_secs(30));
    let lost = |look: &Look| ["no_lease", "stale"].contains(&look.reason());
    let held = stage.agent.wait("holds", Duration::from_secs(30), lost).await;
    away.await;
    stage.space.cluster.lab(&["start", "kube-apiserver"]).await?;
    let held = held?;
    // What was the matter is told afterwards.
    println!("    {}: {}", held.reason(), held.because());
    println!("    Event: {}", stage.agent.event(held.reason(), "").await?);
    stage.agent.in_step(2, LONG).await?;
    ensure!(stage.agent.restarts().await? == restarts, "the agent's container was started again");
    stage.follow(1).await
}

#[expect(clippy::disallowed_methods, reason = "a Lease has a time in it")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Another agent takes the lead and is not heard of again: this one stands back until that lead has run out.
async fn a_stolen_lease_is_respected(stage: &Stage) -> Result<()> {
    let now = now();
    // Until the Event is there and then for a while longer.
    let theft = json!({ "spec": { "holderIdentity": "a-stranger", "leaseDurationSeconds": 40,
        "acquireTime": format!("{now:.6}"), "renewTime": format!("{now:.6}") } });
    let lease = format!("sluice-{DEPLOYMENT}");
    stage.space.kubectl(&["patch", "lease", &lease, "--type=merge", "-p", &theft.to_string()]).await?;
    stage.agent.holds("not_leader", LONG).await?;
    stage.scale_stream(2).await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    ensure!(stage.space.replicas(DEPLOYMENT).await? == 1, "a follower has acted");
    stage.agent.in_step(2, LONG).await?;
    stage.follow(1).await
}

/// A change waits for TaskManagers that do not come, and says why at once; when there is room it goes on.
async fn a_quota_that_is_too_small(stage: &Stage) -> Result<()> {
    let pods = stage.space.pods("").await?.len();
    stage.space.kubectl(&["create", "quota", "scene", &format!("--hard=pods={pods}")]).await?;
    stage.scale_stream(2).await?;
    let short = stage.agent.is_short_of("quota_exceeded", "exceeded quota").await;
    stage.space.kubectl(&["delete", "quota", "scene"]).await?;
    short?;
    stage.agent.in_step(2, LONG).await?;
    stage.follow(1).await
}

/// As above, but nobody makes room within `--slots-deadline`: the change ends, and the capacity is remembered.
async fn pods_that_cannot_be_scheduled(stage: &Stage) -> Result<()> {
    let nodes = &stage.space.cluster;
    nodes.kubectl(&["cordon", "-l", NODES]).await?;
    stage.scale_stream(2).await?;
    let short = stage.agent.is_short_of("unschedulable", "0/1 nodes").await;
    let limited = stage.agent.holds("capacity_limited", LONG).await;
    let told = stage.agent.event("capacity_limited", "no node has room").await;
    nodes.kubectl(&["uncordon", "-l", NODES]).await?;
    short.and(limited).and(told)?;
    stage.agent.in_step(2, LONG).await?;
    stage.follow(1).await
}

async fn a_deployment_at_0_replicas_is_filled(stage: &Stage) -> Result<()> {
    stage.space.scale(DEPLOYMENT, 0).await?;
    stage.agent.wait("sees no TaskManager", LONG, |look| look.registered() == Some(0)).await?;
    stage.agent.in_step(1, LONG).await?;
    Ok(())
}

async fn an_hpa_on_the_same_deployment(stage: &Stage) -> Result<()> {
    stage.space.kubectl(&["autoscale", "deployment", DEPLOYMENT, "--name=scene", "--min=1", "--max=4"]).await?;
    stage.agent.holds("another_autoscaler", LONG).await?;
    stage.scale_stream(2).await?;
    tokio::time::sleep(LEFT_ALONE).await;
    ensure!(stage.space.replicas(DEPLOYMENT).await? == 1, "acted beside an HPA");
    stage.space.kubectl(&["delete", "hpa", "scene"]).await?;
    stage.agent.in_step(2, LONG).await?;
    stage.follow(1).await
}

/// The file of `deploy/overlays/keda`. Its Prometheus is not there, so that KEDA
/// leaves the Deployment as it is; but it makes an HPA, and the agent names the one who would make it again.
async fn a_scaled_object_on_the_same_deployment(stage: &Stage) -> Result<()> {
    let (space, cluster) = (&stage.space, &stage.space.cluster);
    space.kubectl(&["apply", "-f", &cluster.path("deploy/overlays/keda/keda-demo.yaml")]).await?;
    space.wait("create", &[&format!("hpa/keda-hpa-{DEPLOYMENT}")], LONG).await?;
    let named = format!("ScaledObject/{DEPLOYMENT}");
    let by_keda = |look: &Look| look.reason() == "another_autoscaler" && look.because().contains(&named);
    stage.agent.wait("names KEDA", LONG, by_keda).await?;
    println!("    {}", stage.agent.event("another_autoscaler", &named).await?);
    stage.scale_stream(2).await?;
    tokio::time::sleep(LEFT_ALONE).await;
    ensure!(space.replicas(DEPLOYMENT).await? == 1, "acted beside KEDA");
    space.kubectl(&["delete", "scaledobject", DEPLOYMENT]).await?;
    stage.agent.in_step(2, LONG).await?;
    stage.follow(1).await
}

/// Each time that it is set right, the person does it again. That is a contest, and it is the person's for
/// `--contest-expiry`.
async fn a_person_insists_on_other_replicas(stage: &Stage) -> Result<()> {
    let insist = async || {
        if stage.space.replicas(DEPLOYMENT).await? == 1 {
            stage.space.scale(DEPLOYMENT, 3).await?;
        }
        Ok(stage.agent.look().await.is_some_and(|look| look.reason() == "contested").then_some(()))
    };
    until("contested", LONG, insist).await?;
    stage.agent.holds("contested", LONG).await?;
    ensure!(stage.space.replicas(DEPLOYMENT).await? == 3, "set right although it is contested");
    stage.agent.in_step(1, LONG).await?;
    Ok(())
}

/// Somebody takes away what the Role grants on Deployments. What else it grants is still there, and so are the
/// Events.
async fn a_permission_is_missing(stage: &Stage) -> Result<()> {
    let role = stage.space.get(&["role", "sluice"]).await?;
    let rules = role["rules"].as_array().context("a Role without rules")?;
    let others: Vec<&Value> = rules.iter().filter(|rule| rule["apiGroups"] != json!(["apps"])).collect();
    let replace = |rules: Value| json!([{ "op": "replace", "path": "/rules", "value": rules }]).to_string();
    let patch =
        async |rules| stage.space.kubectl(&["patch", "role", "sluice", "--type=json", "-p", &replace(rules)]).await;
    patch(json!(others)).await?;
    let held = stage.agent.holds("stale", LONG).await;
    stage.scale_stream(2).await?;
    tokio::time::sleep(LEFT_ALONE).await;
    let replicas = stage.space.replicas(DEPLOYMENT).await?;
    patch(json!(rules)).await?;
    held?;
    ensure!(replicas == 1, "acted without a permission");
    ensure!(stage.agent.log().await?.contains("needs a Role"), "the log does not say what is missing");
    stage.agent.in_step(2, LONG).await?;
    stage.follow(1).await
}

/// As a person would: `up.sh` with a changed manifest, which makes the Job anew. The JobManager starts all the
/// same, goes on with its job, and when the flag is mended the agent follows again.
async fn a_flag_of_the_agent_is_misspelt(stage: &Stage) -> Result<()> {
    let said = stage.space.up("tests/e2e/kubernetes/typo").await?;
    ensure!(said.contains("it is replaced"), "the Job was not made anew: {said}");
    let look = stage.agent.holds("bad_config", LONG).await?;
    ensure!(look.because().contains("--cooldown-up"), "no tip: {}", look.because());
    ensure!(stage.agent.restarts().await? == 0, "the agent's container ends again and again");
    stage.space.up("tests/e2e/kubernetes/flink").await?;
    stage.agent.in_step(1, LONG).await?;
    Ok(())
}

/// A user's manifests without the agent, beside the stage and with a stream of their own: what `sluice inject`
/// prints of them is what runs.
async fn an_injected_job_of_the_samples_shape_follows(stage: &Stage) -> Result<()> {
    let cluster = &stage.space.cluster;
    stage.scale_sample(1).await?;
    let space = cluster.namespace(SAMPLE).await?;
    let inject = async |files: &[&str]| {
        let flags = ["--namespace", SAMPLE, "--scope", "test", "--stream", SAMPLE, "--history-config-map", "past"];
        let address = format!("tcp://pravega-controller.{}:9090", stage.space.name);
        let short_times = ["--cooldown-up=2s", "--cooldown-down=2s", "--scale-down-window=5s"];
        let args = [&["inject", "--pravega-controller", &address], &flags[..], &short_times, files].concat();
        cluster.run("target/debug/sluice", &args, &[]).await
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(cluster.path("tests/e2e/kubernetes/sample"))? {
        files.push(entry?.path().display().to_string());
    }
    let injected = inject(&files.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let kept = cluster.path("out/injected.yaml");
    fs::write(&kept, &injected)?;
    ensure!(inject(&[&kept]).await? == injected, "injected twice is not injected once: {kept}");
    space.kubectl(&["apply", "--dry-run=server", "-f", &kept]).await?;

    space.kubectl(&["apply", "-f", &kept]).await?;
    let agent = PodAgent::of(&space);
    agent.in_step(1, LONG).await?;
    for segments in [2, 1] {
        stage.scale_sample(segments).await?;
        agent.in_step(segments.into(), LONG).await?;
        let replicas = space.replicas(DEPLOYMENT).await?;
        ensure!(replicas == u64::from(segments), "in step at {segments} with {replicas} replicas");
        // Without high availability it is another job that comes back; its agent knows what was before.
        if segments == 2 {
            let first = oldest(&agent).await?;
            let (before, after) = lose_the_job_manager(&space, &agent, 2).await?;
            ensure!(before != after, "the same job has come back");
            ensure!(oldest(&agent).await? == first, "the history was lost with the pod");
        }
    }
    ensure!(agent.restarts().await? == 0, "the agent's container was started again");
    cluster.kubectl(&["delete", "namespace", SAMPLE]).await?;
    Ok(())
}

/// The first of what the agent still knows of its past.
async fn oldest(agent: &PodAgent) -> Result<Value> {
    let history: Vec<Value> = serde_json::from_str(&agent.text("/history").await?)?;
    history.into_iter().next().context("an agent without a past")
}

/// What Sluice is measured against, by the files that are shipped for it.
async fn the_overlay_keda_follows_without_sluice(stage: &Stage) -> Result<()> {
    let variant = Variant::up(stage, "keda").await?;
    let at_once = json!({ "behavior": { "scaleDown": { "stabilizationWindowSeconds": 0 } } });
    let patch = json!([
        { "op": "replace", "path": "/spec/triggers/0/metadata/serverAddress", "value": variant.prometheus.url },
        { "op": "replace", "path": "/spec/advanced/horizontalPodAutoscalerConfig", "value": at_once },
    ]);
    variant.patch("scaledobject", &patch).await?;
    variant.follows(stage).await?;
    variant.down().await
}

/// The same with prometheus-adapter in KEDA's place, by the rules of the overlay's values file.
async fn the_overlay_hpa_follows_without_sluice(stage: &Stage) -> Result<()> {
    let variant = Variant::up(stage, "hpa").await?;
    let followed = async {
        let _adapter = variant.adapter().await?;
        let window = "/spec/behavior/scaleDown/stabilizationWindowSeconds";
        variant.patch("hpa", &json!([{ "op": "replace", "path": window, "value": 0 }])).await?;
        variant.follows(stage).await
    };
    let followed = followed.await;
    // With one that does not answer no namespace would come to its end.
    Adapter::withdraw(&stage.space.cluster).await?;
    followed?;
    variant.down().await
}

async fn every_event_was_counted_exactly_once(stage: &Stage) -> Result<()> {
    println!("    {}", stage.prove().await?);
    Ok(())
}
