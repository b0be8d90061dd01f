//! The gRPC face: reads the caller from a request, and turns results into messages.
use crate::App;
use moneta_contracts::notification::{self as pb, notification_server::Notification};
use moneta_kit::identity::caller;
use tonic::{Request, Response, Status};

/// The gRPC face of the notification service.
pub struct Face {
    app: App,
}

impl Face {
    /// A face before the service.
    pub const fn new(app: App) -> Self {
        Self { app }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Notification for Face {
    async fn list_notifications(
        &self,
        request: Request<pb::ListNotificationsRequest>,
    ) -> Answer<pb::ListNotificationsResponse> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.list(&caller, request.into_inner()).await?))
    }

    async fn mark_read(&self, request: Request<pb::MarkReadRequest>) -> Answer<pb::NotificationView> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.mark_read(&caller, request.into_inner()).await?))
    }

    async fn get_preferences(&self, request: Request<pb::GetPreferencesRequest>) -> Answer<pb::Preferences> {
        Ok(Response::new(self.app.get_preferences(caller(&request)?, &request.get_ref().user_id).await?))
    }

    async fn set_preferences(&self, request: Request<pb::SetPreferencesRequest>) -> Answer<pb::Preferences> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.set_preferences(&caller, request.into_inner()).await?))
    }

    async fn preview_template(
        &self,
        request: Request<pb::PreviewTemplateRequest>,
    ) -> Answer<pb::PreviewTemplateResponse> {
        Ok(Response::new(self.app.preview(caller(&request)?, request.get_ref())?))
    }
}
