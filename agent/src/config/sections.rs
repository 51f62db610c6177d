//! The sections of the configuration but for the rules: what each key means, what it may be, what it is by default.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::asking::LONGEST;
use crate::seal;
use crate::settings::values::{
    Amount, DURATION, PERCENT, SIZE, SIZE_OR_PERCENT, amount, duration, percent, size, some_duration, some_size,
};
use crate::settings::{Located, Table, choice};

/// Where the control socket is, unless a configuration says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/heapsee/agent.sock";

const PATH: &str = "an absolute path in quotes";
const SHIP_URL: &str = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///DIRECTORY";
const WEB_ADDRESS: &str = "an address such as \"https://example.org\"";
const BANDWIDTH: &str = "bytes a second, such as \"10MB\"";
/// What is wrong with an endpoint without TLS, and what to do about it.
const NOT_ENCRYPTED: (&str, &str) =
    ("endpoint of [ship] is not encrypted (http://)", "use https://, or add allow_http = true");

// What `[ship]` is by default.
const PART_SIZE: u64 = 8 << 20;
const SHIP_TIMEOUT: Duration = Duration::from_secs(60);
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(900);

/// `[agent]`: the daemon itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// How often workers are looked at.
    pub poll: Duration,
    /// Where the state and the lock are.
    pub state: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// Whether rules only say what they would do.
    pub dry_run: bool,
    /// Whether the log is JSON lines.
    pub log_json: bool,
    /// How long a dump may make no progress.
    pub dump_timeout: Duration,
    /// How long a dump may take at all.
    pub dump_limit: Duration,
}

/// `[limits]`: what keeps dumps from hurting the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Between two dumps of one worker.
    pub cooldown: Duration,
    /// The share of a service's workers that may be dumped within `share_window`; one may always be.
    pub max_share: f64,
    /// See `max_share`.
    pub share_window: Duration,
    /// No dump while the host has less memory available.
    pub min_memory: Amount,
    /// No dump while the worker's dump directory has less space free.
    pub min_disk: Amount,
    /// No dump while some tasks wait for memory for more than this share of the last 10 seconds (PSI).
    pub max_memory_pressure: f64,
    /// The same, for input and output.
    pub max_io_pressure: f64,
    /// How long a trigger that comes at a moment (a schedule, an event) waits for a better one.
    pub patience: Duration,
    /// No dump is waited for longer: `dump_limit` of `[agent]`.
    pub longest: Duration,
}

/// `[store]`: where collected dumps are kept, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// The directory.
    pub directory: PathBuf,
    /// zstd's level; `None`: not compressed.
    pub zstd_level: Option<i32>,
    /// Whether the worker's own files stay where they are.
    pub keep_originals: bool,
    /// age recipients to encrypt to; none: not encrypted.
    pub encrypt_to: Vec<String>,
}

/// `[intake]`: dumps that somebody else asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Intake {
    /// Whether the dump directories of armed workers are watched.
    pub watch: bool,
    /// Further directories to watch.
    pub directories: Vec<PathBuf>,
    /// How often they are scanned for what the watch has missed.
    pub scan: Duration,
}

/// Limits of what is kept: all of it, or of one application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quota {
    /// Bytes.
    pub max_size: Option<u64>,
    /// Age.
    pub max_age: Option<Duration>,
    /// Number of dumps.
    pub max_count: Option<u64>,
}

/// `[retention]`: how long collected dumps are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    /// Of everything in the store; `max_count` is per application.
    pub quota: Quota,
    /// What stays free on the store's file system.
    pub keep_free: Amount,
    /// Whether dumps that are to be shipped, and are not yet, may be deleted.
    pub delete_unshipped: bool,
    /// `[retention.app.NAME]`: of one application, besides.
    pub apps: BTreeMap<String, Quota>,
}

/// `[ship]`: copies in object storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Ship {
    /// `s3://BUCKET/PREFIX`, `gs://…`, `az://…` or `file:///…`.
    pub url: String,
    /// Another endpoint than the provider's: `https://minio.example:9000`.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Whether an endpoint without TLS will do.
    pub allow_http: bool,
    /// Bytes a second.
    pub bandwidth: Option<u64>,
    /// Size of a part of a multipart upload.
    pub part_size: u64,
    /// How long one request may take.
    pub timeout: Duration,
    /// The first pause after a failure; it doubles with each.
    pub retry_first: Duration,
    /// The longest pause.
    pub retry_max: Duration,
}

