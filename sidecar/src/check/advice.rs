//! What `sluice check` advises about Flink's own settings, each with its reason and what it was seen
//! to cost at Flink's default (docs/rescaling.md).

use std::time::Duration;

use sluice_core::{FlinkVersion, Strategy};

use super::Finding;
use crate::flink::Settings;

/// A setting that is a time, and should be short.
struct Advice {
    key: &'static str,
    /// The versions that have it.
    versions: (FlinkVersion, FlinkVersion),
    /// The strategies that it matters to.
    strategies: &'static [Strategy],
    default: Duration,
    at_most: Duration,
    because: &'static str,
}

const FIRST: FlinkVersion = FlinkVersion(1, 0);
const LAST: FlinkVersion = FlinkVersion(u32::MAX, u32::MAX);
const BOTH: &[Strategy] = &[Strategy::Reactive, Strategy::Adaptive];

const ADVICE: [Advice; 6] = [
    Advice {
        key: "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout",
        versions: (FlinkVersion(2, 0), LAST),
        strategies: &[Strategy::Reactive],
        default: Duration::from_mins(1),
        at_most: Duration::from_secs(5),
        because: "so long Flink waits after a TaskManager has come; at its default a job went from 1 to 2 in 70 s, with \
                  2s in 19 s",
    },
    Advice {
        key: "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling",
        versions: (FlinkVersion(2, 0), LAST),
        strategies: BOTH,
        default: Duration::from_secs(30),
        at_most: Duration::from_secs(1),
        because: "so long after a rescale Flink does no other; Sluice has cooldowns of its own",
    },
    Advice {
        key: "jobmanager.adaptive-scheduler.scaling-interval.min",
        versions: (FlinkVersion(1, 19), FlinkVersion(1, 20)),
        strategies: BOTH,
        default: Duration::from_secs(30),
        at_most: Duration::from_secs(1),
        because: "so long after a rescale Flink does no other; at its default going from 2 to 4 took two restarts, 30 s \
                  apart; Sluice has cooldowns of its own",
    },
    Advice {
        key: "heartbeat.timeout",
        versions: (FIRST, LAST),
        strategies: BOTH,
        default: Duration::from_secs(50),
        at_most: Duration::from_secs(15),
        because: "so long a TaskManager that hangs is waited for; with heartbeat.interval 1000 and \
                  heartbeat.rpc-failure-threshold 1 beside it, one that was killed silenced a job for 2 s instead of 15 s",
    },
    Advice {
        key: "web.timeout",
        versions: (FIRST, LAST),
        strategies: BOTH,
        default: Duration::from_mins(10),
        at_most: Duration::from_secs(10),
        because: "so long all metrics stand still after a TaskManager was killed while Flink asked it for its own",
    },
    Advice {
        key: "web.refresh-interval",
        versions: (FIRST, LAST),
        strategies: BOTH,
        default: Duration::from_secs(3),
        at_most: Duration::from_secs(1),
        because: "so old Flink's answers about a job may be, and so late Sluice sees that it runs and which TaskManagers \
                  are idle",
    },
];

pub(super) fn advice(settings: &Settings, version: FlinkVersion, strategy: Strategy) -> Vec<Finding> {
    let (from, to) = (|a: &Advice| a.versions.0 <= version, |a: &Advice| version <= a.versions.1);
    let applies = |advice: &&Advice| advice.strategies.contains(&strategy) && from(advice) && to(advice);
    let mut findings: Vec<_> = ADVICE.iter().filter(applies).filter_map(|advice| advice.judge(settings)).collect();
    let history = "web.adaptive-scheduler.rescale-history.size";
    if version.tells_its_rescales() && settings.get(history).is_none() {
        let mend =
            format!("{history}: 10: Flink then keeps account of its rescales, and Sluice shows how long they took");
        findings.push(Finding::advice("setting", format!("{history} is not set"), mend));
    }
    findings
}

impl Advice {
    /// `None` if it is as it should be, or cannot be read.
    fn judge(&self, settings: &Settings) -> Option<Finding> {
        let Self { key, default, at_most, because, .. } = self;
        let (found, value) = match settings.get(key) {
            Some(text) => (format!("{key} is {text}"), duration(text)?),
            None => (format!("{key} is not set: {}", humantime::format_duration(*default)), *default),
        };
        let mend = || format!("{key}: {} or less: {because}", humantime::format_duration(*at_most));
        (value > *at_most).then(|| Finding::advice("setting", found, mend()))
    }
}

/// A time as Flink writes it: `30 s`, `1 min`, `PT1M`, or milliseconds without a unit.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(milliseconds) = text.parse() {
        return Some(Duration::from_millis(milliseconds));
    }
    let span: Option<jiff::SignedDuration> = text.parse().ok();
    span.and_then(|span| Duration::try_from(span).ok()).or_else(|| humantime::parse_duration(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&str, &str)], version: FlinkVersion, strategy: Strategy) -> Vec<String> {
        let pairs: Vec<_> =
            pairs.iter().map(|(key, value)| serde_json::json!({ "key": key, "value": value })).collect();
        let settings = serde_json::from_value(pairs.into()).unwrap();
        advice(&settings, version, strategy).into_iter().map(|finding| finding.found).collect()
    }

    #[test]
    fn times_as_flink_writes_them() {
        for (text, seconds) in
            [("30 s", 30), ("30s", 30), ("1 min", 60), ("PT1M", 60), ("5000", 5), ("0", 0), ("0s", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("soon"), None);
    }

    #[test]
    fn advice_is_for_the_version_and_the_strategy() {
        let reactive = found(&[], FlinkVersion(2, 3), Strategy::Reactive).join("\n");
        assert!(reactive.contains("stabilization") && reactive.contains("cooldown") && reactive.contains("history"));
        assert!(!reactive.contains("scaling-interval"));
        let adaptive = found(&[], FlinkVersion(1, 20), Strategy::Adaptive).join("\n");
        assert!(adaptive.contains("scaling-interval.min is not set: 30s") && !adaptive.contains("stabilization"));
        assert!(found(&[], FlinkVersion(1, 18), Strategy::Reactive).iter().all(|found| !found.contains("scheduler")));
    }

    #[test]
    fn a_good_value_is_not_mentioned_and_a_bad_one_is() {
        let settings = [("web.timeout", "5000"), ("web.refresh-interval", "3 s"), ("heartbeat.timeout", "PT6S")];
        let found = found(&settings, FlinkVersion(1, 18), Strategy::Adaptive);
        assert_eq!(found, ["web.refresh-interval is 3 s"]);
    }
}
