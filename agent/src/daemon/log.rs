//! The log: one line an event on stderr, as text or as JSON, as systemd's journal likes it.

use std::fmt::{self, Write as _};
use std::io;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::render;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `TIME LEVEL message key=value …`.
    Text,
    /// The same without time and level in words: the journal has both, the level by its `<N>` prefix.
    Journal,
    /// JSON lines.
    Json,
}

impl Style {
    /// As the configuration says; the journal is known by its environment variable.
    pub fn of(json: bool) -> Style {
        match (json, std::env::var_os("JOURNAL_STREAM")) {
            (true, _) => Style::Json,
            (false, Some(_)) => Style::Journal,
            (false, None) => Style::Text,
        }
    }
}

/// Begins to log to stderr. Only of this program: libraries are heard when they warn.
pub fn start(style: Style) {
    use tracing_subscriber::filter::Targets;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let ours = Targets::new().with_default(Level::WARN).with_target("heapsee_agent", Level::INFO);
    let layer = tracing_subscriber::fmt::layer().event_format(Lines(style)).with_writer(io::stderr).with_ansi(false);
    // A second daemon in one process (there is none) would go on with the first's.
    let _ = tracing_subscriber::registry().with(ours).with(layer).try_init();
}

struct Lines(Style);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        writeln!(out, "{}", line(self.0, *event.metadata().level(), &fields))
    }
}

/// What an event says.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.others.push((name, format!("{value:?}"))),
        }
    }
}

fn line(style: Style, level: Level, fields: &Fields) -> String {
    let now = jiff::Timestamp::now();
    if style == Style::Json {
        let mut object = serde_json::Map::new();
        object.insert("at".into(), now.to_string().into());
        object.insert("level".into(), level.as_str().to_lowercase().into());
        object.insert("message".into(), fields.message.clone().into());
        object.extend(fields.others.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())));
        return serde_json::Value::Object(object).to_string();
    }
    let mut line = match style {
        Style::Journal => format!("<{}>", priority(level)),
        _ => format!("{now:.3} {level:5} "),
    };
    line += &fields.message;
    for (name, value) in &fields.others {
        let plain = !value.is_empty() && !value.contains([' ', '"', '=']);
        // Writing into a String cannot fail.
        let _ = if plain { write!(line, " {name}={value}") } else { write!(line, " {name}={value:?}") };
    }
    // Titles and paths are others' texts: they stay on this line.
    render::one_line(&line)
}

/// syslog's number.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_whatever_is_in_it() {
        let fields = Fields { message: "a dump".into(), others: vec![("app", "x\ny z".into()), ("pid", "7".into())] };
        assert_eq!(line(Style::Journal, Level::WARN, &fields), r#"<4>a dump app="x\ny z" pid=7"#);
        assert!(line(Style::Text, Level::INFO, &fields).ends_with(r#"Z INFO  a dump app="x\ny z" pid=7"#));
        let json: serde_json::Value = serde_json::from_str(&line(Style::Json, Level::INFO, &fields)).unwrap();
        assert_eq!((json["app"].as_str(), json["level"].as_str()), (Some("x\ny z"), Some("info")));
    }
}
