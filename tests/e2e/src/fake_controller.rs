//! A Pravega controller that says of every stream what a test wants it to say, and can be away. It speaks as
//! much of the real service as the agent uses.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use anyhow::Result;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

/// The controller. Away when dropped.
#[derive(Debug)]
pub struct FakeController {
    address: SocketAddr,
    segments: Arc<AtomicU32>,
    serving: Option<JoinHandle<()>>,
}

impl FakeController {
    /// Starts with streams of so many segments.
    pub async fn start(segments: u32) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut this =
            Self { address: listener.local_addr()?, segments: Arc::new(AtomicU32::new(segments)), serving: None };
        this.serve(listener);
        Ok(this)
    }

    /// Where it listens, as `--pravega-controller` takes it.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// From now on each stream has so many segments.
    pub fn set_segments(&self, segments: u32) {
        self.segments.store(segments, Ordering::Relaxed);
    }

    /// Nobody listens any more, and connections are cut.
    pub async fn leave(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Listens again where it did before.
    pub async fn come_back(&mut self) -> Result<()> {
        self.leave().await;
        let listener = TcpListener::bind(self.address).await?;
        self.serve(listener);
        Ok(())
    }

    fn serve(&mut self, listener: TcpListener) {
        let service = ControllerService(self.segments.clone());
        self.serving = Some(tokio::spawn(async move {
            // A connection lives as long as the server asks for no other.
            let server = Server::builder().max_connection_age(std::time::Duration::from_secs(1));
            let _ = server.clone().add_service(service).serve_with_incoming(TcpIncoming::from(listener)).await;
        }));
    }
}

impl Drop for FakeController {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

#[derive(Clone)]
struct ControllerService(Arc<AtomicU32>);

impl NamedService for ControllerService {
    const NAME: &'static str = "io.pravega.controller.stream.api.grpc.v1.ControllerService";
}

impl Service<http::Request<Body>> for ControllerService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let segments = CurrentSegments(self.0.load(Ordering::Relaxed));
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(segments, request).await) })
    }
}

struct CurrentSegments(u32);

impl UnaryService<StreamInfo> for CurrentSegments {
    type Response = SegmentRanges;
    type Future = BoxFuture<Response<SegmentRanges>, Status>;

    fn call(&mut self, _: Request<StreamInfo>) -> Self::Future {
        let (count, share) = (self.0, 1.0 / f64::from(self.0));
        let range = |i: u32| SegmentRange {
            id: Some(SegmentId { id: i64::from(i) }),
            min_key: f64::from(i) * share,
            max_key: f64::from(i + 1) * share,
        };
        let ranges = (0..count).map(range).collect();
        Box::pin(async move { Ok(Response::new(SegmentRanges { ranges })) })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct StreamInfo {
    #[prost(string, tag = "1")]
    scope: String,
    #[prost(string, tag = "2")]
    stream: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SegmentRanges {
    #[prost(message, repeated, tag = "1")]
    ranges: Vec<SegmentRange>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct SegmentRange {
    #[prost(message, optional, tag = "1")]
    id: Option<SegmentId>,
    #[prost(double, tag = "2")]
    min_key: f64,
    #[prost(double, tag = "3")]
    max_key: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
struct SegmentId {
    #[prost(int64, tag = "2")]
    id: i64,
}
