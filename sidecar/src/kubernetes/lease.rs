//! The Lease: of several agents, which a highly available `JobManager` brings, one acts.
//!
//! The Lease ships with the manifests; it is read and written here, never created. Beside the leader's
//! name it carries the agent's memory as an annotation, so that whoever leads next goes on where the
//! last one stopped. Each write carries the `resourceVersion` of what was read: one that meets another
//! agent's write fails, and then that agent leads.
//!
//! A task renews it while it is held, and looks whether it has become free while it is not. Before the
//! agent acts it saves its memory here, which renews it too: so whoever acts held the Lease a moment ago,
//! and holds it for longer than the call may take.

mod error;
mod term;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::coordination::v1::{Lease as Object, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use sluice_core::Leadership;
use tokio::{task::JoinHandle, time::Instant};

use super::{Api, KubernetesError, api::Resource, check_name};
use crate::clock;
use term::{Claim, Term};

pub use error::LeaseError;

const LEASES: Resource = Resource { group: "coordination.k8s.io", version: "v1", plural: "leases" };

/// The annotation with the saved memory.
pub const STATE: &str = "sluice.pravega.io/state";

/// The annotation with a memory that this version could not read.
pub const SET_ASIDE: &str = "sluice.pravega.io/state-set-aside";

/// All annotations of an object may take 256 KiB together: there is room for the one set aside.
const LARGEST: usize = 100 * 1024;

/// While something is being done, it is seen this soon that the Lease is lost.
const LOOK_FOR_LOSS: Duration = Duration::from_millis(50);

/// Which Lease, and in whose name.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Its name; its namespace is the Deployment's.
    pub name: String,
    /// This agent's name: no other process may have it.
    pub identity: String,
    /// How the names begin of agents that are certainly gone: from them it is taken without waiting.
    pub before: Option<String>,
    /// How long others wait before they take over from an agent that is gone.
    pub duration: Duration,
    /// How often it is renewed, or looked at.
    pub renew: Duration,
}

/// One agent's share in the Lease.
pub struct Lease {
    api: Api,
    options: LeaseOptions,
    /// Locked while a request is under way: the object as it was last read or written.
    held: tokio::sync::Mutex<Held>,
    standing: Mutex<Standing>,
}

struct Held {
    term: Term,
    object: Option<Object>,
}

/// How this agent stands.
struct Standing {
    /// The own term ends then; `None` if it leads not.
    until: Option<Instant>,
    /// What to tell while it does not lead.
    otherwise: Leadership,
    /// It has just begun to lead, and the text that the last leader saved was not fetched yet.
    restored: Option<String>,
}

impl Lease {
    /// Looks at the Lease once, and takes it if it is free. Whatever is wrong with it is told by
    /// [`Self::leadership`], and looked at again later.
    pub async fn open(api: Api, options: LeaseOptions) -> Result<Self, KubernetesError> {
        check_name("--lease", &options.name)?;
        let lease = Self {
            held: tokio::sync::Mutex::new(Held {
                term: Term::new(options.identity.clone(), options.before.clone()),
                object: None,
            }),
            standing: Mutex::new(Standing {
                until: None,
                otherwise: Leadership::Unknown { problem: "the Lease has not been read yet".to_owned() },
                restored: None,
            }),
            api,
            options,
        };
        lease.renew().await;
        Ok(lease)
    }

