//! Recognising a Python server by the command line (or the title) of its processes. Pure: it reads no `/proc`.
//!
//! gunicorn, uWSGI, celery and rq fork their workers, which then share the master's command line unless setproctitle gives
//! them titles; those of uvicorn, hypercorn and granian are started by multiprocessing, afresh or not; waitress has none.
//! Who is whose master is seen only from the tree, in the module above.

use serde::Serialize;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// gunicorn, whatever its worker class.
    Gunicorn,
    /// uWSGI.
    Uwsgi,
    /// A celery worker.
    Celery,
    /// uvicorn without gunicorn.
    Uvicorn,
    /// hypercorn.
    Hypercorn,
    /// granian.
    Granian,
    /// waitress.
    Waitress,
    /// A worker of rq.
    Rq,
}

impl Server {
    /// Its name, as in `--name` and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Server::Gunicorn => "gunicorn",
            Server::Uwsgi => "uwsgi",
            Server::Celery => "celery",
            Server::Uvicorn => "uvicorn",
            Server::Hypercorn => "hypercorn",
            Server::Granian => "granian",
            Server::Waitress => "waitress",
            Server::Rq => "rq",
        }
    }

    /// Whether its workers are started by multiprocessing.
    pub fn spawns(self) -> bool {
        matches!(self, Server::Uvicorn | Server::Hypercorn | Server::Granian)
    }
}

/// What a title says of a process's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// It is a master.
    Master,
    /// It is a worker.
    Worker,
    /// Nothing: the tree has to tell.
    None,
}

/// What a command line or title says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// The kind of server.
    pub server: Server,
    /// Its part, if it is said.
    pub hint: Hint,
    /// The application's name, if it is said.
    pub app: Option<String>,
}

/// Reads a command line; `None` if it is no server's.
pub fn recognise(argv: &[String]) -> Option<Recognised> {
    let first = argv.first()?;
    from_title(first).or_else(|| {
        let (program, arguments) = program(argv)?;
        match program {
            "gunicorn" | "gunicorn.app.wsgiapp" | "gunicorn3" => {
                let app = option(arguments, &["-n", "--name"]).or_else(|| positional_app(arguments));
                Some(Recognised { server: Server::Gunicorn, hint: Hint::None, app })
            }
            "uvicorn" | "hypercorn" | "granian" | "waitress" | "waitress-serve" => {
                let server = match program {
                    "uvicorn" => Server::Uvicorn,
                    "hypercorn" => Server::Hypercorn,
                    "granian" => Server::Granian,
                    _ => Server::Waitress,
                };
                Some(Recognised { server, hint: Hint::None, app: positional_app(arguments) })
            }
            "rq" | "rqworker" if program == "rqworker" || arguments.iter().any(|word| word.starts_with("worker")) => {
                let app = option(arguments, &["-n", "--name"]);
                Some(Recognised { server: Server::Rq, hint: Hint::None, app })
            }
            "celery" if arguments.iter().any(|argument| argument == "worker") => {
                let app = option(arguments, &["-A", "--app"]);
                Some(Recognised { server: Server::Celery, hint: Hint::None, app })
            }
            "uwsgi" if !arguments.iter().any(|argument| argument.starts_with("--emperor")) => {
                Some(Recognised { server: Server::Uwsgi, hint: Hint::None, app: uwsgi_app(arguments) })
            }
            _ => None,
        }
    })
}

/// Whether this is a process that multiprocessing has started to run a part of its parent's program.
pub fn is_spawned_child(argv: &[String]) -> bool {
    argv.iter().any(|argument| argument == "--multiprocessing-fork" || argument.contains("spawn_main("))
}

/// Whether a command line is that of a Python interpreter, and of which version, if its name says so.
pub fn python(program: &str) -> Option<Option<&str>> {
    let version = base_name(program).strip_prefix("python")?;
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match (version.is_empty(), is_version) {
        (true, _) => Some(None),
        (false, true) => Some(version.contains('.').then_some(version)),
        (false, false) => None,
    }
}

