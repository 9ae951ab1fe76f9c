//! A writer against an outlet that fails on purpose, on a clock that stands still unless waited for.

use super::*;
use crate::args::ProgressMode;
use crate::event::EventSize;
use crate::pace::{Limits, Load};
use crate::pravega::SessionOptions;
use crate::shape::{Rate, Shape};
use crate::stream::{Insist, Retention, Scaling, StreamPlan};
use crate::write::Routing;
use crate::write::outlet::Answer;
use crate::write::tally::no_latencies;
use pravega_client::error::Error as ClientError;
use std::sync::Mutex;
use tokio::sync::oneshot;
use tokio::time::advance;

/// What has arrived, and how the outlet behaves from now on.
#[derive(Default)]
struct Pretence {
    arrived: Vec<u64>,
    mode: Mode,
    reopened: u32,
    /// Answers kept back, so that their senders stay alive.
    silent: Vec<oneshot::Sender<Result<(), ClientError>>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mode {
    /// Acknowledges at once.
    #[default]
    Well,
    /// Takes events and never answers.
    Silent,
    /// Loses its background task at this event, and everything from then on.
    DiesAt(u64),
    /// Never takes an event.
    Full,
    /// Dies at once, and the stream turns out to be sealed.
    Sealed,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Pretence>>);

impl Fake {
    fn set(&self, mode: Mode) {
        self.0.lock().expect("not poisoned").mode = mode;
    }

    fn arrived(&self) -> Vec<u64> {
        self.0.lock().expect("not poisoned").arrived.clone()
    }
}

impl Outlet for Fake {
    async fn send(&mut self, _key: Option<String>, event: Vec<u8>) -> Answer {
        let sequence = event::parse(&event).expect("an event").identity.sequence;
        if self.0.lock().expect("not poisoned").mode == Mode::Full {
            std::future::pending::<()>().await;
        }
        let mut pretence = self.0.lock().expect("not poisoned");
        let (sender, answer) = oneshot::channel();
        match pretence.mode {
            Mode::Well => {
                pretence.arrived.push(sequence);
                let _ = sender.send(Ok(()));
            }
            Mode::Silent => pretence.silent.push(sender),
            Mode::DiesAt(last) if sequence < last => {
                pretence.arrived.push(sequence);
                let _ = sender.send(Ok(()));
            }
            Mode::DiesAt(_) | Mode::Full | Mode::Sealed => drop(sender),
        }
        answer
    }

    async fn reopen(&mut self) -> Result<(), Reopen> {
        let mut pretence = self.0.lock().expect("not poisoned");
        pretence.reopened += 1;
        match (pretence.mode, pretence.reopened) {
            (Mode::Sealed, _) => Err(Reopen::Never(Closed::Sealed("s/t".to_owned()))),
            (_, 1) => Err(Reopen::Later("the controller is away".to_owned())),
            _ => {
                pretence.mode = Mode::Well;
                Ok(())
            }
        }
    }

