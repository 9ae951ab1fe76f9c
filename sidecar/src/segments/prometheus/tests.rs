//! Prometheus as it answers, as it fails, and as it may mislead.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use sluice_core::{Segments, StreamName};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, path, query_param},
};

use super::{Credentials, DEFAULT_QUERY, Prometheus, PrometheusOptions, Sample};

const SELECTOR: &str = r#"pravega_controller_segments_count{scope="dna",stream="reads"}"#;

fn options(url: &str) -> PrometheusOptions {
    PrometheusOptions {
        url: url.into(),
        query: DEFAULT_QUERY.into(),
        streams: 1,
        ca_certificate: None,
        tls_server_name: None,
        credentials: Credentials::None,
        timeout: Duration::from_secs(1),
    }
}

fn stream() -> StreamName {
    StreamName { scope: "dna".into(), stream: "reads".into() }
}

fn vector(values: &[(&str, &str)]) -> Value {
    let series: Vec<_> = values
        .iter()
        .map(|(host, value)| json!({ "metric": { "job": "pravega", "host": host }, "value": [1000.5, value] }))
        .collect();
    json!({ "status": "success", "data": { "resultType": "vector", "result": series } })
}

async fn answers(server: &MockServer, query: &str, status: u16, body: &Value) {
    Mock::given(path("/api/v1/query"))
        .and(query_param("query", query))
        .respond_with(ResponseTemplate::new(status).set_body_json(body))
        .mount(server)
        .await;
}

/// What comes of a value and of the time of its sample; Prometheus' own clock says 1000.5.
async fn read(value: &Value, at: &Value) -> Result<Sample, (&'static str, String)> {
    let server = MockServer::start().await;
    answers(&server, SELECTOR, 200, value).await;
    answers(&server, &format!("timestamp({SELECTOR})"), 200, at).await;
    let prometheus = Prometheus::new(options(&server.uri())).unwrap();
    prometheus.segments(&stream()).await.map_err(|error| (error.kind(), error.to_string()))
}

#[tokio::test]
async fn one_sample_with_its_age_by_the_clock_of_prometheus() {
    let sample = read(&vector(&[("a", "4")]), &vector(&[("a", "988")])).await.unwrap();
    assert_eq!(sample, Sample { segments: Segments(4), age: Duration::from_millis(12_500) });
    let sample = read(&vector(&[("a", "1")]), &vector(&[("a", "1001")])).await.unwrap();
    assert_eq!(sample.age, Duration::ZERO, "one from the future is of now");
}

