//! The lab's cluster, and in it the sample's pipeline: Prometheus scrapes the controllers, an adapter serves
//! external metrics out of it through the aggregation layer, and the HPA controller reads those.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sluice_lab::{
    Pravega, RunDir,
    process::{Launch, Process},
    rest,
};

use sluice_e2e::process_cost::instant;

/// As Prometheus' own sample configuration has it; its built-in default is a minute.
const SCRAPE: &str = "15s";

/// Only one program of a cluster can serve it.
pub const METRICS: &str = "v1beta1.external.metrics.k8s.io";

/// A running cluster of the lab.
pub struct Cluster {
    pub kubeconfig: PathBuf,
    /// This machine as the cluster sees it.
    host: String,
}

impl Cluster {
    /// Starts it if it does not run.
    pub fn up() -> Result<Self> {
        let said = lab(&["up"])?;
        let kubeconfig = said.trim().strip_prefix("export KUBECONFIG=").context("lab.sh up names a KUBECONFIG")?;
        let host = lab(&["host"]).context("the benchmark needs the lab's own cluster")?.trim().to_owned();
        let cluster = Self { kubeconfig: kubeconfig.into(), host };
        cluster.kubectl(&["delete", "namespace", "bench", "--ignore-not-found"], "")?;
        cluster.kubectl(&["create", "namespace", "bench"], "")?;
        Ok(cluster)
    }

    /// Runs kubectl with this on its standard input.
    pub fn kubectl(&self, args: &[&str], stdin: &str) -> Result<String> {
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        output(kubectl, stdin)
    }

    /// Applies a file of `lab/kubernetes` with its names filled in.
    pub fn apply(&self, file: &str, names: &[(&str, &str)]) -> Result<()> {
        let mut text = fs::read_to_string(folder().join(file))?;
        for (name, value) in names {
            text = text.replace(&format!("@{name}@"), value);
        }
        self.kubectl(&["apply", "--filename", "-"], &text).map(drop)
    }
}

/// The processes of the pipeline.
pub struct Pipeline {
    pub prometheus: Process,
    pub adapter: Process,
    pub prometheus_url: String,
    http: reqwest::Client,
}

impl Pipeline {
    pub async fn start(run: &RunDir, cluster: &Cluster, pravega: &Pravega) -> Result<Self> {
        let targets: Vec<String> = pravega.rest_urls().iter().map(|url| url.replace("http://", "")).collect();
        let configuration = run.path().join("prometheus.yml");
        fs::write(
            &configuration,
            format!(
                "global: {{scrape_interval: {SCRAPE}}}\nscrape_configs:\n- job_name: pravega\n  \
                 metrics_path: /prometheus\n  static_configs: [{{targets: {targets:?}}}]\n"
            ),
        )?;
        // KEDA asks it from a pod.
        let address = format!("{}:{}", cluster.host, run.port()?);
        let prometheus = Launch::new("prometheus")
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", run.path().join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"));
        let prometheus = Process::start(run, "prometheus", &prometheus)?;
        let prometheus_url = format!("http://{address}");
        let port = run.port()?.to_string();
        let adapter = Launch::new("python3")
            .arg(folder().join("hpa/adapter.py"))
            .args([&cluster.host, &port, &prometheus_url])
            .arg(run.path());
        let adapter = Process::start(run, "adapter", &adapter)?;
        // One that KEDA has left says other things.
        cluster.kubectl(&["delete", "apiservice", METRICS, "--ignore-not-found"], "")?;
        cluster.apply("hpa/pipeline.yaml", &[("HOST", &cluster.host), ("PORT", &port)])?;
        let pipeline = Self { prometheus, adapter, prometheus_url, http: rest::client() };
        let begun = instant();
        loop {
            let metrics = ["get", "--raw", "/apis/external.metrics.k8s.io/v1beta1"];
            match cluster.kubectl(&metrics, "") {
                Ok(_) => return Ok(pipeline),
                Err(error) if begun.elapsed() > Duration::from_mins(1) => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }

    /// What the pipeline would tell the HPA: the sum over all series of the stream, `None` if there is none.
    pub async fn sees(&self, stream: &str) -> Result<Option<u32>> {
        let query = format!("sum(pravega_controller_segments_count{{scope=\"bench\",stream=\"{stream}\"}})");
        let url = format!("{}/api/v1/query?query={query}", self.prometheus_url);
        let answer: serde_json::Value = self.http.get(url).send().await?.json().await?;
        Ok(answer.pointer("/data/result/0/value/1").and_then(|value| value.as_str()?.parse().ok()))
    }
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../lab/kubernetes"))
}

fn lab(args: &[&str]) -> Result<String> {
    script("lab.sh", args)
}

/// What a script of `lab/kubernetes` says.
pub fn script(name: &str, args: &[&str]) -> Result<String> {
    let mut script = Command::new(folder().join(name));
    script.args(args);
    output(script, "")
}

fn output(mut command: Command, stdin: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().context("standard input")?.write_all(stdin.as_bytes())?;
    let done = child.wait_with_output()?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
