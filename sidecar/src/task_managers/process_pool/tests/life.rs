//! Members come, go, die and come back.

use super::*;
use crate::clock;

#[tokio::test]
async fn grows_and_shrinks() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    assert_eq!(pool.observe().await.unwrap(), Pool { members: Some(Vec::new()), ..Pool::default() });

    pool.set_replicas(TaskManagers(3), &[]).await.unwrap();
    let seen = settle(&lab, &pool).await;
    assert_eq!((seen.replicas, seen.ready), (TaskManagers(3), TaskManagers(3)));
    assert_eq!(ids(&seen), ["taskmanager-1", "taskmanager-2", "taskmanager-3"]);
    assert!(seen.members.iter().flatten().all(|member| member.started_at <= clock::now()));

    pool.set_replicas(TaskManagers(2), &["taskmanager-2".to_owned()]).await.unwrap();
    let seen = settle(&lab, &pool).await;
    assert_eq!(ids(&seen), ["taskmanager-1", "taskmanager-3"]);

    pool.set_replicas(TaskManagers(3), &[]).await.unwrap();
    let seen = settle(&lab, &pool).await;
    assert_eq!(ids(&seen), ["taskmanager-1", "taskmanager-3", "taskmanager-4"], "a name is never given twice");

    pool.shut_down().await.unwrap();
    assert_eq!(lab.running(), [] as [i32; 0]);
    assert_eq!(pool.observe().await.unwrap().replicas, TaskManagers(0));
}

#[tokio::test]
async fn asking_twice_changes_nothing() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(3), &[]).await.unwrap();
    let before = settle(&lab, &pool).await;
    let pids = lab.pids();
    pool.set_replicas(TaskManagers(3), &["taskmanager-1".to_owned()]).await.unwrap();
    assert_eq!(settle(&lab, &pool).await, before, "nobody is too many, so nobody goes");
    assert_eq!(lab.pids(), pids);

    let stop = ["taskmanager-1".to_owned(), "taskmanager-2".to_owned()];
    pool.set_replicas(TaskManagers(2), &stop).await.unwrap();
    pool.set_replicas(TaskManagers(2), &stop).await.unwrap();
    assert_eq!(ids(&settle(&lab, &pool).await), ["taskmanager-2", "taskmanager-3"]);
}

#[tokio::test]
async fn the_newest_go_where_none_are_named() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(4), &[]).await.unwrap();
    settle(&lab, &pool).await;
    pool.set_replicas(TaskManagers(2), &["taskmanager-99".to_owned()]).await.unwrap();
    assert_eq!(ids(&settle(&lab, &pool).await), ["taskmanager-1", "taskmanager-2"]);
}

#[tokio::test]
async fn a_member_that_does_not_run_goes_before_one_that_is_named() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(3), &[]).await.unwrap();
    settle(&lab, &pool).await;
    kill(lab.recorded()[1].1, Signal::KILL);
    observe_until(&pool, "taskmanager-2 is missing", |seen| seen.ready == TaskManagers(2)).await;
    pool.set_replicas(TaskManagers(2), &["taskmanager-3".to_owned()]).await.unwrap();
    assert_eq!(ids(&settle(&lab, &pool).await), ["taskmanager-1", "taskmanager-3"]);
}

#[tokio::test]
async fn a_member_knows_its_name() {
    let lab = Lab::new("echo \"argument $1\"; env | grep ^SLUICE_; exec sleep 600");
    let pool = lab.open();
    pool.set_replicas(TaskManagers(2), &[]).await.unwrap();
    for id in ["taskmanager-1", "taskmanager-2"] {
        let expected = format!("argument {id}\nSLUICE_TASK_MANAGER_ID={id}\n");
        wait_for(&expected, || lab.log(id) == expected).await;
    }
}

#[tokio::test]
async fn a_member_that_dies_is_started_again_under_its_name() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(2), &[]).await.unwrap();
    settle(&lab, &pool).await;
    let victim = lab.recorded()[0].1;
    kill(victim, Signal::KILL);
    let began = clock::instant();
    let seen = observe_until(&pool, "one is missing", |seen| seen.ready == TaskManagers(1)).await;
    assert_eq!(seen.replicas, TaskManagers(2), "it is still wanted");
    let seen = settle(&lab, &pool).await;
    assert_eq!(ids(&seen), ["taskmanager-1", "taskmanager-2"]);
    assert_ne!(lab.recorded()[0].1, victim);
    assert!(began.elapsed() >= Duration::from_millis(900), "a short life delays the next by a second");
    assert!(!Path::new(&format!("/proc/{victim}")).exists(), "no zombie is left");
}

