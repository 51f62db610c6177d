//! `/metrics` and `/healthz` over HTTP: one request a connection, one connection at a time, GET only.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::metrics::Metrics;

/// A scraper asks at once, and a short question.
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
                    Ok(stream) => drop(answer(stream, &pages)),
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

fn answer(mut stream: TcpStream, pages: &Pages) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let (status, kind, body) = loop {
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
