//! What a dump's author may have put into names, values and the sidecar to fool whoever reads it: terminals, first.

use super::asked::{Dumps, dict, line, list, string};

/// As JSON writes it: colours, a title, a bell, an 8-bit control, a line end, and what turns the direction of writing.
const EVIL: &str = r"\u001b[31m\u001b]0;x\u0007\u009b2J\r\n\u2028\u202e\u200bend";

/// Whether a terminal acts upon the character, or shows a line otherwise than it is. Line feeds end lines of ours.
fn is_evil(c: char) -> bool {
    (c.is_control() && c != '\n') || ['\u{2028}', '\u{202e}', '\u{200b}'].contains(&c)
}

fn heap() -> String {
    let mut text = line(16, "module", 100, &format!("\"name\": \"m{EVIL}\", "), &[32])
        + &dict(32, &[(64, 80), (96, 112), (96, 160)])
        + &line(48, "type", 300, &format!("\"name\": \"T{EVIL}\", "), &[])
        + &string(64, &format!("k{EVIL}"))
        + &line(80, &format!("T{EVIL}"), 5000, "", &[48, 128])
        + &string(96, EVIL)
        + &list(112, &[128, 144, 144])
        + &line(160, "frame", 500, &format!("\"value\": \"f{EVIL}\", "), &[176, 192])
        + &line(176, "_asyncio.Task", 200, "", &[64, 96])
        + &list(192, &(0..40).map(|i| 1024 + 16 * i).collect::<Vec<_>>());
    for address in [128, 144].into_iter().chain((0..40).map(|i| 1024 + 16 * i)) {
        text += &line(address, &format!("L{EVIL}"), 700_000, "\"len\": 3, ", &[]);
    }
    text
}

fn sidecar() -> String {
    format!(
        r#"{{"schema": "heapsee.dump-meta/1", "host": {{"hostname": "h{EVIL}"}}, "python": {{"version": "3{EVIL}"}},
        "process": {{"pid": 7, "command_line": ["c{EVIL}"], "server": "s{EVIL}"}},
        "trigger": {{"reason": "r{EVIL}", "requested_at": "{EVIL}"}}, "snapshot": {{"mode": "{EVIL}"}},
        "memory": {{"rss": 100000000, "rss_anonymous": 100000000}},
        "roots": [{{"label": "sys.modules", "addresses": [32]}}, {{"label": "thread 7", "addresses": [160]}},
            {{"label": "l{EVIL}", "addresses": [112]}}],
        "threads": [{{"ident": 7, "frames": [{{"address": 160, "file": "f{EVIL}", "function": "g{EVIL}"}}]}}],
        "types": {{"48": {{"module": "m{EVIL}", "qualname": "T{EVIL}"}}}},
        "distributions": {{"m{EVIL}": {{"name": "d{EVIL}", "version": "1{EVIL}"}}}}}}"#
    )
}

#[test]
fn no_verb_passes_on_what_a_terminal_acts_upon() {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), &sidecar());
    let any = "type like 'L%'";
    for (verb, options) in [
        ("summary", &[] as &[&str]),
        ("suspects", &[]),
        ("top", &[]),
        ("top", &["--by", "type"]),
        ("top", &["--by", "module"]),
        ("tree", &[]),
        ("tree", &["192"]),
        ("cut", &[any]),
        ("cut", &["type like 'T%'"]),
        ("path", &["--to", any]),
        ("path", &["--to", "48", "--all", "5"]),
        ("path", &["--to", any, "--merge"]),
        ("info", &["80"]),
        ("info", &["112"]),
        ("refs", &["32"]),
        ("refs", &["128", "--parents"]),
        ("gc", &["--drop", any]),
        ("query", &["select *, root, module, package, thread from obj"]),
        ("query", &["select edge, parent from ref"]),
        ("reconcile", &[]),
        ("threads", &[]),
        ("twins", &["--min-bytes", "1"]),
        ("waste", &[]),
        ("packages", &[]),
        ("duplicates", &[]),
    ] {
        let output = dumps.run(verb, &[&path], options);
        assert_eq!(output.status.code(), Some(0), "{verb} {options:?}: {}", String::from_utf8_lossy(&output.stderr));
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8(text).unwrap();
            let line = text.lines().find(|line| line.contains(is_evil));
            assert_eq!(line, None, "{verb} {options:?}");
        }
    }
    let found = dumps.text("diff", &[&path, &path], &[]);
    assert!(!found.contains(is_evil), "{found:?}");
}

#[test]
fn a_bare_address_is_that_object_and_not_every_object() {
    let dumps = Dumps::new();
    let path = dumps.write("x.dump", &heap(), "");
    for address in ["48", "0x30", " 48 "] {
        let found = dumps.text("path", &[&path], &["--to", address]);
        assert!(found.ends_with("type\n") && found.contains("\n     48  300 type"), "{found}");
        let freed = dumps.text("gc", &[&path], &["--drop", address]);
        assert!(freed.starts_with("Dropping 1 references frees 1 of "), "{freed}");
    }
    let output = dumps.run("cut", &[&path], &["4711"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no object matches \"4711\""));
}

#[test]
fn sizes_that_cannot_be_are_no_reason_to_panic() {
    let dumps = Dumps::new();
    let huge: Vec<u64> = (0..40).map(|i| 1024 + 16 * i).collect();
    let mut text = line(16, "module", 100, "\"name\": \"m\", ", &[32]) + &dict(32, &[(64, 80), (64, 96)]);
    text += &(string(64, "k") + &list(80, &huge) + &line(96, "a", 1, "", &huge));
    for address in &huge {
        text += &line(*address, "a", u64::MAX - 7, "\"len\": 18446744073709551615, ", &[address + 16]);
    }
    let path = dumps.write("x.dump", &text, &sidecar());
    for verb in
        ["summary", "suspects", "top", "tree", "reconcile", "threads", "twins", "waste", "packages", "duplicates"]
    {
        for options in [&[] as &[&str], &["--json"]] {
            let output = dumps.run(verb, &[&path], options);
            assert_eq!(output.status.code(), Some(0), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    for (verb, condition) in
        [("cut", "type = 'a'"), ("gc", "--drop=type = 'a'"), ("path", "--to=96"), ("query", "select retained from obj")]
    {
        let output = dumps.run(verb, &[&path], &[condition]);
        assert_eq!(output.status.code(), Some(0), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(dumps.run("diff", &[&path, &path], &[]).status.success());
}
