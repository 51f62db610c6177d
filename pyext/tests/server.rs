//! Servers by their command lines and titles.

#[path = "../src/server.rs"]
mod server;

fn argv(line: &str) -> Vec<String> {
    line.split('|').map(str::to_owned).collect()
}

#[test]
fn servers_are_known_by_what_is_run() {
    for (line, expect) in [
        ("/venv/bin/python3|/venv/bin/gunicorn|shop.wsgi", "gunicorn"),
        ("python|-X|dev|-m|gunicorn.app.wsgiapp|shop.wsgi", "gunicorn"),
        ("gunicorn: worker [shop]", "gunicorn"),
        ("[celeryd: celery@host:ForkPoolWorker-1]", "celery"),
        ("python3.12|/venv/lib/python3.12/site-packages/celery/__main__.py|worker", "celery"),
        ("shop uWSGI worker 1", "uwsgi"),
        ("/usr/bin/python3|-m|hypercorn|app:app", "hypercorn"),
        ("/usr/bin/python3|/usr/bin/granian|--workers|2", "granian"),
        ("/usr/bin/python3|/usr/bin/waitress-serve|app:app", "waitress"),
        ("/usr/bin/python3|/usr/local/bin/huey_consumer.py|app.huey", "huey"),
    ] {
        assert_eq!(server::of(&argv(line), "/usr/bin/python3.12"), Some(expect), "{line}");
    }
    assert_eq!(server::of(&argv("a title of its own"), "/usr/bin/uwsgi"), Some("uwsgi"));
}

#[test]
fn what_only_has_such_a_name_somewhere_is_none() {
    for line in [
        "/srv/gunicorn/venv/bin/python|app.py",
        "python3|manage.py|celery",
        "python3|-c|gunicorn",
        "python3|app.py|/srv/celery",
        "python3",
    ] {
        assert_eq!(server::of(&argv(line), "/usr/bin/python3"), None, "{line}");
    }
}

#[test]
fn spawned_processes_are_their_parents() {
    let spawned =
        "python3|-c|from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5)|--multiprocessing-fork";
    assert!(server::is_spawned(&argv(spawned)));
    assert!(!server::is_spawned(&argv("python3|-m|uvicorn|app:app")));
}
