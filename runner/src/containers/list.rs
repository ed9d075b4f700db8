//! Which containers are wanted: `ps --filter`, `prune --filter`.

use std::collections::BTreeSet;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::engine::Engine;
use super::error::ContainerError;
use super::record::{Container, Status};
use crate::network::Port;

/// One condition, `KEY=VALUE`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Filter {
    /// The beginning of an id.
    Id(String),
    /// A part of a name.
    Name(String),
    /// A label, with its value or whatever that is.
    Label(String, Option<String>),
    /// None of that label.
    WithoutLabel(String, Option<String>),
    /// An exit code.
    Exited(u8),
    /// What it is.
    Status(String),
    /// An image it is made of, by name, id or layers.
    Ancestor(String),
    /// Those that were made before this one.
    Before(String),
    /// Those that were made after it.
    Since(String),
    /// The name or the place of a volume.
    Volume(String),
    /// The name of a network.
    Network(String),
    /// Ports of the host, at one of which it is reached.
    Publish(Vec<Port>),
    /// Ports, on one of which it says that it listens.
    Expose(Vec<Port>),
    /// Those that were made before a time.
    Until(Timestamp),
}

impl FromStr for Filter {
    type Err = ContainerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |what: String| ContainerError::Invalid(what);
        let (key, value) = text.split_once('=').ok_or_else(|| {
            invalid(format!("invalid argument \"{text}\" for \"-f, --filter\" flag: bad format of filter (expected name=value)"))
        })?;
        let (key, value) = (key.trim().to_lowercase(), value.trim());
        let label = || match value.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (value.to_owned(), None),
        };
        Ok(match key.as_str() {
            "id" => Self::Id(value.to_owned()),
            "name" => Self::Name(value.to_owned()),
            "label" => {
                let (name, value) = label();
                Self::Label(name, value)
            }
            "label!" => {
                let (name, value) = label();
                Self::WithoutLabel(name, value)
            }
            "exited" => Self::Exited(
                value.parse().map_err(|_| invalid(format!("invalid filter 'exited={value}'")))?,
            ),
            "status" => match value {
                "created" | "running" | "paused" | "exited" | "restarting" | "removing"
                | "dead" => Self::Status(value.to_owned()),
                _ => return Err(invalid(format!("invalid filter 'status={value}'"))),
            },
            "ancestor" => Self::Ancestor(value.to_owned()),
            "before" => Self::Before(value.to_owned()),
            "since" => Self::Since(value.to_owned()),
            "volume" => Self::Volume(value.to_owned()),
            "network" => Self::Network(value.to_owned()),
            "publish" => Self::Publish(ports(&key, value)?),
            "expose" => Self::Expose(ports(&key, value)?),
            "until" => Self::Until(
                parse_time(value)
                    .map_err(|_| invalid(format!("invalid filter 'until={value}'")))?,
            ),
            _ => return Err(invalid(format!("invalid filter '{key}'"))),
        })
    }
}

/// Conditions, all of which hold: of those of one kind it is enough that one does, but for labels.
#[derive(Clone, Debug, Default)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// All of these.
    #[must_use]
    pub fn new(filters: Vec<Filter>) -> Self {
        Self(filters)
    }

    /// Whether containers are wanted that do not run.
    #[must_use]
    pub fn want_stopped(&self) -> bool {
        self.0.iter().any(|filter| matches!(filter, Filter::Status(_) | Filter::Exited(_)))
    }
}

impl Engine {
    /// Of `containers` those for which the conditions hold.
    ///
    /// # Errors
    ///
    /// When a condition names what is not there.
    pub fn filter(
        &self,
        containers: Vec<Container>,
        filters: &Filters,
    ) -> Result<Vec<Container>, ContainerError> {
        let mut wanted = containers;
        let kinds: BTreeSet<u8> = filters.0.iter().map(kind).collect();
        for wanted_kind in kinds {
            let of_kind: Vec<Test> = filters
                .0
                .iter()
                .filter(|filter| kind(filter) == wanted_kind)
                .map(|filter| self.test(filter))
                .collect::<Result<_, _>>()?;
            let is_label = matches!(wanted_kind, LABEL | WITHOUT_LABEL);
            wanted.retain(|container| match is_label {
                true => of_kind.iter().all(|test| test(container)),
                false => of_kind.iter().any(|test| test(container)),
            });
        }
        Ok(wanted)
    }

