//! The closed forms against plain numbers, and against a numeric integral.

use super::*;
use proptest::prelude::*;

fn rate(per_second: f64) -> Rate {
    Rate::per_second(per_second).expect("a rate")
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The sample's workload: 50,000 events per 10 s, an angle of 0.04 more every 30 s, starting at -3.
fn sample() -> Shape {
    let median: Rate = "50000/10s".parse().expect("a rate");
    let period = std::f64::consts::TAU / 0.04 * 30.0;
    Shape::sinusoid(median, median, seconds(period), -3.0).expect("a wave")
}

#[test]
fn the_sample_starts_low_and_peaks_at_ten_thousand_a_second() {
    let sample = sample();
    // 50,000 + 50,000 cos(-3 + 0.04 n) events per 10 s at step n, 30 s each.
    for (step, per_ten_seconds) in [(0.0_f64, 500.375), (75.0, 100_000.0), (36.0, 45_399.5)] {
        let angle: f64 = -3.0 + 0.04 * step;
        let wanted = 50_000.0 + 50_000.0 * angle.cos();
        assert!((wanted - per_ten_seconds).abs() < 100.0 || step > 0.0);
        let got = sample.rate(seconds(step * 30.0)) * 10.0;
        assert!((got - wanted).abs() < 1e-6, "step {step}: {got} for {wanted}");
    }
    assert!(sample.rate(Duration::ZERO) * 10.0 < 600.0);
}

#[test]
fn events_of_a_constant_rate_are_evenly_spaced() {
    let shape = Shape::constant(rate(250.0));
    assert_eq!(shape.time_of(0), Some(Duration::ZERO));
    assert_eq!(shape.time_of(1), Some(Duration::from_millis(4)));
    assert_eq!(shape.time_of(250), Some(Duration::from_secs(1)));
    assert_eq!(shape.length(), None);
}

#[test]
fn steps_hold_exactly_their_events() {
    let shape =
        Shape::steps(&[(rate(100.0), seconds(30.0)), (rate(1000.0), seconds(120.0)), (rate(100.0), seconds(60.0))])
            .expect("steps");
    assert_eq!(shape.length(), Some(Duration::from_secs(210)));
    assert!(shape.time_of(128_999).is_some());
    assert_eq!(shape.time_of(129_000), None);
    assert_eq!(shape.time_of(3_000), Some(Duration::from_secs(30)));
    assert!((shape.rate(seconds(30.0)) - 1000.0).abs() < 1e-9);
    assert!(shape.rate(seconds(210.0)).abs() < 1e-9);
    assert!((shape.count(seconds(9_999.0)) - 129_000.0).abs() < 1e-6);
}

#[test]
fn nothing_is_due_in_a_pause() {
    let shape = Shape::steps(&[(rate(10.0), seconds(1.0)), (rate(0.0), seconds(5.0)), (rate(10.0), seconds(1.0))])
        .expect("steps");
    assert_eq!(shape.time_of(9), Some(Duration::from_millis(900)));
    assert_eq!(shape.time_of(10), Some(Duration::from_secs(6)));
    assert_eq!(shape.time_of(20), None);
}

#[test]
fn a_rate_of_zero_without_end_has_no_events() {
    assert_eq!(Shape::constant(rate(0.0)).time_of(0), None);
    let flat = Shape::sinusoid(rate(0.0), rate(0.0), seconds(1.0), 0.0).expect("flat");
    assert_eq!(flat.time_of(0), None);
}

#[test]
fn bad_numbers_name_their_flag() {
    let wave = |median: f64, amplitude: f64, period: f64, phase: f64| {
        Shape::sinusoid(rate(median), rate(amplitude), seconds(period), phase).expect_err("refused").to_string()
    };
    assert!(wave(1.0, 1.0, 0.0, 0.0).contains("period"));
    assert!(wave(1.0, 2.0, 1.0, 0.0).contains("amplitude 2/s is above median 1/s"));
    assert!(wave(1.0, 1.0, 1.0, f64::NAN).contains("phase"));
    assert_eq!(Shape::steps(&[]), Err(ShapeError::NoSteps));
    assert_eq!(Shape::steps(&[(rate(1.0), Duration::ZERO)]), Err(ShapeError::ZeroStep(1)));
}

/// The midpoint rule: it never asks on the edge between two pieces.
fn integral(shape: &Shape, from: f64, to: f64) -> f64 {
    let parts = 10_000;
    let width = (to - from) / f64::from(parts);
    let rate = |part: i32| shape.rate(seconds(from + width * (f64::from(part) + 0.5)));
    (0..parts).map(rate).sum::<f64>() * width
}

fn any_wave() -> impl Strategy<Value = Shape> {
    (1.0..20_000.0_f64, 0.0..=1.0_f64, 0.5..5_000.0_f64, -7.0..7.0_f64).prop_map(|(median, swing, period, phase)| {
        Shape::sinusoid(rate(median), rate(median * swing), seconds(period), phase).expect("a wave")
    })
}

fn any_steps() -> impl Strategy<Value = Vec<(Rate, Duration)>> {
    prop::collection::vec(
        (0_u32..5_000, 1_u64..60_000)
            .prop_map(|(per_second, ms)| (rate(f64::from(per_second)), Duration::from_millis(ms))),
        1..8,
    )
}

fn any_walk() -> impl Strategy<Value = Walk> {
    (0_u32..1_000, 1_u32..5_000, 0.0..=1.0_f64, 1_u64..5_000, 0_u64..60_000, any::<u64>()).prop_map(
        |(low, room, place, every, over, seed)| Walk {
            start: rate(f64::from(low) + f64::from(room) * place),
            low: rate(f64::from(low)),
            high: rate(f64::from(low + room)),
            stride: rate(f64::from(room) / 4.0),
            every: Duration::from_millis(every),
            seed,
            over: Duration::from_millis(over + every),
        },
    )
}

/// Shapes of every kind that ends, with corners where they hurt: zeros, walls, ramps to nothing.
fn any_ending() -> impl Strategy<Value = Shape> {
    let length = || (1_u64..4_000).prop_map(Duration::from_millis);
    let per_second = || (0_u32..1_000).prop_map(|per_second| rate(f64::from(per_second)));
    let ramp = (per_second(), per_second(), length()).prop_map(|(from, to, over)| Shape::ramp(from, to, over));
    let spike = (per_second(), per_second(), [length(), length(), length(), length()], any::<bool>(), length());
    let spike = spike.prop_map(|(base, peak, [at, rise, hold, fall], wall, length)| {
        let rise = if wall { Duration::ZERO } else { rise };
        Shape::spike(&Spike { base, peak, at, rise, hold, fall }).cut(length)
    });
    let steps = any_steps().prop_map(|steps| Shape::steps(&steps));
    let wave = (any_wave(), length()).prop_map(|(wave, length)| wave.cut(length));
    let walk = any_walk().prop_map(|walk| Shape::random_walk(&walk));
    let trace = (prop::collection::vec((1_u32..1_000, 0_u32..1_000), 2..20), any::<bool>());
    let trace = trace.prop_map(|(lines, linear)| {
        let mut at = 0;
        let text: String = lines.iter().fold(String::new(), |text, (ms, rate)| {
            at += ms;
            format!("{text}{},{rate}\n", f64::from(at) / 1e3)
        });
        let trace = Trace::parse(text.as_bytes()).expect("a trace");
        Ok(Shape::trace("t", &trace, if linear { Between::Linear } else { Between::Hold }))
    });
    prop_oneof![ramp, spike, steps, wave, walk, trace].prop_map(|shape| shape.expect("a shape"))
}

/// Chains of such shapes, compressed.
fn any_chain() -> impl Strategy<Value = Shape> {
    (prop::collection::vec(any_ending(), 1..4), 1_u32..3, 0.2..50.0_f64).prop_map(|(shapes, times, factor)| {
        Shape::chain("chain", &shapes, times).and_then(|chain| chain.compressed(factor)).expect("a chain")
    })
}

#[test]
fn a_ramp_sends_half_of_what_its_end_would() {
    let up = Shape::ramp(rate(0.0), rate(100.0), seconds(10.0)).expect("a ramp");
    assert_eq!(up.whole_count(Duration::MAX), 500);
    // Event k of a ramp from nothing is due at the root of 2 k / slope.
    let due = up.time_of(125).expect("due");
    assert!((due.as_secs_f64() - 5.0).abs() < 1e-6, "{due:?}");
    let down = Shape::ramp(rate(100.0), rate(0.0), seconds(10.0)).expect("a ramp");
    let due = down.time_of(375).expect("due");
    assert!((due.as_secs_f64() - 5.0).abs() < 1e-6, "{due:?}");
    assert_eq!(down.time_of(500), None);
}

#[test]
fn a_spike_rises_holds_and_falls() {
    let second = Duration::from_secs;
    let spike =
        Spike { base: rate(10.0), peak: rate(110.0), at: second(5), rise: second(2), hold: second(3), fall: second(4) };
    let shape = Shape::spike(&spike);
    for (at, wanted) in [(0, 10.0), (5, 10.0), (6, 60.0), (7, 110.0), (9, 110.0), (12, 60.0), (14, 10.0), (99, 10.0)] {
        let got = shape.rate(second(at));
        assert!((got - wanted).abs() < 1e-9, "{got} at {at} s");
    }
    assert_eq!(shape.length(), None);
    assert_eq!(shape.whole_count(second(14)), 50 + 120 + 330 + 240);
}

#[test]
fn a_walk_is_the_same_again_and_stays_within_bounds() {
    let walk = Walk {
        start: rate(500.0),
        low: rate(100.0),
        high: rate(900.0),
        stride: rate(300.0),
        every: seconds(1.0),
        seed: 7,
        over: seconds(600.0),
    };
    let shape = Shape::random_walk(&walk).expect("a walk");
    assert_eq!(Shape::random_walk(&walk), Ok(shape.clone()));
    let other = Shape::random_walk(&Walk { seed: 8, ..walk }).expect("a walk");
    assert_ne!(shape.rate(seconds(300.0)).to_bits(), other.rate(seconds(300.0)).to_bits());
    let rates: Vec<f64> = (0..600).map(|at| shape.rate(Duration::from_secs(at))).collect();
    assert!(rates.iter().all(|rate| (100.0..=900.0).contains(rate)));
    let (least, most) = rates.iter().fold((f64::MAX, 0.0_f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
    assert!(least < 200.0 && most > 800.0, "it wanders: {least} to {most}");
    let narrow = Walk { start: rate(50.0), ..walk };
    assert!(matches!(Shape::random_walk(&narrow), Err(ShapeError::OutsideWalk { .. })));
    let endless = Walk { over: Duration::from_hours(10_000), ..walk };
    assert!(matches!(Shape::random_walk(&endless), Err(ShapeError::TooManyPieces { .. })));
}

#[test]
fn only_the_last_of_a_chain_may_be_without_end() {
    let steady = Shape::constant(rate(10.0));
    let ramp = Shape::ramp(rate(10.0), rate(20.0), seconds(2.0)).expect("a ramp");
    let chain = Shape::chain("c", &[ramp.clone(), steady.clone()], 1).expect("a chain");
    assert_eq!(chain.length(), None);
    assert_eq!(Shape::chain("c", &[steady.clone(), ramp.clone()], 1), Err(ShapeError::NeverEnds(1)));
    assert_eq!(Shape::chain("c", &[ramp.clone(), steady.clone()], 2), Err(ShapeError::NeverEnds(2)));
    assert_eq!(Shape::chain("c", &[], 1), Err(ShapeError::NoPieces));
    let steady = steady.cut(seconds(3.0)).expect("cut");
    let chain = Shape::chain("c", &[ramp.clone(), steady], 2).expect("a chain");
    assert_eq!(chain.length(), Some(Duration::from_secs(10)));
    assert_eq!(chain.whole_count(Duration::MAX), 120);
    assert!(matches!(ramp.cut(seconds(3.0)), Err(ShapeError::TooLong { .. })));
}

#[test]
fn a_day_compressed_has_the_same_rates() {
    let day = sample();
    let quick = day.clone().compressed(60.0).expect("compressed");
    for minutes in [0, 10, 39, 78] {
        let (slow, fast) = (day.rate(Duration::from_mins(minutes)), quick.rate(Duration::from_secs(minutes)));
        assert!((slow - fast).abs() < 1e-6, "{slow} and {fast}");
    }
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(day.clone().compressed(factor), Err(ShapeError::Compression(_))));
    }
}

proptest! {
    #[test]
    fn the_count_of_a_wave_is_the_integral_of_its_rate(wave in any_wave(), waves in 0.01..3.0_f64) {
        let Curve::Sinusoid { median, period, .. } = wave.pieces[0].curve else { unreachable!() };
        let end = waves * period;
        let counted = wave.count(seconds(end));
        let summed = integral(&wave, 0.0, end);
        prop_assert!(
            (counted - summed).abs() <= 1e-3 + 1e-6 * median.events_per_second() * end,
            "{counted} counted, {summed} summed"
        );
    }

    #[test]
    fn an_event_of_a_wave_is_due_when_the_count_reaches_it(wave in any_wave(), index in 0_u64..2_000_000) {
        let due = wave.time_of(index).expect("a wave has no end");
        let counted = wave.count(due);
        // Times are kept in nanoseconds, and a tenth of a microsecond at the highest rate is 0.004.
        prop_assert!((counted - index as f64).abs() < 0.01, "{counted} at {due:?}");
    }

    #[test]
    fn steps_count_the_integral_and_end_on_time(steps in any_steps()) {
        let shape = Shape::steps(&steps).expect("steps");
        let mut starts = 0.0;
        let mut summed = 0.0;
        for (_, duration) in &steps {
            let ends = starts + duration.as_secs_f64();
            summed += integral(&shape, starts, ends);
            starts = ends;
        }
        let counted = shape.count(shape.length().expect("steps end"));
        prop_assert!((counted - summed).abs() < 1e-3 + 1e-6 * counted, "{counted} for {summed}");
        // The last event is due before the end, and there is none after the count.
        let whole = shape.whole_count(Duration::MAX);
        prop_assert_eq!(shape.time_of(whole), None);
        if let Some(last) = whole.checked_sub(1) {
            prop_assert!(shape.time_of(last) < shape.length());
        }
    }

    #[test]
    fn later_events_are_never_due_earlier(wave in any_wave(), steps in any_steps(), index in 0_u64..100_000) {
        prop_assert!(wave.time_of(index) <= wave.time_of(index + 1));
        let shape = Shape::steps(&steps).expect("steps");
        if let Some(next) = shape.time_of(index + 1) {
            prop_assert!(shape.time_of(index).expect("comes before") <= next);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_shape_counts_the_integral_of_its_rate(shape in any_chain()) {
        let mut summed = 0.0;
        for piece in &shape.pieces {
            summed += integral(&shape, piece.starts, piece.ends);
        }
        let counted = shape.count(shape.length().expect("it ends"));
        prop_assert!((counted - summed).abs() < 1e-3 + 1e-5 * counted, "{counted} for {summed}");
    }

    #[test]
    fn any_shape_sends_as_many_events_as_its_integral_in_order_and_in_time(shape in any_chain()) {
        let length = shape.length().expect("it ends");
        let counted = shape.count(length);
        let mut sent = 0_u64;
        let mut before = Duration::ZERO;
        while let Some(due) = shape.time_of(sent) {
            prop_assert!(due >= before, "event {sent} at {due:?} after {before:?}");
            prop_assert!(due <= length);
            // Due when the count gets there, to a microsecond's worth of events.
            let at = shape.count(due);
            prop_assert!((at - sent as f64).abs() < 0.05, "event {sent} at {due:?}, count {at}");
            before = due;
            sent += 1;
        }
        prop_assert!((sent as f64 - counted).abs() <= 1.0 && sent as f64 >= counted - 1e-3, "{sent} for {counted}");
        prop_assert_eq!(sent, shape.whole_count(Duration::MAX));
    }
}
