//! A connection to one Pravega: control calls with deadlines, and event writers.

use super::address::Controllers;
use super::dial::first_accepting;
use super::fault::{ClientRuntime, take_last_panic};
use super::relay::Relay;
use super::words::{Verdict, plain};
use crate::clock;
use pravega_client::client_factory::ClientFactoryAsync;
use pravega_client::event::writer::EventWriter;
use pravega_client_config::{ClientConfigBuilder, credentials};
use pravega_client_retry::retry_policy::RetryWithBackoff;
use pravega_client_shared::{Scope, ScopedStream, StreamConfiguration};
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Pause before a control call that failed is tried again within its deadline.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// A user of Pravega's basic authentication.
#[derive(Clone)]
pub struct Credentials {
    /// Name.
    pub username: String,
    /// Password; never printed.
    pub password: String,
}

/// What a session is opened with.
#[derive(Clone)]
pub struct SessionOptions {
    /// Every controller of the cluster that may be asked.
    pub controllers: Controllers,
    /// `None` where Pravega runs without authentication.
    pub credentials: Option<Credentials>,
    /// Certificates to trust, as PEM text; used with TLS only.
    pub trusted: Vec<String>,
    /// Deadline of each control call, with its retries.
    pub call_timeout: Duration,
}

/// What can go wrong between us and the controller.
#[derive(Debug, Error)]
pub enum ControlError {
    /// No address accepts a connection.
    #[error("no Pravega controller accepts a connection; --controller {0}")]
    Unreachable(String),
    /// The controller accepted, and then nothing.
    #[error(
        "{call}: no answer from --controller {controllers} within {limit:?} (--call-timeout); is it a Pravega controller, and are its ZooKeeper and segment store up?"
    )]
    NoAnswer {
        /// What was asked.
        call: String,
        /// Every address.
        controllers: String,
        /// The deadline.
        limit: Duration,
    },
    /// Credentials missing, wrong, or without the right to do this.
    #[error("{call}: refused by --controller {controllers}: {reason}; check --username and --password-file")]
    Denied {
        /// What was asked.
        call: String,
        /// Every address.
        controllers: String,
        /// The controller's words.
        reason: String,
    },
    /// Scope or stream is not there.
    #[error("{call}: it does not exist ({reason})")]
    Missing {
        /// What was asked.
        call: String,
        /// The controller's words.
        reason: String,
    },
    /// The controller answers with an error until the deadline.
    #[error("{call}: --controller {controllers}: {reason}")]
    Failed {
        /// What was asked.
        call: String,
        /// Every address.
        controllers: String,
        /// The controller's words.
        reason: String,
    },
    /// The relay could not be set up, or the client not be built.
    #[error("cannot start the Pravega client: {0}")]
    Client(String),
}

/// An open session. Control calls return within the call timeout; nothing here panics.
pub struct Session {
    pub(super) options: SessionOptions,
    pub(super) runtime: Handle,
    /// Absent with TLS, where the client has to dial the controller by name.
    relay: Option<Relay>,
    /// With TLS, which of the controllers is in use.
    current: AtomicUsize,
    clients: Mutex<Clients>,
}

/// Two factories, because their patience differs: control calls return errors to us quickly, the
/// data plane sits out an outage for as long as the client can.
#[derive(Clone)]
pub(super) struct Clients {
    control: ClientFactoryAsync,
    pub(super) data: ClientFactoryAsync,
}

impl Session {
    /// Finds a controller that accepts a connection and prepares the client. No call is made yet.
    pub async fn open(options: SessionOptions, runtime: &ClientRuntime) -> Result<Self, ControlError> {
        let runtime = runtime.handle().clone();
        let (current, answering) = first_accepting(&options.controllers, 0).await?;
        let relay = if options.controllers.tls {
            None
        } else {
            let controllers = options.controllers.clone();
            let start = runtime.spawn(async move { Relay::start(&controllers).await });
            let started = start.await.map_err(io::Error::other).flatten();
            Some(started.map_err(|error| ControlError::Client(error.to_string()))?)
        };
        let uri = match &relay {
            Some(relay) => format!("tcp://{}", relay.address()),
            None => answering,
        };
        let clients = Clients::new(&options, uri, &runtime).await?;
        Ok(Self { options, runtime, relay, current: AtomicUsize::new(current), clients: Mutex::new(clients) })
    }

    /// The addresses this session was opened with.
    #[must_use]
    pub fn controllers(&self) -> &Controllers {
        &self.options.controllers
    }

