//! TELL: what was seen, decided and done, as metrics, history and state.

pub mod events;
mod gauges;
pub mod history;
pub mod history_config_map;
pub mod history_file;
pub mod history_keeper;
pub mod metrics;
pub mod page;
pub mod redact;
pub mod samples;
pub mod status;
