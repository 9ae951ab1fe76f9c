//! `make bench-clients`: our writer and our reader against the Java client's, on the same Pravega, one
//! run of each in turn, so that whatever else the machine does meets both.
//!
//! What is compared is what a user would start. Ours is the whole command, from its start to its end,
//! with everything it counts and checks: CPU time is that of the process with its start. The Java
//! program (`java/ClientBench.java`) does no more than send or take events, in one JVM for all repeats,
//! and has done the same work several times before it counts. Both have the same number of events under
//! way.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sluice_lab::{Cache, Pravega, Progress, RunDir, Scaling, pravega::Heaps, tools};

const SCOPE: &str = "bench";
const SEGMENTS: u32 = 4;

/// Event sizes in bytes, with how many of them a run writes: as much as the store takes into its cache.
/// Beyond that it makes writers wait for its long-term storage, up to 25 s an operation, and that is
/// all one would see.
const WRITTEN: [(u32, u64); 2] = [(220, 200_000), (1024, 50_000)];
/// And how many a run reads.
const READ: [(u32, u64); 2] = [(220, 600_000), (1024, 150_000)];
const WORKERS: [u32; 2] = [1, 4];

/// Between two runs, for the store to empty its cache.
const PAUSE: Duration = Duration::from_secs(8);

/// How often the Java program does its work before it counts.
const WARM_UPS: u32 = 4;

/// Seconds that one run of ours may take at the most.
const LIMIT: &str = "90";

/// Events that a writer may have unacknowledged: the same in bytes for both sizes.
fn window(bytes: u32) -> u32 {
    10_000.min(8 * 1024 * 1024 / bytes)
}

