//! Which server a process belongs to, by its command line. Pure: it reads no `/proc`.

/// Programs and modules that are servers, or start one, and what the server is called.
const SERVERS: &[(&str, &str)] = &[
    ("gunicorn", "gunicorn"),
    ("gunicorn.app.wsgiapp", "gunicorn"),
    ("uwsgi", "uwsgi"),
    ("celery", "celery"),
    ("celeryd", "celery"),
    ("uvicorn", "uvicorn"),
    ("hypercorn", "hypercorn"),
    ("granian", "granian"),
    ("waitress", "waitress"),
    ("waitress-serve", "waitress"),
    ("daphne", "daphne"),
    ("dramatiq", "dramatiq"),
    ("rq", "rq"),
    ("arq", "arq"),
    ("huey_consumer", "huey"),
    ("huey_consumer.py", "huey"),
];

/// The server that a process with this command line (or title) and this executable is of.
pub fn of(command_line: &[String], executable: &str) -> Option<&'static str> {
    // A title, as `gunicorn: worker [app]`, or the program itself.
    let title = command_line.first()?.split([' ', ':']);
    title.chain(python_program(command_line)).chain([executable]).find_map(|word| {
        let word = word.strip_suffix("/__main__.py").unwrap_or(word).trim_start_matches('[');
        let name = base_name(word).to_ascii_lowercase();
        SERVERS.iter().find(|(program, _)| *program == name).map(|(_, server)| *server)
    })
}

/// Is this a process that `multiprocessing` has started anew? Its command line is no server's; its parent's may be.
pub fn is_spawned(command_line: &[String]) -> bool {
    command_line.iter().any(|word| word == "--multiprocessing-fork" || word.contains("spawn_main("))
}

/// What a Python interpreter is to run: a script's path or a module's name.
fn python_program(command_line: &[String]) -> Option<&str> {
    let mut words = command_line.iter().map(String::as_str);
    base_name(words.next()?).strip_prefix("python")?;
    loop {
        match words.next()? {
            "-m" => return words.next(),
            "-c" => return None,
            "-X" | "-W" => drop(words.next()),
            option if option.starts_with('-') => {}
            script => return Some(script),
        }
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
