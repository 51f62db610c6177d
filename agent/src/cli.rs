//! The command line: what can be asked, and the help that explains it. It does nothing itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::asking::{LONGEST, Patience};
use crate::config;
use crate::discovery::Selection;
use crate::exit::{self, Failure};
use crate::intake::copy::Compression;

/// Finds Python workers, asks them for heap dumps safely, and collects the files.
#[derive(Parser, Debug)]
#[command(name = "heapsee-agent", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", exit::help()))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  heapsee-agent list                          which workers there are, and whether they are armed
  heapsee-agent dump --fattest                dump the worker with the most memory
  heapsee-agent dump --pidfile /run/app.pid   dump the fattest worker of that gunicorn master";

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show the Python workers of this host, and whether they are armed
    List(ListArgs),
    /// Have one worker make a dump, verify it, and put it into the store
    Dump(DumpArgs),
    /// Take dumps that are there already, such as those asked for with `kill -PROF`, into the store
    Collect(CollectArgs),
    /// Send dumps that are not yet shipped to object storage, and verify them there
    Ship(ShipArgs),
    /// Delete the dumps that the limits of the configuration want deleted
    Prune(PruneArgs),
    /// Run as a daemon: watch the workers, dump them by rules, keep and ship the dumps
    Run(RunArgs),
    /// Show how the daemon is: its rules, what is wanted, the last dumps
    Status(StatusArgs),
    /// Have the daemon take a dump now, and wait for it
    DumpNow(DumpNowArgs),
    /// Have the daemon's rules rest, for a time or until `resume`
    Pause(PauseArgs),
    /// Have the daemon's rules act again
    Resume(ResumeArgs),
    /// Remove what dead writers have left in dump directories and in the store
    Sweep(SweepArgs),
    /// Check a configuration file: every mistake with its line and its fix
    CheckConfig(CheckConfigArgs),
}

/// Arguments of `run`.
#[derive(Args, Debug)]
#[command(after_help = RUN_EXAMPLES, after_long_help = format!("{RUN_EXAMPLES}\n\n{RUN_MORE}\n\n{}", exit::help()))]
pub struct RunArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    pub config: PathBuf,
}

const RUN_EXAMPLES: &str = "\
Examples:
  heapsee-agent run --config /etc/heapsee/agent.toml
  systemctl enable --now heapsee-agent           with the unit in deploy/systemd";

const RUN_MORE: &str = "\
SIGHUP reads the configuration again; a wrong one is refused as a whole, and the old one goes on. SIGTERM and SIGINT
stop the daemon; a dump that is being made then is still made, and taken in by the next run. The log goes to stderr.
What rules and dumps there were is kept over restarts and crashes, in the directory `state` of [agent].";

