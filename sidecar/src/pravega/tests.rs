//! The client against controllers that behave, lie, die and stay silent.

mod fake;

use std::{
    fs,
    time::{Duration, Instant},
};

use sluice_core::{Segments, StreamName, StreamShape};
use tonic::{Code, Status};

use self::fake::{Authority, Fake, Script};
use super::{Controller, ControllerError, ControllerOptions, Credentials, Failure};

fn stream() -> StreamName {
    StreamName { scope: "dna".into(), stream: "reads".into() }
}

fn options(addresses: &[&str]) -> ControllerOptions {
    ControllerOptions {
        addresses: addresses.iter().map(ToString::to_string).collect(),
        timeout: Duration::from_secs(1),
        ..ControllerOptions::default()
    }
}

fn controller(addresses: &[&str]) -> Controller {
    Controller::new(options(addresses)).unwrap()
}

/// How long a call takes, by the real clock: that is what it is about.
#[expect(clippy::disallowed_methods, reason = "measures a call")]
async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    let value = call.await;
    (value, begun.elapsed())
}

fn shape(segments: u32, epoch: u32) -> StreamShape {
    StreamShape { segments: Segments(segments), epoch: Some(epoch) }
}

#[tokio::test]
async fn segments_and_epoch_of_a_stream() {
    let fake = Fake::start(Script::Segments { count: 4, epoch: 3 });
    let controller = controller(&[&fake.address]);
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(4, 3));
    fake.play(Script::Segments { count: 0, epoch: 0 });
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(0, 0), "a sealed stream has no open segment");
    assert_eq!(fake.asked_for(), vec![("dna".to_owned(), "reads".to_owned()); 2]);
}

#[tokio::test]
async fn a_controller_that_is_away_costs_nothing_once_another_answered() {
    let silent = fake::silent_listener().await;
    let fake = Fake::start(Script::Segments { count: 2, epoch: 1 });
    let controller = controller(&[&silent.address, &fake.address]);
    let (first, took) = timed(controller.shape(&stream())).await;
    assert_eq!(first.unwrap(), shape(2, 1));
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    for _ in 0..3 {
        let (again, took) = timed(controller.shape(&stream())).await;
        assert_eq!(again.unwrap(), shape(2, 1));
        assert!(took < Duration::from_secs(1), "the silent one was asked again: {took:?}");
    }
}

#[tokio::test]
async fn the_other_way_round_when_the_good_one_dies() {
    let one = Fake::start(Script::Segments { count: 1, epoch: 0 });
    let two = Fake::start(Script::Segments { count: 2, epoch: 1 });
    let controller = controller(&[&one.address, &two.address]);
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(1, 0));
    one.kill();
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(2, 1));
    let one = one.restart(Script::Segments { count: 3, epoch: 2 });
    two.kill();
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(3, 2), "it is tried again at its old address");
    drop(one);
}

#[tokio::test]
async fn a_controller_that_restarted_between_two_looks_is_not_a_failure() {
    let fake = Fake::start(Script::Segments { count: 1, epoch: 0 });
    let controller = controller(&[&fake.address]);
    controller.shape(&stream()).await.unwrap();
    fake.kill();
    let fake = fake.restart(Script::Segments { count: 2, epoch: 1 });
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(2, 1));
    drop(fake);
}

