//! The lab's cluster, through the same commands that a person has: `kubectl`, and the lab's own script for
//! what is done to the machine of the cluster.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::stage::until;

/// What `lab.sh` ends with for what it cannot do here: run a cluster on this machine, or reach into the
/// machine of a cluster that is not the lab's.
const CANNOT: i32 = 69;

/// The archives in `out/images`.
const IMAGES: [&str; 4] = ["sluice", "data-generator", "flink-busy-reader", "sluice-lab-pravega"];

/// The labels of the JobManager's pod.
pub const JOB_MANAGER: &str = "app=flink,component=jobmanager";

/// What needs the lab's own cluster, and cannot be tried on another one; the text says why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotHere(String);

/// A running cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
    repository: PathBuf,
}

impl Cluster {
    /// Starts the lab's cluster, unless it runs; `None` where this machine cannot, which the script then explains.
    pub async fn up() -> Result<Option<Self>> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let script = repository.join("lab/kubernetes/lab.sh");
        let output = Command::new(&script).arg("up").stderr(Stdio::inherit()).output().await?;
        if output.status.code() == Some(CANNOT) {
            return Ok(None);
        }
        ensure!(output.status.success(), "{} up: {}", script.display(), output.status);
        let said = String::from_utf8(output.stdout)?;
        let kubeconfig = said.lines().find_map(|line| line.strip_prefix("export KUBECONFIG="));
        let kubeconfig = PathBuf::from(kubeconfig.context("lab.sh up names no KUBECONFIG")?);
        Ok(Some(Self { kubeconfig, repository }))
    }

    /// Gives the cluster the images of `make lab-images`.
    pub async fn import_images(&self) -> Result<()> {
        for name in IMAGES {
            let archive = self.path(&format!("out/images/{name}.tar"));
            ensure!(fs::exists(&archive)?, "there is no {archive}: run `make lab-images`");
            self.lab(&["import", &archive]).await?;
        }
        Ok(())
    }

    /// A file or folder of the repository.
    #[must_use]
    pub fn path(&self, relative: &str) -> String {
        self.repository.join(relative).display().to_string()
    }

    /// Does something to the machine of the cluster: `stop kube-apiserver`, `start kube-apiserver` … [`NotHere`]
    /// if it is not the lab's to do.
    pub async fn lab(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(self.repository.join("lab/kubernetes/lab.sh"));
        let output = command.args(args).output().await?;
        if output.status.code() == Some(CANNOT) {
            bail!(NotHere(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        said(&format!("lab.sh {}", args.join(" ")), output)
    }

    /// This machine as the cluster sees it; [`NotHere`] if the cluster is not the lab's.
    pub async fn host(&self) -> Result<String> {
        Ok(self.lab(&["host"]).await?.trim().to_owned())
    }

    /// How to reach it.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What a script of `lab/kubernetes` says on its standard output; what it is doing meanwhile is shown.
    pub async fn script(&self, name: &str, args: &[&str]) -> Result<String> {
        let mut command = Command::new(self.repository.join("lab/kubernetes").join(name));
        command.args(args).env("KUBECONFIG", &self.kubeconfig).stderr(Stdio::inherit());
        said(&format!("{name} {}", args.join(" ")), command.output().await?)
    }

    /// What a program of the repository says that is to find the cluster; an error if it fails.
    pub async fn run(&self, program: &str, args: &[&str], variables: &[(&str, &str)]) -> Result<String> {
        let mut command = Command::new(self.repository.join(program));
        command.args(args).env("KUBECONFIG", &self.kubeconfig).envs(variables.iter().copied());
        said(&format!("{program} {}", args.join(" ")), command.output().await?)
    }

    /// What `kubectl` says; an error if it fails.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new("kubectl");
        command.args(args).env("KUBECONFIG", &self.kubeconfig);
        said(&format!("kubectl {}", args.join(" ")), command.output().await?)
    }

    /// Applies a file of `lab/kubernetes` with its names filled in: `@NAME@`.
    pub async fn apply(&self, file: &str, names: &[(&str, &str)]) -> Result<()> {
        let mut text = fs::read_to_string(self.path(&format!("lab/kubernetes/{file}")))?;
        for (name, value) in names {
            text = text.replace(&format!("@{name}@"), value);
        }
        let mut command = Command::new("kubectl");
        command.args(["apply", "--filename", "-"]).env("KUBECONFIG", &self.kubeconfig);
        let mut kubectl = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        match kubectl.stdin.take().context("kubectl's input")?.write_all(text.as_bytes()).await {
            // What it did not like it says itself.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
        said(&format!("kubectl apply: {file}"), kubectl.wait_with_output().await?).map(drop)
    }

    /// An empty namespace of that name; one that an earlier run has left goes first.
    pub async fn namespace(&self, name: &str) -> Result<Namespace> {
        self.kubectl(&["delete", "namespace", name, "--ignore-not-found", "--wait"]).await?;
        self.free_volumes().await?;
        self.kubectl(&["create", "namespace", name]).await?;
        Ok(Namespace { cluster: self.clone(), name: name.to_owned() })
    }

    /// The lab's volumes are folders beside its KUBECONFIG; one whose claim is gone is emptied and offered again.
    /// Those of another cluster are left alone: a path of its node is another's on this machine.
    async fn free_volumes(&self) -> Result<()> {
        let ours = self.kubeconfig.parent().context("a KUBECONFIG without a folder")?.join("volumes");
        let volumes: Value = serde_json::from_str(&self.kubectl(&["get", "persistentvolumes", "-o", "json"]).await?)?;
        for volume in volumes["items"].as_array().into_iter().flatten() {
            let folder = volume.pointer("/spec/hostPath/path").and_then(Value::as_str);
            let (Some(name), Some(folder)) = (volume.pointer("/metadata/name").and_then(Value::as_str), folder) else {
                continue;
            };
            if !Path::new(folder).starts_with(&ours) || volume.pointer("/status/phase") != Some(&json!("Released")) {
                continue;
            }
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
            }
            let free = r#"{"spec":{"claimRef":null}}"#;
            self.kubectl(&["patch", "persistentvolume", name, "--type=merge", "-p", free]).await?;
        }
        Ok(())
    }
}

/// One namespace of the cluster.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Where it is.
    pub cluster: Cluster,
    /// What it is called.
    pub name: String,
}

