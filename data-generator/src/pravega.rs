//! Everything that touches `pravega-client`, and what keeps its faults in.
//!
//! That client panics in background tasks (a missing stream, a controller away for a minute), blocks
//! control calls for a minute or for ever, and knows a single controller. So it runs on a runtime of
//! its own (`fault`), it reaches the controllers through a relay that stands in for whichever one
//! answers (`relay`), and every control call is a task with a deadline (`session`).

mod address;
mod dial;
mod fault;
mod reading;
mod relay;
mod session;
mod words;

pub use address::{AddressError, Controller, Controllers};
pub use fault::ClientRuntime;
pub use session::{ControlError, Credentials, Session, SessionOptions};
