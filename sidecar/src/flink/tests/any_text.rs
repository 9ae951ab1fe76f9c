//! No reply makes the client panic, whatever its numbers and its shape.

use proptest::prelude::*;
use serde_json::Value;

use crate::flink::replies;

/// Any JSON that is not too large, with Flink's own names in it.
fn json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("jobs"),
        Just("jid"),
        Just("state"),
        Just("vertices"),
        Just("status"),
        Just("operation"),
        Just("latest"),
        Just("counts"),
        Just("taskmanagers"),
        Just("id"),
        Just("timestamps"),
        Just("now"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[A-Z]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #[test]
    fn makes_no_reply_panic(value in json()) {
        let text = value.to_string();
        let _ = serde_json::from_str::<replies::Jobs>(&text).map(|jobs| jobs.current().len());
        let _ = serde_json::from_str::<replies::Details>(&text).map(|details| details.running_for());
        let _ = serde_json::from_str::<replies::Triggered>(&text).map(replies::Triggered::operation);
        let _ = serde_json::from_str::<replies::TaskManagers>(&text).map(replies::TaskManagers::registered);
        let _ = serde_json::from_str::<replies::CheckpointStatistics>(&text).map(|all| all.checkpoints(true));
    }

    #[test]
    fn no_number_makes_a_job_panic(numbers in proptest::array::uniform8(any::<i64>())) {
        let [now, running, p, max, tasks, finished, last, total] = numbers;
        let details: replies::Details = serde_json::from_value(serde_json::json!({
            "now": now,
            "timestamps": {"RUNNING": running},
            "vertices": [{"id": "v", "parallelism": p, "maxParallelism": max, "tasks": {"RUNNING": tasks, "FINISHED": finished}}],
            "plan": {"nodes": [{"id": "v"}]},
        })).unwrap();
        let jobs: replies::Jobs = serde_json::from_value(serde_json::json!({"jobs": [{
            "jid": "j", "name": "n", "state": "RUNNING", "start-time": last, "last-modification": last,
            "tasks": {"total": total.unsigned_abs(), "running": tasks.unsigned_abs(), "finished": finished.unsigned_abs()},
        }]})).unwrap();
        for overview in jobs.current() {
            let job = details.job(overview);
            prop_assert!(job.max_parallelism.0 > 0, "unknown is not zero");
        }
        let _ = (details.running_for(), details.run(), details.reading_sources().count());
    }

    #[test]
    fn a_version_is_two_numbers(text in ".{0,20}") {
        let config: replies::Config = serde_json::from_value(serde_json::json!({"flink-version": text})).unwrap();
        let _ = config.version();
    }
}
