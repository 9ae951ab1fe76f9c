//! TELL: what was seen, decided and done, as metrics, history and state.

pub mod history;
pub mod metrics;
pub mod status;
