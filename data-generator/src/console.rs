//! Standard output and standard error: log lines and the live line must not run into each other.

use serde::Serialize;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tracing_subscriber::EnvFilter;

/// Whether a live line stands on the terminal, without a newline at its end.
static LIVE_LINE: AtomicBool = AtomicBool::new(false);

/// Back to the start of the line, and wipe it.
const WIPE: &str = "\r\x1b[2K";

/// Starts logging to standard error with this filter; an error names what is wrong with it.
pub fn start_logging(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("--log {filter:?}: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_writer(|| LogWriter)
        .try_init()
        .map_err(|error| error.to_string())
}

/// Shows a line that the next one replaces.
pub(crate) fn live_line(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{WIPE}{line}");
    let _ = stderr.flush();
    LIVE_LINE.store(true, Relaxed);
}

/// Leaves the live line standing, and goes on below it.
pub(crate) fn end_live_line() {
    if LIVE_LINE.swap(false, Relaxed) {
        let _ = writeln!(io::stderr());
    }
}

/// One JSON object on a line of standard output. A reader that went away is not our concern: the
/// events are.
pub(crate) fn json_line(object: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(object) {
        let mut stdout = io::stdout().lock();
        let _ = writeln!(stdout, "{line}");
        let _ = stdout.flush();
    }
}

/// Text for people: on standard output, or on standard error when that belongs to a program.
pub(crate) fn text(text: &str, stdout_is_for_programs: bool) {
    let _ = if stdout_is_for_programs {
        io::stderr().lock().write_all(text.as_bytes())
    } else {
        io::stdout().lock().write_all(text.as_bytes())
    };
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stderr = io::stderr().lock();
        if LIVE_LINE.swap(false, Relaxed) {
            stderr.write_all(WIPE.as_bytes())?;
        }
        stderr.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
