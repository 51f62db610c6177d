//! Keys and region from the files that AWS's own tools share (`~/.aws/credentials`, `~/.aws/config`), because the S3
//! client reads the environment and roles only. It runs no program, assumes no role and signs in nowhere: a profile
//! that wants this is an error that says so. No value of a file is ever in an error.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

/// Keys that get credentials in ways that are not ours.
const OTHER_WAYS: [&str; 5] =
    ["credential_process", "role_arn", "sso_session", "sso_start_url", "web_identity_token_file"];
/// Variables that name credentials as plainly as a file does, or more so.
const PLAIN: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// The two files, and which profile of them is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFiles {
    credentials: Named,
    config: Named,
    profile: Option<String>,
}

/// A file, and the variable that names it, if one does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    path: PathBuf,
    by: Option<&'static str>,
}

/// What a profile says.
#[derive(Debug, Default)]
pub struct Profile {
    /// Its region.
    pub region: Option<String>,
    /// Its keys.
    pub keys: Option<AwsCredential>,
}

type Section = BTreeMap<String, String>;

impl SharedFiles {
    /// Those that the environment means; none if it names credentials itself, or if there is no home.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<SharedFiles> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let profile = set("AWS_PROFILE").map(|name| name.to_string_lossy().into_owned());
        let plain = PLAIN.iter().find(|name| set(name).is_some());
        // A profile that is named is plainer than a role, but not than keys.
        if plain.is_some_and(|&name| profile.is_none() || name == PLAIN[0]) {
            return None;
        }
        let home = set("HOME").map(PathBuf::from);
        let file = |name: &'static str, usual: &str| match set(name) {
            Some(path) => Some(Named { path: PathBuf::from(path), by: Some(name) }),
            None => Some(Named { path: home.as_ref()?.join(usual), by: None }),
        };
        let (credentials, config) =
            (file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"), file("AWS_CONFIG_FILE", ".aws/config"));
        // One of them may be named where there is no home.
        let nothing = || Named { path: PathBuf::from("/dev/null"), by: None };
        match (credentials, config) {
            (None, None) => None,
            (credentials, config) => Some(SharedFiles {
                credentials: credentials.unwrap_or_else(nothing),
                config: config.unwrap_or_else(nothing),
                profile,
            }),
        }
    }

    /// What the profile says now.
    pub fn read(&self) -> Result<Profile, String> {
        let name = self.profile.as_deref().unwrap_or("default");
        let of_config = if name == "default" { "default".to_owned() } else { format!("profile {name}") };
        let keys = sections(&self.credentials)?.remove(name);
        let settings = sections(&self.config)?.remove(&of_config);
        if let (Some(name), None, None) = (&self.profile, &keys, &settings) {
            return Err(format!(
                "the profile {name:?} that AWS_PROFILE means is in neither {} nor {}: add it, or correct the variable",
                self.credentials.path.display(),
                self.config.path.display()
            ));
        }
        let (keys, settings) = (keys.unwrap_or_default(), settings.unwrap_or_default());
        // The file of credentials goes first, as a whole.
        let has_keys = keys.keys().any(|key| key.starts_with("aws_"));
        let (section, file) = if has_keys { (&keys, &self.credentials) } else { (&settings, &self.config) };
        let keys = credential(section, name, &file.path)?;
        Ok(Profile { region: settings.get("region").cloned(), keys })
    }
}

/// Reads the files again for each request, so that keys that somebody replaces are used without a restart.
#[async_trait]
impl CredentialProvider for SharedFiles {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let failed = |why: String| object_store::Error::Generic { store: "S3", source: why.into() };
        let keys = self.read().map_err(failed)?.keys;
        keys.map(Arc::new).ok_or_else(|| failed("the files of credentials have no keys any more".to_owned()))
    }
}

/// The keys of a section, if it has any.
fn credential(section: &Section, profile: &str, file: &Path) -> Result<Option<AwsCredential>, String> {
    let value = |key: &str| section.get(key).filter(|value| !value.is_empty()).cloned();
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(key_id), Some(secret_key)) => {
            Ok(Some(AwsCredential { key_id, secret_key, token: value("aws_session_token") }))
        }
        (None, None) => match OTHER_WAYS.iter().find(|way| section.contains_key(**way)) {
            Some(way) => Err(format!(
                "the profile {profile:?} of {} gets its credentials by {way}, which heapsee-agent does not do: put \
                 keys into the profile or the environment, or give the host a role",
                file.display()
            )),
            None => Ok(None),
        },
        (key_id, _) => Err(format!(
            "the profile {profile:?} of {} has no {}: a profile needs both keys",
            file.display(),
            if key_id.is_some() { "aws_secret_access_key" } else { "aws_access_key_id" }
        )),
    }
}

