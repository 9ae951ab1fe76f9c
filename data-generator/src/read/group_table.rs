//! Where the state of the group is: one entry of a table segment in Pravega itself, replaced only if
//! it is still the one that was read.

use super::group::Group;
use super::store::{Line, Store, StoreError, refused};
use crate::clock;
use pravega_client_shared::ScopedSegment;
use pravega_wire_protocol::commands::{
    CreateTableSegmentCommand, ReadTableCommand, TableEntries, TableKey, TableValue, UpdateTableEntriesCommand,
};
use pravega_wire_protocol::wire_commands::{Replies, Requests};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The one key of the table.
const KEY: &[u8] = b"group";

/// Between two tries while others are quicker or the store is away.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The state, shared by every reader of the group in every process.
pub(super) struct GroupTable {
    store: Arc<Store>,
    segment: ScopedSegment,
    /// `None` until it is needed, and after an error.
    line: Option<Line>,
    /// Makes readers that collide come apart.
    turn: u32,
}

impl GroupTable {
    pub(super) fn new(store: Arc<Store>, segment: ScopedSegment) -> Self {
        Self { store, segment, line: None, turn: 0 }
    }

    /// Creates the table if it is missing.
    pub(super) async fn create(&mut self, limit: Duration) -> Result<(), StoreError> {
        let until = clock::now() + limit;
        loop {
            match self.try_create().await {
                Err(error) if clock::now() < until && !is_final(&error) => self.pause(&error).await,
                done => return done,
            }
        }
    }

    /// Changes the state: reads it, applies `change` to it and writes it, as often as needed until
    /// nobody came in between. `change` may thus be applied several times, to different states; when
    /// the store's answer was lost also to a state that has the change already. It gets `None` when
    /// there is no state yet, and what it leaves there is written; an error of its own ends it.
    pub(super) async fn update<T, E>(
        &mut self,
        until: Instant,
        mut change: impl FnMut(&mut Option<Group>) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        loop {
            match self.try_update(&mut change).await {
                Ok(Some(done)) => return Ok(done),
                // Somebody else was quicker.
                Ok(None) => {
                    self.turn = self.turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    sleep(Duration::from_millis(u64::from(self.turn >> 27))).await;
                }
                Err(error) if clock::now() < until && !is_final(&error) => self.pause(&error).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn pause(&self, error: &StoreError) {
        tracing::debug!(%error, "the group's state cannot be had");
        sleep(RETRY_PAUSE).await;
    }

    /// `None` if somebody else was quicker.
    async fn try_update<T, E>(
        &mut self,
        change: &mut impl FnMut(&mut Option<Group>) -> Result<T, E>,
    ) -> Result<Option<Result<T, E>>, StoreError> {
        let (mut state, version) = self.read().await?;
        let done = match change(&mut state) {
            Ok(done) => done,
            Err(error) => return Ok(Some(Err(error))),
        };
        let written = match &state {
            Some(state) => self.write(state, version).await?,
            None => true,
        };
        Ok(written.then_some(Ok(done)))
    }

    async fn read(&mut self) -> Result<(Option<Group>, i64), StoreError> {
        let key = TableKey::new(KEY.to_vec(), TableKey::KEY_NO_VERSION);
        let reply = self
            .ask(|request_id, segment, delegation_token| {
                let keys = vec![key];
                Requests::ReadTable(ReadTableCommand { request_id, segment, delegation_token, keys })
            })
            .await?;
        let Replies::TableRead(read) = reply else { return Err(refused(&reply)) };
        match read.entries.entries.first() {
            Some((key, value)) if !value.data.is_empty() => {
                let group = serde_json::from_slice(&value.data)
                    .map_err(|error| StoreError::Refused(format!("a state of the group that is not ours: {error}")))?;
                Ok((Some(group), key.key_version))
            }
            _ => Ok((None, TableKey::KEY_NOT_EXISTS)),
        }
    }

    /// False if the version is no longer the current one.
    async fn write(&mut self, state: &Group, version: i64) -> Result<bool, StoreError> {
        let json = serde_json::to_vec(state).map_err(|error| StoreError::Refused(error.to_string()))?;
        let entries = vec![(TableKey::new(KEY.to_vec(), version), TableValue::new(json))];
        let reply = self
            .ask(|request_id, segment, delegation_token| {
                Requests::UpdateTableEntries(UpdateTableEntriesCommand {
                    request_id,
                    segment,
                    delegation_token,
                    table_entries: TableEntries { entries },
                    // At whatever length the table has.
                    table_segment_offset: -1,
                })
            })
            .await?;
        match reply {
            Replies::TableEntriesUpdated(_) => Ok(true),
            Replies::TableKeyBadVersion(_) | Replies::TableKeyDoesNotExist(_) => Ok(false),
            other => Err(refused(&other)),
        }
    }

    async fn try_create(&mut self) -> Result<(), StoreError> {
        let reply = self
            .ask(|request_id, segment, delegation_token| {
                Requests::CreateTableSegment(CreateTableSegmentCommand { request_id, segment, delegation_token })
            })
            .await?;
        match reply {
            Replies::SegmentCreated(_) | Replies::SegmentAlreadyExists(_) => Ok(()),
            other => Err(refused(&other)),
        }
    }

    /// One request; whatever goes wrong, the next one uses another connection.
    async fn ask(&mut self, request: impl FnOnce(i64, String, String) -> Requests) -> Result<Replies, StoreError> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => self.store.line(self.segment.clone()).await?,
        };
        let request = request(line.next_request(), line.segment.clone(), line.token.clone());
        let reply = line.ask(&request).await?;
        match reply {
            Replies::WrongHost(_) | Replies::AuthTokenCheckFailed(_) => {
                self.store.forget(&line.segment);
                Err(refused(&reply))
            }
            reply => {
                self.line = Some(line);
                Ok(reply)
            }
        }
    }
}

/// Not worth another try.
fn is_final(error: &StoreError) -> bool {
    use crate::pravega::ControlError;
    matches!(error, StoreError::Control(ControlError::Denied { .. }))
}