fn from_title(title: &str) -> Option<Recognised> {
    if let Some(rest) = title.strip_prefix("gunicorn: ") {
        let (role, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let hint = match role {
            "master" | "arbiter" => Hint::Master,
            "worker" => Hint::Worker,
            _ => return None,
        };
        let app = rest.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
        return Some(Recognised { server: Server::Gunicorn, hint, app });
    }
    if let Some(rest) = title.strip_prefix("[celeryd: ") {
        let (name, rest) = rest.split_once(']')?;
        let hint = if name.contains("MainProcess") { Hint::Master } else { Hint::Worker };
        let words: Vec<String> = rest.split([' ', '(', ')']).map(str::to_owned).collect();
        return Some(Recognised { server: Server::Celery, hint, app: option(&words, &["-A", "--app"]) });
    }
    // uWSGI's own titles; procname-prefix puts a word of the operator's before them.
    let at = title.find("uWSGI ")?;
    let prefix = title[..at].trim();
    let hint = match title[at + 6..].split(' ').next() {
        Some("worker") => Hint::Worker,
        Some("master") => Hint::Master,
        _ => return None,
    };
    Some(Recognised { server: Server::Uwsgi, hint, app: (!prefix.is_empty()).then(|| prefix.to_owned()) })
}

/// The program a command line runs, an interpreter in front of it left out, and its arguments.
fn program(argv: &[String]) -> Option<(&str, &[String])> {
    let first = argv.first()?;
    if python(first).is_none() {
        return Some((base_name(first), &argv[1..]));
    }
    let mut rest = &argv[1..];
    loop {
        let argument = rest.first()?.as_str();
        match argument {
            // `python -m celery.__main__` shows so on some versions.
            "-m" => {
                let module = rest.get(1)?;
                return Some((module.strip_suffix(".__main__").unwrap_or(module), &rest[2..]));
            }
            "-c" => return None,
            "-X" | "-W" => rest = rest.get(2..)?,
            _ if argument.starts_with('-') => rest = &rest[1..],
            _ => return Some((script_name(argument), &rest[1..])),
        }
    }
}

/// `/venv/lib/celery/__main__.py` runs `celery`; any other script is what its file is called.
fn script_name(path: &str) -> &str {
    match path.strip_suffix("/__main__.py") {
        Some(package) => base_name(package),
        None => base_name(path),
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The value of an option, as `-A x`, `-Ax`, `--app x` or `--app=x`.
fn option(arguments: &[String], names: &[&str]) -> Option<String> {
    for (i, argument) in arguments.iter().enumerate() {
        for &name in names {
            let value = match argument.strip_prefix(name) {
                Some("") => arguments.get(i + 1).map(String::as_str),
                Some(rest) if name.starts_with("--") => rest.strip_prefix('='),
                Some(rest) => Some(rest),
                None => None,
            };
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                return Some(value.to_owned());
            }
        }
    }
    None
}

/// gunicorn's and uvicorn's application: the argument that is spelled `package.module:attribute`, or, as gunicorn
/// allows that too, a last argument that is spelled `package.module` and is no option's value.
fn positional_app(arguments: &[String]) -> Option<String> {
    let is_value = |i: usize| i > 0 && arguments[i - 1].starts_with('-') && !arguments[i - 1].contains('=');
    let spelled = |text: &str| {
        let (module, attribute) = text.split_once(':')?;
        (is_dotted_name(module) && is_dotted_name(attribute.split('(').next()?)).then(|| text.to_owned())
    };
    let free = arguments.iter().enumerate().filter(|&(i, _)| !is_value(i)).find_map(|(_, text)| spelled(text));
    // `--reload app:app`: an option without a value in front of the application.
    let after_flag = || arguments.last().and_then(|text| spelled(text));
    let module = || {
        let last = arguments.len().checked_sub(1)?;
        (!is_value(last) && is_dotted_name(&arguments[last])).then(|| arguments[last].clone())
    };
    free.or_else(after_flag).or_else(module)
}

fn is_dotted_name(text: &str) -> bool {
    text.split('.').all(|part| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

fn uwsgi_app(arguments: &[String]) -> Option<String> {
    if let Some(name) =
        option(arguments, &["--module", "--wsgi", "-w", "--procname-prefix-spaced", "--procname-prefix"])
    {
        return Some(name.trim().to_owned());
    }
    let file = option(arguments, &["--wsgi-file", "--file", "--ini", "--yaml", "--json", "--xml", "--toml"]).or_else(
        || arguments.iter().find(|argument| !argument.starts_with('-') && argument.ends_with(".ini")).cloned(),
    )?;
    let name = base_name(&file);
    Some(name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn check(line: &str, expect: &str) {
        let got = match recognise(&argv(line)) {
            Some(found) => format!("{} {:?} {}", found.server.name(), found.hint, found.app.as_deref().unwrap_or("-")),
            None => "nothing".to_owned(),
        };
        assert_eq!(got, expect, "{line}");
    }

    fn check_title(title: &str, expect: (Server, Hint, Option<&str>)) {
        let found = recognise(&[title.to_owned()]).unwrap_or_else(|| panic!("{title} was not recognised"));
        assert_eq!((found.server, found.hint, found.app.as_deref()), expect, "{title}");
    }

    #[test]
    fn command_lines_of_servers() {
        check("/venv/bin/python3 /venv/bin/gunicorn -w 4 -b localhost:8000 lms.wsgi", "gunicorn None lms.wsgi");
        check("/venv/bin/python /venv/bin/gunicorn app:make(1) --workers 2", "gunicorn None app:make(1)");
        check("python3.11 -X dev -m gunicorn --reload app:app", "gunicorn None app:app");
        check("gunicorn -c python:conf.prod -n shop shop.wsgi:application", "gunicorn None shop");
        check("gunicorn -w 4", "gunicorn None -");
        check("/usr/bin/python3 -m uvicorn app.main:app --host 0.0.0.0 --workers 2", "uvicorn None app.main:app");
        check(
            "/usr/bin/python3 /venv/bin/hypercorn --bind unix:/run/x app.main:app -w 2",
            "hypercorn None app.main:app",
        );
        check(
            "/venv/bin/python /venv/bin/granian --interface wsgi --workers 2 shop.wsgi:app",
            "granian None shop.wsgi:app",
        );
        check("/venv/bin/python /venv/bin/waitress-serve --port=8041 shop.wsgi:app", "waitress None shop.wsgi:app");
        check("python3 -m waitress --call shop.wsgi:make", "waitress None shop.wsgi:make");
        check("/usr/bin/python3 /venv/bin/rq worker --name mail high default", "rq None mail");
        check("/usr/bin/python3 /venv/bin/rq worker-pool high", "rq None -");
        check("/usr/bin/python3 /venv/bin/rq info", "nothing");
        check("/usr/bin/python3 /usr/bin/celery -A proj worker -c 4", "celery None proj");
        check("python3 -m celery worker --app=proj.tasks", "celery None proj.tasks");
        check("/usr/bin/python3 /usr/bin/celery -A proj beat", "nothing");
        check("python3 /venv/lib/python3.11/site-packages/celery/__main__.py -A p worker", "celery None p");
        check(
            "/usr/bin/uwsgi --http :8000 --module shop.wsgi:application --master",
            "uwsgi None shop.wsgi:application",
        );
        check("uwsgi --ini /etc/uwsgi/shop.ini", "uwsgi None shop");
        check("uwsgi --emperor /etc/uwsgi/vassals", "nothing");
    }

    #[test]
    fn other_programs_are_no_servers() {
        check("vim gunicorn", "nothing");
        check("python3 -c gunicorn", "nothing");
        check("python3", "nothing");
        check("grep uWSGI notes", "nothing");
        assert_eq!(recognise(&[]), None);
    }

    #[test]
    fn titles() {
        check_title("gunicorn: master [lms.wsgi]", (Server::Gunicorn, Hint::Master, Some("lms.wsgi")));
        check_title("gunicorn: worker [shop]", (Server::Gunicorn, Hint::Worker, Some("shop")));
        check_title(
            "[celeryd: celery@host:MainProcess] -active- (worker -A proj)",
            (Server::Celery, Hint::Master, Some("proj")),
        );
        check_title("[celeryd: celery@host:ForkPoolWorker-1]", (Server::Celery, Hint::Worker, None));
        check_title("uWSGI worker 1", (Server::Uwsgi, Hint::Worker, None));
        check_title("shop uWSGI master", (Server::Uwsgi, Hint::Master, Some("shop")));
    }

    #[test]
    fn interpreters() {
        assert_eq!(python("/usr/bin/python3.11"), Some(Some("3.11")));
        assert_eq!(python("python3"), Some(None));
        assert_eq!(python("python"), Some(None));
        assert_eq!(python("pythonista"), None);
        assert_eq!(python("/usr/bin/perl"), None);
    }
}
