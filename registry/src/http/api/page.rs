use std::str::FromStr;

use axum::extract::FromRequestParts;
use berth_metadata::Page;
use http::request::Parts;
use serde::Serialize;
use utoipa::IntoParams;

use super::extract::parse;
use super::respond::{self, Answer};
use super::{Prefix, Problem};
use crate::http::page::next_link;
use crate::http::query::Query;

/// How many entries a page has when nobody says.
const USUAL: u32 = 100;

/// How many it has at most.
const MOST: u32 = 1000;

/// Which page of a list is wanted. The header `Link` of an answer leads to the next one.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)]
pub(super) struct PageParameters {
    /// The most entries, 100 unless it is said, 1000 at most.
    limit: Option<u32>,
    /// The last entry of the page before.
    after: Option<String>,
}

/// Which page of a list is wanted.
#[derive(Debug)]
pub(super) struct Paging {
    pub(super) limit: u32,
    /// The address without its place in the list.
    path: String,
    parameters: Vec<(String, String)>,
    place: Option<String>,
}

/// The parameters that say where in a list a page begins.
const PLACES: [&str; 2] = ["after", "before"];

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let query = Query::new(parts.uri.query());
        let limit = match query.first("limit").as_deref() {
            None | Some("") => USUAL,
            Some(text) => {
                let limit: u32 = parse("limit", text)?;
                limit.clamp(1, MOST)
            }
        };
        let prefix = parts.extensions.get::<Prefix>().map_or("", |prefix| &prefix.0);
        let pairs = query.pairs();
        let (places, parameters): (Vec<_>, _) =
            pairs.partition(|(name, _)| PLACES.contains(&name.as_str()));
        Ok(Self {
            limit,
            path: format!("{prefix}{}", parts.uri.path()),
            parameters,
            place: places.into_iter().map(|(_, value)| value).find(|value| !value.is_empty()),
        })
    }
}

impl Paging {
    /// The place in the list, as what the list is ordered by.
    pub(super) fn place<T>(&self) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        self.place.as_deref().map(|place| parse("after", place)).transpose()
    }

    /// Answers with a page of a list, whose next one begins behind the `key` of its last entry.
    pub(super) fn render<T, V>(self, page: Page<T>, key: impl Fn(&T) -> String) -> Answer
    where
        V: From<T> + Serialize,
    {
        self.render_by("after", page, key, V::from)
    }

    /// The same with entries made otherwise, and another name for the place in the list.
    pub(super) fn render_by<T, V: Serialize>(
        self,
        place: &'static str,
        page: Page<T>,
        key: impl Fn(&T) -> String,
        view: impl Fn(T) -> V,
    ) -> Answer {
        let last = page.entries.last().filter(|_| page.more).map(key);
        let entries: Vec<V> = page.entries.into_iter().map(view).collect();
        let next = last.map(|last| {
            let given = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let parameters: Vec<_> = given.chain([(place, last.as_str())]).collect();
            next_link(&self.path, &parameters)
        });
        respond::list(&entries, next)
    }
}
