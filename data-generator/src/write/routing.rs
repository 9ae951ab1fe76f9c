//! Which segment an event goes to.

use crate::pace::Due;

/// How events choose their segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// No key: the client picks a point of the key space at random for each event, so every segment
    /// gets the share of the load that it holds of the key space.
    Random,
    /// So many keys, taken in turn.
    RoundRobin {
        /// How many.
        keys: u32,
    },
}

impl Routing {
    /// The key of an event; `None` leaves the choice to the client.
    pub(super) fn key(self, writer: u32, due: Due) -> Option<String> {
        match self {
            Self::Random => None,
            // The writer is part of the key, so that the events of a key have one order.
            Self::RoundRobin { keys } => Some(format!("{writer}-{}", due.sequence % u64::from(keys))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn keys_come_in_turn_and_belong_to_the_writer() {
        let key = |sequence| {
            let at = Duration::ZERO;
            Routing::RoundRobin { keys: 3 }.key(7, Due { sequence, at })
        };
        let keys: Vec<_> = (0..4).filter_map(key).collect();
        assert_eq!(keys, ["7-0", "7-1", "7-2", "7-0"]);
    }
}
