//! Objects of one kind that are watched: what changes is known at once, and the time of the last word
//! from the API server is known too.
//!
//! A quiet watch does not tell a cluster in which nothing happens from one that cannot be reached. So
//! it is begun anew now and then, which lists all objects: that answer is the proof that what is known
//! still holds, and it is the time that a reading carries.

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::{
    WatchStreamExt as _,
    reflector::{self, Store},
    watcher,
};
use serde::de::DeserializeOwned;
use sluice_core::Reading;
use tokio::{sync::watch, task::AbortHandle, time::Instant};

use super::{
    KubernetesError,
    api::{Api, Resource},
};
use crate::clock;

/// An object that can be watched.
pub trait Watchable:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Watchable for K where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// What is watched, and whose sake it is for.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The kind, for messages.
    pub resource: Resource,
    /// Which objects of it.
    pub selected: watcher::Config,
    /// For messages, such as `Deployment flink/taskmanager`.
    pub what: String,
    /// How often the watch is begun anew.
    pub renew: Duration,
}

/// When the API server last spoke, or why it does not; `None` before the first word.
type Word = Option<Result<Timestamp, KubernetesError>>;

/// The objects as they are known now.
pub struct Watched<K: Watchable> {
    objects: Store<K>,
    word: watch::Receiver<Word>,
    silence: KubernetesError,
    timeout: Duration,
    task: AbortHandle,
}

impl<K: Watchable> Watched<K> {
    /// Begins to watch; ends when dropped.
    #[must_use]
    pub fn start(api: &Api, subject: Subject) -> Self {
        let (objects, mut writer) = reflector::store::<K>();
        let (told, word) = watch::channel(None);
        let watched = kube::Api::<K>::namespaced(api.client(), api.namespace());
        let silence = KubernetesError::silent(&subject.what, subject.resource, api.timeout());
        let task = tokio::spawn(async move {
            loop {
                let until = Instant::now() + subject.renew;
                let mut events = watcher(watched.clone(), subject.selected.clone()).default_backoff().boxed();
                while let Ok(Some(event)) = tokio::time::timeout_at(until, events.next()).await {
                    match event {
                        Ok(event) => {
                            writer.apply_watcher_event(&event);
                            if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                                told.send_replace(Some(Ok(clock::now())));
                            }
                        }
                        Err(error) => {
                            let error = KubernetesError::from_watch(&subject.what, subject.resource, error);
                            told.send_replace(Some(Err(error)));
                        }
                    }
                }
            }
        });
        Self { objects, word, silence, timeout: api.timeout(), task: task.abort_handle() }
    }

    /// All objects and the time of the last word, or why there is none. Right after the start the first
    /// word is waited for.
    pub async fn objects(&self) -> Result<Reading<Vec<Arc<K>>>, KubernetesError> {
        let mut word = self.word.clone();
        let spoken = tokio::time::timeout(self.timeout, word.wait_for(Option::is_some)).await;
        let word = match spoken {
            Ok(Ok(word)) => word.clone().unwrap_or_else(|| Err(self.silence.clone())),
            Ok(Err(_)) | Err(_) => Err(self.silence.clone()),
        };
        Ok(Reading { at: word?, value: self.objects.state() })
    }
}

impl<K: Watchable> Drop for Watched<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