    /// Creates the scope; false when it was there already.
    pub async fn create_scope(&self, scope: &str) -> Result<bool, ControlError> {
        let what = format!("creating scope {scope}");
        let scope = Scope::from(scope.to_owned());
        self.call(&what, move |client| {
            let scope = scope.clone();
            async move {
                let created = client.controller_client().create_scope(&scope).await;
                created.map_err(|error| error.error.to_string())
            }
        })
        .await
    }

    /// Creates the stream; false when it was there already.
    pub async fn create_stream(&self, config: StreamConfiguration) -> Result<bool, ControlError> {
        let what = format!("creating stream {}", config.scoped_stream);
        self.call(&what, move |client| {
            let config = config.clone();
            async move {
                let created = client.controller_client().create_stream(&config).await;
                created.map_err(|error| error.error.to_string())
            }
        })
        .await
    }

    /// Changes the policies of a stream.
    pub async fn update_stream(&self, config: StreamConfiguration) -> Result<(), ControlError> {
        let what = format!("updating stream {}", config.scoped_stream);
        self.call(&what, move |client| {
            let config = config.clone();
            async move {
                let updated = client.controller_client().update_stream(&config).await;
                updated.map(|_| ()).map_err(|error| error.error.to_string())
            }
        })
        .await
    }

    /// Seals and deletes a stream; false when there was none.
    pub async fn delete_stream(&self, stream: &ScopedStream) -> Result<bool, ControlError> {
        let what = format!("deleting stream {stream}");
        let stream = stream.clone();
        let deleted = self.call(&what, move |client| {
            let stream = stream.clone();
            async move {
                let controller = client.controller_client();
                controller.seal_stream(&stream).await.map_err(|error| error.error.to_string())?;
                controller.delete_stream(&stream).await.map_err(|error| error.error.to_string())
            }
        });
        match deleted.await {
            Err(ControlError::Missing { .. }) => Ok(false),
            other => other,
        }
    }

    /// The policies of an existing stream.
    pub async fn stream_configuration(&self, stream: &ScopedStream) -> Result<StreamConfiguration, ControlError> {
        let what = format!("looking up stream {stream}");
        let stream = stream.clone();
        self.call(&what, move |client| {
            let stream = stream.clone();
            async move {
                let controller = client.controller_client();
                let config = controller.get_stream_configuration(&stream).await;
                config.map_err(|error| error.error.to_string())
            }
        })
        .await
    }

    /// How many segments take writes now; 0 for a sealed stream.
    pub async fn segment_count(&self, stream: &ScopedStream) -> Result<usize, ControlError> {
        let what = format!("asking for the segments of {stream}");
        let stream = stream.clone();
        self.call(&what, move |client| segments(client, stream.clone())).await
    }

    /// As [`Self::segment_count`], for a look now and then: it takes at most so long.
    pub async fn segment_count_within(&self, stream: &ScopedStream, limit: Duration) -> Result<usize, ControlError> {
        let what = format!("asking for the segments of {stream}");
        let stream = stream.clone();
        self.call_within(limit, &what, move |client| segments(client, stream.clone())).await
    }

    /// A writer to the stream, which must exist and not be sealed: the client panics otherwise, in
    /// the background, and every event handed to it fails.
    #[must_use]
    pub fn event_writer(&self, stream: &ScopedStream) -> EventWriter {
        self.clients().data.create_event_writer(stream.clone())
    }

    /// Before a new writer takes the place of one that died: with TLS, where there is no relay, finds
    /// a controller that accepts and turns to it.
    pub async fn renew(&self) -> Result<(), ControlError> {
        if self.relay.is_none() {
            self.turn_to(self.current.load(Relaxed)).await?;
        }
        Ok(())
    }

    /// Without a relay: makes new clients, for the first controller from this one on that accepts.
    async fn turn_to(&self, from: usize) -> Result<(), ControlError> {
        let (current, uri) = first_accepting(&self.options.controllers, from).await?;
        let clients = Clients::new(&self.options, uri.clone(), &self.runtime).await?;
        *self.clients.lock().unwrap_or_else(PoisonError::into_inner) = clients;
        if self.current.swap(current, Relaxed) != current {
            tracing::info!("using controller {uri} now");
        }
        Ok(())
    }

    /// Leaves a controller that accepts but does not answer.
    async fn turn_to_next(&self) {
        match &self.relay {
            Some(relay) => {
                tracing::debug!(controller = %relay.current(), "no answer, turning to the next");
                relay.turn_to_next();
            }
            None if self.options.controllers.addresses.len() > 1 => {
                // If none accepts, the next try of the call says so.
                let _ = self.turn_to(self.current.load(Relaxed) + 1).await;
            }
            None => {}
        }
    }

    /// What a background task of the client last panicked with, if any did since it was last asked.
    #[must_use]
    pub fn take_last_fault(&self) -> Option<String> {
        take_last_panic()
    }

