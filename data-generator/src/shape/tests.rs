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
    assert!(wave(1.0, 1.0, 0.0, 0.0).contains("--period"));
    assert!(wave(1.0, 2.0, 1.0, 0.0).contains("--amplitude 2/s is above --median 1/s"));
    assert!(wave(1.0, 1.0, 1.0, f64::NAN).contains("--phase"));
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
