//! Reading the inbox.
use crate::{App, Error, Result};
use moneta_contracts::notification as pb;
use moneta_kit::{
    identity::Identity,
    problem::{Problem, parse},
};
use moneta_types::{NotificationId, UserId};

/// Notifications on a page unless asked otherwise, and at most.
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 200;

impl App {
    /// A user's inbox, newest first.
    pub async fn list(
        &self,
        caller: &Identity,
        request: pb::ListNotificationsRequest,
    ) -> Result<pb::ListNotificationsResponse> {
        let user = target(caller, &request.user_id)?;
        caller.may_see(user, "user", user)?;
        let page = request.page.unwrap_or_default();
        let before = if page.cursor.is_empty() {
            0
        } else {
            page.cursor.parse().map_err(|_| {
                Problem::invalid("page.cursor", &page.cursor, "what a page before answered as next_cursor")
            })?
        };
        let limit = match page.limit {
            0 => PAGE,
            limit if limit <= LARGEST_PAGE => limit,
            limit => return Err(Problem::invalid("page.limit", limit, format!("1 to {LARGEST_PAGE}")).into()),
        };
        let found = self.store.inbox(user, request.unread_only, before, limit).await?;
        let full = u32::try_from(found.len()).unwrap_or(u32::MAX) == limit;
        let next_cursor = match found.last() {
            // Position 1 is the oldest there is.
            Some(last) if full && last.position > 1 => last.position.to_string(),
            _ => String::new(),
        };
        Ok(pb::ListNotificationsResponse {
            notifications: found.into_iter().map(|stored| stored.view).collect(),
            next_cursor,
            unread: self.store.unread(user).await?,
        })
    }

    /// Marks a notification as read; a second time changes nothing.
    pub async fn mark_read(&self, caller: &Identity, request: pb::MarkReadRequest) -> Result<pb::NotificationView> {
        let id: NotificationId = parse("notification_id", &request.notification_id)?;
        let missing = || Error::NotFound { what: "notification", id: id.to_string() };
        let stored = self.store.notification(id).await?.ok_or_else(missing)?;
        caller.may_change(stored.user_id, "notification", id)?;
        self.store.mark_read(id, self.context.clock.now()).await?;
        Ok(self.store.notification(id).await?.ok_or_else(missing)?.view)
    }
}

/// The user that a request is about: the one it names, else the caller.
pub(crate) fn target(caller: &Identity, user_id: &str) -> Result<UserId, Problem> {
    if user_id.is_empty() {
        return caller
            .user_id()
            .ok_or_else(|| Problem::invalid("user_id", "", "required when the caller is a service"));
    }
    parse("user_id", user_id)
}
