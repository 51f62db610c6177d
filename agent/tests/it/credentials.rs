//! Where keys come from, as AWS's own tools have it: environment, shared files, a container's and an instance's role.
//! And that no key is in anything that the agent says or leaves behind.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

use crate::found::put;
use crate::harness::*;
use crate::s3::{Fault, Server};

const NAME: &str = "meliae.2026-11-24T05:23:23.000123.4711.dump";
const SECRET: &str = "hush-hush-hush";

/// A home, a store with one dump, and a bucket.
struct Scene {
    server: Server,
    home: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let scene = Scene { server: Server::start(), home: tempfile::tempdir().unwrap() };
        for name in ["drop", ".aws"] {
            fs::create_dir(scene.path(name)).unwrap();
        }
        put(&scene.path("drop"), NAME, b"{}\n");
        Agent::run(&scene.path("store"), &["collect", "--quiet", scene.path("drop").to_str().unwrap()]).path();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Ships, in an environment with nothing but that; the agent's words are free of secrets.
    fn ship(&self, variables: &[(&str, &str)]) -> Ended {
        for file in tree(&self.path("store")).iter().filter(|path| path.ends_with("shipped.json")) {
            fs::remove_file(file).unwrap();
        }
        let endpoint = self.server.endpoint();
        let arguments = ["ship", "--to", "s3://bucket/x", "--endpoint", &endpoint, "--allow-http"];
        let ended = Agent::start_with(&self.path("store"), &arguments, |command| {
            command.env_clear().env("HEAPSEE_STORE", self.path("store")).env("HOME", self.home.path());
            command.env("NO_PROXY", "127.0.0.1").envs(variables.iter().copied());
        })
        .end();
        assert!(!format!("{ended:?}").contains(SECRET), "{ended:?}");
        let with_secret = tree(&self.path("store")).into_iter().find(|path| holds_secret(path));
        assert_eq!(with_secret, None);
        ended
    }

    /// Asserts that it is shipped, and who the bucket was asked by.
    #[track_caller]
    fn ships_as(&self, variables: &[(&str, &str)], id: &str, token: &str) {
        self.server.plan(|_| None);
        let ended = self.ship(variables);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(self.server.askers(), [(id.to_owned(), token.to_owned())]);
    }
}

fn holds_secret(path: &Path) -> bool {
    String::from_utf8_lossy(&fs::read(path).unwrap()).contains(SECRET)
}

fn keys(id: &str, more: &str) -> String {
    format!("aws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n{more}")
}