#[tokio::test]
async fn the_deadline_holds_whatever_the_peer_does() {
    let never_accepts_grpc = fake::silent_listener().await;
    let never_answers = Fake::start(Script::Hang);
    let controller = controller(&[&never_accepts_grpc.address, &never_answers.address]);
    for _ in 0..2 {
        let (outcome, took) = timed(controller.shape(&stream())).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), "timeout");
        let message = error.to_string();
        for part in ["dna/reads", &never_accepts_grpc.address, &never_answers.address, "1s", "--pravega-controller"] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let address = fake::dead_address().await;
    let (outcome, took) = timed(controller(&[&address]).shape(&stream())).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), "unreachable");
    assert!(error.to_string().contains("refused") && error.to_string().contains(&address), "{error}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn a_host_that_does_not_exist() {
    let error = controller(&["tcp://no-such-host.invalid:9090"]).shape(&stream()).await.unwrap_err();
    assert!(["unreachable", "timeout"].contains(&error.kind()), "{error}");
    assert!(error.to_string().contains("tcp://no-such-host.invalid:9090"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_told_apart() {
    let fake = Fake::start(Script::NoStream { scope_exists: true });
    let controller = controller(&[&fake.address]);
    let error = controller.shape(&stream()).await.unwrap_err();
    assert!(matches!(error, ControllerError::NoSuchStream { .. }), "{error}");
    assert!(error.to_string().contains("--stream reads"), "{error}");
    fake.play(Script::NoStream { scope_exists: false });
    let error = controller.shape(&stream()).await.unwrap_err();
    assert!(matches!(error, ControllerError::NoSuchScope { .. }), "{error}");
    assert!(error.to_string().contains("--scope dna"), "{error}");
}

#[tokio::test]
async fn an_answer_about_the_stream_is_final_but_a_sick_controller_is_not() {
    let sick = Fake::start(Script::Refuse(Status::internal("zookeeper session\nlost")));
    let well = Fake::start(Script::Segments { count: 2, epoch: 1 });
    let controller = controller(&[&sick.address, &well.address]);
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(2, 1));
    well.play(Script::Refuse(Status::permission_denied("not yours")));
    let error = controller.shape(&stream()).await.unwrap_err();
    assert_eq!(error.kind(), "permission_denied");
    assert!(error.to_string().contains("dna/reads"), "{error}");
    well.play(Script::Refuse(Status::unavailable("starting")));
    let error = controller.shape(&stream()).await.unwrap_err();
    let ControllerError::NoAnswer { tried, .. } = &error else { panic!("{error}") };
    let failures: Vec<_> = tried.iter().map(|attempt| attempt.failure.clone()).collect();
    let refused = |code, message: &str| Failure::Refused { code, message: message.into() };
    assert_eq!(
        failures,
        [refused(Code::Unavailable, "starting"), refused(Code::Internal, "zookeeper session")],
        "one line each"
    );
    assert_eq!(error.kind(), "internal");
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for (script, kind) in [
        (Script::Garbage(vec![0x0a, 0xff, 0xff, 0xff]), "internal"),
        // A segment without an id.
        (Script::Garbage(vec![0x0a, 0x00]), "bad_answer"),
        (Script::Refuse(Status::unimplemented("")), "bad_answer"),
    ] {
        let fake = Fake::start(script);
        let error = controller(&[&fake.address]).shape(&stream()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(&fake.address), "{error}");
    }
}

#[tokio::test]
async fn a_port_that_speaks_something_else_is_explained() {
    let web = fake::http1_listener().await;
    let error = controller(&[&web.address]).shape(&stream()).await.unwrap_err();
    assert_eq!(error.kind(), "unreachable");
    assert!(error.to_string().contains("gRPC port"), "{error}");
}

#[tokio::test]
async fn credentials_are_sent_and_a_rotated_password_is_used_at_once() {
    let fake = Fake::start(Script::Segments { count: 1, epoch: 0 });
    let folder = tempfile::tempdir().unwrap();
    let password_file = folder.path().join("password");
    fs::write(&password_file, "one\n").unwrap();
    let credentials = Credentials::Basic { username: "me".into(), password_file: password_file.clone() };
    let controller = Controller::new(ControllerOptions { credentials, ..options(&[&fake.address]) }).unwrap();
    controller.shape(&stream()).await.unwrap();
    fs::write(&password_file, "two\n").unwrap();
    controller.shape(&stream()).await.unwrap();
    assert_eq!(fake.authorizations(), ["Basic bWU6b25l", "Basic bWU6dHdv"]);

    fake.play(Script::Refuse(Status::unauthenticated("bad password")));
    let error = controller.shape(&stream()).await.unwrap_err();
    assert_eq!(error.kind(), "unauthenticated");
    assert!(error.to_string().contains("--pravega-username"), "{error}");
    fs::remove_file(&password_file).unwrap();
    assert_eq!(controller.shape(&stream()).await.unwrap_err().kind(), "credentials");

    let token_file = folder.path().join("token");
    fs::write(&token_file, "abc\n").unwrap();
    fake.play(Script::Segments { count: 1, epoch: 0 });
    let credentials = Credentials::Bearer { token_file };
    let controller = Controller::new(ControllerOptions { credentials, ..options(&[&fake.address]) }).unwrap();
    controller.shape(&stream()).await.unwrap();
    assert_eq!(fake.authorizations().last().unwrap(), "Bearer abc");
}

#[tokio::test]
async fn encrypted() {
    let authority = Authority::new();
    let fake = Fake::start_tls(Script::Segments { count: 2, epoch: 1 }, &authority.issue("localhost"));
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let address = fake.address_as("tls", "localhost");
    let encrypted = |address: &str| ControllerOptions { ca_certificate: Some(ca.clone()), ..options(&[address]) };

    let controller = Controller::new(encrypted(&address)).unwrap();
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(2, 1));

    // The certificate is for another name than the address has, until the right one is given.
    let by_number = fake.address_as("tls", "127.0.0.1");
    let error = Controller::new(encrypted(&by_number)).unwrap().shape(&stream()).await.unwrap_err();
    assert_eq!(error.kind(), "tls");
    assert!(error.to_string().contains("--pravega-tls-server-name"), "{error}");
    let named = ControllerOptions { tls_server_name: Some("localhost".into()), ..encrypted(&by_number) };
    assert_eq!(Controller::new(named).unwrap().shape(&stream()).await.unwrap(), shape(2, 1));

    // Another authority than the one that signed; mended by a new file, without a restart.
    fs::write(&ca, Authority::new().pem()).unwrap();
    let controller = Controller::new(encrypted(&address)).unwrap();
    let error = controller.shape(&stream()).await.unwrap_err();
    assert_eq!(error.kind(), "tls");
    assert!(
        error.to_string().contains("TLS: invalid peer certificate") && error.to_string().contains("--pravega-ca"),
        "{error}"
    );
    fs::write(&ca, authority.pem()).unwrap();
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(2, 1));
    fs::remove_file(&ca).unwrap();
    assert_eq!(controller.shape(&stream()).await.unwrap(), shape(2, 1), "the connection that stands is kept");
}

