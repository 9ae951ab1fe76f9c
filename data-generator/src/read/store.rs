//! Requests to a segment store, one at a time on a connection of their own, each with a deadline.
//!
//! Why not the client's own event reader: it takes a truncated segment for one read to its end, which
//! drops what is left of it without a word; it stops reading a segment for good after any error that
//! it does not know; and it tells nobody that a reader has died. The connection, its TLS and the
//! messages are the client library's.

use super::slice::{Answer, Slice, next_answer};
use crate::pravega::{ControlError, Session};
use pravega_client_shared::{PravegaNodeUri, Scope, ScopedSegment, ScopedStream, Segment, Stream};
use pravega_wire_protocol::client_connection::{read_wirecommand, write_wirecommand};
use pravega_wire_protocol::commands::{GetStreamSegmentInfoCommand, ReadSegmentCommand};
use pravega_wire_protocol::connection::Connection;
use pravega_wire_protocol::wire_commands::{Replies, Requests};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

/// At the end of a segment the store keeps a read waiting for new data, for up to a minute. A
/// connection that is silent for this long may as well be dead: it is given up and the read repeated.
const READ_LIMIT: Duration = Duration::from_secs(15);

/// Every other request is answered at once.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// How much to ask for in one read, bytes.
const READ_LENGTH: i32 = 1024 * 1024;

/// Why a segment store did not do as it was asked.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("cannot connect to the segment store at {endpoint}: {reason}")]
    Unreachable { endpoint: String, reason: String },
    #[error("the controller does not tell within {0:?} which segment store has it")]
    Unknown(Duration),
    #[error("no answer from the segment store within {0:?}")]
    Silent(Duration),
    #[error("lost the connection to the segment store: {0}")]
    Broken(String),
    #[error("the segment store answers {0}")]
    Refused(String),
    /// It was good before; another connection brings another one.
    #[error("the permission to read has expired")]
    Expired,
}

impl StoreError {
    /// The controller's part in it.
    pub(crate) fn control(&self) -> Option<&ControlError> {
        match self {
            Self::Control(error) => Some(error),
            _ => None,
        }
    }
}

/// Where segments are, as far as is known.
pub(super) struct Store {
    pub(super) session: Arc<Session>,
    endpoints: Mutex<HashMap<String, PravegaNodeUri>>,
}

/// What a read found.
pub(super) enum Found {
    /// Data from the offset asked for, behind what was to be put before it.
    Data(Slice),
    /// None yet.
    Nothing,
    /// Nothing, ever: the segment is sealed and ends here.
    End,
    /// Nothing: the segment begins further on, retention has cut off what was here.
    Truncated { start: i64 },
    /// There is no such segment: cut off as a whole, or the stream is deleted.
    Missing,
}

impl Store {
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, endpoints: Mutex::default() }
    }

    /// Connects to the store that serves this segment.
    pub(super) async fn line(&self, segment: ScopedSegment) -> Result<Line, StoreError> {
        let name = segment.to_string();
        let token = self.session.token(&ScopedStream::from(&segment)).await?;
        // Where it was last is a good guess, and the only one while no controller is there.
        let known = self.endpoints().get(&name).cloned();
        let connection = match known {
            Some(endpoint) => self.dial(endpoint).await.ok(),
            None => None,
        };
        let connection = if let Some(connection) = connection {
            connection
        } else {
            let found = timeout(ASK_LIMIT, self.session.endpoint(&segment)).await;
            let endpoint = found.map_err(|_| StoreError::Unknown(ASK_LIMIT))??;
            self.endpoints().insert(name.clone(), endpoint.clone());
            self.dial(endpoint).await?
        };
        Ok(Line { connection, segment: name, token, requests: 0, has_read: false })
    }

    async fn dial(&self, endpoint: PravegaNodeUri) -> Result<Box<dyn Connection>, StoreError> {
        let name = endpoint.to_string();
        let dialled = self.session.dial(endpoint).await;
        dialled.map_err(|reason| StoreError::Unreachable { endpoint: name, reason })
    }

    /// The segment may be somewhere else by now.
    pub(super) fn forget(&self, segment: &str) {
        self.endpoints().remove(segment);
    }

    fn endpoints(&self) -> std::sync::MutexGuard<'_, HashMap<String, PravegaNodeUri>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection for requests about one segment. After an error it is of no more use.
