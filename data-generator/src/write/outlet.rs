//! Where a writer's events go: Pravega, or in tests something that fails on purpose.

use crate::pravega::{ControlError, Session};
use pravega_client::error::Error as ClientError;
use pravega_client::event::writer::EventWriter;
use pravega_client_shared::ScopedStream;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::oneshot;

/// The answer to one event: acknowledged, refused, or the sender gone because whoever would have
/// answered is dead.
pub(super) type Answer = oneshot::Receiver<Result<(), ClientError>>;

/// Takes the events of one writer, in order.
pub(super) trait Outlet: Send {
    /// Takes one event. May wait while too much is queued.
    fn send(&mut self, key: Option<String>, event: Vec<u8>) -> impl Future<Output = Answer> + Send;

    /// Puts another in the place of one that died.
    fn reopen(&mut self) -> impl Future<Output = Result<(), Reopen>> + Send;

    /// What the dead one died of, if that is known.
    fn cause_of_death(&self) -> Option<String>;
}

/// Why there is no other.
#[derive(Debug)]
pub(super) enum Reopen {
    /// It may be different soon.
    Later(String),
    /// It will not be.
    Never(Closed),
}

/// Why the stream takes no more events from us.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Closed {
    #[error("--stream {0} was sealed while it was written to")]
    Sealed(String),
    #[error("--stream {0} was deleted while it was written to")]
    Deleted(String),
    #[error("{0}")]
    Refused(String),
}

/// The Pravega client's event writer, which lives as a background task of the client's.
pub(super) struct PravegaOutlet {
    session: Arc<Session>,
    stream: ScopedStream,
    writer: EventWriter,
}

impl PravegaOutlet {
    pub(super) fn new(session: &Arc<Session>, stream: ScopedStream) -> Self {
        Self { session: Arc::clone(session), writer: session.event_writer(&stream), stream }
    }
}

impl Outlet for PravegaOutlet {
    async fn send(&mut self, key: Option<String>, event: Vec<u8>) -> Answer {
        match key {
            Some(key) => self.writer.write_event_by_routing_key(key, event).await,
            None => self.writer.write_event(event).await,
        }
    }

    /// Only if the stream still takes events: the client would panic over one that does not.
    async fn reopen(&mut self) -> Result<(), Reopen> {
        let later = |error: ControlError| Reopen::Later(error.to_string());
        self.session.renew().await.map_err(later)?;
        let stream = || self.stream.to_string();
        match self.session.segment_count(&self.stream).await {
            Ok(0) => Err(Reopen::Never(Closed::Sealed(stream()))),
            Ok(_) => {
                self.writer = self.session.event_writer(&self.stream);
                Ok(())
            }
            Err(ControlError::Missing { .. }) => Err(Reopen::Never(Closed::Deleted(stream()))),
            Err(error @ ControlError::Denied { .. }) => Err(Reopen::Never(Closed::Refused(error.to_string()))),
            Err(error) => Err(later(error)),
        }
    }

    fn cause_of_death(&self) -> Option<String> {
        self.session.take_last_fault()
    }
}
