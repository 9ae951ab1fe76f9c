//! The runtime that `pravega-client` lives on, and what becomes of its panics.
//!
//! Its background tasks panic where others would return an error. On a runtime of their own they take
//! nothing else down; a panic hook keeps the message, so that it ends up in our error and not as a
//! backtrace on the user's screen.

use std::io;
use std::panic;
use std::sync::Mutex;
use std::thread;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads by this name belong to the client.
const THREAD_NAME: &str = "pravega-client";

/// The last panic among the client's tasks: the hook is global, so this has to be, too.
static LAST_PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Owns the client's runtime; dropping it abandons whatever hangs there.
#[derive(Debug)]
pub struct ClientRuntime {
    handle: Handle,
    /// Taken out on drop, and only there.
    runtime: Option<Runtime>,
}

impl ClientRuntime {
    /// Starts the runtime and the panic hook. Called once, at the start of the process.
    pub fn start() -> io::Result<Self> {
        let default_hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(THREAD_NAME) {
                default_hook(info);
                return;
            }
            let message = info.payload_as_str().unwrap_or("no message").lines().next().unwrap_or_default().to_owned();
            tracing::debug!(%message, location = ?info.location(), "pravega-client panicked");
            if let Ok(mut last) = LAST_PANIC.lock() {
                *last = Some(message);
            }
        }));
        let runtime = Builder::new_multi_thread().thread_name(THREAD_NAME).enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// To spawn on it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for ClientRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its tasks could take for ever: some of them never end.
            runtime.shutdown_background();
        }
    }
}

/// What the client's tasks last panicked with, taken out.
pub(super) fn take_last_panic() -> Option<String> {
    LAST_PANIC.lock().ok()?.take()
}
