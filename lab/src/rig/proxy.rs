//! A door between two processes that can be shut: how the tests take Flink's REST API away without
//! touching Flink.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A TCP proxy on the loopback. Ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and passes everything on to `target`.
    pub async fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let open = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn(serve(listener, target, open.clone()));
        Ok(Self { address, open, task })
    }

    /// Where it listens, as an HTTP address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Shut: connections that exist are cut, new ones are refused service.
    pub fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, open: Arc<AtomicBool>) {
    while let Ok((mut inside, _)) = listener.accept().await {
        let open = open.clone();
        tokio::spawn(async move {
            if !open.load(Ordering::Relaxed) {
                return;
            }
            let Ok(mut outside) = TcpStream::connect(target).await else { return };
            let shut = async {
                while open.load(Ordering::Relaxed) {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
                () = shut => {}
            }
        });
    }
}