#[tokio::test]
async fn a_command_that_ends_at_once_is_not_started_again_at_each_look() {
    let lab = Lab::new("echo no memory; exit 3");
    let pool = lab.open();
    pool.set_replicas(TaskManagers(1), &[]).await.unwrap();
    let began = clock::instant();
    while began.elapsed() < Duration::from_millis(2500) {
        assert_eq!(pool.observe().await.unwrap().replicas, TaskManagers(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // At 0 s and 1 s; the third start is due at 3 s.
    assert_eq!(lab.log("taskmanager-1"), "no memory\nno memory\n");
}

#[tokio::test]
async fn one_that_ignores_sigterm_is_killed_when_its_time_is_over_and_nobody_waits_for_it() {
    let lab = Lab::new("trap '' TERM; while :; do sleep 0.2; done");
    let options = ProcessPoolOptions { stop_timeout: Duration::from_secs(3), ..lab.options() };
    let pool = ProcessPool::open(options).unwrap();
    pool.set_replicas(TaskManagers(2), &[]).await.unwrap();
    wait_for("both run their script", || lab.running().len() == 4).await;
    let began = clock::instant();
    pool.set_replicas(TaskManagers(0), &[]).await.unwrap();
    let seen = pool.observe().await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(2500), "returned after {:?}", began.elapsed());
    assert_eq!((seen.replicas, ids(&seen)), (TaskManagers(0), Vec::new()));
    assert_eq!(lab.pids().len(), 2, "they are on record until they have ended");
    pool.shut_down().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(3));
    assert_eq!(lab.running(), [] as [i32; 0]);
}

#[tokio::test]
async fn a_start_script_that_stays_is_stopped_together_with_what_it_started() {
    let lab = Lab::new("sleep 600; echo never");
    let pool = lab.open();
    pool.set_replicas(TaskManagers(1), &[]).await.unwrap();
    wait_for("script and sleep run", || lab.running().len() == 2).await;
    pool.shut_down().await.unwrap();
    assert_eq!(lab.running(), [] as [i32; 0]);
}

#[tokio::test]
async fn what_a_dead_member_leaves_behind_is_stopped_before_it_is_started_again() {
    let lab = Lab::new("sleep 600; echo never");
    let pool = lab.open();
    pool.set_replicas(TaskManagers(1), &[]).await.unwrap();
    wait_for("script and sleep run", || lab.running().len() == 2).await;
    let first = lab.running();
    kill(lab.recorded()[0].1, Signal::KILL);
    observe_until(&pool, "it is missing", |seen| seen.ready == TaskManagers(0)).await;
    observe_until(&pool, "it runs again", |seen| seen.ready == TaskManagers(1)).await;
    wait_for("script and sleep run again", || lab.running().len() == 2).await;
    assert!(lab.running().iter().all(|pid| !first.contains(pid)), "{first:?} are gone: {:?}", lab.running());
}

#[tokio::test]
async fn twenty_members_come_and_go() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    let began = clock::instant();
    pool.set_replicas(TaskManagers(20), &[]).await.unwrap();
    let asked = began.elapsed();
    assert_eq!(settle(&lab, &pool).await.ready, TaskManagers(20));
    drop(pool);

    let pool = lab.open();
    let pids = lab.pids();
    assert_eq!(settle(&lab, &pool).await.ready, TaskManagers(20));
    assert_eq!(lab.pids(), pids, "adopted, not started again");
    let began = clock::instant();
    for _ in 0..10 {
        pool.observe().await.unwrap();
    }
    eprintln!("20 members: asked for in {asked:?}, observed in {:?}", began.elapsed() / 10);
    pool.set_replicas(TaskManagers(5), &[]).await.unwrap();
    assert_eq!(settle(&lab, &pool).await.ready, TaskManagers(5));
    pool.shut_down().await.unwrap();
    assert_eq!(lab.running(), [] as [i32; 0]);
}

#[tokio::test]
async fn logs_of_members_long_gone_are_deleted() {
    let lab = Lab::new(STAYS);
    let pool = lab.open();
    let log = |number: u32| lab.pool_dir().join("logs").join(format!("taskmanager-{number}.log"));
    for number in 1..=60 {
        fs::write(log(number), "old").unwrap();
    }
    lab.write_record(&json!({ "version": 1, "next_number": 61, "members": [] }));
    drop(pool);
    let pool = lab.open();
    pool.set_replicas(TaskManagers(2), &[]).await.unwrap();
    pool.set_replicas(TaskManagers(1), &[]).await.unwrap();
    settle(&lab, &pool).await;
    assert!(!log(1).exists() && !log(11).exists() && log(12).exists() && log(61).exists());
}
