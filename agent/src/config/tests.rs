//! Configurations that are taken, and every kind of mistake.

use std::time::Duration;

use super::*;
use crate::settings::values::Amount;
use crate::triggers::Trigger;

const WHOLE: &str = r#"
[agent]
poll = "2s"
state = "/srv/state"
socket = "/run/x.sock"
dry_run = true
log = "json"
dump_timeout = "2m"
dump_limit = "3h"

[limits]
cooldown = "1h"
max_share = "50%"
share_window = "5m"
min_memory = "1GiB"
min_disk = "5%"
max_memory_pressure = "30%"
max_io_pressure = "50%"
patience = "10m"

[store]
directory = "/srv/dumps"
compression = "zstd"
level = 7
keep_originals = true
encrypt_to = ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]

[intake]
watch = true
directories = ["/tmp"]
scan = "30s"

[retention]
max_size = "50GB"
keep_free = "10GB"
max_age = "30d"
max_count = 20
delete_unshipped = true
[retention.app."lms.wsgi"]
max_count = 5

[ship]
url = "s3://dumps/python"
endpoint = "https://minio.example:9000"
region = "eu-central-1"
bandwidth = "10MB"
part_size = "16MiB"
timeout = "30s"
retry_first = "1s"
retry_max = "10m"

[hook]
command = ["/usr/local/bin/notify"]
webhook = "https://hooks.example/x"
timeout = "1m"
summary = true
summary_program = "/opt/heapsee"

[metrics]
listen = "127.0.0.1:9494"

[[rule]]
name = "fat"
trigger = "rss"
above = "2GB"
clear_below = "1.5GB"
polls = 3
cooldown = "2h"
select = { app = "lms*", server = "gunicorn", unit = "lms.service" }

[[rule]]
name = "growth"
trigger = "slope"
above = "100MB/h"
window = "30m"
at_least = "500MB"
dumps = 3
apart = "10m"

[[rule]]
name = "night"
trigger = "schedule"
cron = "30 3 * * *"
"#;

fn problems(text: &str) -> Vec<String> {
    Config::parse(text).err().unwrap_or_default().iter().map(Problem::to_string).collect()
}

/// Asserts that `text` has one mistake, which is told so.
#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(problems(text), [expect], "{text}");
}

#[test]
fn a_whole_configuration_is_taken_as_it_is_written() {
    // Without the feature, recipients are refused.
    let text = if cfg!(feature = "age") { WHOLE.to_owned() } else { WHOLE.replace("encrypt_to", "# encrypt_to") };
    let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(config.agent.poll, Duration::from_secs(2));
    assert!(config.agent.dry_run && config.agent.log_json);
    assert_eq!(config.limits.min_memory, Amount::Bytes(1 << 30));
    assert_eq!(config.store.zstd_level, Some(7));
    assert_eq!(config.retention.apps["lms.wsgi"], Quota { max_count: Some(5), ..Quota::default() });
    assert_eq!(config.ship.as_ref().map(|ship| ship.part_size), Some(16 << 20));
    assert_eq!(config.hook.and_then(|hook| hook.summary), Some("/opt/heapsee".into()));
    let level = triggers::Level { above: 2e9, clear: 1.5e9, polls: 3 };
    assert_eq!(config.rules[0].trigger, Trigger::Rss(triggers::Rss(level)));
    assert_eq!(config.rules[0].select.app.as_deref(), Some("lms*"));
    assert_eq!((config.rules[1].dumps, config.rules[1].apart), (3, Duration::from_secs(600)));
    assert!(matches!(&config.rules[2].trigger, Trigger::Schedule(triggers::Schedule::Cron(_))));
}

#[test]
fn an_empty_one_is_all_defaults() {
    let config = Config::parse("").unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(config.agent.poll, Duration::from_secs(5));
    assert_eq!(config.store.directory, Path::new("/var/lib/heapsee/dumps"));
    assert!(config.rules.is_empty() && config.ship.is_none() && config.metrics.is_none());
}

