//! Stands in for the controllers: a listener on loopback that passes each connection on to the first
//! controller that accepts it.
//!
//! `pravega-client` knows one controller and gives up on it after a minute, by panicking, with events
//! in flight whose outcome is then unknown. Behind the relay it never notices: while no controller is
//! there its connection is held and waits; when one dies its next connection goes to another. The
//! events in flight stay with the same writer, whose numbering lets Pravega tell a repetition, so a
//! controller that comes and goes costs neither a loss nor a duplicate.
//!
//! Only for plain TCP. TLS compares the certificate with the host name the client dialled, and that
//! must then be the controller's own.

use super::address::{Controller, Controllers};
use super::dial::connect;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// Between two rounds over all addresses while none accepts.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// A running relay; it ends when dropped.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    route: Arc<Route>,
    accepting: AbortHandle,
}

/// Which controller is in use, shared with the connections.
#[derive(Debug)]
struct Route {
    controllers: Vec<Controller>,
    /// Index of the controller that last accepted.
    current: AtomicUsize,
    /// Index of the controller of which people were last told.
    told: AtomicUsize,
    /// Raised to drop the connections that stand, so that they are made anew.
    generation: watch::Sender<u64>,
}

impl Relay {
    /// Listens on a free loopback port and starts to relay. Must be called on a runtime.
    pub(super) async fn start(controllers: &Controllers) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let route = Arc::new(Route {
            controllers: controllers.addresses.clone(),
            current: AtomicUsize::new(0),
            told: AtomicUsize::new(0),
            generation: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&route))).abort_handle();
        Ok(Self { address, route, accepting })
    }

    /// Where the client connects to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The controller in use.
    pub(super) fn current(&self) -> &Controller {
        self.route.controller(self.route.current.load(Ordering::Relaxed))
    }

    /// Turns to the next controller, because the one in use accepts but does not answer.
    pub(super) fn turn_to_next(&self) {
        if self.route.controllers.len() > 1 {
            self.route.current.fetch_add(1, Ordering::Relaxed);
            self.route.generation.send_modify(|generation| *generation += 1);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Route {
    fn controller(&self, index: usize) -> &Controller {
        &self.controllers[index % self.controllers.len()]
    }

    /// Connects to the controller in use or, failing that, to the next one; waits until one accepts.
    async fn connect(&self) -> TcpStream {
        loop {
            for _ in &self.controllers {
                let index = self.current.load(Ordering::Relaxed);
                let controller = self.controller(index);
                match connect(controller).await {
                    Ok(stream) => {
                        let place = index % self.controllers.len();
                        if self.told.swap(place, Ordering::Relaxed) != place {
                            tracing::info!("using controller tcp://{controller} now");
                        }
                        return stream;
                    }
                    Err(error) => tracing::debug!(%controller, %error, "controller does not accept"),
                }
                // Only if nobody else has moved on in the meantime.
                let _ = self.current.compare_exchange(index, index + 1, Ordering::Relaxed, Ordering::Relaxed);
            }
            sleep(RETRY_EVERY).await;
        }
    }
}

async fn accept(listener: TcpListener, route: Arc<Route>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(pass_on(client, Arc::clone(&route)));
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come free.
                tracing::debug!(%error, "relay cannot accept");
                sleep(RETRY_EVERY).await;
            }
        }
    }
}

/// One connection of the client, until either side closes it or the route turns elsewhere.
async fn pass_on(mut client: TcpStream, route: Arc<Route>) {
    let _ = client.set_nodelay(true);
    let mut generation = route.generation.subscribe();
    generation.mark_unchanged();
    // The client closing while no controller accepts shows as a readable end of stream only once
    // there is somewhere to copy to; such a connection is few bytes and ends with the process.
    let mut controller = tokio::select! {
        stream = route.connect() => stream,
        _ = generation.changed() => return,
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut controller) => {}
        _ = generation.changed() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    /// Answers every connection with its name, for as long as it lives.
    async fn fake(name: &'static str) -> (Controller, AbortHandle) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(name.as_bytes()).await;
            }
        });
        let host = "127.0.0.1".to_owned();
        (Controller { host, port }, task.abort_handle())
    }

    async fn ask(relay: &Relay) -> String {
        let mut answer = String::new();
        let mut stream = TcpStream::connect(relay.address()).await.expect("relay accepts");
        let read = stream.read_to_string(&mut answer);
        timeout(Duration::from_secs(10), read).await.expect("answers").expect("readable");
        answer
    }

    fn list(addresses: &[&Controller]) -> Controllers {
        Controllers { addresses: addresses.iter().map(|&address| address.clone()).collect(), tls: false }
    }

    #[tokio::test]
    async fn a_dead_controller_is_passed_over_and_remembered() {
        let (first, first_task) = fake("first").await;
        let (second, _) = fake("second").await;
        let relay = Relay::start(&list(&[&first, &second])).await.expect("starts");
        assert_eq!(ask(&relay).await, "first");
        first_task.abort();
        tokio::task::yield_now().await;
        assert_eq!(ask(&relay).await, "second");
        assert_eq!(relay.current(), &second);
    }

    #[tokio::test]
    async fn a_silent_controller_can_be_left() {
        let (first, _) = fake("first").await;
        let (second, _) = fake("second").await;
        let relay = Relay::start(&list(&[&first, &second])).await.expect("starts");
        relay.turn_to_next();
        assert_eq!(ask(&relay).await, "second");
    }

    #[tokio::test]
    async fn a_connection_waits_for_a_controller_that_is_away() {
        let (first, task) = fake("first").await;
        task.abort();
        tokio::task::yield_now().await;
        let relay = Relay::start(&list(&[&first])).await.expect("starts");
        let back = async {
            sleep(Duration::from_millis(500)).await;
            let listener = TcpListener::bind(("127.0.0.1", first.port)).await.expect("binds");
            let (mut stream, _) = listener.accept().await.expect("accepts");
            stream.write_all(b"back").await.expect("writes");
        };
        let (answer, ()) = tokio::join!(ask(&relay), back);
        assert_eq!(answer, "back");
    }
}