    fn test(&self, filter: &Filter) -> Result<Test, ContainerError> {
        let filter = filter.clone();
        Ok(match filter {
            Filter::Id(start) => Box::new(move |one| one.record.id.as_str().starts_with(&start)),
            Filter::Name(part) => {
                let part = part.trim_start_matches('/').to_owned();
                Box::new(move |one| matches_name(&one.record.name, &part))
            }
            Filter::Label(name, value) => {
                Box::new(move |one| has_label(one, &name, value.as_deref()))
            }
            Filter::WithoutLabel(name, value) => {
                Box::new(move |one| !has_label(one, &name, value.as_deref()))
            }
            Filter::Exited(code) => Box::new(move |one| {
                one.status == Status::Exited
                    && one.ended.as_ref().is_some_and(|ended| ended.exit_code == code)
            }),
            Filter::Status(status) => Box::new(move |one| one.status.to_string() == status),
            Filter::Ancestor(image) => self.ancestor(image)?,
            Filter::Before(other) => {
                let time = self.find(&other)?.record.created;
                Box::new(move |one| one.record.created < time)
            }
            Filter::Since(other) => {
                let time = self.find(&other)?.record.created;
                Box::new(move |one| one.record.created > time)
            }
            Filter::Volume(volume) => Box::new(move |one| {
                one.record
                    .mounts
                    .iter()
                    .any(|mount| mount.name == volume || mount.destination == volume)
            }),
            Filter::Network(network) => {
                Box::new(move |one| one.record.host_config.network_mode == network)
            }
            Filter::Publish(ports) => Box::new(move |one| {
                let published = one.network().map_or(&[][..], |network| network.ports.as_slice());
                published.iter().any(|published| {
                    let protocol = published.container.protocol;
                    ports.contains(&Port { number: published.host_port, protocol })
                })
            }),
            Filter::Expose(ports) => Box::new(move |one| {
                let mut exposed = one.record.config.exposed_ports.keys();
                exposed.any(|port| port.parse().is_ok_and(|port| ports.contains(&port)))
            }),
            Filter::Until(time) => Box::new(move |one| one.record.created < time),
        })
    }

    fn ancestor(&self, name: String) -> Result<Test, ContainerError> {
        let image = crate::images::ImageStore::open(&self.roots)?.find(&name).ok();
        Ok(Box::new(move |one| match &image {
            Some(image) => {
                one.record.image == image.id || one.record.layers.starts_with(&image.layers)
            }
            None => one.record.config.image == name,
        }))
    }
}

type Test = Box<dyn Fn(&Container) -> bool>;

const LABEL: u8 = 2;
const WITHOUT_LABEL: u8 = 3;

fn kind(filter: &Filter) -> u8 {
    match filter {
        Filter::Id(_) => 0,
        Filter::Name(_) => 1,
        Filter::Label(..) => LABEL,
        Filter::WithoutLabel(..) => WITHOUT_LABEL,
        Filter::Exited(_) => 4,
        Filter::Status(_) => 5,
        Filter::Ancestor(_) => 6,
        Filter::Before(_) => 7,
        Filter::Since(_) => 8,
        Filter::Volume(_) => 9,
        Filter::Network(_) => 10,
        Filter::Publish(_) => 11,
        Filter::Expose(_) => 12,
        Filter::Until(_) => 13,
    }
}

/// A part of the name; `^` and `$` are its ends.
fn matches_name(name: &str, part: &str) -> bool {
    let (start, part) = part.strip_prefix('^').map_or((false, part), |rest| (true, rest));
    let part = part.strip_prefix('/').unwrap_or(part);
    let (end, part) = part.strip_suffix('$').map_or((false, part), |rest| (true, rest));
    match (start, end) {
        (true, true) => name == part,
        (true, false) => name.starts_with(part),
        (false, true) => name.ends_with(part),
        (false, false) => name.contains(part),
    }
}