    /// Renews it, or looks whether it is free, until the task is aborted.
    pub fn keep(self: &Arc<Self>) -> JoinHandle<()> {
        let lease = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(lease.options.renew).await;
                lease.renew().await;
            }
        })
    }

    /// Whether this agent may act at this moment.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        let standing = self.standing();
        match standing.until {
            Some(until) if Instant::now() < until => Leadership::Leader { identity: self.options.identity.clone() },
            _ => standing.otherwise.clone(),
        }
    }

    /// Whether a call that is begun now ends within the own term.
    #[must_use]
    pub fn has_time_for_a_call(&self) -> bool {
        self.left() > self.api.timeout()
    }

    /// Waits until the own term is over, or the Lease is lost before.
    pub async fn lost(&self) {
        loop {
            let left = self.left();
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOK_FOR_LOSS)).await;
        }
    }

    fn left(&self) -> Duration {
        self.standing().until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Once after each time that this agent has begun to lead: what the last leader saved; empty if that
    /// was nothing.
    #[must_use]
    pub fn restored(&self) -> Option<String> {
        self.standing().restored.take()
    }

    /// Keeps the saved text under another name, since it cannot be understood.
    pub async fn set_aside(&self) {
        let mut held = self.held.lock().await;
        if let Some(annotations) = held.object.as_mut().and_then(|object| object.metadata.annotations.as_mut())
            && let Some(text) = annotations.remove(STATE).filter(|text| text.len() <= LARGEST)
        {
            annotations.insert(SET_ASIDE.to_owned(), text);
        }
    }

    /// Saves the memory and renews the Lease, in one write. When it succeeds no other agent has held the
    /// Lease since this one last did.
    pub async fn save(&self, state: String) -> Result<(), LeaseError> {
        if state.len() > LARGEST {
            return Err(LeaseError::TooLarge { what: self.describe(), bytes: state.len(), limit: LARGEST });
        }
        let mut held = self.held.lock().await;
        if !self.leadership().may_act() {
            return Err(self.not_held());
        }
        let result = self.write_mine(&mut held, Some(state)).await;
        self.note(&result);
        match result? {
            Leadership::Follower { leader } => Err(LeaseError::Taken { what: self.describe(), leader }),
            _ => Ok(()),
        }
    }

    /// Gives the Lease back, so that the next agent need not wait for it to run out.
    pub async fn release(&self) {
        let mut held = self.held.lock().await;
        if !self.leadership().may_act() {
            return;
        }
        // Nothing may be done from here on, whatever becomes of the request.
        self.standing().until = None;
        let Some(mut object) = held.object.take() else { return };
        let spec = object.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.renew_time = Some(MicroTime(clock::now()));
        match self.api.replace(LEASES, &self.options.name, &object, &self.describe()).await {
            Ok::<Object, _>(_) => tracing::info!(lease = self.describe(), "gave the Lease back"),
            Err(error) => tracing::warn!(%error, "the Lease could not be given back; it runs out by itself"),
        }
    }

    /// Too little is left of the term, or this agent does not lead.
    #[must_use]
    pub fn not_held(&self) -> LeaseError {
        let why = match self.leadership() {
            Leadership::Follower { leader } => format!("{leader} holds it"),
            Leadership::Unknown { problem } => problem,
            Leadership::Leader { .. } | Leadership::Alone => "it was not renewed in time".to_owned(),
        };
        LeaseError::NotHeld { what: self.describe(), why }
    }

    /// One round: renew it or see whether it is free.
    async fn renew(&self) {
        let mut held = self.held.lock().await;
        let result = if self.leadership().may_act() {
            self.write_mine(&mut held, None).await
        } else {
            self.look(&mut held).await
        };
        self.note(&result);
    }

    /// Writes the object in hand. If somebody else has written it, it is read again: whoever labels the
    /// Lease is no other leader.
    async fn write_mine(&self, held: &mut Held, state: Option<String>) -> Result<Leadership, LeaseError> {
        let mut object = held.object.clone().ok_or_else(|| self.not_held())?;
        set_state(&mut object, state.as_ref());
        match self.write(held, object).await {
            Err(LeaseError::Kubernetes(KubernetesError::Conflict { .. })) => {}
            written => return written,
        }
        let mut object = self.read().await?;
        match held.term.claim(Instant::now(), &spec(&object)) {
            Claim::Mine => {
                set_state(&mut object, state.as_ref());
                self.write(held, object).await
            }
            // Freed by a person: it is taken in the next round, like any that is free.
            Claim::Free => Ok(Leadership::Follower { leader: "nobody".to_owned() }),
            Claim::Theirs(leader) => Ok(Leadership::Follower { leader }),
        }
    }

    /// Reads the Lease, and takes it if it is free.
    async fn look(&self, held: &mut Held) -> Result<Leadership, LeaseError> {
        let mut object = self.read().await?;
        match held.term.claim(Instant::now(), &spec(&object)) {
            Claim::Theirs(leader) => return Ok(Leadership::Follower { leader }),
            Claim::Mine => {}
            Claim::Free => {
                let spec = object.spec.get_or_insert_default();
                spec.holder_identity = Some(self.options.identity.clone());
                spec.acquire_time = Some(MicroTime(clock::now()));
                spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
            }
        }
        let saved = object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(STATE));
        let saved = saved.cloned().unwrap_or_default();
        match self.write(held, object).await {
            // Somebody was faster; who, the next round shows.
            Err(LeaseError::Kubernetes(KubernetesError::Conflict { .. })) => {
                Ok(Leadership::Follower { leader: "another agent".to_owned() })
            }
            Ok(leads) => {
                self.standing().restored = Some(saved);
                Ok(leads)
            }
            Err(error) => Err(error),
        }
    }

    async fn read(&self) -> Result<Object, LeaseError> {
        let what = self.describe();
        self.api.get(LEASES, &self.options.name, None, &what).await.map_err(|error| self.error(error))
    }

    /// Writes the object as the leader's, which makes this agent's term longer.
    async fn write(&self, held: &mut Held, mut object: Object) -> Result<Leadership, LeaseError> {
        let sent = Instant::now();
        let spec = object.spec.get_or_insert_default();
        spec.lease_duration_seconds = Some(i32::try_from(self.options.duration.as_secs()).unwrap_or(i32::MAX));
        spec.renew_time = Some(MicroTime(clock::now()));
        let written = self.api.replace(LEASES, &self.options.name, &object, &self.describe()).await;
        held.object = Some(written.map_err(|error| self.error(error))?);
        self.standing().until = Some(term::ends(sent, self.options.duration));
        Ok(Leadership::Leader { identity: self.options.identity.clone() })
    }

    fn error(&self, error: KubernetesError) -> LeaseError {
        match error {
            KubernetesError::NotFound { .. } => LeaseError::Missing { what: self.describe() },
            error => LeaseError::Kubernetes(error),
        }
    }

    /// Draws the consequences of one round.
    fn note(&self, result: &Result<Leadership, LeaseError>) {
        let led = self.leadership().may_act();
        let mut standing = self.standing();
        match result {
            Ok(Leadership::Leader { .. }) => {
                let problem = format!("{} was not renewed in time", self.describe());
                standing.otherwise = Leadership::Unknown { problem };
            }
            Ok(other) => {
                standing.until = None;
                standing.otherwise = other.clone();
            }
            Err(error) => {
                standing.otherwise = Leadership::Unknown { problem: error.to_string() };
                // An error of the moment does not end the term; that the Lease is gone does.
                if matches!(error, LeaseError::Missing { .. }) {
                    standing.until = None;
                }
            }
        }
        if standing.until.is_none() {
            standing.restored = None;
        }
        drop(standing);
        if led && !self.leadership().may_act() {
            tracing::warn!(lease = self.describe(), "this agent does not lead any more");
        }
    }

    fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Namespace and name, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("Lease {}/{}", self.api.namespace(), self.options.name)
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} as {}", self.describe(), self.options.identity)
    }
}

fn spec(object: &Object) -> LeaseSpec {
    object.spec.clone().unwrap_or_default()
}

fn set_state(object: &mut Object, state: Option<&String>) {
    if let Some(state) = state {
        object.metadata.annotations.get_or_insert_default().insert(STATE.to_owned(), state.clone());
    }
}
