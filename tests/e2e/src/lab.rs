//! What the scenes of one test program stand on: one Pravega, started by the first of them, or two in
//! turn where some scenes need another kind.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Result;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use sluice_lab::{Pravega, RunDir, pravega::AutoScale};
use tokio::runtime::Runtime;

/// Which Pravega a scene is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One controller.
    Plain,
    /// Two controllers.
    TwoControllers,
    /// One controller, with TLS and users.
    Secure,
    /// One controller, and an auto-scaler as quick as the product can be made.
    AutoScaling,
    /// One controller, with metrics.
    Metered,
}

/// The Pravega that the scenes share.
#[derive(Clone, Debug)]
pub struct Lab(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runtime: Runtime,
    started: Mutex<Option<(Kind, RunDir, Pravega)>>,
}

impl Lab {
    /// Nothing is started yet.
    pub fn new() -> Result<Self> {
        Ok(Self(Arc::new(Inner { runtime: Runtime::new()?, started: Mutex::new(None) })))
    }

    /// A scene as a test, run only with `--ignored`. Scenes of a kind should stand together: another
    /// kind needs another Pravega.
    pub fn trial<F>(&self, kind: Kind, name: &str, scene: F) -> Trial
    where
        F: AsyncFnOnce(&mut Pravega) -> Result<()> + Send + 'static,
    {
        let lab = self.clone();
        Trial::test(name, move || lab.play(kind, scene)).with_ignored_flag(true)
    }

    /// Plays the scenes one after the other, and stops what they stood on.
    pub fn run(self, scenes: Vec<Trial>) -> Conclusion {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = Some(1);
        let conclusion = libtest_mimic::run(&arguments, scenes);
        let started = self.0.started.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((_, run, pravega)) = started {
            let _ = self.0.runtime.block_on(pravega.stop());
            if !conclusion.has_failed() {
                run.passed();
            }
        }
        conclusion
    }

    fn play<F>(&self, kind: Kind, scene: F) -> Result<(), Failed>
    where
        F: AsyncFnOnce(&mut Pravega) -> Result<()>,
    {
        let mut started = self.0.started.lock().unwrap_or_else(PoisonError::into_inner);
        let played = self.0.runtime.block_on(async {
            if let Some((_, run, pravega)) = started.take_if(|(running, ..)| *running != kind) {
                pravega.stop().await?;
                run.passed();
            }
            if started.is_none() {
                *started = Some(kind.start().await?);
            }
            match started.as_mut() {
                Some((.., pravega)) => scene(pravega).await,
                None => Ok(()),
            }
        });
        played.map_err(|error| Failed::from(format!("{error:#}")))
    }
}

impl Kind {
    async fn start(self) -> Result<(Self, RunDir, Pravega)> {
        let run = RunDir::fresh()?;
        let builder = Pravega::builder(&run);
        let builder = match self {
            Self::Plain => builder,
            Self::TwoControllers => builder.controllers(2),
            Self::Secure => builder.secure(),
            Self::Metered => builder.metrics(true),
            Self::AutoScaling => builder.auto_scale(AutoScale {
                cache_expiry: Duration::from_secs(135),
                clean_up: Duration::from_secs(10),
                ..AutoScale::quick()
            }),
        };
        let pravega = builder.start().await?;
        Ok((self, run, pravega))
    }
}