#[test]
fn every_trigger_can_be_had() {
    for trigger in [
        "trigger = 'pss'\nabove = '1GB'",
        "trigger = 'cgroup'\nabove = '80%'",
        "trigger = 'pressure'\nresource = 'memory'\nabove = '15%'",
        "trigger = 'memory-events'\nevents = ['high', 'max', 'oom', 'oom_kill']",
        "trigger = 'schedule'\nevery = '6h'",
        "trigger = 'age'\nabove = '1d'",
        "trigger = 'requests'\nabove = 100000\nstats = '127.0.0.1:1717'",
    ] {
        let text = format!("[[rule]]\nname = 'x'\n{trigger}\n");
        assert_eq!(problems(&text), [""; 0], "{text}");
    }
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    check("[agent]\npol = '5s'\n", "line 2, column 1: unknown key pol in [agent]; did you mean poll?");
    check("[retentoin]\n", "line 1, column 2: unknown key retentoin; did you mean retention?");
    check("[metrics]\nzzz = 1\n", "line 2, column 1: unknown key zzz in [metrics]; known here: allow_remote, listen");
    check(
        "[store]\n\n  keep-originals = true\n",
        "line 3, column 3: unknown key keep-originals in [store]; did you mean keep_originals?",
    );
    check(
        "[[rule]]\nname = 'x'\ntrigger = 'age'\nabove = '1d'\nselect = { aap = 'x' }\n",
        "line 5, column 12: unknown key aap in select of rule \"x\"; did you mean app?",
    );
}

#[test]
fn keys_of_another_trigger_are_told_so() {
    check(
        "[[rule]]\nname = 'x'\ntrigger = 'age'\nabove = '1d'\nwindow = '5m'\n",
        "line 5, column 1: unknown key window in rule \"x\"; it belongs to the trigger \"slope\"",
    );
}

#[test]
fn wrong_types() {
    check(
        "[agent]\npoll = 5\n",
        "line 2, column 8: poll of [agent] is an integer; write a duration with its unit, such as \"30s\", \"5m\" or \"1h 30m\"",
    );
    check(
        "[agent]\ndry_run = 'yes'\n",
        "line 2, column 11: dry_run of [agent] is a string; write true or false, without quotes",
    );
    check(
        "[store]\nlevel = '3'\n",
        "line 2, column 9: level of [store] is a string; write a whole number from 1 to 19, without quotes",
    );
    check(
        "[store]\nlevel = 20\n",
        "line 2, column 9: level of [store] = 20 is out of range; write a whole number from 1 to 19, without quotes",
    );
    check("store = 1\n", "line 1, column 9: store is an integer; write a table: [store]");
    check("[[store]]\n", "line 1, column 1: [[store]] is given as a list; write [store], once");
    check(
        "[rule]\nname = 'x'\n",
        "line 1, column 1: rule is a table; write [[rule]] above each rule, with two brackets",
    );
    check(
        "[intake]\ndirectories = '/tmp'\n",
        "line 2, column 15: directories of [intake] is a string; write a list of absolute paths",
    );
}

#[test]
fn wrong_units() {
    check(
        "[retention]\nmax_size = '50'\n",
        "line 2, column 12: max_size of [retention] = \"50\": it has no unit; write a size with its unit, such as \"2GB\" or \"512MiB\"",
    );
    for (text, word) in [
        ("[agent]\npoll = '5 parsecs'\n", "poll"),
        ("[agent]\npoll = '0s'\n", "1s to 1h"),
        ("[limits]\nmax_share = '50'\n", "percent sign"),
        ("[limits]\nmin_memory = '101%'\n", "out of range"),
        ("[ship]\nurl = 's3://x'\npart_size = '1MB'\n", "5MiB to 5GiB"),
    ] {
        let problems = problems(text);
        assert!(problems.len() == 1 && problems[0].contains(word), "{text}: {problems:?}");
    }
}