impl Ship {
    /// What a command line names, with the defaults of the section for the rest.
    ///
    /// # Errors
    /// What is wrong and what to do, in the words of the section.
    pub fn from_arguments(
        url: &str,
        endpoint: Option<&str>,
        region: Option<&str>,
        allow_http: bool,
        bandwidth: Option<&str>,
    ) -> Result<Ship, String> {
        fn value<T>(key: &str, text: &str, expected: &str, parsed: Result<T, String>) -> Result<T, String> {
            parsed.map_err(|reason| format!("{key} of [ship] = {text:?}: {reason}; write {expected}"))
        }
        let url = value("url", url, SHIP_URL, ship_url(url))?;
        let endpoint = endpoint.map(|text| value("endpoint", text, WEB_ADDRESS, web(text))).transpose()?;
        let mut ship = Ship {
            url,
            endpoint,
            region: region.map(str::to_owned),
            allow_http,
            bandwidth: None,
            part_size: PART_SIZE,
            timeout: SHIP_TIMEOUT,
            retry_first: RETRY_FIRST,
            retry_max: RETRY_MAX,
        };
        if ship.is_open() {
            return Err(format!("{}; {}", NOT_ENCRYPTED.0, NOT_ENCRYPTED.1));
        }
        ship.bandwidth = bandwidth.map(|text| value("bandwidth", text, BANDWIDTH, some_size(text))).transpose()?;
        Ok(ship)
    }

    /// Whether its endpoint is without TLS, and nobody has allowed that.
    fn is_open(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")) && !self.allow_http
    }
}

/// `[hook]`: what is told of each collected dump.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// A program and its arguments.
    pub command: Vec<String>,
    /// An address that gets a POST.
    pub webhook: Option<String>,
    /// How long either may take.
    pub timeout: Duration,
    /// The program that summarises a dump (`heapsee`); `None`: no summary.
    pub summary: Option<PathBuf>,
}

/// `[metrics]`: Prometheus metrics and health.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Where they are served.
    pub listen: SocketAddr,
}

/// Reads `[agent]`.
pub fn agent(table: Option<&Table<'_>>) -> Agent {
    let dump_time = |key, default: Duration| {
        time(table, key, default.as_secs(), |time| (1..=86_400).contains(&time.as_secs()), "1s to 1d")
    };
    Agent {
        poll: time(table, "poll", 5, |time| (1..=3600).contains(&time.as_secs()), "1s to 1h"),
        state: path(table, "state").unwrap_or_else(|| "/var/lib/heapsee/agent".into()),
        socket: path(table, "socket").unwrap_or_else(|| DEFAULT_SOCKET.into()),
        dry_run: table.and_then(|table| table.boolean("dry_run")).unwrap_or(false),
        log_json: choice(table, "log", &["text", "json"]) == Some("json"),
        dump_timeout: dump_time("dump_timeout", Duration::from_secs(60)),
        dump_limit: dump_time("dump_limit", LONGEST),
    }
}

/// Reads `[limits]`. How long a dump may take is said elsewhere.
pub fn limits(table: Option<&Table<'_>>, longest: Duration) -> Limits {
    Limits {
        cooldown: time(table, "cooldown", 1800, |_| true, ""),
        max_share: share(table, "max_share").unwrap_or(0.25),
        share_window: time(table, "share_window", 600, |_| true, ""),
        min_memory: amounts(table, "min_memory").unwrap_or(Amount::Share(0.1)),
        min_disk: amounts(table, "min_disk").unwrap_or(Amount::Share(0.1)),
        max_memory_pressure: share(table, "max_memory_pressure").unwrap_or(0.2),
        max_io_pressure: share(table, "max_io_pressure").unwrap_or(0.6),
        patience: time(table, "patience", 900, |_| true, ""),
        longest,
    }
}

