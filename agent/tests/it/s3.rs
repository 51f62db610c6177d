//! A bucket on loopback that does what a test tells it to: just enough of S3's protocol, and every fault.
//!
//! It checks no signature; a server that we did not write does, in the end-to-end tests.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What to do instead of answering.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Answers that, with an error document.
    Status(u16),
    /// Says nothing more, ever.
    Hang,
    /// Closes the connection.
    Cut,
    /// Does it, but closes the connection before the answer.
    CutAfter,
    /// Answers with a byte changed.
    Corrupt,
    /// Does not know the upload any more.
    Forget,
}

/// A request, as the plan sees it: `PUT part`, `PUT`, `GET`, `HEAD`, `POST uploads`, `POST complete`, `DELETE`.
#[derive(Clone, Debug)]
pub struct Request {
    pub kind: &'static str,
    /// How many of that kind there were before it.
    pub before: usize,
    /// Whose it is: the id of the key that it was signed with, and the session's token.
    pub who: (String, String),
}

type Plan = Box<dyn Fn(&Request) -> Option<Fault> + Send>;

#[derive(Default)]
struct Inside {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, BTreeMap<u32, Vec<u8>>>,
    log: Vec<Request>,
    plan: Option<Plan>,
    serial: u32,
}

/// The server; it lives as long as the test's process.
pub struct Server {
    inside: Arc<Mutex<Inside>>,
    port: u16,
}

impl Server {
    pub fn start() -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inside = Arc::new(Mutex::new(Inside::default()));
        let shared = Arc::clone(&inside);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        Server { inside, port }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on, does with requests what `plan` says.
    pub fn plan(&self, plan: impl Fn(&Request) -> Option<Fault> + Send + 'static) {
        let mut inside = self.inside.lock().unwrap();
        inside.log.clear();
        inside.plan = Some(Box::new(plan));
    }

    /// Forgets all it has.
    pub fn clear(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.objects.clear();
        inside.uploads.clear();
    }

    /// The objects, by key (with the bucket).
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.inside.lock().unwrap().objects.clone()
    }

    /// How many requests of that kind there were since the last plan.
    pub fn count(&self, kind: &str) -> usize {
        self.inside.lock().unwrap().log.iter().filter(|request| request.kind == kind).count()
    }

    /// Whose requests there were since the last plan, without repetitions.
    pub fn askers(&self) -> Vec<(String, String)> {
        let mut askers: Vec<_> = self.inside.lock().unwrap().log.iter().map(|request| request.who.clone()).collect();
        askers.dedup();
        askers
    }

    /// How many uploads are under way.
    pub fn uploads(&self) -> usize {
        self.inside.lock().unwrap().uploads.len()
    }
}

/// One request and its answer; none when the connection is over.
fn serve(stream: &TcpStream, inside: &Mutex<Inside>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut range, mut who) = (0, None, <(String, String)>::default());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|&n| n > 0)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "range" => range = parse_range(value.trim()),
            "authorization" => {
                let id = value.split_once("Credential=").and_then(|(_, rest)| rest.split_once('/'));
                who.0 = id.map(|(id, _)| id.to_owned()).unwrap_or_default();
            }
            "x-amz-security-token" => who.1 = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query: BTreeMap<&str, &str> = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    // Of what is escaped, dumps' names hold this only.
    let key = path.trim_start_matches('/').replace("%3A", ":");
    let kind = match (method.as_str(), query.contains_key("uploadId"), query.contains_key("uploads")) {
        ("PUT", true, _) => "PUT part",
        ("PUT", ..) => "PUT",
        ("GET", ..) => "GET",
        ("HEAD", ..) => "HEAD",
        ("POST", _, true) => "POST uploads",
        ("POST", ..) => "POST complete",
        ("DELETE", ..) => "DELETE",
        other => panic!("{other:?}"),
    };
    let fault = {
        let mut inside = inside.lock().unwrap();
        let before = inside.log.iter().filter(|request| request.kind == kind).count();
        let request = Request { kind, before, who };
        inside.log.push(request.clone());
        inside.plan.as_ref().and_then(|plan| plan(&request))
    };
    match fault {
        Some(Fault::Hang) => loop {
            thread::park();
        },
        Some(Fault::Cut) => return None,
        Some(Fault::Status(status)) => {
            let code = if status == 403 { "AccessDenied" } else { "InternalError" };
            let text = format!("<Error><Code>{code}</Code><Message>As told.</Message></Error>");
            return answer(stream, status, "", text.as_bytes(), kind != "HEAD");
        }
        Some(Fault::Forget) => inside.lock().unwrap().uploads.clear(),
        _ => {}
    }
    let (status, headers, mut bytes) = inside.lock().unwrap().handle(kind, key, &query, body, range);
    if let (Some(Fault::Corrupt), Some(byte)) = (fault, bytes.last_mut()) {
        *byte ^= 1;
    }
    if matches!(fault, Some(Fault::CutAfter)) {
        return None;
    }
    answer(stream, status, &headers, &bytes, kind != "HEAD")
}

