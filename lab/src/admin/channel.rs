//! One controller, as far as a single call goes.

use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::pravega::Security;

/// How long one call may take. The first scope on a fresh cluster takes seconds.
const LIMIT_OF_A_CALL: Duration = Duration::from_secs(15);

/// A controller and, with users, what to show it.
#[derive(Debug, Clone)]
pub struct Controller {
    channel: Channel,
    authorization: Option<AsciiMetadataValue>,
}

impl Controller {
    /// `None` for an address that is none. Connects when first used.
    pub fn new(address: &str, security: Option<&Security>) -> Option<Self> {
        let host = address.split_once("://").map_or(address, |(_, host)| host);
        let scheme = if security.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{host}")).ok()?;
        let mut authorization = None;
        if let Some(security) = security {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(security.ca()));
            endpoint = endpoint.tls_config(tls).ok()?;
            authorization = Some(format!("Basic {}", security.admin_token()).parse().ok()?);
        }
        let channel = endpoint.connect_timeout(Duration::from_secs(2)).timeout(LIMIT_OF_A_CALL).connect_lazy();
        Some(Self { channel, authorization })
    }

    /// One call, once.
    pub async fn call<Q, A>(&self, call: &str, request: Q) -> Result<A, Status>
    where
        Q: prost::Message + Clone + Default + 'static,
        A: prost::Message + Default + 'static,
    {
        let path = format!("/io.pravega.controller.stream.api.grpc.v1.ControllerService/{call}");
        let path = PathAndQuery::try_from(path).map_err(|error| Status::internal(error.to_string()))?;
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        let mut request = Request::new(request);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        let exchange = async {
            client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            client.unary(request, path, ProstCodec::<Q, A>::default()).await
        };
        match tokio::time::timeout(LIMIT_OF_A_CALL, exchange).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("no answer")),
        }
    }
}