/// Which daemon is talked to.
#[derive(Args, Debug)]
pub struct SocketArgs {
    /// The daemon's control socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Else: the configuration that names it [default: that of the system, if there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
#[command(after_long_help = STATUS_JSON)]
pub struct StatusArgs {
    #[command(flatten)]
    pub socket: SocketArgs,
    #[command(flatten)]
    pub format: Json,
}

const STATUS_JSON: &str = "\
JSON (schema heapsee.agent.status/1; fields may be added, null means unknown or not applicable):
  schema, agent, pid, started_at    what answers, since when (RFC 3339, UTC)
  config, config_refused            the file in use; why the one that was read last is not
  dry_run, paused, paused_seconds   whether rules act; for how long not
  metrics, store, rules[]           where metrics are served; where dumps are kept; the rules' names
  workers {armed, unarmed}          as they were seen last
  running                           the order that is carried out: {number, worker {pid, start_time}, service, rule, why, campaign}
  wanted[]                          {rule, why, hold}: dumps that are wanted, and what is in their way
  pipeline {}                       counters of what was taken in, kept and shipped since the start
  dumps[]                           the last 20: {at, number, pid, app, rule, why, seconds, path, error}";

/// Arguments of `dump-now`.
#[derive(Args, Debug)]
#[command(after_help = DUMP_NOW_EXAMPLES)]
pub struct DumpNowArgs {
    #[command(flatten)]
    pub socket: SocketArgs,
    /// That process (else the fattest armed worker)
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// The fattest armed worker of that application, server or title
    #[arg(long, value_name = "NAME", conflicts_with = "pid")]
    pub name: Option<String>,
    /// Even if the host is short of memory, under pressure, or the store is full
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub format: Json,
}

const DUMP_NOW_EXAMPLES: &str = "\
Examples:
  heapsee-agent dump-now --name lms
  heapsee summary \"$(heapsee-agent dump-now --pid 4711)\"

With --json: {schema: heapsee.agent.dump-now/1, number, pid, path}.";

/// Arguments of `pause`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  heapsee-agent pause --for 2h    during a load test")]
pub struct PauseArgs {
    #[command(flatten)]
    pub socket: SocketArgs,
    /// For so long (such as 30m); else until `resume`
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub time: Option<Duration>,
}

/// Arguments of `resume`.
#[derive(Args, Debug)]
pub struct ResumeArgs {
    #[command(flatten)]
    pub socket: SocketArgs,
}

/// Arguments of `check-config`.
#[derive(Args, Debug)]
#[command(after_help = CHECK_CONFIG_EXAMPLES, after_long_help = format!("{CHECK_CONFIG_EXAMPLES}\n\n{CHECK_CONFIG_JSON}"))]
pub struct CheckConfigArgs {
    /// The file
    #[arg(value_name = "FILE", default_value = config::DEFAULT_PATH)]
    pub file: PathBuf,
    #[command(flatten)]
    pub format: Json,
}

const CHECK_CONFIG_EXAMPLES: &str = "\
Examples:
  heapsee-agent check-config
  heapsee-agent check-config ./agent.toml && systemctl reload heapsee-agent";

const CHECK_CONFIG_JSON: &str = "\
JSON (schema heapsee.agent.check-config/1): {schema, file, ok, problems: [{line, column, reason, fix}]}.
Exit code 10 if there is a mistake, with or without --json.";

/// Where the store is.
#[derive(Args, Debug)]
pub struct StoreArg {
    /// Where collected dumps are kept, if not where the configuration or the environment says
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
}

/// Whether to print for programs.
#[derive(Args, Clone, Copy, Debug)]
pub struct Json {
    /// Print JSON (its fields: see --help)
    #[arg(long)]
    pub json: bool,
}

/// Whether to talk on the way.
#[derive(Args, Clone, Copy, Debug)]
pub struct Quiet {
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// How a verb that changes something can be asked to go about it.
#[derive(Args, Debug)]
pub struct Output {
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub format: Json,
}

/// Arguments of `collect`.
#[derive(Args, Debug)]
#[command(after_help = COLLECT_EXAMPLES, after_long_help = format!("{COLLECT_EXAMPLES}\n\n{COLLECT_MORE}\n\n{}", exit::help()))]
pub struct CollectArgs {
    /// A dump directory (can be given several times); none: those of all armed workers
    #[arg(value_name = "DIR")]
    pub directories: Vec<PathBuf>,
    /// Take the store, its limits and the directories from this configuration
    #[arg(long, value_name = "FILE", conflicts_with_all = ["directories", "encrypt_to"])]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub place: StoreArg,
    /// Encrypt to this age recipient (can be given several times)
    #[arg(long, value_name = "KEY")]
    pub encrypt_to: Vec<String>,
    #[command(flatten)]
    pub talk: Quiet,
}

const COLLECT_EXAMPLES: &str = "\
Examples:
  kill -PROF 4711; heapsee-agent collect
  heapsee-agent collect /var/tmp/dumps --store /srv/dumps
  heapsee-agent collect --encrypt-to age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

const COLLECT_MORE: &str = "\
Each dump is verified against its sidecar, stored as `dump` does, read back, and then removed from its directory. The
paths go to stdout. A dump that is not what its sidecar says is left alone, and the exit code tells of it; so is one
that somebody is just asking for.

With --encrypt-to, dump and sidecar are stored as X.dump.zst.age and X.dump.meta.json.age, which `age -d` decrypts.";

/// Arguments of `ship`.
#[derive(Args, Debug)]
#[command(after_help = SHIP_EXAMPLES, after_long_help = format!("{SHIP_EXAMPLES}\n\n{SHIP_MORE}\n\n{}", exit::help()))]
pub struct ShipArgs {
    /// Take destination and store from this configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///DIRECTORY
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Another endpoint than the provider's
    #[arg(long, value_name = "URL", requires = "to")]
    endpoint: Option<String>,
    /// The region
    #[arg(long, value_name = "NAME", requires = "to")]
    region: Option<String>,
    /// Let the endpoint be without TLS (http://)
    #[arg(long, requires = "to")]
    allow_http: bool,
    /// At most so much a second
    #[arg(long, value_name = "SIZE", requires = "to")]
    bandwidth: Option<String>,
    #[command(flatten)]
    pub place: StoreArg,
    /// For how long to try again after a failure; 0: not at all
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(..=604_800))]
    pub retry: u64,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub talk: Quiet,
}