/// The sections of a file; none if it is not there and nobody named it.
fn sections(file: &Named) -> Result<BTreeMap<String, Section>, String> {
    match fs::read_to_string(&file.path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && file.by.is_none() => Ok(BTreeMap::new()),
        Err(error) => {
            let by = file.by.map(|name| format!(", which {name} means,")).unwrap_or_default();
            Err(format!("{}{by} cannot be read: {error}; let the agent read it", file.path.display()))
        }
    }
}

fn parse(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        // What is indented belongs to the setting above it, and is none that we need.
        if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.split(']').next().unwrap_or_default();
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.entry(name.clone()).or_default();
            current = Some(name);
        } else if let (Some(name), Some((key, value))) = (&current, line.split_once('=')) {
            let value = [" #", " ;", "\t#", "\t;"].iter().fold(value, |value, mark| match value.split_once(mark) {
                Some((value, _)) => value,
                None => value,
            });
            let section = sections.entry(name.clone()).or_default();
            section.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A home with these two files, and what is read from it with these variables.
    fn check(credentials: &str, config: &str, variables: &[(&str, &str)]) -> Option<Result<Profile, String>> {
        let home = TempDir::new().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        fs::write(home.path().join(".aws/config"), config).unwrap();
        let files = SharedFiles::of_environment(|name| match name {
            "HOME" => Some(home.path().into()),
            name => variables.iter().find(|variable| variable.0 == name).map(|variable| variable.1.into()),
        });
        files.map(|files| files.read())
    }

    const TWO: &str = "# ours\n[default]\naws_access_key_id = AKIA1 ; old\naws_secret_access_key=s=1#x\n\n[ ops ]\n\
                       aws_access_key_id=AKIA2\naws_secret_access_key=s2\naws_session_token = t2\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\ns3 =\n  region = no\n[profile ops]\nregion=eu-north-1\n\
                          [profile run]\ncredential_process = /bin/x\n[profile sso]\nsso_session = s\n[ops]\nregion = no\n";

    fn keys(profile: &Profile) -> Vec<String> {
        let keys = profile.keys.as_ref().unwrap();
        [&keys.key_id, &keys.secret_key].into_iter().chain(&keys.token).cloned().collect()
    }

    #[test]
    fn profiles_are_read_as_by_others() {
        let profile = check(TWO, CONFIG, &[]).unwrap().unwrap();
        assert_eq!(keys(&profile), ["AKIA1", "s=1#x"]);
        assert_eq!(profile.region.as_deref(), Some("eu-west-1"));
        let profile = check(TWO, CONFIG, &[("AWS_PROFILE", "ops")]).unwrap().unwrap();
        assert_eq!(keys(&profile), ["AKIA2", "s2", "t2"]);
        assert_eq!(profile.region.as_deref(), Some("eu-north-1"));
        // Keys may stand in the other file too.
        let profile = check("", TWO.replace("[ ops ]", "[profile ops]").as_str(), &[("AWS_PROFILE", "ops")]);
        assert_eq!(keys(&profile.unwrap().unwrap()), ["AKIA2", "s2", "t2"]);
        let profile = check("", "", &[]).unwrap().unwrap();
        assert!(profile.keys.is_none() && profile.region.is_none());
    }

    #[test]
    fn what_is_plain_in_the_environment_goes_first() {
        for name in PLAIN {
            assert!(check(TWO, CONFIG, &[(name, "x")]).is_none(), "{name}");
            let with_profile = check(TWO, CONFIG, &[(name, "x"), ("AWS_PROFILE", "ops")]);
            assert_eq!(with_profile.is_none(), name == "AWS_ACCESS_KEY_ID", "{name}");
        }
        assert!(SharedFiles::of_environment(|_| None).is_none());
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        let fails = |credentials: &str, config: &str, profile: &str, words: &str| {
            let error = check(credentials, config, &[("AWS_PROFILE", profile)]).unwrap().unwrap_err();
            assert!(error.contains(words) && !error.contains("hush") && !error.contains('\n'), "{error}");
        };
        fails(TWO, CONFIG, "other", "\"other\" that AWS_PROFILE means is in neither");
        fails("", CONFIG, "run", "by credential_process, which heapsee-agent does not do: put keys into");
        fails("", CONFIG, "sso", "by sso_session");
        fails("[x]\naws_access_key_id = hush\n", "", "x", "has no aws_secret_access_key: a profile needs both");
        fails("[x]\naws_secret_access_key = hush\n", "", "x", "\"x\"");
        let named = [("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/at/all")];
        let error = check("", "", &named).unwrap().unwrap_err();
        assert!(error.contains("/nowhere/at/all, which AWS_SHARED_CREDENTIALS_FILE means, cannot be read"), "{error}");
    }
}
