//! Finds a controller that accepts a connection.

use super::address::{Controller, Controllers};
use super::session::ControlError;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A controller that does not accept within this time is passed over.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// One attempt to connect, within a limit.
pub(super) async fn connect(controller: &Controller) -> io::Result<TcpStream> {
    let address = (controller.host.as_str(), controller.port);
    match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => {
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("not accepted within {CONNECT_TIMEOUT:?}"))),
    }
}

/// The first controller, from this one on, that accepts a connection: its place in the list, and its
/// URI. An error that names each otherwise.
pub(super) async fn first_accepting(controllers: &Controllers, from: usize) -> Result<(usize, String), ControlError> {
    let mut refusals = Vec::new();
    let scheme = if controllers.tls { "tls" } else { "tcp" };
    let count = controllers.addresses.len();
    for (place, controller) in controllers.addresses.iter().enumerate().cycle().skip(from % count).take(count) {
        match connect(controller).await {
            Ok(_) => return Ok((place, format!("{scheme}://{controller}"))),
            Err(error) => refusals.push(format!("{scheme}://{controller}: {error}")),
        }
    }
    Err(ControlError::Unreachable(refusals.join("; ")))
}
