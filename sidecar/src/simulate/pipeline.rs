//! How a number of segments reaches an HPA: Prometheus scrapes it from time to time, an adapter or KEDA
//! hands it on, and the HPA looks from time to time.
//!
//! The clocks are put half a period apart, so that a change at a round second meets the average delay
//! and not the shortest: with a scrape every 30 s and a look every 15 s, 22 s.

use super::hpa::{Hpa, Rules};

/// The periods, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    /// Between two scrapes of the metric. prometheus-operator's default is 30 s, Prometheus' own 60 s.
    pub scrape: u64,
    /// KEDA's `pollingInterval`, where its scaler has `useCachedMetrics`. Otherwise KEDA asks Prometheus
    /// whenever the HPA behind it asks KEDA, and this is `None`, as it is for the adapter.
    pub polling: Option<u64>,
    /// `--horizontal-pod-autoscaler-sync-period`, 15 s by default.
    pub sync: u64,
}

/// An HPA and the metric on its way to it.
#[derive(Clone, Debug)]
pub struct Pipeline {
    periods: Periods,
    /// When within its period each of the three is on.
    phases: Phases,
    hpa: Hpa,
    scraped: Option<u32>,
    polled: Option<u32>,
}

/// Seconds within the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    /// Of the scrapes.
    pub scrape: u64,
    /// Of KEDA's polls.
    pub polling: u64,
    /// Of the HPA's looks.
    pub sync: u64,
}

impl Phases {
    fn apart(periods: Periods) -> Self {
        let scrape = periods.scrape / 2;
        let handed_on = periods.polling.map_or(scrape, |polling| scrape + polling / 2);
        let polling = handed_on % periods.polling.unwrap_or(1);
        Self { scrape, polling, sync: (handed_on + periods.sync / 2) % periods.sync }
    }
}

impl Pipeline {
    /// One that has run for a while: it knows the number of segments at the start.
    #[must_use]
    pub fn new(periods: Periods, rules: Rules, segments: u32) -> Self {
        Self::with_phases(periods, Phases::apart(periods), rules, segments)
    }

    fn with_phases(periods: Periods, phases: Phases, rules: Rules, segments: u32) -> Self {
        Self { periods, phases, hpa: Hpa::new(rules), scraped: Some(segments), polled: Some(segments) }
    }

    /// One second: the replicas that are asked for from now on.
    pub fn second(&mut self, now: u64, segments: u32, current: u32) -> u32 {
        let Self { periods, phases, .. } = *self;
        if now % periods.scrape == phases.scrape {
            self.scraped = Some(segments);
        }
        if periods.polling.is_none_or(|polling| now % polling == phases.polling) {
            self.polled = self.scraped;
        }
        if now % periods.sync == phases.sync { self.hpa.sync(now, self.polled, current) } else { current }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::hpa::Behavior;

    fn rules(stabilization: u64) -> Rules {
        Rules { min: 1, max: 32, per_pod: 1.0, tolerance: 0.1, stabilization, behavior: Behavior::Defaults }
    }

    /// Seconds from a change of the segments at second `at` until the replicas are as many.
    fn delay(mut pipeline: Pipeline, at: u64, from: u32, to: u32) -> u64 {
        let mut current = from;
        for now in 0..at + 1000 {
            current = pipeline.second(now, if now < at { from } else { to }, current);
            if now >= at && current == to {
                return now - at;
            }
        }
        panic!("never");
    }

    fn delays(periods: Periods, phases: Phases, stabilization: u64, from: u32, to: u32) -> Vec<u64> {
        let new = || Pipeline::with_phases(periods, phases, rules(stabilization), from);
        let mut delays: Vec<_> = (0..periods.scrape).map(|at| delay(new(), 900 + at, from, to)).collect();
        delays.sort_unstable();
        delays
    }

    const OPERATOR: Periods = Periods { scrape: 30, polling: None, sync: 15 };

    #[test]
    fn a_change_at_a_round_second_meets_the_average_delay() {
        let new = |periods| Pipeline::new(periods, rules(0), 1);
        assert_eq!(delay(new(OPERATOR), 900, 1, 4), 22, "of 0 to 45 s, 22.5 on average");
        assert_eq!(delay(new(Periods { scrape: 60, ..OPERATOR }), 900, 1, 4), 37, "of 0 to 75 s, 37.5 on average");
        let keda = Periods { polling: Some(30), ..OPERATOR };
        assert_eq!(delay(new(keda), 900, 1, 4), 37, "of 0 to 75 s, 37.5 on average");
    }

    #[test]
    fn down_takes_the_stabilization_longer() {
        let phases = Phases { scrape: 0, polling: 0, sync: 0 };
        let up = delays(OPERATOR, phases, 300, 1, 4);
        let down = delays(OPERATOR, phases, 300, 4, 1);
        assert_eq!((up[0], up[29]), (0, 29));
        assert_eq!((down[0], down[29]), (285, 314), "300 s after the last look that wished for 4");
    }

    /// Measured against a real Prometheus 2.42 (scraping every 15 s), the real aggregation layer and the
    /// real HPA of Kubernetes 1.35.4, 1 to 4 and back, 8 times, with stabilization 0: up 16.7, median
    /// 22.4, mean 21.4 to 25.5 s; down 13.1, median 21.4, mean 18.8 to 22.2 s. The two clocks stood at a
    /// fixed distance from each other that was not measured; the readings leave 11 to 13 s for it.
    #[test]
    fn the_model_agrees_with_a_real_hpa() {
        let periods = Periods { scrape: 15, polling: None, sync: 15 };
        let mean = |delays: &[u64]| delays.iter().sum::<u64>() as f64 / delays.len() as f64;
        for apart in 11..=13 {
            let phases = Phases { scrape: 0, polling: 0, sync: apart };
            for (from, to, measured) in [(1, 4, [16.7, 21.4, 25.5]), (4, 1, [13.1, 18.8, 22.2])] {
                let model = delays(periods, phases, 0, from, to);
                let [shortest, average, longest] = measured;
                assert!(model[0] as f64 <= shortest && longest <= model[14] as f64 + 1.0, "{apart}: {model:?}");
                assert!((mean(&model) - average).abs() <= 4.0, "{apart}: {} against {average}", mean(&model));
            }
        }
        // Over all distances: half a scrape and half a look.
        let all: Vec<_> =
            (0..15).flat_map(|sync| delays(periods, Phases { scrape: 0, polling: 0, sync }, 0, 1, 4)).collect();
        assert!((mean(&all) - 14.0).abs() < 1.0, "{}", mean(&all));
    }
}
