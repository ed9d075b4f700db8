use std::sync::Arc;

use http::header::VIA;
use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::MirrorError;

/// How many mirrors may stand in a row.
const LONGEST: usize = 8;

/// The mirrors that have passed a request on, as they say it in `Via` (RFC 9110, section 7.6.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Via(Vec<String>);

impl Via {
    /// What a request says.
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
        let hops = values.flat_map(|value| value.split(','));
        Self(hops.map(|hop| hop.trim().to_owned()).filter(|hop| !hop.is_empty()).collect())
    }
}

/// What a registry calls itself in `Via`: a name that no other process has.
#[derive(Clone, Debug)]
pub(crate) struct OwnName(Arc<str>);

impl OwnName {
    pub(crate) fn random() -> Self {
        Self(format!("1.1 berth-{}", Uuid::new_v4().simple()).into())
    }

    /// What a request that follows from another one says.
    ///
    /// # Errors
    /// [`MirrorError::Loop`], when that came from here, or has come a long way.
    pub(crate) fn behind(&self, via: &Via) -> Result<HeaderValue, MirrorError> {
        let Via(hops) = via;
        if hops.len() >= LONGEST || hops.iter().any(|hop| **hop == *self.0) {
            return Err(MirrorError::Loop);
        }
        let hops: Vec<&str> = hops.iter().map(String::as_str).chain([&*self.0]).collect();
        // What was a header is one again.
        HeaderValue::try_from(hops.join(", ")).map_err(|_| MirrorError::Loop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: &HeaderValue) -> Via {
        let headers = HeaderMap::from_iter([(VIA, value.clone())]);
        Via::of(&headers)
    }

    #[test]
    fn a_request_that_comes_back_is_known() {
        let (one, other) = (OwnName::random(), OwnName::random());
        let first = one.behind(&Via::default()).unwrap();
        let second = other.behind(&said(&first)).unwrap();
        assert_eq!(said(&second).0.len(), 2);
        assert!(matches!(one.behind(&said(&second)), Err(MirrorError::Loop)));
        assert!(matches!(other.behind(&said(&second)), Err(MirrorError::Loop)));
        assert!(OwnName::random().behind(&said(&second)).is_ok());
    }

    #[test]
    fn a_long_row_of_mirrors_ends() {
        let mut via = Via::default();
        for _ in 0..LONGEST {
            via = said(&OwnName::random().behind(&via).unwrap());
        }
        assert!(OwnName::random().behind(&via).is_err());
    }
}
