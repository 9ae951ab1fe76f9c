//! A model of Kubernetes' HorizontalPodAutoscaler on an external metric with an average value, as in
//! Pravega's sample: one TaskManager per segment.
//!
//! After `pkg/controller/podautoscaler` of Kubernetes 1.35.4; each rule names its function there.
//! Pods are taken to exist as soon as they are asked for, as the controller counts them.

/// How the autoscaler is configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// `minReplicas`.
    pub min: u32,
    /// `maxReplicas`.
    pub max: u32,
    /// The metric's `averageValue`: segments for one TaskManager.
    pub per_pod: f64,
    /// `--horizontal-pod-autoscaler-tolerance`, 0.1 by default.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`, 300 s by default.
    pub stabilization: u64,
    /// Whether the object has a `behavior`, whose missing parts are then filled in.
    pub behavior: Behavior,
}

/// How fast replicas are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// No `behavior` in the object, as in the sample: at each look to twice as many, but 4 at least
    /// (`calculateScaleUpLimit`).
    Absent,
    /// A `behavior` with its defaults (`pkg/apis/autoscaling/v2/defaults.go`): within 15 s 4 more or
    /// twice as many, whichever is more.
    Defaults,
}

/// The period of the default policies of a `behavior`, seconds.
const PERIOD: u64 = 15;
const PODS: i64 = 4;

/// One autoscaler with what it remembers.
#[derive(Clone, Debug)]
pub struct Hpa {
    rules: Rules,
    recommendations: Vec<(u64, u32)>,
    /// By how much the replicas were changed, and when.
    events: Vec<(u64, i64)>,
}

