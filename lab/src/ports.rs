//! Chooses the ports of a run: free on the loopback, and kept from every other lab on this machine.
//!
//! A port that the system hands out (binding port 0) may be taken as somebody's outgoing port while
//! a killed process is away, so that it cannot come back on it. The lab therefore looks below the
//! range that the system hands out, and holds a lock file per port for as long as the run lives.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The lowest port the lab takes by itself.
const LOWEST: u16 = 20_000;
/// Where the range of the system usually begins; used if the system does not say.
const USUAL_START_OF_OUTGOING: u16 = 32_768;

/// Why no port could be had.
#[derive(Debug, Error)]
pub enum PortsError {
    /// Nothing free between the two.
    #[error("no free port on 127.0.0.1 between {first} and {last}")]
    NoneFree {
        /// The first port that was tried.
        first: u16,
        /// The last port that was tried.
        last: u16,
    },
    /// A port that was asked for by number is in use.
    #[error("port {port} on 127.0.0.1 is in use")]
    Taken {
        /// The port in question.
        port: u16,
    },
    /// The lock files cannot be written.
    #[error("cannot keep the lock files of ports in {folder}")]
    Locks {
        /// Where they would be.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The ports of one run. Each stays reserved until this is dropped.
#[derive(Debug)]
pub struct Ports {
    locks: PathBuf,
    next: u16,
    last: u16,
    held: Vec<(u16, File)>,
}

impl Ports {
    /// Takes ports from anywhere below the range for outgoing connections, beginning at a place that
    /// differs from run to run. `locks` is a folder that all labs of this user share.
    #[must_use]
    pub fn anywhere(locks: &Path) -> Self {
        let last = start_of_outgoing().max(LOWEST + 1_000) - 1;
        let first = LOWEST + scatter(last - LOWEST);
        Self::between(locks, first, last)
    }

    /// Takes ports upwards from `base`.
    #[must_use]
    pub fn from_base(locks: &Path, base: u16) -> Self {
        Self::between(locks, base, base.saturating_add(200))
    }

    fn between(locks: &Path, first: u16, last: u16) -> Self {
        Self { locks: locks.to_owned(), next: first, last, held: Vec::new() }
    }

    /// The next free port.
    pub fn take(&mut self) -> Result<u16, PortsError> {
        let first = self.next;
        while self.next < self.last {
            let port = self.next;
            self.next += 1;
            if self.reserve(port)? {
                return Ok(port);
            }
        }
        Err(PortsError::NoneFree { first, last: self.last })
    }

    /// Exactly this port, or an error if it is in use.
    pub fn take_exactly(&mut self, port: u16) -> Result<u16, PortsError> {
        if self.reserve(port)? { Ok(port) } else { Err(PortsError::Taken { port }) }
    }

    fn reserve(&mut self, port: u16) -> Result<bool, PortsError> {
        let failed = |source| PortsError::Locks { folder: self.locks.clone(), source };
        std::fs::create_dir_all(&self.locks).map_err(failed)?;
        let lock = File::create(self.locks.join(port.to_string())).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // A program outside the lab may sit on it, on the loopback or on all addresses.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
        if free {
            self.held.push((port, lock));
        }
        Ok(free)
    }
}

/// The first port that the system may use for outgoing connections.
fn start_of_outgoing() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(USUAL_START_OF_OUTGOING)
}

/// A number below three quarters of `span` that differs between processes, so that two labs that
/// start at the same moment rarely try the same ports.
fn scatter(span: u16) -> u16 {
    let pid = std::process::id().wrapping_mul(0x9E37_79B1);
    let usable = u32::from(span) * 3 / 4;
    u16::try_from(pid % usable.max(1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_can_be_bound() -> anyhow::Result<()> {
        let locks = tempfile::tempdir()?;
        let mut ports = Ports::anywhere(locks.path());
        let taken: Vec<u16> = (0..5).map(|_| ports.take()).collect::<Result<_, _>>()?;
        for (i, port) in taken.iter().enumerate() {
            assert!(!taken[..i].contains(port));
            assert!(*port < start_of_outgoing());
            TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?;
        }
        Ok(())
    }

    #[test]
    fn a_port_in_use_is_passed_over() -> anyhow::Result<()> {
        let locks = tempfile::tempdir()?;
        let base = Ports::anywhere(locks.path()).take()?;
        let _somebody = TcpListener::bind((Ipv4Addr::LOCALHOST, base))?;
        let mut ports = Ports::from_base(locks.path(), base);
        assert!(ports.take()? > base);
        assert!(matches!(ports.take_exactly(base), Err(PortsError::Taken { port }) if port == base));
        Ok(())
    }

    #[test]
    fn two_labs_never_share_a_port() -> anyhow::Result<()> {
        let locks = tempfile::tempdir()?;
        let base = Ports::anywhere(locks.path()).take()?;
        let mut one = Ports::from_base(locks.path(), base);
        let mut other = Ports::from_base(locks.path(), base);
        let mine = one.take()?;
        assert_ne!(mine, other.take()?);
        drop(one);
        assert_eq!(other.take_exactly(mine)?, mine, "free again once the run is over");
        Ok(())
    }
}
