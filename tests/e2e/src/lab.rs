//! What the scenes of one test program stand on: one Pravega, started by the first of them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use sluice_lab::{Pravega, RunDir};
use tokio::runtime::Runtime;

/// The Pravega that all scenes share.
#[derive(Clone, Debug)]
pub struct Lab(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    runtime: Runtime,
    started: Mutex<Option<(RunDir, Pravega)>>,
}

impl Lab {
    /// Nothing is started yet.
    pub fn new() -> Result<Self> {
        Ok(Self(Arc::new(Inner { runtime: Runtime::new()?, started: Mutex::new(None) })))
    }

    /// A scene as a test, run only with `--ignored`.
    pub fn trial<F>(&self, name: &str, scene: F) -> Trial
    where
        F: AsyncFnOnce(&mut Pravega) -> Result<()> + Send + 'static,
    {
        let lab = self.clone();
        Trial::test(name, move || lab.play(scene)).with_ignored_flag(true)
    }

    /// Plays the scenes one after the other, and stops what they stood on.
    pub fn run(self, scenes: Vec<Trial>) -> Conclusion {
        let mut arguments = Arguments::from_args();
        arguments.test_threads = Some(1);
        let conclusion = libtest_mimic::run(&arguments, scenes);
        let started = self.0.started.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((run, pravega)) = started {
            let _ = self.0.runtime.block_on(pravega.stop());
            if !conclusion.has_failed() {
                run.passed();
            }
        }
        conclusion
    }

    fn play<F>(&self, scene: F) -> Result<(), Failed>
    where
        F: AsyncFnOnce(&mut Pravega) -> Result<()>,
    {
        let mut started = self.0.started.lock().unwrap_or_else(PoisonError::into_inner);
        let played = self.0.runtime.block_on(async {
            if started.is_none() {
                let run = RunDir::fresh()?;
                let pravega = Pravega::builder(&run).controllers(2).start().await?;
                *started = Some((run, pravega));
            }
            match started.as_mut() {
                Some((_, pravega)) => scene(pravega).await,
                None => Ok(()),
            }
        });
        played.map_err(|error| Failed::from(format!("{error:#}")))
    }
}
