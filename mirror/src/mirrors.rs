use std::sync::Arc;

use berth_config::{Config, Mirror as Settings};
use berth_oci::RepositoryName;

use crate::source::Mirror;
use crate::via::OwnName;
use crate::{MirrorBound, MirrorStatus, MirrorsError, Source};

/// All mirrors of a registry. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Mirrors {
    mirrors: Vec<Arc<Mirror>>,
    own_name: OwnName,
}

impl Mirrors {
    /// The mirrors of a configuration. Nothing is asked of an upstream yet.
    ///
    /// # Errors
    /// When one of them cannot be used as it is configured.
    pub fn new(config: &Config) -> Result<Self, MirrorsError> {
        let mirror = |settings: Settings| {
            let prefix = settings.prefix.to_string();
            let mirror = Mirror::new(settings).map_err(|reason| MirrorsError { prefix, reason })?;
            Ok(Arc::new(mirror))
        };
        let mirrors = config.all_mirrors().into_iter().map(mirror).collect::<Result<_, _>>()?;
        Ok(Self { mirrors, own_name: OwnName::random() })
    }

    /// Where a repository's content comes from: the mirror whose prefix says most of the name.
    pub fn source(&self, repository: &RepositoryName) -> Option<Source> {
        let covering = self.mirrors.iter().filter(|mirror| mirror.covers(repository));
        let mirror = covering.max_by_key(|mirror| mirror.prefix().as_str().len())?;
        Source::of(mirror.clone(), repository, self.own_name.clone())
    }

    /// What a repository of the registry `host` is called here, where a mirror stands for that.
    pub fn local_name(&self, host: &str, name: &RepositoryName) -> Option<RepositoryName> {
        let mirror = self.mirrors.iter().find(|mirror| mirror.stands_for(host))?;
        match mirror.prefix().as_str() {
            "" => Some(name.clone()),
            prefix => format!("{prefix}/{name}").parse().ok(),
        }
    }

    /// How much the mirrors may keep that may not keep everything.
    pub fn bounds(&self) -> Vec<MirrorBound> {
        self.mirrors.iter().filter_map(|mirror| mirror.bound()).collect()
    }

    /// How much may still be asked of the upstreams, and how old what is known is.
    pub fn status(&self) -> Vec<MirrorStatus> {
        self.mirrors.iter().map(|mirror| mirror.status()).collect()
    }
}

impl Default for Mirrors {
    fn default() -> Self {
        Self { mirrors: Vec::new(), own_name: OwnName::random() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(text: &str) -> Mirrors {
        Mirrors::new(&Config::parse(text, []).unwrap().config).unwrap()
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    const TWO: &str = "mirrors:
  - {prefix: docker.io, host: docker.io, upstreams: [{url: docker.io}]}
  - {prefix: docker.io/acme, upstreams: [{url: 'https://acme.example.org'}]}";

    #[test]
    fn the_longest_prefix_says_where_content_comes_from_and_what_it_is_called_there() {
        let mirrors = mirrors(TWO);
        for (here, there) in [
            ("docker.io/alpine", Some("registry-1.docker.io library/alpine")),
            ("docker.io/library/alpine", Some("registry-1.docker.io library/alpine")),
            ("docker.io/team/app", Some("registry-1.docker.io team/app")),
            ("docker.io/acme/app", Some("acme.example.org app")),
            // The prefix itself is no repository there.
            ("docker.io", None),
            ("docker.iox/app", None),
            ("team/app", None),
        ] {
            let found = mirrors.source(&name(here)).map(|source| source.describe());
            assert_eq!(found.as_deref(), there, "{here}");
        }
    }

    #[test]
    fn names_of_another_registry_are_found_below_its_prefix() {
        let mirrors = mirrors(TWO);
        let local = |host| mirrors.local_name(host, &name("library/alpine"));
        assert_eq!(local("docker.io"), Some(name("docker.io/library/alpine")));
        assert_eq!(local("ghcr.io"), None);
    }

    #[test]
    fn a_proxy_is_a_mirror_of_everything() {
        let mirrors = mirrors("proxy: {remoteurl: 'https://registry-1.docker.io'}");
        let source = mirrors.source(&name("alpine")).unwrap();
        assert_eq!(source.describe(), "registry-1.docker.io library/alpine");
        assert!(!source.allows_push());
    }
}
