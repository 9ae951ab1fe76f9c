//! What each command of `lab` does.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::up::up;
use super::{Command, DownArgs, FetchArgs, StreamAction, StreamArgs};
use crate::demo::demo;
use crate::{Admin, Cache, Flink, Progress, Scaling, pid_file, tools};

/// How long processes may take to stop when `lab down` asks them. Their lab has crashed: nobody will
/// read their data.
const GRACE: Duration = Duration::from_secs(3);

/// Runs one command; Ctrl-C and SIGTERM end it, and whatever it has started goes with it.
pub async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Doctor => doctor(),
        Command::Down(args) => {
            down(&args);
            Ok(())
        }
        Command::Up(args) => up(args).await,
        Command::Demo(args) => until_signal(demo(args)).await,
        Command::Fetch(args) => until_signal(fetch(args)).await,
        Command::Stream(args) => until_signal(stream(args)).await,
    }
}

fn doctor() -> anyhow::Result<()> {
    let (lines, complete) = tools::report();
    for line in lines {
        println!("{line}");
    }
    if let Ok(cache) = Cache::open() {
        println!("cache    {}", cache.root().display());
    }
    if !complete {
        // The lines above have said which; the code is that of a missing tool.
        tools::java()?;
        tools::maven()?;
        tools::python()?;
    }
    Ok(())
}

fn down(args: &DownArgs) {
    let stopped = pid_file::stop_leftovers(&args.run.join("pids"), GRACE);
    if stopped.is_empty() {
        println!("nothing of {} is running", args.run.display());
    } else {
        println!("stopped: {}", stopped.join(", "));
    }
}

async fn fetch(args: FetchArgs) -> anyhow::Result<()> {
    let cache = Cache::open()?;
    let progress = Progress::detect();
    cache.pravega(progress).await?;
    for version in args.flink {
        Flink::fetch(&cache, version, progress).await?;
    }
    println!("{}", cache.root().display());
    Ok(())
}

async fn stream(args: StreamArgs) -> anyhow::Result<()> {
    let admin = Admin::new(&[args.controller]);
    match args.action {
        StreamAction::Create { stream: name, segments, rate, factor } => {
            let scaling = match rate {
                Some(rate) => Scaling::by_event_rate(rate, factor, segments),
                None => Scaling::fixed(segments),
            };
            let created = admin.create_stream(&name.scope, &name.stream, scaling).await?;
            println!("{}", if created { "created" } else { "exists already" });
        }
        StreamAction::Segments { stream: name } => {
            print_segments(&admin.segments(&name.scope, &name.stream).await?);
        }
        StreamAction::Scale { stream: name, segments } => {
            print_segments(&admin.scale_to(&name.scope, &name.stream, segments).await?);
        }
        StreamAction::Seal { stream: name } => admin.seal(&name.scope, &name.stream).await?,
        StreamAction::Delete { stream: name } => {
            let deleted = admin.delete(&name.scope, &name.stream).await?;
            println!("{}", if deleted { "deleted" } else { "there was none" });
        }
    }
    Ok(())
}

fn print_segments(segments: &[crate::Segment]) {
    println!("{} segment(s)", segments.len());
    for segment in segments {
        println!("{}.#epoch.{}  {:.4} to {:.4}", segment.number(), segment.epoch(), segment.from, segment.to);
    }
}

/// Ctrl-C and SIGTERM.
pub(super) struct Interrupted {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interrupted {
    pub(super) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Does something that a signal may end at any time.
async fn until_signal(what: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut interrupted = Interrupted::listen()?;
    tokio::select! {
        outcome = what => outcome,
        () = interrupted.wait() => bail!("interrupted"),
    }
}