#[tokio::test]
async fn encrypted_on_one_side_only() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();

    let plain = Fake::start(Script::Segments { count: 1, epoch: 0 });
    let options_tls =
        ControllerOptions { ca_certificate: Some(ca), ..options(&[&plain.address_as("tls", "localhost")]) };
    let error = Controller::new(options_tls).unwrap().shape(&stream()).await.unwrap_err();
    assert_eq!(error.kind(), "tls", "{error}");

    let encrypted = Fake::start_tls(Script::Segments { count: 1, epoch: 0 }, &authority.issue("localhost"));
    let error = controller(&[&encrypted.address_as("tcp", "localhost")]).shape(&stream()).await.unwrap_err();
    assert!(["unreachable", "timeout"].contains(&error.kind()), "{error}");
    assert!(error.to_string().contains("tcp://localhost:"), "{error}");
}

#[test]
fn a_certificate_file_that_cannot_be_used_is_named_with_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        file
    };
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (ca, part) in [
        (folder.path().join("missing.pem"), "No such file"),
        (folder.path().to_path_buf(), "not a regular file"),
        (file("empty.pem", ""), "holds no certificate"),
        (file("text.pem", "hello"), "holds no certificate"),
        (file("broken.pem", broken), "broken certificate"),
        (file("half.pem", "-----BEGIN CERTIFICATE-----\nAAAA"), "not a PEM file"),
    ] {
        let options = ControllerOptions { ca_certificate: Some(ca.clone()), ..options(&["tls://a:9090"]) };
        let message = Controller::new(options).unwrap_err().to_string();
        assert!(message.contains("--pravega-ca") && message.contains(part), "{message}");
        assert!(message.contains(&ca.display().to_string()), "{message}");
    }
    let good = file("good.pem", &Authority::new().pem());
    let named = |name: &str| {
        let options = options(&["tls://a:9090"]);
        let name = Some(name.into());
        Controller::new(ControllerOptions { ca_certificate: Some(good.clone()), tls_server_name: name, ..options })
    };
    named("pravega.example").unwrap();
    let message = named("not a name").unwrap_err().to_string();
    assert!(message.contains("--pravega-tls-server-name"), "{message}");
}
