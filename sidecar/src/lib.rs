//! The agent around the core: SEE ([`observe`]), DO ([`act`]), TELL ([`report`]), in one loop
//! ([`control_loop`]).

pub mod act;
pub mod admin;
pub mod args;
pub mod check;
pub mod clock;
pub mod control_loop;
pub mod credentials;
pub mod flink;
pub mod history;
mod http_peer;
pub mod inject;
pub mod kubernetes;
pub mod memory_store;
pub mod mounted;
pub mod observe;
pub mod plan;
pub mod pravega;
mod readers;
pub mod report;
pub mod run;
pub mod segments;
pub mod simulate;
pub mod state_file;
pub mod task_managers;
mod tls;
