//! The gRPC face: reads the caller and the cause from a request, and turns results into messages.
use crate::App;
use moneta_contracts::compliance::{self as pb, compliance_server::Compliance};
use moneta_kit::identity::{caller, cause};
use tonic::{Request, Response, Status};

/// The gRPC face of the compliance service.
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
impl Compliance for Face {
    async fn check_advice(&self, request: Request<pb::CheckAdviceRequest>) -> Answer<pb::CheckResponse> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.check_advice(&caller, request.into_inner(), cause).await?))
    }

    async fn check_order(&self, request: Request<pb::CheckOrderRequest>) -> Answer<pb::CheckResponse> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.check_order(&caller, request.into_inner(), cause).await?))
    }

    async fn list_rules(&self, request: Request<pb::ListRulesRequest>) -> Answer<pb::ListRulesResponse> {
        caller(&request)?;
        Ok(Response::new(self.app.list_rules()))
    }

    async fn list_audit(&self, request: Request<pb::ListAuditRequest>) -> Answer<pb::ListAuditResponse> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.list_audit(&caller, request.into_inner()).await?))
    }

    async fn verify_audit(&self, request: Request<pb::VerifyAuditRequest>) -> Answer<pb::VerifyAuditResponse> {
        let found = self.app.verify_audit(caller(&request)?).await?;
        Ok(Response::new(pb::VerifyAuditResponse {
            valid: found.valid,
            entries: found.entries,
            head: found.head,
            problem: found.problem,
        }))
    }

    async fn list_alerts(&self, request: Request<pb::ListAlertsRequest>) -> Answer<pb::ListAlertsResponse> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.list_alerts(&caller, request.into_inner()).await?))
    }

    async fn resolve_alert(&self, request: Request<pb::ResolveAlertRequest>) -> Answer<pb::Alert> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.resolve_alert(&caller, request.into_inner(), cause).await?))
    }

    async fn place_hold(&self, request: Request<pb::PlaceHoldRequest>) -> Answer<pb::Hold> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.place_hold(&caller, request.into_inner(), cause).await?))
    }

    async fn release_hold(&self, request: Request<pb::ReleaseHoldRequest>) -> Answer<pb::Hold> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.release_hold(&caller, request.into_inner()).await?))
    }

    async fn list_holds(&self, request: Request<pb::ListHoldsRequest>) -> Answer<pb::ListHoldsResponse> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.list_holds(&caller, request.into_inner()).await?))
    }

    async fn check_hold(&self, request: Request<pb::CheckHoldRequest>) -> Answer<pb::CheckHoldResponse> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.check_hold(&caller, request.into_inner()).await?))
    }
}
