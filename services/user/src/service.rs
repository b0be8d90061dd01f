//! The gRPC face: reads the caller and the cause from a request, and turns results into messages.
use crate::App;
use moneta_contracts::user::{self as pb, accounts_server::Accounts, user_server::User};
use moneta_kit::identity::{caller, cause};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The gRPC face of the user service.
#[derive(Clone)]
pub struct Face {
    app: Arc<App>,
}

impl Face {
    /// A face before the service.
    pub const fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl User for Face {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Answer<pb::Account> {
        let (caller, cause) = (caller(&request).ok().cloned(), cause(&request));
        Ok(Response::new(self.app.register(caller.as_ref(), request.into_inner(), cause).await?.into()))
    }

    async fn login(&self, request: Request<pb::LoginRequest>) -> Answer<pb::Session> {
        let (caller, cause) = (caller(&request).ok().cloned(), cause(&request));
        Ok(Response::new(self.app.login(caller.as_ref(), request.into_inner(), cause).await?))
    }

    async fn refresh(&self, request: Request<pb::RefreshRequest>) -> Answer<pb::Session> {
        let cause = cause(&request);
        Ok(Response::new(self.app.refresh(request.into_inner(), cause).await?))
    }

    async fn logout(&self, request: Request<pb::LogoutRequest>) -> Answer<pb::LogoutResponse> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        self.app.logout(&caller, request.into_inner(), cause).await?;
        Ok(Response::new(pb::LogoutResponse {}))
    }

    async fn get_account(&self, request: Request<pb::GetAccountRequest>) -> Answer<pb::Account> {
        let account = self.app.get_account(caller(&request)?, &request.get_ref().user_id).await?;
        Ok(Response::new(account.into()))
    }

    async fn provision_account(&self, request: Request<pb::ProvisionAccountRequest>) -> Answer<pb::Account> {
        let caller = caller(&request)?.clone();
        Ok(Response::new(self.app.provision(&caller, request.into_inner()).await?.into()))
    }

    async fn list_investors(&self, request: Request<pb::ListInvestorsRequest>) -> Answer<pb::ListInvestorsResponse> {
        let accounts = self.app.list_investors(caller(&request)?).await?;
        Ok(Response::new(pb::ListInvestorsResponse { accounts: accounts.into_iter().map(Into::into).collect() }))
    }

    async fn update_profile(&self, request: Request<pb::UpdateProfileRequest>) -> Answer<pb::Account> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.update_profile(&caller, request.into_inner(), cause).await?.into()))
    }

    async fn get_preferences(&self, request: Request<pb::GetPreferencesRequest>) -> Answer<pb::Preferences> {
        Ok(Response::new(self.app.get_preferences(caller(&request)?, &request.get_ref().user_id).await?))
    }

    async fn set_preferences(&self, request: Request<pb::SetPreferencesRequest>) -> Answer<pb::Preferences> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.set_preferences(&caller, request.into_inner(), cause).await?))
    }

    async fn submit_questionnaire(
        &self,
        request: Request<pb::SubmitQuestionnaireRequest>,
    ) -> Answer<pb::Questionnaire> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.submit_questionnaire(&caller, request.into_inner(), cause).await?.into()))
    }

    async fn get_questionnaire(&self, request: Request<pb::GetQuestionnaireRequest>) -> Answer<pb::Questionnaire> {
        let asked = request.get_ref();
        let found = self.app.get_questionnaire(caller(&request)?, &asked.user_id, asked.version).await?;
        Ok(Response::new(found.into()))
    }

    async fn list_questionnaires(
        &self,
        request: Request<pb::ListQuestionnairesRequest>,
    ) -> Answer<pb::ListQuestionnairesResponse> {
        let found = self.app.list_questionnaires(caller(&request)?, &request.get_ref().user_id).await?;
        let questionnaires = found.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListQuestionnairesResponse { questionnaires }))
    }

    async fn export_data(&self, request: Request<pb::ExportDataRequest>) -> Answer<pb::ExportDataResponse> {
        let json = self.app.export_data(caller(&request)?, &request.get_ref().user_id).await?;
        Ok(Response::new(pb::ExportDataResponse { json }))
    }

    async fn erase_user(&self, request: Request<pb::EraseUserRequest>) -> Answer<pb::EraseUserResponse> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.erase_user(&caller, request.into_inner(), cause).await?))
    }
}

#[tonic::async_trait]
impl Accounts for Face {
    async fn change_password(&self, request: Request<pb::ChangePasswordRequest>) -> Answer<pb::Session> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.change_password(&caller, request.into_inner(), cause).await?))
    }

    async fn add_staff(&self, request: Request<pb::AddStaffRequest>) -> Answer<pb::AddStaffResponse> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.add_staff(&caller, request.into_inner(), cause).await?))
    }

    async fn list_staff(&self, request: Request<pb::ListStaffRequest>) -> Answer<pb::ListStaffResponse> {
        let members = self.app.list_staff(caller(&request)?).await?;
        Ok(Response::new(pb::ListStaffResponse { members: members.into_iter().map(Into::into).collect() }))
    }

    async fn approve_roles(&self, request: Request<pb::ApproveRolesRequest>) -> Answer<pb::StaffMember> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.approve_roles(&caller, &request.get_ref().email, cause).await?.into()))
    }

    async fn disable_staff(&self, request: Request<pb::DisableStaffRequest>) -> Answer<pb::StaffMember> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.disable_staff(&caller, &request.get_ref().email, cause).await?.into()))
    }

    async fn reset_staff(&self, request: Request<pb::ResetStaffRequest>) -> Answer<pb::AddStaffResponse> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.reset_staff(&caller, &request.get_ref().email, cause).await?))
    }

    async fn set_vulnerable(&self, request: Request<pb::SetVulnerableRequest>) -> Answer<pb::Account> {
        let (caller, cause) = (caller(&request)?.clone(), cause(&request));
        Ok(Response::new(self.app.set_vulnerable(&caller, request.into_inner(), cause).await?.into()))
    }
}
