//! The two calls of Pravega's controller service that the agent makes, written by hand from the
//! service's definition: only the fields that are needed, and no build step.

use std::{error::Error, io};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION, uri::PathAndQuery};
use sluice_core::{Segments, StreamName, StreamShape};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{ConfigError, Failure, address::Address, tls};
use crate::{http_peer::root_cause, tls::handshake_failure};

/// `StreamInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StreamInfo {
    #[prost(string, tag = "1")]
    pub scope: String,
    #[prost(string, tag = "2")]
    pub stream: String,
    /// What a delegation token is wanted for. Left out, the controller adds one for writing, and refuses a
    /// user who may only read.
    #[prost(int32, tag = "3")]
    pub access_operation: i32,
}

/// `StreamInfo.AccessOperation.NONE`: the segments are counted, not read, which takes no token.
const NONE: i32 = 1;

/// `ScopeInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ScopeInfo {
    #[prost(string, tag = "1")]
    pub scope: String,
}

/// `ExistsResponse`.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Exists {
    #[prost(bool, tag = "1")]
    pub exists: bool,
}

/// `SegmentRanges`, without the delegation token.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SegmentRanges {
    #[prost(message, repeated, tag = "1")]
    pub ranges: Vec<SegmentRange>,
}

/// `SegmentRange`: an open segment and its share of the routing keys.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SegmentRange {
    #[prost(message, optional, tag = "1")]
    pub id: Option<SegmentId>,
    #[prost(double, tag = "2")]
    pub min_key: f64,
    #[prost(double, tag = "3")]
    pub max_key: f64,
}

/// `SegmentId`, without the stream.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct SegmentId {
    /// The epoch of its creation in the upper half, its number in the lower.
    #[prost(int64, tag = "2")]
    pub id: i64,
}

/// What a controller replied.
pub(super) enum Reply<A> {
    Answer(A),
    /// It understood and said no.
    Refused(Code, String),
}