const SHIP_EXAMPLES: &str = "\
Examples:
  heapsee-agent ship --config /etc/heapsee/agent.toml
  heapsee-agent ship --to s3://dumps/prod --region eu-central-1 --retry 3600
  heapsee-agent ship --to s3://dumps --endpoint https://minio.example:9000 --dry-run";

const SHIP_MORE: &str = "\
Each dump goes to URL/APP/HOST/TIME-PID/, its manifest last; it counts as shipped once every file was read back from
there and has the right SHA-256. shipped.json beside it then says so. What was interrupted is gone on with.

Credentials come from where each provider's tools take them. S3: AWS_ACCESS_KEY_ID and so on, else the profile
(AWS_PROFILE) of ~/.aws/credentials and ~/.aws/config, web identity, a container's or an instance's role. GCS:
GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the instance's account. Azure: AZURE_STORAGE_ACCOUNT_NAME with
AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, a client's secret, workload or managed identity. They need to write, read and abort uploads below URL.

With --json: {schema: heapsee.agent.ship/1, dumps: [{path, destination, state: shipped, failed or waiting, error}]}.";

impl ShipArgs {
    /// The destination that the command line names, if it does; checked as in a configuration.
    pub fn options(&self) -> Result<Option<config::Ship>, Failure> {
        let Some(to) = &self.to else { return Ok(None) };
        let (endpoint, region, bandwidth) = (&self.endpoint, &self.region, &self.bandwidth);
        config::Ship::from_arguments(to, endpoint.as_deref(), region.as_deref(), self.allow_http, bandwidth.as_deref())
            .map(Some)
            .map_err(|wrong| Failure::new(exit::Exit::Usage, wrong))
    }
}

/// Arguments of `prune`.
#[derive(Args, Debug)]
#[command(after_help = PRUNE_EXAMPLES, after_long_help = format!("{PRUNE_EXAMPLES}\n\n{PRUNE_MORE}"))]
pub struct PruneArgs {
    /// The configuration: its [store], [retention] and [ship] count
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    pub config: PathBuf,
    #[command(flatten)]
    pub place: StoreArg,
    #[command(flatten)]
    pub output: Output,
}

const PRUNE_EXAMPLES: &str = "\
Examples:
  heapsee-agent prune --dry-run
  heapsee-agent prune --config ./agent.toml
  touch /var/lib/heapsee/dumps/lms/web1/20261124T052323Z-4711/pinned     that one stays";

const PRUNE_MORE: &str = "\
Never deleted: a dump with a file `pinned` beside it; with [ship], one that has no verified copy yet, unless
delete_unshipped is set. Deleted first: what has a copy; then dumps between the first and the last of a worker; then
the oldest. Only this host's dumps are looked at.

