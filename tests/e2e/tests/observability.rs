//! What is shipped for Prometheus and Grafana, tried with the real Prometheus on a real run.
//! `cargo test -p sluice-e2e --test observability -- --ignored [NAME]`

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use sluice_e2e::{
    dashboards::{self, Dashboard, Query},
    lab::{Kind, Lab},
    promtool::{before_open_metrics, promtool},
    scene::{LONG, SCOPE},
    watched::Watched,
};
use sluice_lab::{
    Cache, Pravega, Progress, Scaling,
    rig::{Agent, AgentPlan, Look, prometheus},
};

/// Between two values of a query over time.
const STEP: Duration = Duration::from_secs(1);

/// How long an alert must hold here before it fires, instead of minutes.
const PATIENCE: Duration = Duration::from_secs(3);

/// Panels that are empty after a run in which nothing went wrong, each with its reason.
const MAY_BE_EMPTY: [(&str, &str); 4] = [
    ("Believed to be had at most", "only after fewer TaskManagers came than were asked for"),
    ("Pods do not come", "only where Kubernetes refuses them or cannot start them"),
    ("Records read twice", "only where Flink had told the rate of the job before the change"),
    ("Rescale, by Flink's account", "only Flink 2.3 and later tell"),
];

fn main() -> Result<()> {
    let lab = Lab::new()?;
    let scenes = vec![
        Trial::test("what_is_shipped_passes_promtool", || {
            what_is_shipped_passes_promtool().map_err(|error| Failed::from(format!("{error:#}")))
        })
        .with_ignored_flag(true),
        lab.trial(Kind::Metered, "every_query_has_an_answer", every_query_has_an_answer),
        lab.trial(Kind::Metered, "alerts_fire_when_they_should", alerts_fire_when_they_should),
    ];
    lab.run(scenes).exit()
}

fn what_is_shipped_passes_promtool() -> Result<()> {
    let tools = tokio::runtime::Runtime::new()?.block_on(Cache::open()?.prometheus(Progress::detect()))?;
    let folder = prometheus::shipped();
    promtool(&tools, &folder, &["check", "config", "prometheus.yml"], "")?;
    promtool(&tools, &folder, &["check", "rules", "--lint-fatal", "rules.yaml"], "")?;
    promtool(&tools, &folder, &["test", "rules", "rules.test.yaml"], "")?;

    let rules = fs::read_to_string(folder.join("rules.yaml"))?;
    let file = folder.join("prometheus-rule.yaml");
    let made = prometheus_rule(&rules);
    if std::env::var_os("SLUICE_UPDATE_DOCS").is_some() {
        fs::write(&file, &made)?;
    }
    ensure!(fs::read_to_string(&file)? == made, "prometheus-rule.yaml is not rules.yaml: run `make docs`");

    let tests = fs::read_to_string(folder.join("rules.test.yaml"))?;
    let runbook = fs::read_to_string(folder.join("../../docs/alerts.md"))?;
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    ensure!(alerts.len() >= 8, "only {alerts:?}");
    for alert in alerts {
        ensure!(tests.contains(&format!("alertname: {alert}")), "{alert} has no unit test");
        ensure!(runbook.contains(&format!("\n## {alert}\n")), "{alert} has no section in docs/alerts.md");
        let link = format!("runbook_url: docs/alerts.md#{}\n", alert.to_lowercase());
        ensure!(rules.contains(&link), "{alert} does not link its section: {link}");
    }
    Ok(())
}

/// The rules as the Prometheus Operator takes them.
fn prometheus_rule(rules: &str) -> String {
    let mut text = String::from(
        "# Made from rules.yaml by `make docs`, for the Prometheus Operator.\n\
         apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: sluice\nspec:\n",
    );
    for line in rules.lines().skip_while(|line| line.starts_with('#')) {
        let indent = if line.is_empty() { "" } else { "  " };
        text.extend([indent, line, "\n"]);
    }
    text
}

async fn every_query_has_an_answer(pravega: &mut Pravega) -> Result<()> {
    let load = ["--shape", "constant", "--rate", "400/s", "--duration", "10m"];
    let mut run = Watched::open(pravega, "shown", None, &[], &load).await?;
    run.agent.wait_in_step(1, LONG).await?;
    // What a change costs is told beside what the job did before it.
    let told =
        |look: &Look| look.0.pointer("/observation/flink/value/jobs/0/records_per_second").is_some_and(Value::is_u64);
    run.agent.wait("Flink tells the job's rate", LONG, told).await?;
    let recovered = |look: &Look| look.0.pointer("/last/recovered").is_some_and(|at| !at.is_null());
    for width in [3, 2] {
        run.scene.scale(width).await?;
        run.agent.wait_in_step(width.into(), LONG).await?;
        run.agent.wait("Flink tells the job's rate", LONG, told).await?;
        run.agent.wait("the job has caught up", LONG, recovered).await?;
    }
    // Pravega brings its rates up to date every ten seconds, Flink its own every five.
    tokio::time::sleep(Duration::from_secs(15)).await;

    let metrics = run.agent.api.get("/metrics").await?.1;
    promtool(&run.tools, run.scene.run.path(), &["check", "metrics"], &before_open_metrics(&metrics))
        .context("the agent's metrics")?;
    let metrics = sluice_lab::rest::client().get(format!("http://{}/metrics", run.load_address)).send().await?;
    promtool(&run.tools, run.scene.run.path(), &["check", "metrics"], &before_open_metrics(&metrics.text().await?))
        .context("the generator's metrics")?;

    let mut empty = Vec::new();
    let mut asked = 0;
    for dashboard in dashboards::shipped()? {
        for (place, mut query) in queries(&dashboard) {
            asked += 1;
            // What is shown only above zero may stay there when all is well.
            query.expression = query.expression.trim_end_matches(" > 0").to_owned();
            let shown = run.shown(&query, STEP).await.with_context(|| place.clone())?;
            let some = shown.iter().flat_map(|series| &series.points).any(|(_, value)| !value.is_nan());
            if !some && !MAY_BE_EMPTY.iter().any(|(title, _)| place.ends_with(title)) {
                empty.push(format!("{place}: {}", query.expression));
            }
        }
    }
    ensure!(empty.is_empty(), "no data for\n{}", empty.join("\n"));
    println!("{asked} queries of the dashboards, all with data");

    for rule in run.prometheus.rules().await? {
        let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
        ensure!(text("health") == "ok", "{}: {}", text("name"), text("lastError"));
        for metric in metrics_in(&text("query")) {
            ensure!(!run.prometheus.query(&metric).await?.is_empty(), "{}: no {metric}", text("name"));
        }
        ensure!(text("state") != "firing", "{} fires although nothing is wrong", text("name"));
    }
    run.close().await
}

