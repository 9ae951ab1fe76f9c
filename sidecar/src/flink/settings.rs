//! The JobManager's configuration: who decides the parallelism, and what `sluice check` advises on.

use std::collections::HashMap;

use serde::Deserialize;
use sluice_core::Scheduler;

/// `GET /jobmanager/config`: what was set, without the defaults of what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Setting>")]
pub struct Settings(HashMap<String, String>);

#[derive(Deserialize)]
struct Setting {
    key: String,
    #[serde(default)]
    value: Option<String>,
}

impl From<Vec<Setting>> for Settings {
    fn from(settings: Vec<Setting>) -> Self {
        Self(settings.into_iter().map(|setting| (setting.key, setting.value.unwrap_or_default())).collect())
    }
}

impl Settings {
    /// What the key is set to; `None` if Flink's default holds.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Who decides the parallelism of a streaming job. With neither key set that is the default
    /// scheduler, which keeps the parallelism that the job was started with, up to Flink 2.3.
    pub(super) fn scheduler(&self) -> Scheduler {
        let is = |key, value: &str| self.get(key).is_some_and(|set| set.trim().eq_ignore_ascii_case(value));
        if is("scheduler-mode", "reactive") {
            Scheduler::Reactive
        } else if is("jobmanager.scheduler", "adaptive") {
            Scheduler::Adaptive
        } else {
            Scheduler::Fixed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings(pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn the_scheduler_by_configuration() {
        for (pairs, expected) in [
            (&[][..], Scheduler::Fixed),
            (&[("scheduler-mode", "reactive")], Scheduler::Reactive),
            (&[("scheduler-mode", "REACTIVE"), ("jobmanager.scheduler", "adaptive")], Scheduler::Reactive),
            (&[("jobmanager.scheduler", "Adaptive")], Scheduler::Adaptive),
            (&[("jobmanager.scheduler", "AdaptiveBatch")], Scheduler::Fixed),
            (&[("jobmanager.scheduler", "default")], Scheduler::Fixed),
        ] {
            assert_eq!(settings(pairs).scheduler(), expected, "{pairs:?}");
        }
    }
}