With --json: {schema: heapsee.agent.prune/1, dry_run, deleted: [{path, bytes, reason}], exceeded: [reason]}; exceeded
are the limits that cannot be met by what may be deleted.";

/// Arguments of `sweep`.
#[derive(Args, Debug)]
#[command(after_help = SWEEP_EXAMPLES, after_long_help = format!("{SWEEP_EXAMPLES}\n\n{SWEEP_MORE}"))]
pub struct SweepArgs {
    /// A dump directory to look at, besides those of the armed workers (can be given several times)
    #[arg(value_name = "DIR")]
    pub directories: Vec<PathBuf>,
    /// Take the store and further directories from this configuration
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub place: StoreArg,
    #[command(flatten)]
    pub output: Output,
}

const SWEEP_EXAMPLES: &str = "\
Examples:
  heapsee-agent sweep --dry-run
  heapsee-agent sweep /var/tmp/dumps";

const SWEEP_MORE: &str = "\
A leftover is a temporary file that is called after a process that no longer exists, that no process has open, and that
nobody has written to for a minute (a day, where other containers' processes cannot be seen); likewise a sidecar whose
dump is not there. Whole dumps are never touched.

With --json: {schema: heapsee.agent.sweep/1, dry_run, removed: [{path, bytes, what}], problems: [text]}.";

/// Arguments of `list`.
#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES, after_long_help = format!("{LIST_EXAMPLES}\n\n{LIST_JSON}"))]
pub struct ListArgs {
    #[command(flatten)]
    pub format: Json,
    /// Only processes of that application, server or title (case does not matter)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Show every Python process, not only those of servers and those with heapsee
    #[arg(long)]
    pub all: bool,
    /// Show the proportional set size too: it shares the pages of forked workers out fairly, but takes longer
    #[arg(long)]
    pub pss: bool,
}

const LIST_EXAMPLES: &str = "\
Examples:
  heapsee-agent list
  heapsee-agent list --name lms --pss
  heapsee-agent list --json | jq '.workers[] | select(.armed) | .pid'";

const LIST_JSON: &str = "\
JSON (schema heapsee.agent.list/1; fields may be added, null means unknown or not applicable):
  schema, agent, host, at     what wrote this, where, when (RFC 3339, UTC)
  workers[]                   ordered by master, then pid
    pid, own_pid, parent_pid  on the host; as the process sees itself; its parent
    start_time_ticks          start time in clock ticks since boot: with the pid, the process's identity
    server, role, master_pid  gunicorn, uwsgi, celery, uvicorn, hypercorn, granian, waitress, rq or null;
                            master, worker, helper or process
    app, title                the application's name; the command line or title
    uid, user                 whose process it is
    unit, container, cgroup   its systemd unit, container's id, and cgroup (as rules select by)
    label                     $HEAPSEE_LABEL, as it was started with
    rss_bytes, pss_bytes      memory (pss_bytes only with --pss)
    age_seconds, python       since its start; the interpreter's version
    armed                     true, false, or null if this user may not look
    signal, signal_number     what asks for a dump (armed only, as the next three)
    directory, mode, heapsee  where dumps go, as the worker sees it; fork, inline or auto; heapsee's version
    state, dumps_started, dumps_finished
                              idle, waiting-for-gil, snapshotting, walking or publishing; dumps so far
    reason, advice            why it is not armed, and what to do";

/// Arguments of `dump`.
#[derive(Args, Debug)]
#[command(after_help = DUMP_EXAMPLES, after_long_help = format!("{DUMP_EXAMPLES}\n\n{DUMP_MORE}\n\n{}", exit::help()))]
pub struct DumpArgs {
    #[command(flatten)]
    target: Target,
    /// With --fattest: only of that application, server or title
    #[arg(long, value_name = "NAME", requires = "fattest", conflicts_with_all = ["pid", "pidfile", "name"])]
    of: Option<String>,
    #[command(flatten)]
    pub place: StoreArg,
    /// Store the dump as it is, not compressed
    #[arg(long)]
    no_compress: bool,
    /// zstd level, 1 (fast) to 19 (small)
    #[arg(long, value_name = "N", default_value_t = 3, conflicts_with = "no_compress")]
    #[arg(value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
    /// Give up after so many seconds without an answer or any progress
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Leave the worker's own files where they are
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub format: Json,
    #[command(flatten)]
    pub talk: Quiet,
}

/// Which process: exactly one of these.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Target {
    /// That process
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,
    /// The fattest armed worker of the master whose pid is in this file
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// The process of that application, server or title; of several, the fattest that is armed
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The armed process with the most memory
    #[arg(long)]
    fattest: bool,
}