/// Every query of a dashboard, with where it stands.
fn queries(dashboard: &Dashboard) -> Vec<(String, Query)> {
    let mut all = Vec::new();
    for panel in &dashboard.panels {
        all.extend(panel.queries.iter().map(|query| (format!("{}: {}", dashboard.title, panel.title), query.clone())));
    }
    // `label_values(series, label)` is Grafana's own; the series must be there and have the label.
    for variable in &dashboard.variables {
        let asked = variable.expression.trim_start_matches("label_values(").trim_end_matches(')');
        let Some((series, label)) = asked.rsplit_once(", ") else { continue };
        let expression = format!("count by ({label}) ({series}) and on ({label}) {series}");
        let query = Query { expression: expression.clone(), ..variable.clone() };
        all.push((format!("{}: variable {}", dashboard.title, variable.legend), query));
    }
    for annotation in &dashboard.annotations {
        all.push((format!("{}: annotation {}", dashboard.title, annotation.legend), annotation.clone()));
    }
    all
}

/// The names of metrics in an expression.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || "_:".contains(c)));
    words.filter(|word| word.starts_with("sluice_") || word.contains(":sluice_")).map(str::to_owned).collect()
}

/// Faults that the alerts are for, each made for real: most of them by an agent of its own beside the good
/// one, which may only look.
async fn alerts_fire_when_they_should(pravega: &mut Pravega) -> Result<()> {
    let load = ["--shape", "constant", "--rate", "200/s", "--duration", "10m"];
    let budget = ["--restarts-per-hour", "1"];
    let mut run = Watched::open(pravega, "faults", Some(PATIENCE), &budget, &load).await?;
    run.agent.wait_in_step(1, LONG).await?;

    let sealed = "sealed";
    run.scene.admin.create_stream(SCOPE, sealed, Scaling::fixed(1)).await?;
    run.scene.admin.seal(SCOPE, sealed).await?;
    let wrong_stream = onlooker(&mut run, "no-stream", |plan| plan.stream = "nothing".into()).await?;
    let wrong_job = onlooker(&mut run, "no-job", |plan| {
        plan.flags.extend(["--flink-job", "nobody"].map(str::to_owned));
    })
    .await?;
    let wrong_end = onlooker(&mut run, "sealed", |plan| plan.stream = sealed.into()).await?;
    let killed = onlooker(&mut run, "killed", |_| ()).await?;

    // The first change uses the budget up, and the second is not made.
    run.scene.scale(2).await?;
    run.agent.wait_in_step(2, LONG).await?;
    run.scene.scale(3).await?;
    fires(&run, "SluiceUnreadable", "no-stream").await?;
    fires(&run, "SluiceJobNotRunning", "no-job").await?;
    fires(&run, "SluiceNeedsAPerson", "sealed").await?;
    killed.kill();
    fires(&run, "SluiceDown", "killed").await?;
    fires(&run, "SluiceRestartBudgetSpent", "flink").await?;
    fires(&run, "SluiceOutOfStep", "flink").await?;
    for agent in [wrong_stream, wrong_job, wrong_end] {
        agent.stop().await;
    }

    // Last, since it takes a minute: a reading that grows old.
    pravega.pause_controller(0)?;
    let stale = fires(&run, "SluiceReadingsStale", "flink").await;
    pravega.resume_controller(0)?;
    stale?;
    run.close().await
}

/// Another agent on the same scene, with something wrong with it; it changes nothing.
async fn onlooker(run: &mut Watched, job: &'static str, wrong: impl FnOnce(&mut AgentPlan)) -> Result<Agent> {
    let mut plan = run.scene.agent_plan();
    plan.name = format!("agent-{job}");
    plan.pool_dir = run.scene.run.path().join(format!("pool-{job}"));
    plan.flags.push("--dry-run".into());
    wrong(&mut plan);
    let agent = Agent::start(&run.scene.run, &plan).await?;
    run.add_agent(&agent, job)?;
    Ok(agent)
}

/// Waits until an alert fires for this pipeline, and for no other.
async fn fires(run: &Watched, alert: &str, job: &str) -> Result<()> {
    let begun = tokio::time::Instant::now();
    loop {
        let firing = run.prometheus.firing(alert).await?;
        if firing.iter().any(|labels| labels.get("job").is_some_and(|found| found == job)) {
            ensure!(firing.len() == 1, "{alert} fires for more than {job}: {firing:?}");
            println!("{alert} fires for {job} after {:.1} s", begun.elapsed().as_secs_f64());
            return Ok(());
        }
        ensure!(begun.elapsed() < LONG, "{alert} does not fire for {job}: {firing:?}");
        tokio::time::sleep(STEP).await;
    }
}