/// Reads `[store]`.
pub fn store(table: Option<&Table<'_>>) -> Store {
    let compression = choice(table, "compression", &["zstd", "none"]).unwrap_or("zstd");
    let level = table.and_then(|table| table.integer("level", 1..=19));
    if let (Some(table), Some(_), "none") = (table, level, compression) {
        table.problem(table.place("level"), "level of [store] has no use with compression = \"none\"", "leave it out");
    }
    let recipients = table.and_then(|table| table.strings("encrypt_to", "a list of age recipients"));
    for recipient in recipients.iter().flatten() {
        if let (Some(table), Err(error)) = (table, seal::parse(&recipient.value)) {
            let reason = format!("encrypt_to of [store]: {error}");
            table.problem(recipient.at.clone(), reason, seal::FIX);
        }
    }
    Store {
        directory: path(table, "directory").unwrap_or_else(|| "/var/lib/heapsee/dumps".into()),
        zstd_level: (compression == "zstd").then_some(level.map_or(3, |level| level as i32)),
        keep_originals: table.and_then(|table| table.boolean("keep_originals")).unwrap_or(false),
        encrypt_to: recipients.into_iter().flatten().map(|recipient| recipient.value).collect(),
    }
}

/// Reads `[intake]`.
pub fn intake(table: Option<&Table<'_>>) -> Intake {
    let directories = table.and_then(|table| table.strings("directories", "a list of absolute paths"));
    let mut paths = Vec::new();
    for directory in directories.into_iter().flatten() {
        paths.extend(table.and_then(|table| absolute(table, "directories", directory)));
    }
    Intake {
        watch: table.and_then(|table| table.boolean("watch")).unwrap_or(true),
        directories: paths,
        scan: time(table, "scan", 60, |time| time.as_secs() >= 1, "1s or more"),
    }
}

/// Reads `[retention]`.
pub fn retention(table: Option<&Table<'_>>) -> Retention {
    let mut apps = BTreeMap::new();
    if let Some(of_apps) = table.and_then(|table| table.table("app")) {
        for (name, of_app) in of_apps.children() {
            apps.insert(name, quota(Some(&of_app)));
            of_app.close(|_| None);
        }
    }
    Retention {
        quota: quota(table),
        keep_free: amounts(table, "keep_free").unwrap_or(Amount::Share(0.1)),
        delete_unshipped: table.and_then(|table| table.boolean("delete_unshipped")).unwrap_or(false),
        apps,
    }
}

/// Reads `[ship]`.
pub fn ship(table: &Table<'_>) -> Option<Ship> {
    let url = table.parsed("url", SHIP_URL, ship_url);
    if url.is_none() && !table.has("url") {
        table.problem(table.at.clone(), "[ship] has no url", format!("add url = \"…\": {SHIP_URL}"));
    }
    let retry_first = time(Some(table), "retry_first", RETRY_FIRST.as_secs(), |time| !time.is_zero(), "more than 0");
    let retry_max = time(Some(table), "retry_max", RETRY_MAX.as_secs(), |time| !time.is_zero(), "more than 0");
    if retry_max < retry_first {
        table.problem(table.place("retry_max"), "retry_max of [ship] is less than retry_first", "make it longer");
    }
    let ship = Ship {
        url: url?.value,
        endpoint: web_address(table, "endpoint"),
        region: table.string("region", "a text in quotes").map(|region| region.value),
        allow_http: table.boolean("allow_http").unwrap_or(false),
        bandwidth: table.parsed("bandwidth", BANDWIDTH, some_size).map(|size| size.value),
        part_size: table.parsed("part_size", SIZE, part_size).map_or(PART_SIZE, |size| size.value),
        timeout: time(Some(table), "timeout", SHIP_TIMEOUT.as_secs(), |time| !time.is_zero(), "more than 0"),
        retry_first,
        retry_max,
    };
    if ship.is_open() {
        table.problem(table.place("endpoint"), NOT_ENCRYPTED.0, NOT_ENCRYPTED.1);
    }
    Some(ship)
}

/// Reads `[hook]`.
pub fn hook(table: &Table<'_>) -> Option<Hook> {
    let command = table.strings("command", "a list: [\"/usr/local/bin/notify\", \"--dump\"]").unwrap_or_default();
    let webhook = web_address(table, "webhook");
    if command.is_empty() && webhook.is_none() && !table.has("webhook") {
        table.problem(table.at.clone(), "[hook] has neither command nor webhook", "add one of them, or drop [hook]");
    }
    let summary = table.boolean("summary").unwrap_or(true);
    let program = table.string("summary_program", "the path of heapsee").map(|program| program.value);
    Some(Hook {
        command: command.into_iter().map(|word| word.value).collect(),
        webhook,
        timeout: time(Some(table), "timeout", 120, |time| !time.is_zero(), "more than 0"),
        summary: summary.then(|| program.unwrap_or_else(|| "heapsee".into()).into()),
    })
}