#[tokio::test]
async fn what_is_not_one_whole_number_is_no_number() {
    for (values, kind, parts) in [
        (&[][..], "no_series", &["dna/reads", SELECTOR, "--pravega-controller"][..]),
        (&[("a", "4"), ("b", "1")], "several_series", &["2 series", r#"{host="a"} says 4, {host="b"} says 1"#]),
        (&[("a", "4"), ("b", "4")], "several_series", &["2 series"]),
        (&[("a", "NaN")], "bad_value", &["NaN"]),
        (&[("a", "+Inf")], "bad_value", &["inf"]),
        (&[("a", "-1")], "bad_value", &["-1"]),
        (&[("a", "0")], "bad_value", &["0 segments"]),
        (&[("a", "2.5")], "bad_value", &["2.5"]),
        (&[("a", "4294967296")], "bad_value", &["4294967296"]),
        (&[("a", "four")], "bad_answer", &["`four` is no number"]),
    ] {
        let times: Vec<_> = values.iter().map(|(host, _)| (*host, "1000")).collect();
        let (found, message) = read(&vector(values), &vector(&times)).await.unwrap_err();
        assert_eq!(found, kind, "{message}");
        for part in parts {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}

#[tokio::test]
async fn what_is_no_vector_of_prometheus_is_told_apart() {
    for (status, body, kind, part) in [
        (
            200,
            json!({ "status": "success", "data": { "resultType": "scalar", "result": [1.0, "4"] } }),
            "bad_answer",
            "scalar",
        ),
        (200, json!({ "status": "error", "error": "no" }), "bad_answer", "no"),
        (200, json!({ "status": "success" }), "bad_answer", "no data"),
        (200, json!("hello"), "bad_answer", "hello"),
        (
            400,
            json!({ "status": "error", "errorType": "bad_data", "error": "parse error" }),
            "bad_query",
            "parse error",
        ),
        (422, json!({ "status": "error", "error": "many-to-many" }), "bad_query", "--prometheus-query"),
        (400, json!("HTTP to HTTPS"), "http_status", "HTTP to HTTPS"),
        (401, json!("who?"), "unauthenticated", "--prometheus-username"),
        (403, json!("no"), "permission_denied", "queries"),
        (404, json!("page"), "http_status", "404"),
        (503, json!({ "status": "error", "error": "not ready" }), "http_status", "not ready"),
    ] {
        let server = MockServer::start().await;
        Mock::given(path("/api/v1/query"))
            .respond_with(ResponseTemplate::new(status).set_body_json(&body))
            .mount(&server)
            .await;
        let error = Prometheus::new(options(&server.uri())).unwrap().segments(&stream()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn a_rotated_token_is_used_at_once_and_a_path_before_the_api_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let server = MockServer::start().await;
    for (token, segments) in [("first", "2"), ("second", "3")] {
        Mock::given(path("/behind/a/proxy/api/v1/query"))
            .and(header("authorization", format!("Bearer {token}").as_str()))
            .respond_with(ResponseTemplate::new(200).set_body_json(vector(&[("a", segments)])))
            .mount(&server)
            .await;
    }
    fs::write(&token_file, "first\n").unwrap();
    let credentials = Credentials::Bearer { token_file: token_file.clone() };
    let url = format!("{}/behind/a/proxy/", server.uri());
    let prometheus = Prometheus::new(PrometheusOptions { credentials, ..options(&url) }).unwrap();
    assert_eq!(prometheus.segments(&stream()).await.unwrap().segments, Segments(2));
    fs::write(&token_file, "second\n").unwrap();
    assert_eq!(prometheus.segments(&stream()).await.unwrap().segments, Segments(3));
    fs::write(&token_file, "").unwrap();
    let error = prometheus.segments(&stream()).await.unwrap_err();
    assert!(error.kind() == "credentials" && error.to_string().contains("--prometheus-token-file"), "{error}");
}

#[tokio::test]
async fn nobody_and_nothing_answers() {
    let error = Prometheus::new(options("http://127.0.0.1:1")).unwrap().segments(&stream()).await.unwrap_err();
    assert!(error.kind() == "unreachable" && error.to_string().contains("--prometheus-url"), "{error}");
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/query"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(5)))
        .mount(&server)
        .await;
    let error = Prometheus::new(options(&server.uri())).unwrap().segments(&stream()).await.unwrap_err();
    assert_eq!(error.kind(), "timeout", "{error}");
}

#[test]
fn bad_options_are_refused_with_the_flag_and_what_was_seen() {
    for (options, part) in [
        (options("prometheus:9090"), "the scheme is prometheus"),
        (options("https://p"), "--prometheus-ca"),
        (PrometheusOptions { ca_certificate: Some("/nowhere/ca".into()), ..options("http://p") }, "https://"),
        (PrometheusOptions { ca_certificate: Some("/nowhere/ca".into()), ..options("https://p") }, "/nowhere/ca"),
        (PrometheusOptions { query: " ".into(), ..options("http://p") }, "--prometheus-query"),
        (PrometheusOptions { query: "x".into(), streams: 2, ..options("http://p") }, "$stream"),
        (PrometheusOptions { timeout: Duration::ZERO, ..options("http://p") }, "--request-timeout"),
    ] {
        let message = Prometheus::new(options).unwrap_err().to_string();
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn names_are_escaped_in_the_query() {
    let name = StreamName { scope: "a\"b".into(), stream: "c\\d".into() };
    let query = super::query_for(DEFAULT_QUERY, &name);
    assert_eq!(query, r#"pravega_controller_segments_count{scope="a\"b",stream="c\\d"}"#);
}
