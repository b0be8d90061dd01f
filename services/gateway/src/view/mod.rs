//! What the gateway shows: one struct a thing, which is its JSON, its schema in the OpenAPI document and its GraphQL type.
mod account;
mod advice;
mod common;
mod market;
mod oversight;
mod portfolio;
mod trading;

pub(crate) use account::*;
pub(crate) use advice::*;
pub(crate) use common::*;
pub(crate) use market::*;
pub(crate) use oversight::*;
pub(crate) use portfolio::*;
pub(crate) use trading::*;

/// Shows a value of a contract in another form.
pub(crate) trait Show<S> {
    /// The shown form.
    fn show(source: S) -> Self;
}

/// Declares a view of a message: the struct with its schemas, and the conversion. A field that is called otherwise in the
/// message names it in brackets: `created_at [created_micros]: Time`.
macro_rules! view {
    ($(#[$meta:meta])* $name:ident of $source:ty { $($(#[$doc:meta])* $field:ident $([$from:ident])? : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema, async_graphql::SimpleObject)]
        pub(crate) struct $name { $($(#[$doc])* pub $field: $ty),* }

        impl crate::view::Show<$source> for $name {
            fn show(source: $source) -> Self {
                Self { $($field: crate::view::Show::show(crate::view::field!(source $field $($from)?))),* }
            }
        }
    };
}

macro_rules! field {
    ($source:ident $field:ident) => {
        $source.$field
    };
    ($source:ident $field:ident $from:ident) => {
        $source.$from
    };
}

use {field, view};