/// Where and how to connect. Nothing is connected before the first call.
pub(super) fn endpoint(address: &Address, trust: Option<&tls::Trust>) -> Result<Endpoint, ConfigError> {
    let refuse = |problem| ConfigError::Address { given: address.to_string(), problem };
    let scheme = if address.tls { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{}", address.authority))
        .and_then(|endpoint| endpoint.user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION"))))
        .map_err(|_| refuse("it is not of the form host:port"))?;
    match trust {
        Some(trust) if address.tls => endpoint
            .tls_config(trust.config()?)
            .map_err(|_| refuse("its host cannot stand in a certificate; set --pravega-tls-server-name")),
        _ => Ok(endpoint),
    }
}

/// `getCurrentSegments`.
pub(super) async fn current_segments(
    channel: Channel,
    name: StreamName,
    authorization: Option<HeaderValue>,
) -> Result<Reply<SegmentRanges>, Failure> {
    let path = "/io.pravega.controller.stream.api.grpc.v1.ControllerService/getCurrentSegments";
    call(channel, path, StreamInfo { scope: name.scope, stream: name.stream, access_operation: NONE }, authorization)
        .await
}

/// `checkScopeExists`.
pub(super) async fn scope_exists(
    channel: Channel,
    name: StreamName,
    authorization: Option<HeaderValue>,
) -> Result<Reply<Exists>, Failure> {
    let path = "/io.pravega.controller.stream.api.grpc.v1.ControllerService/checkScopeExists";
    call(channel, path, ScopeInfo { scope: name.scope }, authorization).await
}

async fn call<Q, A>(
    channel: Channel,
    path: &'static str,
    question: Q,
    authorization: Option<HeaderValue>,
) -> Result<Reply<A>, Failure>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut request = Request::new(question);
    if let Some(value) = authorization {
        *request.metadata_mut() = MetadataMap::from_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
    }
    let mut grpc = Grpc::new(channel);
    let outcome = match grpc.ready().await {
        Ok(()) => grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await,
        Err(error) => Err(Status::from_error(Box::new(error))),
    };
    match outcome {
        Ok(answer) => Ok(Reply::Answer(answer.into_inner())),
        // A status that the controller sent has no source; one that has was made on this side.
        Err(status) => match status.source() {
            Some(error) => Err(broken(error)),
            None => Ok(Reply::Refused(status.code(), one_line(status.message()))),
        },
    }
}

/// Why there is no connection, or no longer.
fn broken(error: &(dyn Error + 'static)) -> Failure {
    if let Some(why) = handshake_failure(error) {
        return Failure::Tls(why);
    }
    let root = root_cause(error);
    let why = one_line(&root.to_string());
    let never_connected = root.downcast_ref::<io::Error>().is_some_and(|error| {
        !matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
        )
    });
    if never_connected {
        return Failure::Unreachable(why);
    }
    // The peer took the connection and then broke it off: it went away, or speaks something else.
    Failure::Unreachable(format!("{why}; if that lasts, is it the gRPC port, and should it be tls://?"))
}

/// How the stream is split, unless the answer contradicts itself.
pub(super) fn shape(answer: &SegmentRanges) -> Result<StreamShape, String> {
    let mut epoch = 0;
    let mut covered = 0.0;
    for range in &answer.ranges {
        let id = range.id.map_or(-1, |id| id.id);
        let created = u32::try_from(id >> 32).map_err(|_| format!("a segment has the impossible id {id}"))?;
        epoch = epoch.max(created);
        if !(range.min_key >= 0.0 && range.min_key < range.max_key && range.max_key <= 1.0) {
            return Err(format!("segment {id} has the impossible key range {}..{}", range.min_key, range.max_key));
        }
        covered += range.max_key - range.min_key;
    }
    // Open segments share all keys among them. An answer that leaves some out must not shrink the
    // job. A sealed stream has no open segments at all.
    if !answer.ranges.is_empty() && !(0.99..=1.01).contains(&covered) {
        return Err(format!(
            "its {} segments cover {:.0} % of the routing keys instead of all",
            answer.ranges.len(),
            covered * 100.0
        ));
    }
    let segments = u32::try_from(answer.ranges.len()).map_err(|_| "too many segments".to_owned())?;
    Ok(StreamShape { segments: Segments(segments), epoch: Some(epoch) })
}

/// Foreign text, fit for one line of a log.
fn one_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn range(epoch: i64, number: i64, min_key: f64, max_key: f64) -> SegmentRange {
        SegmentRange { id: Some(SegmentId { id: epoch << 32 | number }), min_key, max_key }
    }

    #[test]
    fn the_shape_of_good_answers() {
        for (ranges, segments, epoch) in [
            (vec![], 0, 0),
            (vec![range(0, 0, 0.0, 1.0)], 1, 0),
            (vec![range(2, 5, 0.5, 1.0), range(0, 0, 0.0, 0.5)], 2, 2),
            (vec![range(7, 9, 0.0, 0.333_33), range(7, 10, 0.333_33, 0.666_66), range(3, 2, 0.666_66, 1.0)], 3, 7),
        ] {
            let expected = StreamShape { segments: Segments(segments), epoch: Some(epoch) };
            assert_eq!(shape(&SegmentRanges { ranges }), Ok(expected));
        }
    }

    #[test]
    fn an_answer_that_contradicts_itself_is_no_answer() {
        for (ranges, part) in [
            (vec![range(0, 0, 0.0, 0.5)], "cover 50 %"),
            (vec![range(0, 0, 0.0, 1.0), range(1, 1, 0.0, 1.0)], "cover 200 %"),
            (vec![SegmentRange { id: None, min_key: 0.0, max_key: 1.0 }], "impossible id"),
            (vec![range(-4, 0, 0.0, 1.0)], "impossible id"),
            (vec![range(0, 0, 0.0, f64::NAN)], "impossible key range"),
            (vec![range(0, 0, 1.0, 0.0)], "impossible key range"),
        ] {
            let why = shape(&SegmentRanges { ranges }).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(answer) = SegmentRanges::decode(bytes.as_slice()) {
                let _ = shape(&answer);
            }
        }

        #[test]
        fn any_even_split_has_its_number_of_segments(n in 1_u32..2_000, epoch in 0_i64..1_000_000) {
            let share = 1.0 / f64::from(n);
            let ranges = (0..n)
                .map(|i| range(epoch, i64::from(i), f64::from(i) * share, (f64::from(i + 1) * share).min(1.0)))
                .collect();
            let shape = shape(&SegmentRanges { ranges }).unwrap();
            prop_assert_eq!((shape.segments, shape.epoch.map(i64::from)), (Segments(n), Some(epoch)));
        }

        #[test]
        fn foreign_text_stays_on_one_line(text in "(?s).{0,600}") {
            let line = one_line(&text);
            prop_assert!(line.chars().count() <= 300 && !line.chars().any(char::is_control));
        }
    }
}
