//! The contracts between services: protobuf messages, clients and servers, event types, and conversions to domain types.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod convert;
pub mod doubles;
pub mod events;

macro_rules! contract {
    ($(#[$doc:meta] $module:ident $package:literal;)*) => {$(
        #[$doc]
        #[allow(missing_docs, clippy::all, unused_qualifications)]
        pub mod $module {
            tonic::include_proto!($package);
        }
    )*};
}

contract! {
    /// Values that every contract shares.
    common "moneta.common.v1";
    /// What a process answers about itself.
    node "moneta.node.v1";
    /// Market data.
    market_data "moneta.market_data.v1";
    /// Users.
    user "moneta.user.v1";
    /// Portfolios.
    portfolio "moneta.portfolio.v1";
    /// Trading.
    trading "moneta.trading.v1";
    /// Compliance.
    compliance "moneta.compliance.v1";
    /// Notifications.
    notification "moneta.notification.v1";
    /// The adviser.
    advisor "moneta.advisor.v1";
}