/// Reads `[metrics]`.
pub fn metrics(table: &Table<'_>) -> Option<Metrics> {
    const LISTEN: &str = "an address and a port, such as \"127.0.0.1:9494\"";
    let listen = table.parsed("listen", LISTEN, |text| {
        text.parse::<SocketAddr>().map_err(|_| "it is no address with a port".to_owned())
    });
    let anywhere = table.boolean("allow_remote").unwrap_or(false);
    if !table.has("listen") {
        return Some(Metrics { listen: SocketAddr::from(([127, 0, 0, 1], 9494)) });
    }
    let listen = listen?;
    if !listen.value.ip().is_loopback() && !anywhere {
        let reason = format!("listen of [metrics]: {} can be reached from other hosts", listen.value.ip());
        table.problem(listen.at, reason, "use 127.0.0.1, or add allow_remote = true");
    }
    Some(Metrics { listen: listen.value })
}

fn quota(table: Option<&Table<'_>>) -> Quota {
    let table = match table {
        Some(table) => table,
        None => return Quota::default(),
    };
    Quota {
        max_size: table.parsed("max_size", SIZE, some_size).map(|size| size.value),
        max_age: table.parsed("max_age", DURATION, some_duration).map(|age| age.value),
        max_count: table.integer("max_count", 1..=1_000_000),
    }
}

fn time(
    table: Option<&Table<'_>>,
    key: &'static str,
    default: u64,
    accept: impl Fn(Duration) -> bool,
    range: &str,
) -> Duration {
    let check = |text: &str| {
        let time = duration(text)?;
        if accept(time) { Ok(time) } else { Err(format!("it must be {range}")) }
    };
    let given = table.and_then(|table| table.parsed(key, DURATION, check));
    given.map_or(Duration::from_secs(default), |time| time.value)
}

fn share(table: Option<&Table<'_>>, key: &'static str) -> Option<f64> {
    Some(table?.parsed(key, PERCENT, percent)?.value)
}

fn amounts(table: Option<&Table<'_>>, key: &'static str) -> Option<Amount> {
    Some(table?.parsed(key, SIZE_OR_PERCENT, amount)?.value)
}

fn part_size(text: &str) -> Result<u64, String> {
    // S3 takes no part below 5 MiB but the last, and none above 5 GiB.
    match size(text)? {
        size if (5 << 20..=5 << 30).contains(&size) => Ok(size),
        _ => Err("it must be from 5MiB to 5GiB".into()),
    }
}

fn path(table: Option<&Table<'_>>, key: &'static str) -> Option<PathBuf> {
    let text = table?.string(key, PATH)?;
    absolute(table?, key, text)
}

fn absolute(table: &Table<'_>, key: &'static str, text: Located<String>) -> Option<PathBuf> {
    let path = PathBuf::from(&text.value);
    if path.is_absolute() {
        return Some(path);
    }
    table.problem(text.at, format!("{} = {:?} is not absolute", table.key(key), text.value), format!("write {PATH}"));
    None
}

fn web_address(table: &Table<'_>, key: &'static str) -> Option<String> {
    Some(table.parsed(key, WEB_ADDRESS, web)?.value)
}

/// An address that holds no secret.
fn web(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or("it is no http:// or https:// address")?;
    match rest.split('/').next() {
        None | Some("") => Err("it names no host".to_owned()),
        Some(host) if host.contains('@') => Err("it holds a user or a password".into()),
        Some(_) => Ok(text.to_owned()),
    }
}

/// A destination of dumps.
fn ship_url(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").ok_or("it is no address")?;
    match scheme {
        "s3" | "gs" | "az" if rest.trim_matches('/').is_empty() => Err("it names no bucket".into()),
        "file" if !rest.starts_with('/') => Err("its path is not absolute".into()),
        "s3" | "gs" | "az" | "file" if rest.contains('@') => Err("it holds a user or a password".into()),
        "s3" | "gs" | "az" | "file" => Ok(text.to_owned()),
        _ => Err(format!("{scheme}:// is not known")),
    }
}