pub(super) struct Line {
    connection: Box<dyn Connection>,
    pub(super) segment: String,
    pub(super) token: String,
    requests: i64,
    /// Whether it has brought data: then its permission was good.
    has_read: bool,
}

impl Line {
    /// The number of the next request.
    pub(super) fn next_request(&mut self) -> i64 {
        self.requests += 1;
        self.requests
    }

    /// One request and its answer.
    pub(super) async fn ask(&mut self, request: &Requests) -> Result<Replies, StoreError> {
        let connection = &mut *self.connection;
        let exchange = async {
            write_wirecommand(connection, request).await?;
            read_wirecommand(connection).await
        };
        match timeout(ASK_LIMIT, exchange).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => Err(StoreError::Broken(error.to_string())),
            Err(_) => Err(StoreError::Silent(ASK_LIMIT)),
        }
    }

    /// Reads from this offset, and puts what comes behind `before`; waits for some seconds if there is
    /// nothing yet.
    pub(super) async fn read(&mut self, offset: i64, before: &[u8]) -> Result<Found, StoreError> {
        let request = Requests::ReadSegment(ReadSegmentCommand {
            segment: self.segment.clone(),
            offset,
            suggested_length: READ_LENGTH,
            delegation_token: self.token.clone(),
            request_id: self.next_request(),
        });
        let connection = &mut *self.connection;
        let exchange = async {
            write_wirecommand(connection, &request).await.map_err(|error| error.to_string())?;
            next_answer(connection, before).await
        };
        let answer = timeout(READ_LIMIT, exchange).await.map_err(|_| StoreError::Silent(READ_LIMIT))?;
        match answer.map_err(StoreError::Broken)? {
            Answer::Data { offset: from, .. } if from != offset => {
                Err(StoreError::Refused(format!("with data from offset {from}, not {offset}")))
            }
            Answer::Data { is_empty: true, end_of_segment: true, .. } | Answer::Other(Replies::SegmentIsSealed(_)) => {
                Ok(Found::End)
            }
            Answer::Data { is_empty: true, .. } => Ok(Found::Nothing),
            Answer::Data { slice, .. } => {
                self.has_read = true;
                Ok(Found::Data(slice))
            }
            Answer::Other(Replies::SegmentIsTruncated(cut)) => Ok(Found::Truncated { start: cut.start_offset }),
            Answer::Other(Replies::NoSuchSegment(_)) => Ok(Found::Missing),
            Answer::Other(Replies::AuthTokenCheckFailed(_)) if self.has_read => Err(StoreError::Expired),
            Answer::Other(other) => Err(refused(&other)),
        }
    }

    /// The offset at which the segment ends now.
    pub(super) async fn tail(&mut self) -> Result<i64, StoreError> {
        let request = Requests::GetStreamSegmentInfo(GetStreamSegmentInfoCommand {
            request_id: self.next_request(),
            segment_name: self.segment.clone(),
            delegation_token: self.token.clone(),
        });
        match self.ask(&request).await? {
            Replies::StreamSegmentInfo(info) => Ok(info.write_offset),
            other => Err(refused(&other)),
        }
    }
}

/// An answer that is none of those expected, without the server's stack trace.
pub(super) fn refused(reply: &Replies) -> StoreError {
    let text = reply.to_string();
    StoreError::Refused(text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned())
}

/// A segment of a stream, by its id.
pub(super) fn segment_of(stream: &ScopedStream, number: i64) -> ScopedSegment {
    ScopedSegment { scope: stream.scope.clone(), stream: stream.stream.clone(), segment: Segment::from(number) }
}

/// The table segment in which a reader group keeps its state: beside the stream, in the same scope.
pub(super) fn table_of(scope: &str, group: &str) -> ScopedSegment {
    ScopedSegment {
        scope: Scope::from(scope.to_owned()),
        stream: Stream::from(format!("{group}_kvtable")),
        segment: Segment::from(0),
    }
}