const DUMP_EXAMPLES: &str = "\
Examples:
  heapsee-agent dump --pid 4711
  heapsee-agent dump --pidfile /run/gunicorn.pid --store /srv/dumps
  heapsee summary \"$(heapsee-agent dump --fattest --of lms)\"";

const DUMP_MORE: &str = "\
The path of the stored dump goes to stdout, all talk to stderr. A process that is not armed is never signalled.

A collected dump is a directory, STORE/APP/HOST/TIME-PID, with
  X.dump.zst         the dump (X.dump with --no-compress)
  X.dump.meta.json   its sidecar, as the worker wrote it: that of X.dump.zst has this name too
  manifest.json      digests, sizes, worker, times (schema heapsee.manifest/1)
The worker's own files are deleted once the copy has been read back and verified, unless --keep is given.

With --json: {schema: heapsee.agent.dump/1, path, directory, originals: removed, kept or stuck, manifest}.

The store, unless --store is given: $HEAPSEE_STORE, else $XDG_DATA_HOME/heapsee/dumps, else
~/.local/share/heapsee/dumps; for root /var/lib/heapsee/dumps.";

impl DumpArgs {
    /// Which process is meant.
    pub fn selection(&self) -> Selection {
        // clap sees to it that exactly one is given.
        match &self.target {
            Target { pid: Some(pid), .. } => Selection::Pid(*pid),
            Target { pidfile: Some(file), .. } => Selection::PidFile(file.clone()),
            Target { name: Some(name), .. } => Selection::Name(name.clone()),
            _ => Selection::Fattest(self.of.clone()),
        }
    }

    /// How the dump is stored.
    pub fn compression(&self) -> Compression {
        if self.no_compress { Compression::None } else { Compression::Zstd(self.level) }
    }

    /// How long to wait for it.
    pub fn patience(&self) -> Patience {
        Patience { silence: Duration::from_secs(self.timeout), whole: LONGEST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn dump(line: &str) -> Result<DumpArgs, clap::error::ErrorKind> {
        let words = ["heapsee-agent", "dump"].into_iter().chain(line.split_ascii_whitespace());
        match Cli::try_parse_from(words) {
            Ok(Cli { command: Command::Dump(args) }) => Ok(args),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.kind()),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_target_is_chosen() {
        assert_eq!(dump("--pid 7").map(|args| args.selection()), Ok(Selection::Pid(7)));
        assert_eq!(dump("--fattest --of x").map(|args| args.selection()), Ok(Selection::Fattest(Some("x".into()))));
        assert!(dump("").is_err());
        assert!(dump("--pid 7 --fattest").is_err());
        assert!(dump("--pid 7 --of x").is_err());
        assert!(dump("--pid 0").is_err());
        assert!(dump("--pid 7 --level 20").is_err());
    }

    #[test]
    fn compression_can_be_chosen() {
        assert_eq!(dump("--pid 7").map(|args| args.compression()), Ok(Compression::Zstd(3)));
        assert_eq!(dump("--pid 7 --no-compress").map(|args| args.compression()), Ok(Compression::None));
    }
}