#[test]
fn environment_then_files() {
    let scene = Scene::new();
    let two =
        format!("[default]\n{}[ops]\n{}", keys("AKIADEFAULT", ""), keys("AKIAOPS", "aws_session_token = t-ops\n"));
    fs::write(scene.path(".aws/credentials"), &two).unwrap();
    scene.ships_as(&[], "AKIADEFAULT", "");
    scene.ships_as(&[("AWS_PROFILE", "ops")], "AKIAOPS", "t-ops");
    let of_environment = [("AWS_PROFILE", "ops"), ("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    scene.ships_as(&of_environment, "AKIAENV", "");
    fs::rename(scene.path(".aws/credentials"), scene.path("elsewhere")).unwrap();
    let path = scene.path("elsewhere");
    scene.ships_as(&[("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap())], "AKIADEFAULT", "");
    fs::write(scene.path(".aws/config"), format!("[profile ops]\nregion = eu-north-1\n{}", keys("AKIACONF", "")))
        .unwrap();
    scene.ships_as(&[("AWS_PROFILE", "ops")], "AKIACONF", "");
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let scene = Scene::new();
    fs::write(scene.path(".aws/credentials"), format!("[half]\naws_secret_access_key = {SECRET}\n")).unwrap();
    for (profile, words) in [("none", "is in neither"), ("half", "has no aws_access_key_id: a profile needs both keys")]
    {
        let ended = scene.ship(&[("AWS_PROFILE", profile)]);
        assert!(ended.failed_with(12).contains(words), "{ended:?}");
    }
    let ended = scene.ship(&[("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/at/all")]);
    assert!(ended.failed_with(12).contains("cannot be read"), "{ended:?}");
    // As in a pod whose service account has no role: with what is left, somebody else would be asked for keys.
    let ended = scene.ship(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/at/all")]);
    assert!(ended.failed_with(12).contains("AWS_ROLE_ARN is not set"), "{ended:?}");
    assert!(scene.server.askers().is_empty());
}

#[test]
fn no_error_of_a_service_tells_a_secret() {
    let scene = Scene::new();
    let variables =
        [("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_SESSION_TOKEN", SECRET)];
    for fault in [Fault::Status(403), Fault::Status(500), Fault::Cut] {
        scene.server.plan(move |_| Some(fault));
        scene.ship(&variables).failed_with(12);
    }
    // Neither do a file of Google's, or a key of Azure's, that are none.
    let file = scene.path("google.json");
    fs::write(&file, format!("{{\"private_key\": \"{SECRET}\"}}")).unwrap();
    let azure = [("AZURE_STORAGE_ACCOUNT_NAME", "me"), ("AZURE_STORAGE_ACCOUNT_KEY", SECRET)];
    for (url, variables) in [
        ("gs://bucket", vec![("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())]),
        ("gs://bucket", vec![("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/at/all")]),
        ("az://container", azure.to_vec()),
    ] {
        let ended = Agent::start_with(&scene.path("store"), &["ship", "--to", url], |command| {
            command.env_clear().env("HEAPSEE_STORE", scene.path("store")).env("HOME", scene.home.path());
            command.envs(variables);
        })
        .end();
        let line = ended.failed_with(12);
        assert!(line.contains(&format!("{url} cannot be opened")) && !line.contains(SECRET), "{line}");
    }
}

/// A server of roles, an instance's and a container's: hands out keys, and asks for a token as they do.
fn roles(document: String) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let document = document.clone();
            thread::spawn(move || while answer(&stream, &document).is_some() {});
        }
    });
    port
}

fn answer(mut stream: &TcpStream, document: &str) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let has = |header: &str| head.iter().any(|line| line == header);
    let (status, body) = match head.first()?.split(" http").next()? {
        "put /latest/api/token" => (200, "of-instance"),
        "get /latest/meta-data/iam/security-credentials/" if has("x-aws-ec2-metadata-token: of-instance") => {
            (200, "me")
        }
        "get /latest/meta-data/iam/security-credentials/me" if has("x-aws-ec2-metadata-token: of-instance") => {
            (200, document)
        }
        "get /container" if has("authorization: of-container") => (200, document),
        _ => (403, ""),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").ok()
}

#[test]
fn roles_of_instances_and_containers() {
    let scene = Scene::new();
    let document = format!(
        "{{\"AccessKeyId\": \"AKIAROLE\", \"SecretAccessKey\": \"{SECRET}\", \"Token\": \"t-role\", \
         \"Expiration\": \"2126-11-24T05:23:23Z\"}}"
    );
    let address = format!("http://127.0.0.1:{}", roles(document));
    scene.ships_as(&[("AWS_METADATA_ENDPOINT", &address)], "AKIAROLE", "t-role");
    let token = scene.path("token");
    fs::write(&token, "of-container").unwrap();
    let of_container = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{address}/container")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap().to_owned()),
    ];
    let of_container: Vec<(&str, &str)> = of_container.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // A role is plainer than a file that happens to be there, as with AWS's own.
    fs::write(scene.path(".aws/credentials"), format!("[default]\n{}", keys("AKIADEFAULT", ""))).unwrap();
    scene.ships_as(&of_container, "AKIAROLE", "t-role");
    // Nobody there has a role for us: that is said, with what to do.
    let ended = scene.ship(&[
        ("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]);
    assert!(ended.failed_with(12).contains("s3://bucket/x"), "{ended:?}");
}
