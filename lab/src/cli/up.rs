//! `lab up`: everything in the foreground until Ctrl-C.

use std::time::Duration;

use anyhow::bail;

use super::commands::Interrupted;
use super::up_args::{FlinkArgs, UpArgs};
use crate::flink::{BusyReader, Flink, Job};
use crate::{AutoScale, Pravega, RunDir, Scaling, pravega};

/// How often a lab in the foreground looks whether all its processes still run.
const BETWEEN_CHECKS: Duration = Duration::from_secs(1);
/// For the metrics of a JobManager and its TaskManagers.
const METRICS_PORTS: usize = 9;

/// Starts what was asked for, prints where it is, and stops it at the first signal.
pub(super) async fn up(args: UpArgs) -> anyhow::Result<()> {
    let run = match &args.run {
        Some(path) => RunDir::at(path)?,
        None => RunDir::fresh()?,
    };
    if let Some(base) = args.port_base {
        run.set_port_base(base)?;
    }
    // A signal while it starts drops what is half started, which kills it.
    let mut interrupted = Interrupted::listen()?;
    let mut lab = tokio::select! {
        started = Lab::start(&run, &args) => started?,
        () = interrupted.wait() => {
            run.passed();
            bail!("interrupted");
        }
    };
    lab.print_addresses(&run);
    if let Some(name) = &args.flink.stream {
        println!("export SLUICE_SCOPE={} SLUICE_STREAM={}", name.scope, name.stream);
    }
    println!("ready; Ctrl-C stops everything");
    let ended = loop {
        tokio::select! {
            () = interrupted.wait() => break Ok(()),
            () = tokio::time::sleep(BETWEEN_CHECKS) => if let Err(error) = lab.check() {
                break Err(error);
            },
        }
    };
    eprintln!("stopping; a second signal kills");
    tokio::select! {
        stopped = lab.stop() => stopped?,
        () = interrupted.wait() => {}
    }
    ended?;
    run.passed();
    Ok(())
}

/// What `lab up` runs.
struct Lab {
    /// Where Flink serves its metrics.
    metrics_ports: Vec<u16>,
    flink: Option<Flink>,
    pravega: Pravega,
}

impl Lab {
    async fn start(run: &RunDir, args: &UpArgs) -> anyhow::Result<Self> {
        let mut builder = Pravega::builder(run)
            .controllers(args.controllers.into())
            .bookies(args.bookies.into())
            .metrics(args.metrics)
            .auto_scale(if args.stock_auto_scale { AutoScale::stock() } else { AutoScale::quick() });
        if let Some(port) = args.controller_port {
            builder = builder.controller_port(port);
        }
        if let Some(host) = &args.published_host {
            builder = builder.published(host);
        }
        if args.secure {
            builder = builder.secure();
        }
        let pravega = builder.start().await?;
        let ports = if args.metrics && args.flink.flink.is_some() { METRICS_PORTS } else { 0 };
        let metrics_ports = (0..ports).map(|_| run.port()).collect::<Result<Vec<_>, _>>()?;
        let flink = match &args.flink.flink {
            Some(version) => Some(start_flink(run, version, &args.flink, &metrics_ports, &pravega).await?),
            None => None,
        };
        Ok(Self { metrics_ports, flink, pravega })
    }

    fn check(&mut self) -> anyhow::Result<()> {
        self.pravega.check()?;
        self.flink.iter_mut().try_for_each(Flink::check)?;
        Ok(())
    }

    async fn stop(self) -> anyhow::Result<()> {
        if let Some(flink) = self.flink {
            flink.stop().await;
        }
        self.pravega.stop().await?;
        Ok(())
    }

    fn print_addresses(&self, run: &RunDir) {
        println!("run folder        {}", run.path().display());
        println!("logs              {}", run.logs().display());
        let processes = self.pravega.running().into_iter().chain(self.flink.iter().flat_map(Flink::running));
        for (name, pid) in processes {
            println!("{name:<17} pid {pid}");
        }
        for (index, (grpc, rest)) in self.pravega.controllers().iter().zip(self.pravega.rest_urls()).enumerate() {
            println!("controller-{:<6} {grpc}, REST {rest}/v1/scopes", index + 1);
        }
        if let Some(security) = self.pravega.security() {
            println!("certificates      --tls-ca {}", security.ca_file().display());
            for user in [pravega::ADMIN, pravega::GUEST] {
                let file = security.password_file(user);
                println!("user              --username {user} --password-file {}", file.display());
            }
        }
        for address in self.pravega.metrics_addresses() {
            println!("metrics           http://{address}/prometheus");
        }
        for port in &self.metrics_ports {
            println!("metrics           http://127.0.0.1:{port}/metrics (a process of Flink, if there is one)");
        }
        println!("export SLUICE_PRAVEGA_CONTROLLER={}", self.pravega.controller_uri());
        if let Some(flink) = &self.flink {
            println!("jobmanager        {}, job {}", flink.rest_url(), flink.job_id());
            println!("TaskManagers      SLUICE_TASK_MANAGER_ID=tm-1 {}", flink.task_manager_script().display());
            println!("export SLUICE_FLINK_URL={}", flink.rest_url());
            println!("export SLUICE_TASK_MANAGER_COMMAND='sh {}'", flink.task_manager_script().display());
            println!("export SLUICE_POOL_DIR={}", run.path().join("pool").display());
        }
    }
}

async fn start_flink(
    run: &RunDir,
    version: &str,
    args: &FlinkArgs,
    metrics_ports: &[u16],
    pravega: &Pravega,
) -> anyhow::Result<Flink> {
    let mut builder = Flink::builder(run, version).mode(args.mode.into()).job(job(version, args, pravega).await?);
    if let Some(port) = args.rest_port {
        builder = builder.rest_port(port);
    }
    if args.stock_flink_timeouts {
        builder = builder.stock_timeouts();
    }
    if !metrics_ports.is_empty() {
        builder = builder.metrics(metrics_ports);
    }
    for (name, value) in &args.options {
        builder = builder.option(name, value);
    }
    let mut flink = builder.start().await?;
    for number in 1..=args.task_managers {
        flink.start_task_manager(&format!("tm-{number}"))?;
    }
    Ok(flink)
}

/// The job that the arguments ask for; its stream is created if it is not there.
async fn job(version: &str, args: &FlinkArgs, pravega: &Pravega) -> anyhow::Result<Job> {
    if let (Some(jar), Some(main)) = (&args.job_jar, &args.job_class) {
        return Ok(Job { jar: jar.clone(), main: main.clone(), args: args.job_args.clone() });
    }
    let Some(name) = &args.stream else {
        bail!("--flink needs a job: give --stream SCOPE/STREAM for the busy reader, or --job-jar and --job-class");
    };
    pravega.admin().create_stream(&name.scope, &name.stream, Scaling::fixed(1)).await?;
    let reader = BusyReader {
        jar: BusyReader::jar_in(&std::env::current_dir()?, version.parse()?),
        controller: pravega.controller_uri(),
        scope: name.scope.clone(),
        stream: name.stream.clone(),
        iterations: args.iterations,
        from_now_on: false,
        ledger: None,
        trace: None,
    };
    Ok(reader.into())
}