#[tokio::main]
async fn main() -> Result<()> {
    let repeats = std::env::var("BENCH_REPEATS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let run = RunDir::fresh()?;
    // Room enough that no heap is what is measured.
    let heaps = Heaps { zookeeper: 64, bookie: 384, segment_store: 768, controller: 512 };
    let pravega = Pravega::builder(&run).heaps(heaps).start().await?;
    let bench = Bench::new(&run, &pravega).await?;
    println!("{:<28} {:>34} {:>34}   ours / Java", "", "ours", "Java client");
    println!(
        "{:<28} {:>17} {:>16} {:>17} {:>16}   {:>6} {:>12}",
        "", "events/s", "CPU s / M", "events/s", "CPU s / M", "events/s", "events/CPU s"
    );
    for (bytes, events) in WRITTEN {
        for workers in WORKERS {
            bench.compare("write", workers, bytes, events, repeats)?;
        }
    }
    for (bytes, events) in READ {
        bench.fill(bytes, events)?;
        for workers in WORKERS {
            bench.compare("read", workers, bytes, events, repeats)?;
        }
    }
    pravega.stop().await?;
    run.passed();
    Ok(())
}

struct Bench {
    controller: String,
    folder: PathBuf,
    generator: PathBuf,
    java: PathBuf,
    class_path: String,
    /// Compares only what has this in its name.
    only: Option<String>,
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    per_second: f64,
    cpu_per_million: f64,
}

impl Bench {
    async fn new(run: &RunDir, pravega: &Pravega) -> Result<Self> {
        let admin = pravega.admin();
        for (bytes, _) in READ {
            for what in ["write", "read"] {
                admin.create_stream(SCOPE, &format!("{what}-{bytes}"), Scaling::fixed(SEGMENTS)).await?;
            }
        }
        let generator = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/data-generator");
        ensure!(generator.is_file(), "build it first: cargo build --release -p data-generator");
        let jars = Cache::open()?.pravega(Progress::detect()).await?;
        let jars: Vec<String> = jars.iter().map(|jar| jar.to_string_lossy().into_owned()).collect();
        fs::write(run.path().join("logback.xml"), "<configuration><root level=\"ERROR\"/></configuration>\n")?;
        Ok(Self {
            controller: pravega.controller_uri(),
            folder: run.path().to_owned(),
            generator,
            java: tools::java()?.program,
            class_path: jars.join(":"),
            // Cargo adds a flag of its own.
            only: std::env::args().skip(1).find(|arg| !arg.starts_with('-')),
        })
    }

    fn compare(&self, what: &str, workers: u32, bytes: u32, events: u64, repeats: u32) -> Result<()> {
        let name = format!(
            "{workers} {}{}, {bytes} B",
            if what == "write" { "writer" } else { "reader" },
            if workers == 1 { "" } else { "s" }
        );
        if self.only.as_ref().is_some_and(|only| !name.contains(only)) {
            return Ok(());
        }
        let mut jvm = self.java(what, workers, bytes, events)?;
        for _ in 0..WARM_UPS {
            jvm.round()?;
            sleep(PAUSE);
        }
        let (mut ours, mut java) = (Vec::new(), Vec::new());
        for repeat in 0..repeats {
            // Neither is always the one that comes first.
            for turn in 0..2 {
                sleep(PAUSE);
                if (repeat + turn) % 2 == 0 {
                    ours.push(self.ours(what, workers, bytes, events)?);
                } else {
                    java.push(jvm.round()?);
                }
            }
        }
        let of = |runs: &[Run], value: fn(&Run) -> f64| Spread::of(runs.iter().map(value).collect());
        let (our_rate, our_cpu) = (of(&ours, |run| run.per_second), of(&ours, |run| run.cpu_per_million));
        let (java_rate, java_cpu) = (of(&java, |run| run.per_second), of(&java, |run| run.cpu_per_million));
        println!(
            "{:<28} {:>17} {:>16} {:>17} {:>16}   {:>8.2} {:>12.2}",
            name,
            our_rate.whole(),
            our_cpu.tenths(),
            java_rate.whole(),
            java_cpu.tenths(),
            our_rate.median / java_rate.median,
            java_cpu.median / our_cpu.median,
        );
        Ok(())
    }

    /// Writes what will be read.
    fn fill(&self, bytes: u32, events: u64) -> Result<()> {
        self.generator("write", &format!("read-{bytes}"), &write_flags(4, bytes, events)).map(drop)
    }

    fn ours(&self, what: &str, workers: u32, bytes: u32, events: u64) -> Result<Run> {
        let stream = format!("{what}-{bytes}");
        let (summary, cpu) = if what == "write" {
            self.generator(what, &stream, &write_flags(workers, bytes, events))?
        } else {
            let group = format!("g-{}", fresh());
            let flags = [
                "--readers",
                &workers.to_string(),
                "--events",
                &events.to_string(),
                "--iterations",
                "0",
                "--reader-group",
                &group,
            ]
            .map(str::to_owned);
            self.generator(what, &stream, &flags)?
        };
        let (count, seconds) = if what == "write" {
            (&summary["acknowledged"], &summary["seconds"])
        } else {
            (&summary["events"], &summary["busy_seconds"])
        };
        let count = count.as_f64().context("a number of events")?;
        ensure!(count >= events as f64, "{summary}");
        Ok(Run { per_second: count / seconds.as_f64().context("seconds")?, cpu_per_million: cpu / count * 1e6 })
    }

    /// Runs a command of ours; returns its summary and its CPU seconds.
    fn generator(&self, what: &str, stream: &str, flags: &[String]) -> Result<(Value, f64)> {
        let summary = self.folder.join("summary.json");
        let mut command = Command::new("sh");
        // The shell's own account of what its children used.
        command.args(["-c", "timeout \"$@\" || exit $?; times", "sh", LIMIT]).arg(&self.generator);
        command.args([what, "--controller", &self.controller, "--scope", SCOPE, "--stream", stream]);
        command.args(["--progress", "none", "--log", "warn", "--summary"]).arg(&summary).args(flags);
        let said = output(&mut command)?;
        let children = said.lines().last().context("no times")?;
        let cpu = children.split_whitespace().map(minutes_and_seconds).sum::<Option<f64>>();
        let summary = serde_json::from_str(&fs::read_to_string(&summary)?)?;
        Ok((summary, cpu.with_context(|| format!("times: {children}"))?))
    }

    /// Starts the Java program; it waits for orders.
    fn java(&self, what: &str, workers: u32, bytes: u32, events: u64) -> Result<Jvm> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/ClientBench.java");
        let mut command = Command::new(&self.java);
        command.arg("-Xmx1g").arg(format!("-Dlogback.configurationFile={}", self.folder.join("logback.xml").display()));
        command.args(["-cp", &self.class_path]).arg(source);
        command.args([what, &self.controller, SCOPE, &format!("{what}-{bytes}")]);
        command.args([workers.to_string(), events.to_string(), bytes.to_string(), window(bytes).to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().context("its input")?;
        let answers = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Jvm { child, orders, answers })
    }
}

/// The Java program.
struct Jvm {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Jvm {
    /// Lets it do its work once.
    fn round(&mut self) -> Result<Run> {
        writeln!(self.orders, "go")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let result: Value = serde_json::from_str(&line).with_context(|| format!("the Java program says {line:?}"))?;
        let number = |name: &str| result[name].as_f64().with_context(|| format!("no {name} in {result}"));
        Ok(Run {
            per_second: number("events")? / number("seconds")?,
            cpu_per_million: number("cpu_seconds")? / number("events")? * 1e6,
        })
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Something that no run before had.
fn fresh() -> u128 {
    #[expect(clippy::disallowed_methods, reason = "only a name")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_micros()
}

fn write_flags(workers: u32, bytes: u32, events: u64) -> Vec<String> {
    let flags = [
        "--max",
        "--writers",
        &workers.to_string(),
        "--event-size",
        &bytes.to_string(),
        "--events",
        &events.to_string(),
        "--window",
        &window(bytes).to_string(),
        "--scaling",
        "fixed",
        "--min-segments",
        &SEGMENTS.to_string(),
    ];
    flags.map(str::to_owned).to_vec()
}

fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output()?;
    let said = String::from_utf8_lossy(&stdout).into_owned();
    ensure!(status.success(), "{status}: {said}{}", String::from_utf8_lossy(&stderr));
    Ok(said)
}

/// `1m2.5s`, as the shell writes it.
fn minutes_and_seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

/// The median of some runs, and how far they are apart.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self { least: at(0), median: at(values.len() / 2), most: at(values.len().saturating_sub(1)) }
    }

    /// In thousands.
    fn whole(&self) -> String {
        format!("{:.0}k ({:.0}-{:.0})", self.median / 1e3, self.least / 1e3, self.most / 1e3)
    }

    fn tenths(&self) -> String {
        format!("{:.1} ({:.1}-{:.1})", self.median, self.least, self.most)
    }
}