fn has_label(container: &Container, name: &str, value: Option<&str>) -> bool {
    match (container.record.labels().get(name), value) {
        (Some(own), Some(value)) => own == value,
        (own, None) => own.is_some(),
        (None, Some(_)) => false,
    }
}

/// `80`, `80/udp`, `8000-8010/tcp`.
fn ports(key: &str, text: &str) -> Result<Vec<Port>, ContainerError> {
    Port::parse_exposed(text).map_err(|_| {
        ContainerError::Invalid(match text.contains(':') {
            true => format!("filter for '{key}' should not contain ':': {text}"),
            false => format!("error while looking up for {key} {text}: invalid port"),
        })
    })
}

/// Reads a time: seconds since 1970, RFC 3339, a date, or how long ago (`10m`, `1h30m`).
///
/// # Errors
///
/// When it is none of them.
pub fn parse_time(text: &str) -> Result<Timestamp, ContainerError> {
    let invalid = || ContainerError::Invalid(format!("failed to parse {text:?} as a time"));
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let span = SignedDuration::try_from_secs_f64(seconds).map_err(|_| invalid())?;
        return Timestamp::from_duration(span).map_err(|_| invalid());
    }
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return Ok(time.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| invalid())?.timestamp());
    }
    let ago = ago(text).ok_or_else(invalid)?;
    Timestamp::now().checked_sub(ago).map_err(|_| invalid())
}

/// `1h30m`, `2m`, `1.5s`, `100ms`.
fn ago(text: &str) -> Option<SignedDuration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, after) = rest.split_at(end);
        let unit_end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" => 0.000_001,
            "ns" => 0.000_000_001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    (!text.is_empty()).then(|| SignedDuration::try_from_secs_f64(total).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_what_is_none_is_refused() {
        assert_eq!(
            "label=a=b".parse::<Filter>().unwrap(),
            Filter::Label("a".into(), Some("b".into()))
        );
        assert_eq!("label!=a".parse::<Filter>().unwrap(), Filter::WithoutLabel("a".into(), None));
        assert_eq!("exited=137".parse::<Filter>().unwrap(), Filter::Exited(137));
        let refusal = |text: &str| text.parse::<Filter>().unwrap_err().to_string();
        assert_eq!(refusal("colour=red"), "invalid filter 'colour'");
        assert_eq!(refusal("status=lost"), "invalid filter 'status=lost'");
        assert!(refusal("name").contains("bad format of filter"));
        assert!(refusal("publish=80-x").contains("error while looking up for publish 80-x"));
        let Filter::Expose(ports) = "expose=80-81/udp".parse::<Filter>().unwrap() else { panic!() };
        assert_eq!(ports, ["80/udp".parse().unwrap(), "81/udp".parse().unwrap()]);
    }

    #[test]
    fn names_are_found_by_parts_and_by_ends() {
        for (part, found) in [
            ("web", true),
            ("^web", false),
            ("^my", true),
            ("1$", true),
            ("^my_web1$", true),
            ("^my$", false),
        ] {
            assert_eq!(matches_name("my_web1", part), found, "{part}");
        }
    }

    #[test]
    fn times_are_points_or_spans() {
        assert_eq!(parse_time("1700000000").unwrap().as_second(), 1_700_000_000);
        assert_eq!(parse_time("2023-11-14T22:13:20Z").unwrap().as_second(), 1_700_000_000);
        assert_eq!(parse_time("2023-11-14").unwrap().as_second(), 1_699_920_000);
        let hour = Timestamp::now().as_second() - parse_time("1h30m").unwrap().as_second();
        assert!((5399..=5401).contains(&hour), "{hour}");
        for text in ["", "h", "10", "yesterday", "1x"].iter().filter(|text| **text != "10") {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
