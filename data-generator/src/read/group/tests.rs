//! Readers that come, go and die, on streams that scale.

use super::*;
use proptest::prelude::*;

fn group(segments: i64) -> Group {
    Group::starting_at("s/t".to_owned(), (0..segments).map(|segment| (segment, 0)).collect())
}

/// Reports of every reader in turn, until nothing changes but the signs of life.
fn settle(group: &mut Group) {
    for _ in 0..20 {
        for reader in group.readers.keys().cloned().collect::<Vec<_>>() {
            let outcome = group.apply(&reader, &Report::default()).expect("known");
            let released = outcome.to_release.into_iter().collect();
            group.apply(&reader, &Report { released, ..Report::default() }).expect("known");
        }
    }
}

fn counts(group: &Group) -> Vec<usize> {
    group.readers.keys().map(|reader| group.held_by(reader).len()).collect()
}

fn finish(segment: i64, followers: &[(i64, &[i64])]) -> Report {
    let followers = followers.iter().map(|(id, before)| (*id, before.iter().copied().collect())).collect();
    Report { finished: BTreeMap::from([(segment, followers)]), ..Report::default() }
}

#[test]
fn segments_are_shared_evenly_and_readers_beyond_them_are_idle() {
    let mut group = group(4);
    group.join("a");
    settle(&mut group);
    assert_eq!(counts(&group), [4]);
    group.join("b");
    group.join("c");
    settle(&mut group);
    assert_eq!(counts(&group), [2, 1, 1]);
    for reader in ["d", "e", "f"] {
        group.join(reader);
    }
    settle(&mut group);
    assert_eq!(counts(&group), [1, 1, 1, 1, 0, 0]);
}

#[test]
fn a_released_segment_goes_on_where_it_was_left() {
    let mut group = group(1);
    group.join("a");
    settle(&mut group);
    let report = Report { positions: BTreeMap::from([(0, 440)]), ..Report::default() };
    group.leave("a", &report);
    group.join("b");
    settle(&mut group);
    let (lease, offset) = group.held_by("b")[&0];
    assert_eq!((lease, offset), (1, 440));
}

#[test]
fn a_successor_waits_for_all_its_predecessors() {
    let mut group = group(2);
    group.join("a");
    settle(&mut group);
    group.apply("a", &finish(0, &[(7, &[0, 1])])).expect("known");
    assert!(!group.segments.contains_key(&7));
    group.apply("a", &finish(1, &[(7, &[0, 1])])).expect("known");
    assert_eq!(group.held_by("a").keys().collect::<Vec<_>>(), [&7]);
    assert!(!group.is_at_the_end());
    group.apply("a", &finish(7, &[])).expect("known");
    assert!(group.is_at_the_end());
}

#[test]
fn a_report_that_arrives_twice_counts_once() {
    let mut group = group(1);
    group.join("a");
    settle(&mut group);
    let report = finish(0, &[(7, &[0]), (8, &[0])]);
    group.apply("a", &report).expect("known");
    let once = group.segments.clone();
    group.apply("a", &report).expect("known");
    assert_eq!(group.segments, once);
}

#[test]
fn a_dead_reader_is_struck_off_only_if_it_shows_no_new_sign_of_life() {
    let mut group = group(1);
    group.join("a");
    settle(&mut group);
    let saved = Report { positions: BTreeMap::from([(0, 100)]), ..Report::default() };
    group.apply("a", &saved).expect("known");
    group.join("b");
    let beat = group.readers["a"];
    let stale = Report { dead: vec![("a".to_owned(), beat - 1)], ..Report::default() };
    assert!(group.apply("b", &stale).expect("known").struck_off.is_empty());
    let dead = Report { dead: vec![("a".to_owned(), beat)], ..Report::default() };
    let outcome = group.apply("b", &dead).expect("known");
    assert_eq!(outcome.struck_off, [("a".to_owned(), vec![0])]);
    assert_eq!(group.held_by("b")[&0].1, 100);
    // It was only slow: whatever it says now is not taken.
    assert_eq!(group.apply("a", &Report { positions: BTreeMap::from([(0, 900)]), ..Report::default() }), Err(Evicted));
    group.leave("a", &Report { positions: BTreeMap::from([(0, 900)]), ..Report::default() });
    assert_eq!(group.held_by("b")[&0].1, 100);
}

#[derive(Clone, Debug)]
enum Deed {
    Join(u8),
    Leave(u8),
    StrikeOff(u8, u8),
    Finish(u8),
    Report(u8),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        (0..6_u8).prop_map(Deed::Join),
        (0..6_u8).prop_map(Deed::Leave),
        (0..6_u8, 0..6_u8).prop_map(|(by, of)| Deed::StrikeOff(by, of)),
        (0..6_u8).prop_map(Deed::Finish),
        (0..6_u8).prop_map(Deed::Report),
    ];
    prop::collection::vec(deed, 0..80)
}

proptest! {
    /// Whatever happens: no segment is lost, leases are never given twice, and once it is quiet
    /// everything is read and shared evenly.
    #[test]
    fn nothing_is_lost_and_shares_are_even(deeds in deeds()) {
        let mut group = group(3);
        let mut next_segment = 100;
        for deed in deeds {
            match deed {
                Deed::Join(reader) => group.join(&reader.to_string()),
                Deed::Leave(reader) => group.leave(&reader.to_string(), &Report::default()),
                Deed::StrikeOff(by, of) => {
                    let of = of.to_string();
                    let dead = group.readers.get(&of).map(|beat| (of.clone(), *beat)).into_iter().collect();
                    let _ = group.apply(&by.to_string(), &Report { dead, ..Report::default() });
                }
                // Each segment that is read to its end splits into two or is replaced by one.
                Deed::Finish(reader) => {
                    let reader = reader.to_string();
                    if let Some(segment) = group.held_by(&reader).into_keys().next() {
                        let count = if group.segments.len() < 6 { 2 } else { 1 };
                        let before: &[i64] = &[segment];
                        let followers: Vec<_> = (0..count).map(|n| (next_segment + n, before)).collect();
                        next_segment += count;
                        group.apply(&reader, &finish(segment, &followers)).expect("known");
                    }
                }
                Deed::Report(reader) => {
                    let _ = group.apply(&reader.to_string(), &Report::default());
                }
            }
            prop_assert!(group.segments.len() >= 3);
            let leases: Vec<u64> = group.segments.values().flat_map(|held| &held.lease).map(|l| l.number).collect();
            let unique: BTreeSet<u64> = leases.iter().copied().collect();
            prop_assert_eq!(unique.len(), leases.len());
            prop_assert!(group.segments.values().flat_map(|held| &held.lease).all(|l| group.readers.contains_key(&l.reader)));
        }
        group.join("last");
        settle(&mut group);
        prop_assert!(group.segments.values().all(|held| held.lease.is_some()));
        let counts = counts(&group);
        let (most, least) = (counts.iter().max().expect("one"), counts.iter().min().expect("one"));
        prop_assert!(most - least <= 1, "{:?}", counts);
    }
}