impl Hpa {
    /// An autoscaler that has just been made.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, recommendations: Vec::new(), events: Vec::new() }
    }

    /// One look (`reconcileAutoscaler`): the replicas that are asked for from now on. A metric that is
    /// not known changes nothing.
    pub fn sync(&mut self, now: u64, metric: Option<u32>, current: u32) -> u32 {
        let Rules { min, max, .. } = self.rules;
        if self.recommendations.is_empty() {
            self.recommendations.push((now, current));
        }
        let replicas = match (current, metric) {
            (0, _) => 0,
            _ if current > max => max,
            _ if current < min => min,
            (_, None) => current,
            (_, Some(metric)) => self.bounded(now, self.desired(metric, current), current),
        };
        if replicas != current {
            self.events.retain(|(at, _)| now < at + PERIOD);
            self.events.push((now, i64::from(replicas) - i64::from(current)));
        }
        replicas
    }

    /// `GetExternalPerPodMetricReplicas`: one for each `per_pod`, unless what there is comes close.
    fn desired(&self, metric: u32, current: u32) -> u32 {
        let Rules { per_pod, tolerance, .. } = self.rules;
        let ratio = f64::from(metric) / (per_pod * f64::from(current));
        if (1.0 - tolerance..=1.0 + tolerance).contains(&ratio) {
            return current;
        }
        let replicas = super::trace::whole((f64::from(metric) / per_pod).ceil());
        replicas.and_then(|replicas| u32::try_from(replicas).ok()).unwrap_or(u32::MAX)
    }

    fn bounded(&mut self, now: u64, desired: u32, current: u32) -> u32 {
        let Rules { min, max, stabilization, behavior, .. } = self.rules;
        // `stabilizeRecommendation`: the highest of the window. With a `behavior` the edge of the window
        // is outside, and growth goes by the newest only (`stabilizeRecommendationWithBehaviors`).
        self.recommendations.retain(|(at, _)| match behavior {
            Behavior::Absent => now <= at + stabilization,
            Behavior::Defaults => now < at + stabilization,
        });
        let highest = self.recommendations.iter().map(|(_, replicas)| *replicas).fold(desired, u32::max);
        self.recommendations.push((now, desired));
        match behavior {
            Behavior::Absent => highest.min(current.saturating_mul(2).max(4)).min(max).max(min),
            Behavior::Defaults if desired > current => desired.min(self.growth_limit(now, current)).min(max),
            // Down by 100 % within 15 s is no limit.
            Behavior::Defaults => highest.min(current).max(min),
        }
    }

    /// `calculateScaleUpLimitWithScalingRules`.
    fn growth_limit(&self, now: u64, current: u32) -> u32 {
        let within = self.events.iter().filter(|(at, _)| now < at + PERIOD);
        let at_start = i64::from(current) - within.map(|(_, change)| change).sum::<i64>();
        let limit = (at_start + PODS).max(at_start * 2);
        u32::try_from(limit).unwrap_or(0).max(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(behavior: Behavior) -> Rules {
        Rules { min: 1, max: 32, per_pod: 1.0, tolerance: 0.1, stabilization: 300, behavior }
    }

    /// The numbers of replicas that come one after the other, looking every 15 s.
    fn steps(behavior: Behavior, from: u32, segments: u32) -> Vec<u32> {
        let mut hpa = Hpa::new(rules(behavior));
        let mut seen = vec![from];
        for look in 0..60 {
            let last = *seen.last().unwrap();
            let next = hpa.sync(look * 15, Some(segments), last);
            if next != last {
                seen.push(next);
            }
        }
        seen
    }

    /// A real HPA of Kubernetes 1.35.4 took the steps of the first and the fourth line.
    #[test]
    fn a_wide_split_is_followed_in_steps() {
        for (behavior, from, to, wanted) in [
            (Behavior::Defaults, 1, 13, &[1, 5, 10, 13][..]),
            (Behavior::Defaults, 1, 32, &[1, 5, 10, 20, 32]),
            (Behavior::Defaults, 1, 4, &[1, 4]),
            (Behavior::Absent, 1, 13, &[1, 4, 8, 13]),
            (Behavior::Absent, 1, 32, &[1, 4, 8, 16, 32]),
            (Behavior::Absent, 1, 4, &[1, 4]),
            (Behavior::Absent, 8, 400, &[8, 16, 32]),
        ] {
            assert_eq!(steps(behavior, from, to), wanted, "{behavior:?} {from} to {to}");
        }
    }

    #[test]
    fn what_is_close_counts_as_equal() {
        for (replicas, equal) in [(32, 29..=35), (20, 18..=22), (10, 9..=11), (9, 9..=9), (2, 2..=2)] {
            let hpa = Hpa::new(Rules { max: 100, ..rules(Behavior::Absent) });
            for segments in 1..=60 {
                let kept = hpa.desired(segments, replicas) == replicas;
                assert_eq!(kept, equal.contains(&segments), "{segments} segments on {replicas}");
            }
        }
    }

    #[test]
    fn it_shrinks_when_300_s_have_passed_without_a_wish_for_more() {
        for (behavior, last) in [(Behavior::Absent, 315), (Behavior::Defaults, 300)] {
            let mut hpa = Hpa::new(rules(behavior));
            hpa.sync(0, Some(4), 4);
            let first = (1..99).map(|look| look * 15).find(|at| hpa.sync(*at, Some(2), 4) != 4);
            assert_eq!(first, Some(last), "{behavior:?}");
        }
        let mut hpa = Hpa::new(Rules { stabilization: 0, ..rules(Behavior::Defaults) });
        hpa.sync(0, Some(4), 4);
        assert_eq!(hpa.sync(15, Some(2), 4), 2);
    }

    #[test]
    fn an_unknown_metric_and_an_empty_deployment_are_left_alone() {
        let mut hpa = Hpa::new(rules(Behavior::Absent));
        assert_eq!(hpa.sync(0, None, 4), 4);
        assert_eq!(hpa.sync(15, Some(9), 0), 0, "replicas: 0 switches it off");
        assert_eq!(hpa.sync(30, Some(9), 40), 32);
        let mut fourth = Hpa::new(Rules { per_pod: 4.0, ..rules(Behavior::Absent) });
        assert_eq!(fourth.sync(0, Some(9), 1), 3, "five slots are not enough for nine segments");
    }

    proptest! {
        #[test]
        fn the_bounds_hold_whatever_the_metric_says(
            metrics in proptest::collection::vec(proptest::option::of(0_u32..1000), 1..60),
            min in 1_u32..5, more in 0_u32..40, absent in any::<bool>(),
        ) {
            let behavior = if absent { Behavior::Absent } else { Behavior::Defaults };
            let mut hpa = Hpa::new(Rules { min, max: min + more, ..rules(behavior) });
            let mut replicas = min;
            for (look, metric) in (0..).zip(metrics) {
                replicas = hpa.sync(look * 15, metric, replicas);
                prop_assert!((min..=min + more).contains(&replicas));
            }
        }
    }
}
