//! A controller that does as it is told, and listeners that are none.

use std::{
    convert::Infallible,
    future::pending,
    marker::PhantomData,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use prost::{Message, bytes::BufMut as _};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{Codec, EncodeBuf, Encoder},
    codegen::{BoxFuture, Service},
    server::{Grpc, NamedService, UnaryService},
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use crate::pravega::rpc::{Exists, ScopeInfo, SegmentId, SegmentRange, SegmentRanges, StreamInfo};

/// What the controller does when it is asked for segments.
#[derive(Clone)]
pub enum Script {
    Segments { count: u32, epoch: u32 },
    NoStream { scope_exists: bool },
    Refuse(Status),
    Garbage(Vec<u8>),
    Hang,
}

#[derive(Clone)]
struct Stage {
    script: Arc<Mutex<Script>>,
    asked_for: Arc<Mutex<Vec<(String, String)>>>,
    authorizations: Arc<Mutex<Vec<String>>>,
}

pub struct Fake {
    pub address: String,
    at: SocketAddr,
    stage: Stage,
    running: Mutex<Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Fake {
    pub fn start(script: Script) -> Self {
        Self::at("127.0.0.1:0", script, None)
    }

    pub fn start_tls(script: Script, identity: &Identity) -> Self {
        Self::at("127.0.0.1:0", script, Some(identity.clone()))
    }

    fn at(at: &str, script: Script, identity: Option<Identity>) -> Self {
        let listener = std::net::TcpListener::bind(at).unwrap();
        listener.set_nonblocking(true).unwrap();
        let at = listener.local_addr().unwrap();
        let stage =
            Stage { script: Arc::new(Mutex::new(script)), asked_for: Arc::default(), authorizations: Arc::default() };
        let (stop, stopped) = oneshot::channel::<()>();
        let service = ControllerService(stage.clone());
        // In a runtime of its own: with it go all its connections at once, like those of a process
        // that is killed.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap());
                let mut server = Server::builder();
                if let Some(identity) = identity {
                    server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
                }
                tokio::select! {
                    _ = server.add_service(service).serve_with_incoming(incoming) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address: format!("tcp://{at}"), at, stage, running: Mutex::new(Some((stop, thread))) }
    }

    pub fn kill(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some((stop, thread)) = running {
            drop(stop);
            thread.join().unwrap();
        }
    }

    pub fn restart(&self, script: Script) -> Self {
        self.kill();
        Self::at(&self.at.to_string(), script, None)
    }

    pub fn play(&self, script: Script) {
        *self.stage.script.lock().unwrap() = script;
    }

    pub fn address_as(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.at.port())
    }

    pub fn asked_for(&self) -> Vec<(String, String)> {
        self.stage.asked_for.lock().unwrap().clone()
    }

    pub fn authorizations(&self) -> Vec<String> {
        self.stage.authorizations.lock().unwrap().clone()
    }
}

#[derive(Clone)]
struct ControllerService(Stage);

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
        let stage = self.0.clone();
        Box::pin(async move {
            Ok(match request.uri().path().rsplit('/').next() {
                Some("getCurrentSegments") => Grpc::new(Raw::default()).unary(CurrentSegments(stage), request).await,
                Some("checkScopeExists") => Grpc::new(Raw::default()).unary(ScopeExists(stage), request).await,
                other => panic!("nobody should ask for {other:?}"),
            })
        })
    }
}

struct CurrentSegments(Stage);

impl UnaryService<StreamInfo> for CurrentSegments {
    type Response = Vec<u8>;
    type Future = BoxFuture<Response<Vec<u8>>, Status>;

    fn call(&mut self, request: Request<StreamInfo>) -> Self::Future {
        let stage = &self.0;
        if let Some(value) = request.metadata().get("authorization") {
            stage.authorizations.lock().unwrap().push(value.to_str().unwrap().to_owned());
        }
        let asked = request.into_inner();
        stage.asked_for.lock().unwrap().push((asked.scope, asked.stream));
        let script = stage.script.lock().unwrap().clone();
        Box::pin(async move {
            match script {
                Script::Segments { count, epoch } => Ok(Response::new(ranges(count, epoch).encode_to_vec())),
                Script::NoStream { .. } => Err(Status::not_found("Stream not found")),
                Script::Refuse(status) => Err(status),
                Script::Garbage(bytes) => Ok(Response::new(bytes)),
                Script::Hang => pending().await,
            }
        })
    }
}

struct ScopeExists(Stage);

impl UnaryService<ScopeInfo> for ScopeExists {
    type Response = Vec<u8>;
    type Future = BoxFuture<Response<Vec<u8>>, Status>;

    fn call(&mut self, _: Request<ScopeInfo>) -> Self::Future {
        let exists = matches!(*self.0.script.lock().unwrap(), Script::NoStream { scope_exists: true });
        Box::pin(async move { Ok(Response::new(Exists { exists }.encode_to_vec())) })
    }
}

fn ranges(count: u32, epoch: u32) -> SegmentRanges {
    let share = 1.0 / f64::from(count);
    let range = |i: u32| SegmentRange {
        id: Some(SegmentId { id: i64::from(epoch) << 32 | i64::from(i) }),
        min_key: f64::from(i) * share,
        max_key: f64::from(i + 1) * share,
    };
    SegmentRanges { ranges: (0..count).map(range).collect() }
}

/// Answers whatever bytes it is given.
struct Raw<Q>(PhantomData<Q>);

impl<Q> Default for Raw<Q> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Q: Message + Default + 'static> Codec for Raw<Q> {
    type Encode = Vec<u8>;
    type Decode = Q;
    type Encoder = Bytes;
    type Decoder = <ProstCodec<Exists, Q> as Codec>::Decoder;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<Exists, Q>::default().decoder()
    }
}

struct Bytes;

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, bytes: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&bytes);
        Ok(())
    }
}

/// Somebody who listens and is no controller.
pub struct Listener {
    pub address: String,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes connections and never says a word.
pub async fn silent_listener() -> Listener {
    listener(|mut connection| async move {
        let mut sink = [0; 1024];
        while connection.read(&mut sink).await.is_ok_and(|n| n > 0) {}
    })
    .await
}

/// A web server of the old kind.
pub async fn http1_listener() -> Listener {
    listener(|mut connection| async move {
        let mut sink = [0; 1024];
        let _ = connection.read(&mut sink).await;
        let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await
}

async fn listener<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Listener
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection));
        }
    });
    Listener { address, task }
}

/// An address at which nobody listens.
pub async fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}

/// A certificate authority made for one test.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        Identity::from_pem(certificate.pem(), key.serialize_pem())
    }
}
