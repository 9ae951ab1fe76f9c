//! The client against servers that are not Flink, or not ready, and options that name none.

use std::time::Duration;

use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, method, path},
};

use super::client;
use crate::flink::{Client, FlinkOptions};

/// One answer to everything.
async fn always(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn what_is_not_flink_or_not_ready() {
    let html = "<!doctype html>\n<html><body>It works!</body></html>";
    for (answer, kind, part) in [
        (ResponseTemplate::new(200).set_body_string(html), "bad_answer", "begins with `<!doctype html>`"),
        (ResponseTemplate::new(200).set_body_string(r#"[{"key": "a"#), "bad_answer", "not Flink's"),
        (ResponseTemplate::new(200).set_body_string(""), "bad_answer", "EOF"),
        (ResponseTemplate::new(200).set_body_string("{}"), "bad_answer", "not Flink's"),
        (ResponseTemplate::new(404).set_body_string(html), "http_status", "404"),
        (ResponseTemplate::new(302).insert_header("location", "http://elsewhere"), "http_status", "302"),
        (
            ResponseTemplate::new(503).set_body_string(
                r#"{"errors":["Service temporarily unavailable due to an ongoing leader election. Please refresh."]}"#,
            ),
            "unavailable",
            "leader election",
        ),
        (ResponseTemplate::new(200).set_delay(Duration::from_secs(5)), "timeout", "within 2s"),
    ] {
        let server = always(answer).await;
        let error = client(&server.uri()).observe(false).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let message = error.to_string();
        assert!(message.contains(part) && message.contains(&server.uri()) && !message.contains('\n'), "{message}");
        if kind != "unavailable" {
            assert!(message.contains("--flink-url"), "{message}");
        }
    }
    // A proxy's own 404 says nothing about a checkpoint.
    let server = always(ResponseTemplate::new(404).set_body_string(html)).await;
    assert_eq!(client(&server.uri()).checkpoint("a", "b").await.unwrap_err().kind(), "http_status");
    let error = client("http://127.0.0.1:9").observe(false).await.unwrap_err();
    assert_eq!(error.kind(), "unreachable");
    assert!(error.to_string().contains("refused") && error.to_string().contains("--flink-url"), "{error}");
}

#[tokio::test]
async fn a_reply_without_end_is_cut_off() {
    let server = always(ResponseTemplate::new(200).set_body_bytes(vec![b' '; 17 * 1024 * 1024])).await;
    let error = client(&server.uri()).settings().await.unwrap_err();
    assert!(["bad_answer", "timeout"].contains(&error.kind()), "{error}");
}

#[tokio::test]
async fn a_path_before_the_api_is_kept_and_ids_are_escaped() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/proxy/flink/jobs/..%2Fa%3Fb/checkpoints"))
        .respond_with(ResponseTemplate::new(202).set_body_string("{}"))
        .mount(&server)
        .await;
    for url in [format!("{}/proxy/flink", server.uri()), format!("{}/proxy/flink/", server.uri())] {
        client(&url).trigger_checkpoint("../a?b", "0").await.unwrap();
    }
}

#[test]
fn bad_options_are_refused_with_the_flag_and_what_was_seen() {
    for (url, part) in [
        ("", "relative URL"),
        ("localhost:8081", "the scheme is localhost"),
        ("ftp://a", "the scheme is ftp"),
        ("https://a:8081", "--flink-ca"),
        ("http://me:secret@a", "user name or password"),
        ("http://a?b=c", "query"),
        ("http://", "empty host"),
    ] {
        let options = FlinkOptions { url: url.into(), tls: None, timeout: Duration::from_secs(1) };
        let message = Client::new(&options).unwrap_err().to_string();
        assert!(message.contains("--flink-url") && message.contains(part), "{url}: {message}");
    }
    let options = FlinkOptions { url: "http://a".into(), tls: None, timeout: Duration::ZERO };
    assert!(Client::new(&options).unwrap_err().to_string().contains("--request-timeout"));
}