impl Inside {
    fn handle(
        &mut self,
        kind: &str,
        key: String,
        query: &BTreeMap<&str, &str>,
        body: Vec<u8>,
        range: Option<(usize, usize)>,
    ) -> (u16, String, Vec<u8>) {
        let etag = |bytes: &[u8]| format!("ETag: \"{:x}-{}\"\r\n", bytes.len(), bytes.first().copied().unwrap_or(0));
        let id = query.get("uploadId").map(|id| (*id).to_owned()).unwrap_or_default();
        let unknown = || (404, String::new(), b"<Error><Code>NoSuchUpload</Code></Error>".to_vec());
        match kind {
            "PUT" => {
                let headers = etag(&body);
                self.objects.insert(key, body);
                (200, headers, Vec::new())
            }
            "PUT part" => match self.uploads.get_mut(&id) {
                None => unknown(),
                Some(upload) => {
                    let headers = etag(&body);
                    upload.insert(query["partNumber"].parse().unwrap(), body);
                    (200, headers, Vec::new())
                }
            },
            "POST uploads" => {
                self.serial += 1;
                let id = format!("upload{}", self.serial);
                self.uploads.insert(id.clone(), BTreeMap::new());
                let name = "InitiateMultipartUploadResult";
                (200, String::new(), format!("<{name}><UploadId>{id}</UploadId></{name}>").into_bytes())
            }
            "POST complete" => match self.uploads.remove(&id) {
                None => unknown(),
                Some(parts) => {
                    // Only those parts that are named count.
                    let named = String::from_utf8(body).unwrap().matches("<PartNumber>").count();
                    assert_eq!(named, parts.len());
                    self.objects.insert(key, parts.into_values().flatten().collect());
                    let name = "CompleteMultipartUploadResult";
                    (200, String::new(), format!("<{name}><ETag>\"e\"</ETag></{name}>").into_bytes())
                }
            },
            "DELETE" => (204, String::new(), self.uploads.remove(&id).map(|_| Vec::new()).unwrap_or_default()),
            _ => match (self.objects.get(&key), range) {
                (None, _) => (404, String::new(), b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
                (Some(object), None) => (200, etag(object), object.clone()),
                (Some(object), Some((from, to))) => {
                    let to = to.min(object.len().saturating_sub(1));
                    let headers = format!("{}Content-Range: bytes {from}-{to}/{}\r\n", etag(object), object.len());
                    (206, headers, object[from..=to].to_vec())
                }
            },
        }
    }
}

fn parse_range(text: &str) -> Option<(usize, usize)> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn answer(mut stream: &TcpStream, status: u16, headers: &str, body: &[u8], with_body: bool) -> Option<()> {
    let modified = "Last-Modified: Tue, 24 Nov 2026 05:23:23 GMT\r\n";
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}{modified}Content-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    if with_body {
        stream.write_all(body).ok()?;
    }
    Some(())
}