    fn cause_of_death(&self) -> Option<String> {
        Some("a panic".to_owned())
    }
}

struct Bench {
    fake: Fake,
    tally: Arc<Tally>,
    stop: watch::Sender<bool>,
    writer: Writer<Fake>,
}

/// A writer of 100 events a second for 10 s, with a window of 50 and a patience of 20 s.
fn bench(mode: Mode) -> Bench {
    let rate = Rate::per_second(100.0).expect("a rate");
    let plan = Arc::new(WritePlan {
        session: SessionOptions {
            controllers: "tcp://localhost:1".parse().expect("an address"),
            credentials: None,
            trusted: Vec::new(),
            call_timeout: Duration::from_secs(1),
        },
        stream: StreamPlan {
            scope: "s".to_owned(),
            stream: "t".to_owned(),
            scaling: Scaling::Fixed,
            min_segments: 1,
            retention: Retention::Unlimited,
            insist: Insist::default(),
            update: false,
            delete_on_exit: false,
        },
        load: Arc::new(Load::Shape(Shape::constant(rate))),
        limits: Limits { duration: Some(Duration::from_secs(10)), events: None },
        writers: 1,
        first_writer: 0,
        event_size: EventSize::DEFAULT,
        routing: Routing::Random,
        window: 50,
        give_up_after: Duration::from_secs(20),
        flush_timeout: Duration::from_secs(5),
        progress: ProgressMode::None,
        summary: None,
        metrics: None,
    });
    let fake = Fake::default();
    fake.set(mode);
    let tally = Arc::new(Tally::new(no_latencies().expect("valid bounds")));
    let stop = watch::Sender::new(false);
    let start = Start { steady: clock::now(), wall: clock::wall() };
    let writer = Writer::new(0, &plan, fake.clone(), &tally, start, stop.subscribe());
    Bench { fake, tally, stop, writer }
}

#[tokio::test(start_paused = true)]
async fn every_event_goes_out_on_time() {
    let Bench { fake, tally, writer, .. } = bench(Mode::Well);
    let started = clock::now();
    let ended = writer.run().await;
    assert!(ended.error.is_none() && ended.unacknowledged.is_empty());
    assert_eq!(fake.arrived(), (0..1_000).collect::<Vec<_>>());
    assert_eq!(tally.acknowledged.load(Relaxed), 1_000);
    // A timer has a resolution of one millisecond.
    assert!(tally.max_lag() <= Duration::from_millis(2), "{:?}", tally.max_lag());
    let took = clock::now() - started;
    assert!(took >= Duration::from_millis(9_990) && took < Duration::from_millis(10_010), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_outlet_left_unanswered_is_sent_again_in_order() {
    let Bench { fake, tally, writer, .. } = bench(Mode::DiesAt(300));
    let ended = writer.run().await;
    assert!(ended.error.is_none(), "{:?}", ended.error);
    assert_eq!(fake.arrived(), (0..1_000).collect::<Vec<_>>());
    let retries = tally.retries.load(Relaxed);
    assert!((1..=50).contains(&retries), "{retries}");
    assert_eq!(tally.written.load(Relaxed), 1_000);
    assert_eq!(fake.0.lock().expect("not poisoned").reopened, 2);
}

#[tokio::test(start_paused = true)]
async fn silence_fills_the_window_and_is_given_up_at_the_deadline() {
    let Bench { tally, writer, .. } = bench(Mode::Silent);
    let started = clock::now();
    let ended = writer.run().await;
    let took = clock::now() - started;
    assert!(matches!(ended.error, Some(WriteError::GaveUp { .. })), "{:?}", ended.error);
    assert!(took >= Duration::from_secs(20) && took < Duration::from_secs(21), "{took:?}");
    assert_eq!(ended.unacknowledged, [0..=49]);
    assert_eq!(tally.written.load(Relaxed), 50);
    assert_eq!(tally.failed.load(Relaxed), 50);
    // The 51st event was due at half a second and could not be sent: that is what lag is.
    assert!(tally.lag(took) > Duration::from_secs(19));
}

#[tokio::test(start_paused = true)]
async fn an_outlet_that_takes_nothing_is_given_up_too() {
    let Bench { writer, .. } = bench(Mode::Full);
    let started = clock::now();
    let ended = writer.run().await;
    assert!(matches!(ended.error, Some(WriteError::GaveUp { .. })), "{:?}", ended.error);
    let took = clock::now() - started;
    assert!(took < Duration::from_secs(22), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sealed_stream_ends_the_run_at_once() {
    let Bench { writer, .. } = bench(Mode::Sealed);
    let started = clock::now();
    let ended = writer.run().await;
    let error = ended.error.expect("an error").to_string();
    assert_eq!(error, "writer 0: --stream s/t was sealed while it was written to");
    assert!(clock::now() - started < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_nothing_new_is_sent_and_the_rest_is_waited_for() {
    let Bench { fake, tally, stop, writer } = bench(Mode::Well);
    let running = tokio::spawn(writer.run());
    sleep(Duration::from_secs(3)).await;
    stop.send_replace(true);
    let ended = running.await.expect("no panic");
    assert!(ended.error.is_none());
    let arrived = fake.arrived().len() as u64;
    assert!((295..=305).contains(&arrived), "{arrived}");
    assert_eq!(tally.acknowledged.load(Relaxed), arrived);
}

#[tokio::test(start_paused = true)]
async fn the_wait_after_a_stop_has_a_limit() {
    let Bench { fake, stop, writer, .. } = bench(Mode::Well);
    let running = tokio::spawn(writer.run());
    sleep(Duration::from_secs(3)).await;
    fake.set(Mode::Silent);
    sleep(Duration::from_millis(100)).await;
    stop.send_replace(true);
    let stopped = clock::now();
    let ended = running.await.expect("no panic");
    assert!(matches!(ended.error, Some(WriteError::NotFlushed { .. })), "{:?}", ended.error);
    assert!(clock::now() - stopped < Duration::from_secs(6));
    assert!(!ended.unacknowledged.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_whole_process_is_made_up_for() {
    let Bench { fake, tally, writer, .. } = bench(Mode::Well);
    let running = tokio::spawn(writer.run());
    sleep(Duration::from_secs(3)).await;
    advance(Duration::from_secs(4)).await;
    let ended = running.await.expect("no panic");
    assert!(ended.error.is_none());
    assert_eq!(fake.arrived(), (0..1_000).collect::<Vec<_>>());
    assert!(tally.max_lag() >= Duration::from_secs(3), "{:?}", tally.max_lag());
}
