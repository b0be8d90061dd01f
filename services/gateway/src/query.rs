//! Parameters in the query of a request, read by name; an error names the parameter, the value and what is allowed.
use crate::{App, Error, Result};
use ::http::request::Parts;
use axum::extract::{FromRequestParts, Query};
use moneta_contracts::common;
use moneta_kit::problem::Problem;
use std::collections::HashMap;

/// Most items on one page of a list.
const MOST_ITEMS: u32 = 500;

/// Something that can be read from one parameter.
pub(crate) trait FromText: Sized {
    fn from_text(name: &str, text: Option<String>) -> Result<Self, Problem>;
}

/// Something that can be read from all parameters.
pub(crate) trait FromQuery: Sized {
    fn from_query(parameters: &mut HashMap<String, String>) -> Result<Self, Problem>;
}

/// The parameters of a request.
pub(crate) struct Params<T>(pub T);

impl<T: FromQuery> FromRequestParts<App> for Params<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let Query(mut parameters) = Query::<HashMap<String, String>>::from_request_parts(parts, app)
            .await
            .map_err(|_| Problem::invalid("query", parts.uri.query().unwrap_or_default(), "name=value&name=value"))?;
        Ok(Self(T::from_query(&mut parameters)?))
    }
}

/// Declares parameters: the struct, its description, and how it is read.
macro_rules! params {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        pub(crate) struct $name { $($(#[$doc])* pub $field: $ty),* }

        impl crate::query::FromQuery for $name {
            fn from_query(
                parameters: &mut std::collections::HashMap<String, String>,
            ) -> Result<Self, moneta_kit::problem::Problem> {
                Ok(Self { $(
                    $field: crate::query::FromText::from_text(stringify!($field), parameters.remove(stringify!($field)))?
                ),* })
            }
        }
    };
}
pub(crate) use params;

impl FromText for Option<String> {
    fn from_text(_: &str, text: Option<String>) -> Result<Self, Problem> {
        Ok(text.filter(|text| !text.is_empty()))
    }
}

impl FromText for Option<u32> {
    fn from_text(name: &str, text: Option<String>) -> Result<Self, Problem> {
        let number =
            |text: String| text.parse().map_err(|_| Problem::invalid(name, text, "a whole number, 0 or above"));
        text.map(number).transpose()
    }
}

impl FromText for Option<bool> {
    fn from_text(name: &str, text: Option<String>) -> Result<Self, Problem> {
        match text.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Problem::invalid(name, other, "true or false")),
        }
    }
}

/// The page of a list that is asked for.
pub(crate) fn page(limit: Option<u32>, cursor: Option<String>) -> Result<Option<common::Page>, Problem> {
    match limit {
        Some(limit) if !(1..=MOST_ITEMS).contains(&limit) => {
            Err(Problem::invalid("limit", limit, format!("a whole number from 1 to {MOST_ITEMS}")))
        }
        _ => Ok(Some(common::Page { limit: limit.unwrap_or_default(), cursor: cursor.unwrap_or_default() })),
    }
}

params! {
    /// One page of a list.
    Paging {
        /// Most items on the page, 1 to 500; left out: the service's choice.
        limit: Option<u32>,
        /// `next_cursor` of the page before; left out: the first page.
        cursor: Option<String>,
    }
}

impl Paging {
    pub(crate) fn page(self) -> Result<Option<common::Page>, Problem> {
        page(self.limit, self.cursor)
    }
}

params! {
    /// A period.
    Period {
        /// First day, such as 2020-01-02; left out: the beginning.
        from: Option<String>,
        /// Last day; left out: now.
        to: Option<String>,
    }
}
