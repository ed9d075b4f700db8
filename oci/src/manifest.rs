use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{Descriptor, media_type, strict_json};

/// What the registry reads in a manifest. The bytes themselves are stored as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The media type, as pushed or as found in the body.
    pub media_type: String,
    /// An image or an index.
    pub kind: ManifestKind,
    /// The manifest that this one is attached to.
    pub subject: Option<Descriptor>,
    /// What a listing of referrers shows as the type: the manifest's own `artifactType`, else, for
    /// an image, the media type of its config.
    pub artifact_type: Option<String>,
    /// The manifest's annotations, which a listing of referrers repeats.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The content that a manifest is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestKind {
    /// An image, or an artifact in the form of one: a config and layers.
    Image {
        /// Everything that must be in the repository as blobs: the config, then the layers.
        /// Layers that may live elsewhere are in `foreign`.
        blobs: Vec<Descriptor>,
        /// Layers that need not be in the registry.
        foreign: Vec<Descriptor>,
    },
    /// An index of other manifests.
    Index {
        /// The manifests that it lists.
        manifests: Vec<Descriptor>,
    },
}

/// A piece of content that a manifest references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child<'a> {
    /// A config or a layer.
    Blob(&'a Descriptor),
    /// A manifest in an index.
    Manifest(&'a Descriptor),
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// `content_type` is what the client announced, without parameters; `None` when it announced
    /// nothing, and the body's own `mediaType` (or shape) then tells.
    ///
    /// # Errors
    /// When the body is not JSON, holds a key twice, contradicts its media type, or has not the
    /// members that its type demands.
    pub fn parse(content_type: Option<&str>, body: &[u8]) -> Result<Self, ManifestError> {
        let Value::Object(mut object) = strict_json::from_slice(body)? else {
            return Err(ManifestError::NotAnObject);
        };
        let media_type = decide_media_type(content_type, &object)?;
        let shape = Shape::of(&media_type)?;
        refuse_mixed_shape(shape, &object)?;
        check_schema_version(&object)?;
        let artifact_type: Option<String> = take(&mut object, "artifactType")?;
        let subject = take(&mut object, "subject")?;
        let annotations = take(&mut object, "annotations")?;
        let mut config_type = None;
        let kind = match shape {
            Shape::Image => {
                let config: Descriptor = require(&mut object, "config")?;
                let layers: Vec<Descriptor> = require(&mut object, "layers")?;
                config_type = Some(config.media_type.clone());
                image(Some(config), layers)
            }
            Shape::Artifact => image(None, take(&mut object, "blobs")?.unwrap_or_default()),
            Shape::Index => ManifestKind::Index { manifests: require(&mut object, "manifests")? },
        };
        Ok(Self {
            media_type,
            kind,
            subject,
            artifact_type: artifact_type.filter(|text| !text.is_empty()).or(config_type),
            annotations,
        })
    }

    /// Everything that the manifest references and the registry must hold, the subject left out:
    /// a subject may come later.
    pub fn children(&self) -> impl Iterator<Item = Child<'_>> {
        let (blobs, manifests): (&[_], &[_]) = match &self.kind {
            ManifestKind::Image { blobs, .. } => (blobs, &[]),
            ManifestKind::Index { manifests } => (&[], manifests),
        };
        blobs.iter().map(Child::Blob).chain(manifests.iter().map(Child::Manifest))
    }
}

/// The three shapes of manifests.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Image,
    Index,
    Artifact,
}

impl Shape {
    fn of(media_type: &str) -> Result<Self, ManifestError> {
        match media_type {
            media_type::OCI_IMAGE_MANIFEST | media_type::DOCKER_MANIFEST => Ok(Self::Image),
            media_type::OCI_IMAGE_INDEX | media_type::DOCKER_MANIFEST_LIST => Ok(Self::Index),
            media_type::OCI_ARTIFACT_MANIFEST => Ok(Self::Artifact),
            media_type::DOCKER_MANIFEST_V1 | media_type::DOCKER_MANIFEST_V1_SIGNED => {
                Err(ManifestError::Schema1)
            }
            other => Err(ManifestError::UnknownMediaType(other.to_owned())),
        }
    }
}

fn decide_media_type(
    announced: Option<&str>,
    object: &Map<String, Value>,
) -> Result<String, ManifestError> {
    let inside = match object.get("mediaType") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => Some(text.as_str()),
        Some(_) => {
            return Err(ManifestError::Member { name: "mediaType", reason: "not a string".into() });
        }
    };
    match (announced, inside) {
        (Some(announced), Some(inside)) if announced != inside => {
            Err(ManifestError::MediaTypeMismatch {
                announced: announced.to_owned(),
                inside: inside.to_owned(),
            })
        }
        (Some(media_type), _) | (None, Some(media_type)) => Ok(media_type.to_owned()),
        (None, None) if object.contains_key("manifests") => Ok(media_type::OCI_IMAGE_INDEX.into()),
        (None, None) if object.contains_key("fsLayers") => Err(ManifestError::Schema1),
        (None, None) => Ok(media_type::OCI_IMAGE_MANIFEST.into()),
    }
}

/// A body that is both an image and an index would mean different things to different clients.
fn refuse_mixed_shape(shape: Shape, object: &Map<String, Value>) -> Result<(), ManifestError> {
    let foreign_members: &[&'static str] = match shape {
        Shape::Image => &["manifests", "fsLayers"],
        Shape::Index => &["config", "layers", "fsLayers"],
        Shape::Artifact => &["config", "layers", "manifests", "fsLayers"],
    };
    match foreign_members.iter().find(|name| object.contains_key(**name)) {
        Some(name) => Err(ManifestError::Ambiguous { member: name }),
        None => Ok(()),
    }
}

