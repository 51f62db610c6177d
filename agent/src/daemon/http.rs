//! `/metrics` and `/healthz` over HTTP: one request a connection, one connection at a time, GET only.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::metrics::Metrics;

/// A scraper asks at once, and a short question. For all of it: one that drips must not keep the others waiting.
const PATIENCE: Duration = Duration::from_secs(2);
const LIMIT: usize = 8192;

/// A server; it ends when it is dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
}

/// What is served.
pub struct Pages {
    /// `/metrics`.
    pub metrics: Arc<Metrics>,
    /// `/healthz`: `Err` says what is wrong.
    pub health: Box<dyn Fn() -> Result<(), String> + Send>,
}

impl Server {
    /// Listens and serves on a thread of its own.
    pub fn start(address: SocketAddr, pages: Pages) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                match stream {
                    // Whoever asked and went away needs no answer.
                    Ok(stream) => drop(answer(stream, &pages, PATIENCE)),
                    // Out of descriptors, most likely: that passes.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        });
        Ok(Server { address, stop })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread; if nothing gets through, it ends with the process.
        let _ = TcpStream::connect_timeout(&self.address, PATIENCE);
    }
}

fn answer(mut stream: TcpStream, pages: &Pages, patience: Duration) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    stream.set_write_timeout(Some(patience))?;
    let mut head = Vec::new();
    let (status, kind, body) = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut piece = [0; 1024];
        let n = stream.read(&mut piece)?;
        head.extend_from_slice(&piece[..n]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(_)) => {
                break page(request.method.unwrap_or_default(), request.path.unwrap_or_default(), pages);
            }
            Ok(httparse::Status::Partial) if n > 0 && head.len() < LIMIT => {}
            _ => break ("400 Bad Request", TEXT, "this is no request\n".to_owned()),
        }
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn page(method: &str, path: &str, pages: &Pages) -> (&'static str, &'static str, String) {
    if method != "GET" {
        return ("405 Method Not Allowed", TEXT, "only GET\n".to_owned());
    }
    match path.split('?').next() {
        Some("/metrics") => ("200 OK", OPEN_METRICS, pages.metrics.text()),
        Some("/healthz") => match (pages.health)() {
            Ok(()) => ("200 OK", TEXT, "ok\n".to_owned()),
            Err(why) => ("503 Service Unavailable", TEXT, format!("{why}\n")),
        },
        _ => ("404 Not Found", TEXT, "there are /metrics and /healthz\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::pipeline::Pipeline;

    fn pages() -> (tempfile::TempDir, Pages) {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("[store]\ndirectory = \"{}\"\n", directory.path().display());
        let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
        let pipeline = Arc::new(Pipeline::open(Arc::new(config), "web1".into()).unwrap());
        (directory, Pages { metrics: Arc::new(Metrics::new(&pipeline)), health: Box::new(|| Ok(())) })
    }

    #[test]
    fn whoever_drips_is_given_up_and_the_next_is_answered() {
        let (_directory, pages) = pages();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut slow = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let dripping = thread::spawn(move || {
            // Each byte comes within the patience; without an end there would be as many as the limit allows.
            let bytes = std::iter::repeat_n(b"x", LIMIT / 2);
            bytes
                .take_while(|byte| slow.write_all(*byte).is_ok())
                .for_each(|_| thread::sleep(Duration::from_millis(5)));
        });
        let error = answer(server, &pages, Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
        dripping.join().unwrap();
        let mut quick = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        quick.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
        answer(listener.accept().unwrap().0, &pages, PATIENCE).unwrap();
        let mut text = String::new();
        quick.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK") && text.ends_with("\r\n\r\nok\n"), "{text}");
    }
}
