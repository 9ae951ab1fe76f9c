//! `sluice check`: looks at everything the agent needs and says how to mend what is missing.

mod advice;
mod cluster;
mod flink;
mod permissions;

use std::{fmt, io::Write as _, process::ExitCode};

use permissions::Asked;
use serde::Serialize;
use sluice_core::{Observation, Policy, Pool, Reading, Scheduler, Strategy};

use crate::{
    args::{CheckArgs, Output, ReportArgs, Settings},
    clock,
    observe::{BadConfig, Look, Trouble, look_once},
};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    subject: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Advice,
    Problem,
}

impl Finding {
    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject, found: found.into(), mend: None }
    }

    fn advice(subject: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Advice, subject, found: found.into(), mend: Some(mend.into()) }
    }

    fn problem(subject: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Problem, subject, found: found.into(), mend: Some(mend.into()) }
    }
}

/// Looks once and prints the findings; the exit code is 1 if any is a problem.
pub async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let CheckArgs { report: ReportArgs { settings, output }, history_config_map } = &args;
    let policy = Policy::try_from(&settings.policy).map_err(BadConfig::from)?;
    let (peers, Look { observation, troubles, .. }) = look_once(settings).await?;
    let flink_settings = match &peers.flink {
        Some(flink) => flink.settings().await.ok(),
        None => None,
    };
    let mut findings = findings(settings, &policy, &observation, &troubles, flink_settings.as_ref());
    if let (Some(api), Some(deployment)) = (peers.owner.kubernetes(), &settings.owner.deployment) {
        let asked = Asked {
            deployment,
            lease: settings.lease.name(deployment),
            history: history_config_map.as_deref(),
            adaptive: observation.flink.as_ref().is_some_and(|flink| flink.value.scheduler == Scheduler::Adaptive),
        };
        findings.extend(cluster::findings(api, &asked).await);
    }

    let text = match output {
        Output::Json => serde_json::to_string_pretty(&findings)? + "\n",
        Output::Text => findings.iter().map(ToString::to_string).collect(),
    };
    // Whoever reads only the beginning has what they want.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let bad = findings.iter().any(|finding| finding.level == Level::Problem);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn findings(
    settings: &Settings,
    policy: &Policy,
    seen: &Observation,
    troubles: &[Trouble],
    flink_settings: Option<&crate::flink::Settings>,
) -> Vec<Finding> {
    let mut findings: Vec<_> = troubles.iter().map(unreachable).collect();
    findings.extend(streams(settings, policy, seen));
    let pool = seen.pool.as_ref().map(|pool| &pool.value);
    if let Some(Reading { value: flink, .. }) = &seen.flink {
        findings.extend(flink::findings(flink, pool, policy, settings));
        if let (Some(flink_settings), Some(strategy)) = (flink_settings, Strategy::of(flink.scheduler)) {
            findings.extend(advice::advice(flink_settings, flink.version, strategy));
        }
    }
    findings.extend(pool.into_iter().flat_map(owner));
    findings
}

fn unreachable(trouble: &Trouble) -> Finding {
    let subject = match trouble.source {
        "pravega" | "prometheus" => "stream",
        "flink" => "Flink",
        _ => "TaskManagers",
    };
    Finding::problem(subject, trouble.message.clone(), "make it reachable, or correct the flag that is named")
}

fn streams(settings: &Settings, policy: &Policy, seen: &Observation) -> Vec<Finding> {
    let mut findings = Vec::new();
    let from_prometheus = settings.prometheus.prometheus_url.is_some();
    for stream in &seen.streams {
        let Some(Reading { value: shape, .. }) = &stream.shape else { continue };
        let age = stream.shape.as_ref().map(|shape| shape.age(clock::now())).unwrap_or_default();
        findings.push(if shape.segments.0 == 0 {
            let found = format!("{} is sealed: it has no open segment", stream.name);
            Finding::problem("stream", found, "follow a stream that is written to")
        } else if age > policy.staleness() {
            let found = format!("{}: the sample is {} s old, --staleness allows less", stream.name, age.as_secs());
            Finding::problem("stream", found, "set --staleness to three times the scrape interval")
        } else {
            Finding::ok("stream", format!("{}: {shape}", stream.name))
        });
    }
    if from_prometheus {
        findings.push(Finding::advice(
            "stream",
            "the segments come from Prometheus: a gauge that is missing after a controller restarted, and wrong where there \
             are two controllers",
            "give --pravega-controller instead where a controller can be reached",
        ));
    }
    let plain = |address: &String| !address.starts_with("tls://") && !address.starts_with("pravegas://");
    let pravega = &settings.pravega;
    let secret = pravega.pravega_username.is_some() || pravega.pravega_token_file.is_some();
    if secret && pravega.pravega_ca.is_none() && pravega.pravega_controller.iter().any(plain) {
        findings.push(Finding::advice(
            "TLS",
            "credentials go to Pravega's controller unencrypted",
            "write tls:// and name the CA with --pravega-ca",
        ));
    }
    findings
}

fn owner(pool: &Pool) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("TaskManagers", format!("{} asked for, {} ready", pool.replicas, pool.ready))];
    if let Some(name) = &pool.other_autoscaler {
        findings.push(Finding::problem(
            "autoscaler",
            format!("{name} scales the same TaskManagers"),
            format!("delete {name}, or do not run Sluice beside it"),
        ));
    }
    findings
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.level {
            Level::Ok => "ok     ",
            Level::Advice => "advice ",
            Level::Problem => "PROBLEM",
        };
        writeln!(f, "{mark} {:<16} {}", self.subject, self.found)?;
        self.mend.as_ref().map_or(Ok(()), |mend| writeln!(f, "{:<8}{:<16} → {mend}", "", ""))
    }
}