#[test]
fn impossible_rules() {
    for (rule, word) in [
        ("trigger = 'rss'", "has the trigger \"rss\", but no above; add above = \"2GB\""),
        ("trigger = 'rss'\nabove = '1GB'\nclear_below = '2GB'", "clear_below of rule \"x\" is more than above"),
        ("trigger = 'rss'\nabove = '80%'", "it is no size"),
        ("trigger = 'cgroup'\nabove = '100%'", "it cannot be more than that"),
        ("trigger = 'rss'\nabove = '1GB'\npolls = 0", "out of range"),
        ("trigger = 'rss'\nabove = '1GB'\ndumps = 3", "does not say how far apart"),
        ("trigger = 'rss'\nabove = '1GB'\napart = '1m'", "takes one dump only"),
        ("trigger = 'slope'\nabove = '1MB/h'\nwindow = '10s'", "fewer than three polls"),
        ("trigger = 'pressure'\nresource = 'memory'\nabove = '20%'", "cannot have a dump"),
        ("trigger = 'schedule'", "neither every nor cron"),
        ("trigger = 'schedule'\nevery = '1h'\ncron = '* * * * *'", "both every and cron"),
        ("trigger = 'schedule'\nevery = '10s'", "less than a minute"),
        ("trigger = 'schedule'\ncron = '61 * * * *'", "\"61\" is no minute"),
        ("trigger = 'memory-events'\nevents = ['low']", "\"low\" is not counted there"),
        ("trigger = 'memory-events'\nevents = []", "is empty"),
        ("trigger = 'cpu'\nabove = '80%'", "it is not known"),
        ("above = '2GB'", "has no trigger"),
        ("trigger = 'age'\nabove = '1d'\nselect = { server = 'apache' }", "it is not known"),
        ("trigger = 'age'\nabove = '1d'\nselect = { app = '' }", "is empty"),
    ] {
        let problems = problems(&format!("[[rule]]\nname = 'x'\n{rule}\n"));
        assert!(problems.len() == 1 && problems[0].contains(word), "{rule}: {problems:?}");
    }
}

#[test]
fn names_of_rules() {
    let rule = |name: &str| format!("[[rule]]\n{name}\ntrigger = 'age'\nabove = '1d'\n");
    for (text, word) in [
        (rule(""), "rule 1 has no name"),
        (rule("name = 'a b'"), "it has other characters"),
        (rule("name = ''"), "it is empty"),
        (rule("name = 'a'") + &rule("name = 'a'"), "two rules called \"a\""),
    ] {
        let problems = problems(&text);
        assert!(problems.len() == 1 && problems[0].contains(word), "{text}: {problems:?}");
    }
}