impl Namespace {
    /// What `kubectl` says about this namespace; an error if it fails.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let args: Vec<&str> = ["-n", &self.name].into_iter().chain(args.iter().copied()).collect();
        self.cluster.kubectl(&args).await
    }

    /// What a person does after each change of a manifest: `up.sh`. Returns what it says.
    pub async fn up(&self, overlay: &str) -> Result<String> {
        let overlay = self.cluster.path(overlay);
        self.cluster.run("jobmanager/up.sh", &[&overlay], &[("NAMESPACE", &self.name)]).await
    }

    /// And in the end: `down.sh`, which leaves nothing.
    pub async fn down(&self) -> Result<String> {
        self.cluster.run("jobmanager/down.sh", &["--purge"], &[("NAMESPACE", &self.name)]).await
    }

    /// One object or a list.
    pub async fn get(&self, what: &[&str]) -> Result<Value> {
        let args: Vec<&str> = ["get", "-o", "json"].into_iter().chain(what.iter().copied()).collect();
        Ok(serde_json::from_str(&self.kubectl(&args).await?)?)
    }

    /// The pods of a label selector that are not on their way out.
    pub async fn pods(&self, selector: &str) -> Result<Vec<Value>> {
        let mut list = self.get(&["pods", "-l", selector]).await?;
        let mut pods: Vec<Value> = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        pods.retain(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
        Ok(pods)
    }

    /// The first of them.
    pub async fn pod(&self, selector: &str) -> Result<Value> {
        self.pods(selector).await?.into_iter().next().with_context(|| format!("no pod {selector}"))
    }

    /// Its address.
    pub async fn address(&self, selector: &str) -> Result<String> {
        text(&self.pod(selector).await?, "/status/podIP")
    }

    /// Waits until `kubectl wait` is satisfied.
    pub async fn wait(&self, condition: &str, what: &[&str], limit: Duration) -> Result<()> {
        let (condition, timeout) = (format!("--for={condition}"), format!("--timeout={}s", limit.as_secs()));
        let args: Vec<&str> = ["wait", &condition, &timeout].into_iter().chain(what.iter().copied()).collect();
        self.kubectl(&args).await?;
        Ok(())
    }

    /// Replicas that a Deployment is asked for.
    pub async fn replicas(&self, deployment: &str) -> Result<u64> {
        let deployment = self.get(&["deployment", deployment]).await?;
        deployment.pointer("/spec/replicas").and_then(Value::as_u64).context("a Deployment without replicas")
    }

    /// What a person does: `kubectl scale`.
    pub async fn scale(&self, deployment: &str, replicas: u64) -> Result<()> {
        self.kubectl(&["scale", "deployment", deployment, &format!("--replicas={replicas}")]).await?;
        Ok(())
    }

    /// The folder on this machine behind a claim.
    pub async fn folder(&self, claim: &str) -> Result<PathBuf> {
        let bound = until("the claim is bound", Duration::from_secs(30), async || {
            let claim = self.get(&["persistentvolumeclaim", claim]).await?;
            Ok(claim.pointer("/spec/volumeName").and_then(Value::as_str).map(str::to_owned))
        });
        let volume = bound.await?;
        let path = "jsonpath={.spec.hostPath.path}";
        let folder = self.cluster.kubectl(&["get", "persistentvolume", &volume, "-o", path]).await?;
        let folder = PathBuf::from(folder);
        if !folder.is_dir() {
            bail!(NotHere(format!("the volume {volume} is no folder of this machine")));
        }
        Ok(folder)
    }

    /// Waits for an Event with this reason that says these words, and returns all that it says.
    pub async fn event(&self, reason: &str, words: &str, limit: Duration) -> Result<String> {
        let selector = format!("reason={reason}");
        until(&format!("an Event {reason} with “{words}”"), limit, async || {
            let events = self.get(&["events", "--field-selector", &selector]).await?;
            let mut said =
                events["items"].as_array().into_iter().flatten().filter_map(|event| event["message"].as_str());
            Ok(said.find(|message| message.contains(words)).map(str::to_owned))
        })
        .await
    }
}

/// A text somewhere in an object.
pub fn text(object: &Value, pointer: &str) -> Result<String> {
    let text = object.pointer(pointer).and_then(Value::as_str);
    Ok(text.with_context(|| format!("nothing at {pointer} yet"))?.to_owned())
}

fn said(what: &str, output: Output) -> Result<String> {
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{what}: {}{out}{err}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
