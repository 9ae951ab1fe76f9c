//! Serves the exchanges of one recorded moment, as they stand or bent for a test.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use serde_json::Value;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

#[derive(Clone, Deserialize)]
pub struct Exchange {
    pub request: String,
    pub status: u16,
    pub response: Value,
}

pub struct Recorded {
    server: MockServer,
    exchanges: Exchanges,
}

#[derive(Clone)]
struct Exchanges(Arc<Mutex<Vec<Exchange>>>);

impl Recorded {
    pub async fn serve(version: &str, moment: &str) -> Self {
        let exchanges = Exchanges(Arc::new(Mutex::new(read(version, moment))));
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(exchanges.clone()).mount(&server).await;
        Self { server, exchanges }
    }

    /// Time passes: another moment, which must be of the same cluster.
    pub fn play(&self, version: &str, moment: &str) {
        self.play_with(version, moment, |_| {});
    }

    /// Another moment, bent.
    pub fn play_with(&self, version: &str, moment: &str, mut bend: impl FnMut(&mut Exchange)) {
        let mut exchanges = read(version, moment);
        exchanges.iter_mut().for_each(&mut bend);
        *self.exchanges.0.lock().unwrap() = exchanges;
    }

    /// Exchanges that come before the ones that are there.
    pub fn add(&self, version: &str, moment: &str, mut bend: impl FnMut(&mut Exchange)) {
        let mut exchanges = read(version, moment);
        exchanges.iter_mut().for_each(&mut bend);
        let mut all = self.exchanges.0.lock().unwrap();
        exchanges.append(&mut all);
        *all = exchanges;
    }

    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// The id of the recorded job.
    pub fn job(&self) -> String {
        let exchanges = self.exchanges.0.lock().unwrap();
        let after = exchanges.iter().filter_map(|exchange| exchange.request.split_once("/jobs/"));
        let mut ids = after.map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
        ids.find(|id| id.len() == 32).expect("the recording is about a job").to_owned()
    }

    /// Everything that was asked.
    pub async fn asked(&self) -> Vec<String> {
        self.server.received_requests().await.unwrap().iter().map(line).collect()
    }

    /// Everything that was sent.
    pub async fn bodies(&self) -> Vec<String> {
        let requests = self.server.received_requests().await.unwrap();
        requests
            .iter()
            .map(|request| String::from_utf8(request.body.clone()).unwrap())
            .filter(|b| !b.is_empty())
            .collect()
    }
}

impl Respond for Exchanges {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked = line(request);
        let exchanges = self.0.lock().unwrap();
        if let Some(exchange) = exchanges.iter().find(|exchange| exchange.request == asked) {
            return ResponseTemplate::new(exchange.status).set_body_json(&exchange.response);
        }
        // As Flink answers a path that it does not know.
        let message = format!("Unable to load requested file {}.", request.url.path());
        ResponseTemplate::new(404).set_body_json(serde_json::json!({"errors": [message]}))
    }
}

fn line(request: &Request) -> String {
    let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{} {}{query}", request.method, request.url.path())
}

fn read(version: &str, moment: &str) -> Vec<Exchange> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/recordings");
    let file = folder.join(format!("flink-{version}/{moment}.json"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
