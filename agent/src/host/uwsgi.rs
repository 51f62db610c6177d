//! uWSGI's stats server: how many requests each worker has served. It connects, reads one JSON text, and is done.

use std::io::{self, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Deserialize;

/// A stats server answers at once, or is of no use.
const TIMEOUT: Duration = Duration::from_millis(500);
/// No answer is longer, but for a server that means harm.
const LIMIT: u64 = 4 << 20;

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    workers: Vec<Worker>,
}

#[derive(Deserialize)]
struct Worker {
    #[serde(default)]
    pid: u32,
    #[serde(default)]
    requests: u64,
}

/// Pids, as the server sees them, and requests served, from the stats server at `HOST:PORT` or a socket's path.
pub fn requests(address: &str) -> io::Result<Vec<(u32, u64)>> {
    let mut text = Vec::new();
    if address.starts_with(['/', '@']) {
        let stream = UnixStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.take(LIMIT).read_to_end(&mut text)?;
    } else {
        let address = address.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.take(LIMIT).read_to_end(&mut text)?;
    }
    let stats: Stats = serde_json::from_slice(&text)?;
    Ok(stats.workers.into_iter().map(|worker| (worker.pid, worker.requests)).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn workers_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stats");
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            for text in [r#"{"version":"2.0","workers":[{"id":1,"pid":7,"requests":42},{"id":2}]}"#, "{"] {
                listener.accept().unwrap().0.write_all(text.as_bytes()).unwrap();
            }
        });
        let address = path.to_str().unwrap();
        assert_eq!(requests(address).unwrap(), [(7, 42), (0, 0)]);
        assert!(requests(address).is_err());
        server.join().unwrap();
        assert!(requests("/nonexistent").is_err());
    }
}
