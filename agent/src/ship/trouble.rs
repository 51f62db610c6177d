//! What can go wrong on the way to the bucket: whose fault it is, what to do, and no secret in the words.

use std::error::Error as _;

use object_store::Error;

use crate::render::one_line;

/// The longest text of somebody else's that is passed on.
const LONGEST: usize = 300;

/// Whose fault it is, which decides who has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The network or the service: it may pass by itself.
    Outage,
    /// The service says no: it lasts until somebody changes something.
    Refused,
    /// The copy came back otherwise than sent.
    Mismatch,
    /// The dump in the store is damaged, or cannot be read.
    Damaged,
    /// We were asked to stop.
    Stopped,
}

impl Kind {
    /// Whether other dumps would meet the same.
    pub fn concerns_all(self) -> bool {
        matches!(self, Kind::Outage | Kind::Refused | Kind::Stopped)
    }
}

/// Why a dump was not shipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Trouble {
    /// Whose fault it is.
    pub kind: Kind,
    /// What is wrong, and what to do.
    pub sentence: String,
}

impl Trouble {
    /// One of that kind.
    pub fn new(kind: Kind, sentence: impl Into<String>) -> Trouble {
        Trouble { kind, sentence: sentence.into() }
    }

    /// What a service's error means; `shown` is the destination.
    pub fn of_service(error: &Error, shown: &str) -> Trouble {
        let told = with_cause(error);
        if told.contains("169.254.169.254") || told.contains("metadata.google.internal") {
            return Trouble::new(
                Kind::Refused,
                format!(
                    "no credentials for {shown} were found ({told}): set them in the agent's environment, or give \
                     the host a role"
                ),
            );
        }
        match error {
            Error::Unauthenticated { .. } => Trouble::new(
                Kind::Refused,
                format!("{shown} does not accept the credentials ({told}): renew those in the agent's environment"),
            ),
            Error::PermissionDenied { .. } => Trouble::new(
                Kind::Refused,
                format!("{shown} denies access ({told}): allow writing, reading and aborting uploads below it"),
            ),
            Error::NotFound { .. } => Trouble::new(
                Kind::Refused,
                format!("{shown} is not there ({told}): create the bucket, or correct the url"),
            ),
            Error::NotSupported { .. } | Error::NotImplemented { .. } | Error::InvalidPath { .. } => {
                Trouble::new(Kind::Refused, format!("{shown} cannot do what is needed ({told}): use another service"))
            }
            _ => Trouble::new(Kind::Outage, format!("{shown} cannot be reached or is in trouble: {told}")),
        }
    }
}

/// What an error says, and the cause behind all causes, which tells a name that is not known from a port that nobody
/// listens at and a certificate that nobody vouches for. An error of the client's says none of these.
fn with_cause(error: &Error) -> String {
    let top = told(&error.to_string());
    let last = std::iter::successors(error.source(), |&error| error.source()).last();
    match last.map(|last| told(&last.to_string())) {
        Some(cause) if !top.contains(&cause) => format!("{top} ({cause})"),
        _ => top,
    }
}

/// What an error says, in one line, without what could be a secret: the queries of addresses (signatures, tokens),
/// and all of an error document but its code and message.
pub fn told(text: &str) -> String {
    let part = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(part, _)| part.trim())
    };
    let told = match (part("Code"), part("Message")) {
        (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {message}"),
        (Some(code), _) => code.to_owned(),
        _ => text.split_whitespace().map(without_secrets).collect::<Vec<_>>().join(" "),
    };
    let short: String = told.chars().take(LONGEST).collect();
    one_line(&if short.len() < told.len() { format!("{short}…") } else { short })
}

/// A word without the user and the query of an address.
fn without_secrets(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let address = rest.split('?').next().unwrap_or_default();
    let (host, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        let got = told("Error performing PUT https://me:pw@b.example/x/y?X-Amz-Signature=abc&uploadId=1 in 3s - reset");
        assert_eq!(got, "Error performing PUT https://b.example/x/y in 3s - reset");
        let document = "Server returned error: <?xml?><Error><Code>SignatureDoesNotMatch</Code>\n<Message>No \
                        match.</Message><AWSAccessKeyId>AKIA</AWSAccessKeyId><StringToSign>s3cret</StringToSign></Error>";
        assert_eq!(told(document), "SignatureDoesNotMatch: No match.");
        assert_eq!(told("<Error><Code>SlowDown</Code></Error>"), "SlowDown");
        assert_eq!(told(&"é".repeat(1000)).chars().count(), LONGEST + 1);
        assert_eq!(told("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb c");
    }

    #[test]
    fn kinds_and_advice() {
        let source = || "x".to_owned().into();
        let path = || "k".to_owned();
        let check = |error: Error, kind, words: &str| {
            let trouble = Trouble::of_service(&error, "s3://b/p");
            assert_eq!(trouble.kind, kind, "{trouble}");
            assert!(trouble.sentence.contains(words), "{trouble}");
        };
        check(Error::Unauthenticated { path: path(), source: source() }, Kind::Refused, "renew");
        check(Error::PermissionDenied { path: path(), source: source() }, Kind::Refused, "denies access");
        check(Error::NotFound { path: path(), source: source() }, Kind::Refused, "create the bucket");
        check(Error::Generic { store: "S3", source: source() }, Kind::Outage, "cannot be reached");
        let metadata = "error for http://169.254.169.254/latest/api/token".to_owned().into();
        check(Error::Generic { store: "S3", source: metadata }, Kind::Refused, "no credentials");
    }
}
