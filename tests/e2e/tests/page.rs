//! `make test-page`: the agent's page in a real, headless Chromium, through a run of the real agent: it holds,
//! widens, narrows, loses a source and ends. The peers are stand-ins that do at once what they are asked.
//!
//! The browser's side is `page/drive.mjs`. It says on its standard output what the peers are to do next.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use sluice_e2e::{fake_cluster::FakeCluster, fake_controller::FakeController};
use sluice_lab::{
    RunDir,
    process::{Launch, Process},
    rig::binary,
};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A stream that would take the page over if it could.
const HOSTILE: &str = "<img src=x onerror=\"document.title='taken'\">";

const LIMIT: Duration = Duration::from_secs(100);

#[tokio::test]
#[ignore = "needs Chromium and Node: make test-page"]
async fn the_page_through_a_run() -> Result<()> {
    let run = RunDir::fresh()?;
    let mut controller = FakeController::start(2).await?;
    let cluster = FakeCluster::start(2).await?;
    let kubeconfig = run.path().join("kubeconfig");
    cluster.write_kubeconfig(&kubeconfig)?;
    let start = |stream: &str, name: &str, flags: &[&str]| -> Result<(String, Process)> {
        let address = format!("127.0.0.1:{}", run.port()?);
        let launch = Launch::new(binary("sluice")?)
            .args(["run", "--listen", &address, "--pravega-controller", &controller.uri()])
            .args(["--scope", "dna", "--stream", stream, "--deployment", "taskmanager", "--kubeconfig"])
            .arg(&kubeconfig)
            .args(["--no-lease", "--flink-url", cluster.url(), "--staleness", "5s", "--poll", "500ms"])
            .args(["--scale-down-window", "8s", "--cooldown-up", "3s", "--cooldown-down", "3s"])
            .args(flags);
        Ok((format!("http://{address}/"), Process::start(&run, name, &launch)?))
    };
    let (url, agent) = start("reads", "agent", &[])?;
    // It only looks: two agents that act on one Deployment would contest each other's changes.
    let (hostile, other) = start(HOSTILE, "hostile", &["--dry-run"])?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shots = here.join("../../out/page");
    std::fs::create_dir_all(&shots)?;

    let mut browser = tokio::process::Command::new("node")
        .arg(here.join("page/drive.mjs"))
        .args([&url, &hostile])
        .arg(&shots)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("node cannot be started; tests/e2e/page/install.sh says what is missing")?;
    let mut lines = BufReader::new(browser.stdout.take().context("the browser's output")?).lines();
    let mut agent = Some(agent);
    let play = async {
        while let Some(line) = lines.next_line().await? {
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("segments", count) => controller.set_segments(count.parse()?),
                ("controller", "away") => controller.leave().await,
                ("controller", "back") => controller.come_back().await?,
                ("agent", "ends") => agent.take().map(Process::kill).context("the agent ends once")?,
                ("say", text) => println!("{text}"),
                _ => bail!("the browser asks for '{line}'"),
            }
        }
        Ok(browser.wait().await?)
    };
    let ended = tokio::time::timeout(LIMIT, play).await.context("the run takes too long")??;
    ensure!(ended.success(), "the page is not as it should be; see above, and {}", shots.display());
    other.kill();
    run.passed();
    Ok(())
}
