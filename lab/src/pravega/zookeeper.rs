//! Writes the first nodes into an empty `ZooKeeper`, over its own protocol.
//!
//! The products' own tools for this start a Java machine per command, which costs seconds. The
//! protocol is small: every message has its length before it, numbers are big-endian, strings and
//! byte fields have their length before them.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Under this node the cluster of Pravega keeps everything.
pub const CLUSTER: &str = "/pravega/pravega-cluster";
/// Under this node `BookKeeper` keeps its ledgers.
pub const LEDGERS: &str = "/pravega/pravega-cluster/bookkeeper/ledgers";

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How long one try to open a session may take. A server that is just starting takes the connection and
/// sometimes never answers on it; the next try succeeds.
const LIMIT_OF_OPENING: Duration = Duration::from_secs(1);
/// How long the server keeps our session if we vanish, in milliseconds.
const SESSION_MS: i32 = 10_000;
const CREATE: i32 = 1;
const CLOSE: i32 = -11;
const ALL_PERMISSIONS: i32 = 31;
const NODE_EXISTS: i32 = -110;
/// No answer of the server to us is longer.
const LONGEST_ANSWER: usize = 1 << 16;

/// A node to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    path: String,
    data: Vec<u8>,
}

/// What Pravega and `BookKeeper` expect to find: the roots of both, and the marks of an initialised
/// `BookKeeper` cluster (how ledgers are laid out, and the name of this cluster instance).
pub fn first_nodes() -> Vec<Node> {
    let plain = |path: String| Node { path, data: Vec::new() };
    vec![
        plain("/pravega".into()),
        plain(CLUSTER.into()),
        plain(format!("{CLUSTER}/bookkeeper")),
        plain(LEDGERS.into()),
        plain(format!("{LEDGERS}/available")),
        plain(format!("{LEDGERS}/available/readonly")),
        Node {
            path: format!("{LEDGERS}/LAYOUT"),
            data: b"2\norg.apache.bookkeeper.meta.HierarchicalLedgerManagerFactory:1".to_vec(),
        },
        // Any UUID will do: it only has to stay the same for as long as the cluster lives.
        Node { path: format!("{LEDGERS}/INSTANCEID"), data: b"5e95e0ce-91dd-4d6a-9a31-16f2cdb7a1aa".to_vec() },
    ]
}

/// A session with the server on the loopback.
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
    requests: i32,
}

impl Session {
    /// Connects; an error if the server does not answer yet.
    pub async fn open(port: u16) -> io::Result<Self> {
        timeout(LIMIT_OF_OPENING, Self::greet(port)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn greet(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut session = Self { stream, requests: 0 };
        let mut hello = Message::default();
        hello.int(0); // version of the protocol
        hello.long(0); // last transaction seen
        hello.int(SESSION_MS);
        hello.long(0); // no earlier session
        hello.bytes(&[0; 16]); // nor its password
        session.send(&hello).await?;
        session.receive().await?;
        Ok(session)
    }

    /// Creates the nodes in order; one that exists already is left as it is. Ends the session.
    pub async fn create_all(mut self, nodes: &[Node]) -> io::Result<()> {
        for node in nodes {
            let mut body = Message::default();
            body.bytes(node.path.as_bytes());
            body.bytes(&node.data);
            body.int(1); // one entry of access rights: everybody may do everything
            body.int(ALL_PERMISSIONS);
            body.bytes(b"world");
            body.bytes(b"anyone");
            body.int(0); // a plain node that stays
            match self.request(CREATE, &body).await? {
                0 | NODE_EXISTS => {}
                error => {
                    return Err(io::Error::other(format!("ZooKeeper refuses {}: error {error}", node.path)));
                }
            }
        }
        self.request(CLOSE, &Message::default()).await?;
        Ok(())
    }

    /// Sends one request and returns the error code of the answer, 0 for success.
    async fn request(&mut self, kind: i32, body: &Message) -> io::Result<i32> {
        self.requests += 1;
        let mut message = Message::default();
        message.int(self.requests);
        message.int(kind);
        message.0.extend_from_slice(&body.0);
        self.send(&message).await?;
        // Answer: number of the request (4), transaction (8), error code (4), then what we do not read.
        let answer = self.receive().await?;
        let code = answer.get(12..16).and_then(|bytes| bytes.try_into().ok());
        code.map(i32::from_be_bytes).ok_or_else(|| io::Error::other("ZooKeeper's answer is too short"))
    }

    async fn send(&mut self, message: &Message) -> io::Result<()> {
        let length = u32::try_from(message.0.len()).map_err(io::Error::other)?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&message.0);
        limited(self.stream.write_all(&bytes)).await
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let length = limited(self.stream.read_u32()).await?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        if length > LONGEST_ANSWER {
            return Err(io::Error::other("this is not ZooKeeper"));
        }
        let mut answer = vec![0; length];
        limited(self.stream.read_exact(&mut answer)).await?;
        Ok(answer)
    }
}

async fn limited<T>(what: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(LIMIT, what).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The bytes of a message being put together.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn int(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn long(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        // No value here is anywhere near the limit of the protocol.
        self.int(i32::try_from(value.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_before_their_children() {
        let nodes = first_nodes();
        for (i, node) in nodes.iter().enumerate() {
            let (parent, _) = node.path.rsplit_once('/').expect("absolute");
            assert!(parent.is_empty() || nodes[..i].iter().any(|n| n.path == parent), "{}", node.path);
        }
    }

    #[tokio::test]
    async fn speaks_the_protocol() -> anyhow::Result<()> {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = server.local_addr()?.port();
        let serving = tokio::spawn(async move {
            let (mut peer, _) = server.accept().await?;
            let mut seen = Vec::new();
            for answer in [37usize, 16, 16] {
                let length = peer.read_u32().await?;
                let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
                peer.read_exact(&mut body).await?;
                seen.push(body);
                peer.write_u32(u32::try_from(answer).map_err(io::Error::other)?).await?;
                peer.write_all(&vec![0; answer]).await?;
            }
            Ok::<_, io::Error>(seen)
        });
        let node = Node { path: "/a".into(), data: b"xy".to_vec() };
        Session::open(port).await?.create_all(&[node]).await?;
        let seen = serving.await??;
        assert_eq!(seen[0].len(), 44);
        let mut create = vec![0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2];
        create.extend(b"/a\0\0\0\x02xy\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone\0\0\0\0");
        assert_eq!(seen[1], create);
        Ok(())
    }
}
