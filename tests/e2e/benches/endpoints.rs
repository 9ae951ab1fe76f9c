//! `make bench-endpoints`: how fast the agent answers with 64 streams watched and a full history, and how much
//! memory it takes. The agent and its history are real; its peers are stand-ins.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sluice_e2e::{
    fake_cluster::FakeCluster,
    fake_controller::FakeController,
    percentile::percentile,
    process_cost::{instant, mebibytes},
};
use sluice_lab::{
    RunDir,
    process::{Launch, Process},
    rig::{AgentApi, binary},
};

const STREAMS: usize = 64;
const ENTRIES: usize = 500;
const REQUESTS: usize = 1000;
/// How long it watches before its memory is read.
const WATCH: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() -> Result<()> {
    let run = RunDir::fresh()?;
    let program = program()?;
    let controller = FakeController::start(1).await?;
    let cluster = FakeCluster::start(1).await?;
    let kubeconfig = run.path().join("kubeconfig");
    cluster.write_kubeconfig(&kubeconfig)?;
    let history = run.path().join("history.jsonl");
    let start = |name: &str, streams: usize| -> Result<(AgentApi, Process)> {
        let address = format!("127.0.0.1:{}", run.port()?);
        let streams: Vec<_> = (0..streams).map(|n| format!("stream-{n}")).collect();
        let launch = Launch::new(&program)
            .args(["run", "--listen", &address, "--pravega-controller", &controller.uri()])
            .args(["--scope", "bench", "--stream", &streams.join(","), "--max-task-managers", "200"])
            .args(["--no-lease", "--flink-url", cluster.url(), "--deployment", "taskmanager", "--kubeconfig"])
            .arg(&kubeconfig)
            .arg("--history-file")
            .arg(&history);
        Ok((AgentApi::at(format!("http://{address}")), Process::start(&run, name, &launch)?))
    };

    // One real change, so that the full history is of real entries.
    let (api, agent) = start("first", 1)?;
    until(&api, "/ready", |status, _| status == 200).await?;
    controller.set_segments(2);
    until(&api, "/history", |_, text| text.contains("\"event\":\"ended\"")).await?;
    agent.stop(Duration::from_secs(5)).await;
    controller.set_segments(1);
    fill(&history)?;

    let (api, agent) = start("agent", STREAMS)?;
    until(&api, "/ready", |status, _| status == 200).await?;
    println!("{}, {STREAMS} streams, {ENTRIES} entries of history, {REQUESTS} requests each", program.display());
    for path in ["/metrics", "/", "/plot.json", "/state", "/history"] {
        let (mut took, mut size) = (Vec::new(), 0);
        for _ in 0..REQUESTS {
            let begun = instant();
            let (status, text) = api.get(path).await?;
            took.push(begun.elapsed());
            anyhow::ensure!(status == 200, "{path}: {status}");
            size = text.len();
        }
        let p = |share| percentile(&took, share).as_secs_f64() * 1000.0;
        println!("{path}: {size} bytes, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", p(0.5), p(0.99), p(1.0));
    }
    tokio::time::sleep(WATCH).await;
    for (what, key) in [("now", "VmRSS"), ("at most", "VmHWM")] {
        println!("RSS {what}: {:.1} MiB", mebibytes(agent.pid(), key)?);
    }
    agent.stop(Duration::from_secs(5)).await;
    run.passed();
    Ok(())
}

/// What was built for release if it was, and otherwise what was built for debugging, which is slower.
fn program() -> Result<PathBuf> {
    let release = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/sluice");
    if release.is_file() { Ok(release.canonicalize()?) } else { binary("sluice") }
}

/// As many entries as are kept, each the end of a change, and samples of six hours.
fn fill(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path)?;
    let mut lines = text.lines().map(serde_json::from_str::<Value>);
    let mut head = lines.next().context("no head")??;
    let entries = lines.collect::<Result<Vec<_>, _>>()?;
    let ended = entries.iter().find(|entry| entry["event"] == "ended").context("no change has ended")?;
    for (track, length) in head["samples"].as_array_mut().context("samples")?.iter_mut().zip([450_u64, 1440]) {
        for column in track.as_object_mut().context("a track")?.values_mut().filter_map(Value::as_array_mut) {
            *column = vec![json!(1000); usize::try_from(length)?];
        }
        let newest = instant_in_seconds()?;
        track["from"] = json!(newest - length * track["every"].as_u64().context("every")?);
    }
    let mut full = head.to_string();
    for _ in 0..ENTRIES {
        full.push('\n');
        full.push_str(&ended.to_string());
    }
    full.push('\n');
    Ok(fs::write(path, full)?)
}

async fn until(api: &AgentApi, path: &str, done: impl Fn(u16, &str) -> bool) -> Result<()> {
    for _ in 0..300 {
        if let Ok((status, text)) = api.get(path).await
            && done(status, &text)
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{path} never answers as it should")
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's clock")]
fn instant_in_seconds() -> Result<u64> {
    Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs())
}
