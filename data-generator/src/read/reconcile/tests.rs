//! Accounts by hand.

use super::*;

fn line(segment: i64, lease: u64, from: i64, to: i64, ids: &str) -> Line {
    let events = ledger::runs(ids).expect("runs").iter().map(|(first, last)| last + 1 - first).sum();
    Line { segment, lease, from, to, events, ids: BTreeMap::from([(0, ids.to_owned())]) }
}

fn writer(written: u64, retries: u64, unacknowledged: &[[u64; 2]]) -> BTreeMap<u32, Writer> {
    BTreeMap::from([(0, Writer { id: 0, written, retries, unacknowledged: unacknowledged.to_vec() })])
}

#[test]
fn everything_once() {
    let lines = [line(0, 0, 0, 400, "0,2,4"), line(1, 1, 0, 300, "1,3")];
    let account = settle(2, &lines, &writer(5, 0, &[])).expect("settles");
    let expected = Account {
        readers: 2,
        delivered: 5,
        different: 5,
        retries: Some(0),
        written: Some(5),
        acknowledged: Some(5),
        ..Account::default()
    };
    assert_eq!(account, expected);
}

#[test]
fn what_a_dead_reader_had_not_saved_is_a_redelivery() {
    // Saved up to 200, killed at 400; the next lease begins at 200 and goes on beyond.
    let lines = [line(0, 0, 0, 200, "0-1"), line(0, 0, 200, 400, "2-3"), line(0, 5, 200, 700, "2-6")];
    let account = settle(2, &lines, &writer(7, 0, &[])).expect("settles");
    assert_eq!((account.redelivered, account.duplicates, account.lost), (2, 0, 0));
    assert_eq!((account.delivered, account.different), (9, 7));
}

#[test]
fn the_same_id_at_another_place_is_a_duplicate() {
    let lines = [line(0, 0, 0, 200, "0-1"), line(0, 0, 200, 500, "1-3")];
    let account = settle(1, &lines, &writer(4, 3, &[])).expect("settles");
    assert_eq!((account.redelivered, account.duplicates, account.retries), (0, 1, Some(3)));
    // In one line, too: the same tenth of a second.
    let account = settle(1, &[line(0, 0, 0, 500, "0-1,1-3")], &writer(4, 3, &[])).expect("settles");
    assert_eq!((account.redelivered, account.duplicates), (0, 1));
}

#[test]
fn a_handover_in_good_order_repeats_nothing() {
    let lines = [line(0, 0, 0, 200, "0-1"), line(0, 3, 200, 500, "2-4")];
    let account = settle(2, &lines, &writer(5, 0, &[])).expect("settles");
    assert_eq!((account.redelivered, account.duplicates, account.lost), (0, 0, 0));
}

#[test]
fn what_is_lost_is_named_and_what_was_not_acknowledged_is_not_lost() {
    let lines = [line(0, 0, 0, 400, "0-2,5,8")];
    let account = settle(1, &lines, &writer(10, 0, &[[8, 9]])).expect("settles");
    assert_eq!((account.lost, account.read_unacknowledged), (4, 1));
    assert_eq!(account.lost_runs, BTreeMap::from([(0, vec![[3, 4], [6, 7]])]));
    assert_eq!(account.acknowledged, Some(8));
}

#[test]
fn without_summaries_gaps_are_losses() {
    let account = settle(1, &[line(0, 0, 0, 400, "0-2,5")], &BTreeMap::new()).expect("settles");
    assert_eq!((account.lost, account.written), (2, None));
}
