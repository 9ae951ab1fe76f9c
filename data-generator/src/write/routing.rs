//! Which segment an event goes to.

use crate::dice::Dice;
use crate::pace::Due;
use std::sync::Arc;

/// How events choose their segment.
#[derive(Clone, Debug, PartialEq)]
pub enum Routing {
    /// No key: the client picks a point of the key space at random for each event, so every segment
    /// gets the share of the load that it holds of the key space.
    Random,
    /// So many keys, taken in turn.
    RoundRobin {
        /// How many.
        keys: u32,
    },
    /// Few keys with most of the events: the segments that hold them get hot.
    Zipf(Arc<Zipf>),
}

/// Key number k (from 1) gets a share of the events in proportion to `1 / k^exponent`.
#[derive(Debug, PartialEq)]
pub struct Zipf {
    /// The share of a key and of all before it.
    up_to: Vec<f64>,
}

impl Zipf {
    /// So many keys, at least one; an exponent of 0 makes all the same, 1 is the classic.
    #[must_use]
    pub fn new(keys: u32, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=keys.max(1)).map(|key| f64::from(key).powf(-exponent));
        let mut up_to: Vec<f64> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        for share in &mut up_to {
            *share /= sum;
        }
        Self { up_to }
    }

    /// The key at this place, from 0 to below 1, among all events.
    fn key(&self, place: f64) -> usize {
        self.up_to.partition_point(|share| *share <= place).min(self.up_to.len() - 1)
    }
}

impl Routing {
    /// The key of an event; `None` leaves the choice to the client. An event that is sent again has
    /// the same key again.
    pub(super) fn key(&self, writer: u32, due: Due) -> Option<String> {
        match self {
            Self::Random => None,
            // The writer is part of the key, so that the events of a key have one order.
            Self::RoundRobin { keys } => Some(format!("{writer}-{}", due.sequence % u64::from(*keys))),
            // Here it is not: all writers press on the same segments.
            Self::Zipf(zipf) => {
                let mut dice = Dice::new(due.sequence ^ (u64::from(writer) << 40));
                Some(format!("zipf-{}", zipf.key(dice.unit())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn keys(routing: &Routing, writer: u32, events: u64) -> Vec<String> {
        let at = Duration::ZERO;
        (0..events).filter_map(|sequence| routing.key(writer, Due { sequence, at })).collect()
    }

    #[test]
    fn keys_come_in_turn_and_belong_to_the_writer() {
        assert_eq!(keys(&Routing::RoundRobin { keys: 3 }, 7, 4), ["7-0", "7-1", "7-2", "7-0"]);
    }

    #[test]
    fn the_shares_of_zipf_fall_with_the_rank() {
        let routing = Routing::Zipf(Arc::new(Zipf::new(100, 1.0)));
        assert_eq!(keys(&routing, 3, 50), keys(&routing, 3, 50));
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        for key in keys(&routing, 0, 100_000) {
            *counts.entry(key).or_default() += 1.0;
        }
        // The sum of 1/k for k to 100 is 5.187.
        for rank in [1.0_f64, 2.0, 10.0] {
            let wanted = 100_000.0 / rank / 5.187;
            let got = counts[&format!("zipf-{}", rank - 1.0)];
            assert!((got - wanted).abs() < 0.1 * wanted, "rank {rank}: {got} for {wanted}");
        }
        let even = Zipf::new(4, 0.0);
        assert_eq!([0.0, 0.3, 0.6, 0.99, 1.0].map(|place| even.key(place)), [0, 1, 2, 3, 3]);
    }
}