fn check_schema_version(object: &Map<String, Value>) -> Result<(), ManifestError> {
    match object.get("schemaVersion") {
        None => Ok(()),
        Some(version) if version.as_u64() == Some(2) => Ok(()),
        Some(version) if version.as_u64() == Some(1) => Err(ManifestError::Schema1),
        Some(_) => Err(ManifestError::Member { name: "schemaVersion", reason: "must be 2".into() }),
    }
}

fn image(config: Option<Descriptor>, layers: Vec<Descriptor>) -> ManifestKind {
    let (foreign, held): (Vec<_>, Vec<_>) =
        layers.into_iter().partition(|layer| media_type::is_foreign_layer(&layer.media_type));
    ManifestKind::Image { blobs: config.into_iter().chain(held).collect(), foreign }
}

fn require<T: DeserializeOwned>(
    object: &mut Map<String, Value>,
    name: &'static str,
) -> Result<T, ManifestError> {
    take(object, name)?.ok_or(ManifestError::Missing { name })
}

/// Takes a member out of the object; absent and `null` are both `None`.
fn take<T: DeserializeOwned>(
    object: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<T>, ManifestError> {
    let value = object.remove(name).unwrap_or(Value::Null);
    Option::<T>::deserialize(value)
        .map_err(|error| ManifestError::Member { name, reason: error.to_string() })
}

/// Why a manifest is not acceptable.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not JSON, or JSON that can be read in two ways.
    #[error("the manifest is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of another kind.
    #[error("the manifest is not a JSON object")]
    NotAnObject,
    /// Header and body disagree.
    #[error("the Content-Type is {announced} but the manifest says mediaType {inside}")]
    MediaTypeMismatch {
        /// The header.
        announced: String,
        /// The member `mediaType`.
        inside: String,
    },
    /// Not a manifest type.
    #[error(
        "{0} is not a manifest media type; push OCI images and indexes or Docker schema 2 manifests and lists"
    )]
    UnknownMediaType(String),
    /// The format that Docker gave up in 2017.
    #[error(
        "Docker image manifest version 2, schema 1 is not supported; pull the image with a current client and push it again, or convert it with: skopeo copy --format v2s2"
    )]
    Schema1,
    /// Members of two kinds of manifest in one.
    #[error("a manifest of this media type cannot have a member {member:?}")]
    Ambiguous {
        /// The member of the other kind.
        member: &'static str,
    },
    /// A member is missing.
    #[error("the member {name:?} is missing")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A member is malformed.
    #[error("the member {name:?} is malformed: {reason}")]
    Member {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn descriptor(media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": format!("sha256:{}", "a".repeat(64)), "size": 3})
    }

    fn image() -> Value {
        json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_IMAGE_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": [
                descriptor("application/vnd.oci.image.layer.v1.tar+gzip"),
                descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
            ],
        })
    }

    fn parse(content_type: Option<&str>, value: &Value) -> Result<Manifest, ManifestError> {
        Manifest::parse(content_type, &serde_json::to_vec(value).unwrap())
    }

    #[test]
    fn the_config_gives_an_image_its_artifact_type_and_foreign_layers_are_apart() {
        let manifest = parse(Some(media_type::OCI_IMAGE_MANIFEST), &image()).unwrap();
        assert_eq!(
            manifest.artifact_type.as_deref(),
            Some("application/vnd.oci.image.config.v1+json")
        );
        assert_eq!(manifest.children().count(), 2);
        let ManifestKind::Image { foreign, .. } = manifest.kind else { panic!("an image") };
        assert_eq!(foreign.len(), 1);
    }

    #[test]
    fn the_body_tells_its_type_when_the_header_is_missing() {
        let mut index = json!({"schemaVersion": 2, "manifests": []});
        assert_eq!(parse(None, &index).unwrap().media_type, media_type::OCI_IMAGE_INDEX);
        index["mediaType"] = json!(media_type::DOCKER_MANIFEST_LIST);
        assert_eq!(parse(None, &index).unwrap().media_type, media_type::DOCKER_MANIFEST_LIST);
    }

    #[test]
    fn bad_manifests_are_refused_with_a_reason() {
        let with = |name: &str, value: Value| {
            let mut manifest = image();
            manifest[name] = value;
            manifest
        };
        let bad_digest = json!({"mediaType": "x/y", "digest": "sha256:../../etc", "size": 1});
        let negative =
            json!({"mediaType": "x/y", "digest": format!("sha256:{}", "a".repeat(64)), "size": -1});
        for (manifest, needle) in [
            (json!([]), "not a JSON object"),
            (with("manifests", json!([])), "cannot have"),
            (with("schemaVersion", json!(1)), "schema 1"),
            (with("schemaVersion", json!(3)), "must be 2"),
            (with("config", Value::Null), "missing"),
            (with("config", bad_digest), "digest"),
            (with("config", negative), "config"),
            (with("layers", json!({})), "layers"),
            (with("mediaType", json!(media_type::OCI_IMAGE_INDEX)), "but the manifest says"),
        ] {
            let error = parse(Some(media_type::OCI_IMAGE_MANIFEST), &manifest).unwrap_err();
            assert!(error.to_string().contains(needle), "{error}");
        }
        let error = parse(Some("text/plain"), &json!({})).unwrap_err();
        assert!(matches!(error, ManifestError::UnknownMediaType(_)));
    }

    #[test]
    fn duplicate_keys_and_deep_nesting_are_refused() {
        let twice = br#"{"schemaVersion":2,"schemaVersion":2}"#;
        assert!(Manifest::parse(None, twice).unwrap_err().to_string().contains("twice"));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(Manifest::parse(None, deep.as_bytes()), Err(ManifestError::Json(_))));
    }
}