#[test]
fn sections_that_contradict_themselves() {
    for (text, word) in [
        ("[ship]\n", "[ship] has no url"),
        ("[ship]\nurl = 'ftp://x'\n", "ftp:// is not known"),
        ("[ship]\nurl = 's3://'\n", "names no bucket"),
        ("[ship]\nurl = 's3://me:secret@x/y'\n", "holds a user or a password"),
        ("[ship]\nurl = 's3://x'\nendpoint = 'http://y'\n", "not encrypted"),
        ("[ship]\nurl = 's3://x'\nsecret_access_key = 'y'\n", "secrets have no place in this file"),
        ("[ship]\nurl = 's3://x'\nretry_first = '1h'\n", "less than retry_first"),
        ("[hook]\n", "neither command nor webhook"),
        ("[metrics]\nlisten = '0.0.0.0:9494'\n", "can be reached from other hosts"),
        ("[metrics]\nlisten = ':9494'\n", "no address with a port"),
        ("[store]\ncompression = 'none'\nlevel = 3\n", "has no use"),
        ("[store]\ndirectory = 'dumps'\n", "is not absolute"),
        #[cfg(feature = "age")]
        ("[store]\nencrypt_to = ['AGE-SECRET-KEY-1']\n", "is no age recipient"),
        #[cfg(not(feature = "age"))]
        (
            "[store]\nencrypt_to = ['age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p']\n",
            "cannot encrypt",
        ),
        ("[retention]\ndelete_unshipped = true\n", "has no use without [ship]"),
    ] {
        let problems = problems(text);
        assert!(problems.len() == 1 && problems[0].contains(word), "{text}: {problems:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_their_order() {
    let found = problems("[agent]\npoll = 5\npol = 1\n[store]\nlevel = 99\n[nope]\n");
    assert_eq!(found.len(), 4, "{found:?}");
    let lines: Vec<&str> = found.iter().map(|problem| problem.split(',').next().unwrap_or_default()).collect();
    assert_eq!(lines, ["line 2", "line 3", "line 5", "line 6"]);
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    for text in ["[agent\n", "[agent]\npoll = 5s\n", "[agent]\npoll = '5s'\npoll = '6s'\n", "\u{0}", "[a]\n[a]\n"] {
        let found = problems(text);
        assert!(!found.is_empty() && found[0].contains("this is no TOML"), "{text:?}: {found:?}");
        assert!(found.iter().all(|problem| !problem.contains('\n')), "{found:?}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("agent.toml");
    for (path, word) in [(file.as_path(), "is the path right?"), (directory.path(), "not a regular file")] {
        match Config::load(path) {
            Err(LoadError::Unreadable(why)) => assert!(why.contains(word), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    std::fs::write(&file, b"\xff").unwrap();
    assert!(matches!(Config::load(&file), Err(LoadError::Unreadable(_))));
    std::fs::write(&file, "[agent]\npoll = 5\npol = 5\n").unwrap();
    let failure = Config::load(&file).err().map(LoadError::into_failure).unwrap();
    assert_eq!(failure.exit, Exit::Config);
    assert!(failure.message.contains("agent.toml: line 2") && failure.message.contains("and 1 more"), "{failure}");
}

proptest::proptest! {
    /// Whatever the file holds, it is taken or refused, and each refusal names a line that is there.
    #[test]
    fn no_text_makes_it_panic(text in "(\\[[a-z.\\[\\]\"]{0,9}\\]?\n|[a-z_]{1,9} ?= ?(\"[a-z0-9:/%]{0,5}\"|[0-9]{1,22}|\\[|\\{|true)\n|\\PC{0,9}\n){0,9}") {
        if let Err(problems) = Config::parse(&text) {
            proptest::prop_assert!(!problems.is_empty());
            for problem in problems {
                proptest::prop_assert!((1..=text.matches('\n').count() + 1).contains(&problem.line));
            }
        }
    }
}

#[test]
fn a_command_line_gets_what_the_section_says() {
    let cases = [
        ("s3://dumps/prod", None, Some("eu-central-1"), false, Some("10MB")),
        ("s3://dumps", Some("https://minio.example:9000"), None, false, None),
        ("s3://dumps", Some("http://minio.example:9000"), None, false, Some("1")),
        ("s3://dumps", Some("http://minio.example:9000"), None, true, None),
        ("s3://dumps", Some("ftp://x"), None, true, Some("1")),
        ("s3://dumps", None, None, false, Some("10")),
        ("file://x", Some("ftp://x"), None, false, None),
        ("x", None, None, false, None),
    ];
    for (url, endpoint, region, allow_http, bandwidth) in cases {
        let mut text = format!("[ship]\nurl = {url:?}\nallow_http = {allow_http}\n");
        for (key, value) in [("endpoint", endpoint), ("region", region), ("bandwidth", bandwidth)] {
            text.extend(value.map(|value| format!("{key} = {value:?}\n")));
        }
        let of_section = Config::parse(&text).map(|config| config.ship.unwrap());
        let of_section = of_section.map_err(|problems| format!("{}; {}", problems[0].reason, problems[0].fix));
        assert_eq!(Ship::from_arguments(url, endpoint, region, allow_http, bandwidth), of_section);
    }
}
