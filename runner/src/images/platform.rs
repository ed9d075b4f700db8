//! What images run on, and which of an index runs here.

use std::fmt;
use std::str::FromStr;

use berth_oci::{Descriptor, Platform};

use super::error::ImageError;

/// A platform that was asked for, or the one of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Platform);

impl Target {
    /// This machine.
    #[must_use]
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        let variant = (architecture == "arm").then(|| "v7".to_owned());
        Self(Platform { architecture: architecture.to_owned(), os: "linux".to_owned(), variant })
    }

    /// The best of those that run here: the one itself, then what its processor runs as well.
    pub(super) fn choose<'a>(&self, manifests: &'a [Descriptor]) -> Option<&'a Descriptor> {
        let choices = self.compatible();
        let rank = |platform: &Platform| {
            let platform = normalised(platform);
            choices.iter().position(|choice| *choice == platform)
        };
        let ranked = manifests.iter().filter_map(|manifest| {
            let rank = match &manifest.platform {
                Some(platform) => rank(platform)?,
                // It says nothing, so it may be for any.
                None => choices.len(),
            };
            Some((rank, manifest))
        });
        // The first of equals, as they stand.
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, manifest)| manifest)
    }

    /// Whether an image for this platform runs here.
    #[must_use]
    pub fn runs(&self, platform: &Platform) -> bool {
        self.compatible().contains(&normalised(platform))
    }

    fn compatible(&self) -> Vec<Platform> {
        let own = normalised(&self.0);
        let variants = |architecture: &str, variants: &[&str]| {
            let of = |variant: &&str| Platform {
                architecture: architecture.to_owned(),
                os: own.os.clone(),
                variant: (!variant.is_empty()).then(|| (*variant).to_owned()),
            };
            variants.iter().map(of).collect::<Vec<_>>()
        };
        const ARM: [&str; 4] = ["v8", "v7", "v6", "v5"];
        let more = match (own.architecture.as_str(), own.variant.as_deref()) {
            ("amd64", level) => {
                let levels = match level {
                    Some("v4") => &["v3", "v2", ""][..],
                    Some("v3") => &["v2", ""],
                    Some("v2") => &[""],
                    _ => &[],
                };
                [variants("amd64", levels), variants("386", &[""])].concat()
            }
            ("arm64", _) => variants("arm", &ARM),
            ("arm", Some(level)) => {
                let below = ARM.iter().skip_while(|variant| **variant != level).skip(1);
                variants("arm", &below.copied().collect::<Vec<_>>())
            }
            _ => Vec::new(),
        };
        std::iter::once(own).chain(more).collect()
    }
}

impl FromStr for Target {
    type Err = ImageError;

    /// `os/architecture[/variant]`, or one of the two.
    fn from_str(text: &str) -> Result<Self, ImageError> {
        let parts: Vec<String> = text.split('/').map(str::to_ascii_lowercase).collect();
        let is_part = |part: &String| {
            let inner =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            !part.is_empty() && part.bytes().all(inner)
        };
        let host = Self::host().0;
        let platform = |os: &str, architecture: &str, variant: Option<&str>| Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        };
        let platform = match parts.as_slice() {
            parts if !parts.iter().all(is_part) => None,
            [os] if is_system(os) => Some(platform(os, &host.architecture, None)),
            [architecture] => Some(platform("linux", architecture, None)),
            [os, architecture] => Some(platform(os, architecture, None)),
            [os, architecture, variant] => Some(platform(os, architecture, Some(variant))),
            _ => None,
        };
        let platform = platform.ok_or_else(|| ImageError::Platform { text: text.to_owned() })?;
        Ok(Self(normalised(&platform)))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_words(&self.0))
    }
}

/// A platform as people write it.
pub(super) fn in_words(platform: &Platform) -> String {
    let Platform { os, architecture, variant } = platform;
    match variant {
        Some(variant) => format!("{os}/{architecture}/{variant}"),
        None => format!("{os}/{architecture}"),
    }
}

fn is_system(text: &str) -> bool {
    matches!(text, "linux" | "windows" | "darwin" | "freebsd")
}

/// One platform has one form: other names of processors, and variants that all of them have.
fn normalised(platform: &Platform) -> Platform {
    let (architecture, implied) = match platform.architecture.as_str() {
        "x86_64" | "x86-64" => ("amd64", None),
        "i386" | "i486" | "i686" | "x86" => ("386", None),
        "aarch64" => ("arm64", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        other => (other, None),
    };
    let variant = platform.variant.as_deref().filter(|variant| !variant.is_empty()).or(implied);
    let variant = match (architecture, variant) {
        ("amd64", Some("v1")) | ("arm64", Some("v8" | "8")) | ("386", _) => None,
        ("arm", None) => Some("v7"),
        ("arm", Some("5")) => Some("v5"),
        ("arm", Some("6")) => Some("v6"),
        ("arm", Some("7")) => Some("v7"),
        (_, variant) => variant,
    };
    Platform {
        architecture: architecture.to_owned(),
        os: platform.os.clone(),
        variant: variant.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests(platforms: &[&str]) -> Vec<Descriptor> {
        let of = |(number, text): (usize, &&str)| {
            let parts: Vec<&str> = text.split('/').collect();
            let platform = (!text.is_empty()).then(|| Platform {
                os: parts[0].to_owned(),
                architecture: parts[1].to_owned(),
                variant: parts.get(2).map(|&variant| variant.to_owned()),
            });
            Descriptor {
                media_type: String::new(),
                digest: format!("sha256:{:064x}", number).parse().unwrap(),
                size: number as u64,
                urls: Vec::new(),
                artifact_type: None,
                annotations: None,
                platform,
            }
        };
        platforms.iter().enumerate().map(of).collect()
    }

    #[test]
    fn the_best_that_runs_here_is_chosen() {
        for (target, platforms, chosen) in [
            ("linux/amd64", &["linux/arm64", "linux/amd64"][..], Some(1)),
            ("linux/amd64", &["unknown/unknown", "linux/386"], Some(1)),
            ("amd64", &["linux/386", "linux/amd64/v1"], Some(1)),
            ("linux/amd64", &["windows/amd64", "linux/arm64"], None),
            ("linux/amd64", &["", "linux/amd64"], Some(1)),
            ("linux/amd64", &["linux/arm64", ""], Some(1)),
            ("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6"], Some(1)),
            ("linux/arm/v6", &["linux/arm/v7"], None),
            ("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"], Some(1)),
            ("linux/arm64/v8", &["linux/arm64"], Some(0)),
            ("x86_64", &["linux/amd64", "linux/amd64"], Some(0)),
        ] {
            let target: Target = target.parse().unwrap();
            let manifests = manifests(platforms);
            let found = target.choose(&manifests).map(|manifest| manifest.size);
            assert_eq!(found, chosen, "{target} of {platforms:?}");
        }
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "/", "linux/", "linux/amd64/v1/x", "li nux"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