    pub(super) fn clients(&self) -> Clients {
        let clients = self.clients.lock();
        clients.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs one control call with the usual deadline.
    pub(super) async fn call<T, F, Call>(&self, what: &str, ask: F) -> Result<T, ControlError>
    where
        T: Send + 'static,
        F: FnMut(ClientFactoryAsync) -> Call,
        Call: Future<Output = Result<T, String>> + Send + 'static,
    {
        self.call_within(self.options.call_timeout, what, ask).await
    }

    /// Runs one control call as a task of the client's runtime, again and again until it succeeds,
    /// fails for good, or the deadline is there.
    async fn call_within<T, F, Call>(&self, limit: Duration, what: &str, mut ask: F) -> Result<T, ControlError>
    where
        T: Send + 'static,
        F: FnMut(ClientFactoryAsync) -> Call,
        Call: Future<Output = Result<T, String>> + Send + 'static,
    {
        let deadline = clock::now() + limit;
        let addresses = u32::try_from(self.options.controllers.addresses.len()).unwrap_or(1);
        let controllers = self.options.controllers.to_string();
        let call = what.to_owned();
        loop {
            let mut task = AbortOnDrop(self.runtime.spawn(ask(self.clients().control)));
            // With several controllers each gets its share of the time.
            let left = deadline.saturating_duration_since(clock::now());
            let reason = match timeout(left.min(limit / addresses), &mut task.0).await {
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(reason))) => match Verdict::on(&reason) {
                    Verdict::Missing => return Err(ControlError::Missing { call, reason: plain(&reason) }),
                    Verdict::Denied => {
                        return Err(ControlError::Denied { call, controllers, reason: plain(&reason) });
                    }
                    Verdict::Final => {
                        return Err(ControlError::Failed { call, controllers, reason: plain(&reason) });
                    }
                    Verdict::TryAgain => {
                        // A relay finds another controller by itself if this one is gone.
                        if self.relay.is_none() {
                            self.turn_to_next().await;
                        }
                        Some(plain(&reason))
                    }
                },
                Ok(Err(join)) => Some(take_last_panic().unwrap_or_else(|| join.to_string())),
                Err(_) => {
                    self.turn_to_next().await;
                    None
                }
            };
            if deadline.saturating_duration_since(clock::now()) <= RETRY_PAUSE {
                return Err(match reason {
                    Some(reason) => ControlError::Failed { call, controllers, reason },
                    None => ControlError::NoAnswer { call, controllers, limit },
                });
            }
            sleep(RETRY_PAUSE).await;
        }
    }
}

/// How many segments take writes now.
async fn segments(client: ClientFactoryAsync, stream: ScopedStream) -> Result<usize, String> {
    let segments = client.controller_client().get_current_segments(&stream).await;
    segments.map(|segments| segments.key_segment_map.len()).map_err(|error| error.error.to_string())
}

/// A call that nobody waits for any more must not go on: the client would try for a minute or for ever.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Clients {
    async fn new(options: &SessionOptions, uri: String, runtime: &Handle) -> Result<Self, ControlError> {
        let control = RetryWithBackoff::default_setting()
            .initial_delay(Duration::from_millis(100))
            .backoff_coefficient(2)
            .max_delay(Duration::from_secs(1));
        // The client allows each call ten tries whatever the policy says, then its writer panics:
        // these delays make that 65 s. The relay keeps it from coming to that.
        let data = RetryWithBackoff::default_setting()
            .initial_delay(Duration::from_millis(500))
            .backoff_coefficient(2)
            .max_delay(Duration::from_secs(10));
        let options = options.clone();
        let handle = runtime.clone();
        // With credentials the constructor blocks on the runtime, which only a blocking thread may.
        let build = runtime.spawn_blocking(move || {
            let build = |policy| -> Result<ClientFactoryAsync, String> {
                let mut config = ClientConfigBuilder::default();
                config
                    .controller_uri(uri.as_str())
                    .is_tls_enabled(options.controllers.tls)
                    .trustcerts(options.trusted.clone())
                    .retry_policy(policy);
                if let Some(user) = &options.credentials {
                    let basic = credentials::Credentials::basic(user.username.clone(), user.password.clone());
                    config.is_auth_enabled(true).credentials(basic);
                }
                Ok(ClientFactoryAsync::new(config.build()?, handle.clone()))
            };
            Ok::<_, String>(Self { control: build(control)?, data: build(data)? })
        });
        match build.await {
            Ok(clients) => clients.map_err(ControlError::Client),
            Err(join) => Err(ControlError::Client(take_last_panic().unwrap_or_else(|| join.to_string()))),
        }
    }
}
