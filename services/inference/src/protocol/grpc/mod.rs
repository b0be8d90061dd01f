//! The protocol over gRPC: `inference.GRPCInferenceService` and `grpc.health.v1`.

mod convert;

use std::{pin::Pin, sync::Arc};

use axum::middleware::from_fn_with_state;
use futures::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming, service::Routes};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

use super::{
    access::guard_grpc,
    proto::{self, grpc_inference_service_server as generated, infer_parameter::ParameterChoice},
    shorten, views,
};
use crate::{Error, ErrorKind, ModelServer};

/// Name of the inference service, which the health service knows it by.
pub(super) const SERVICE: &str = "inference.GRPCInferenceService";

/// The protocol over gRPC, with the health service, as routes for a tonic server.
pub async fn grpc_routes(server: Arc<ModelServer>) -> Routes {
    routes_with_health(server).await.0
}

pub(super) async fn routes_with_health(server: Arc<ModelServer>) -> (Routes, HealthReporter) {
    let health = HealthReporter::new();
    set_health(&health, true).await;
    let (limit, access) = (server.options.max_request_bytes, server.options.access.clone());
    let inference = generated::GrpcInferenceServiceServer::new(InferenceService { server })
        .max_decoding_message_size(limit)
        .max_encoding_message_size(usize::MAX)
        .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
        .send_compressed(tonic::codec::CompressionEncoding::Gzip);
    let service = HealthServer::new(HealthService::from_health_reporter(health.clone()));
    let router = Routes::new(inference).add_service(service).into_axum_router();
    (router.layer(from_fn_with_state(access, guard_grpc)).into(), health)
}

pub(super) async fn set_health(health: &HealthReporter, serving: bool) {
    let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    health.set_service_status("", status).await;
    health.set_service_status(SERVICE, status).await;
}

struct InferenceService {
    server: Arc<ModelServer>,
}

impl InferenceService {
    async fn infer(
        server: &ModelServer,
        request: proto::ModelInferRequest,
    ) -> Result<proto::ModelInferResponse, Error> {
        let (request, reply) = convert::read_request(request)?;
        let inference = server.infer_with(request).await?;
        reply.write(inference)
    }
}

#[tonic::async_trait]
impl generated::GrpcInferenceService for InferenceService {
    type ModelStreamInferStream = Pin<Box<dyn Stream<Item = Result<proto::ModelStreamInferResponse, Status>> + Send>>;

    async fn server_live(
        &self,
        _request: Request<proto::ServerLiveRequest>,
    ) -> Result<Response<proto::ServerLiveResponse>, Status> {
        Ok(Response::new(proto::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _request: Request<proto::ServerReadyRequest>,
    ) -> Result<Response<proto::ServerReadyResponse>, Status> {
        Ok(Response::new(proto::ServerReadyResponse { ready: self.server.is_ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<proto::ModelReadyRequest>,
    ) -> Result<Response<proto::ModelReadyResponse>, Status> {
        let proto::ModelReadyRequest { name, version } = request.into_inner();
        let ready = self.server.read().resolve(&name, views::optional(&version)).is_ok();
        Ok(Response::new(proto::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _request: Request<proto::ServerMetadataRequest>,
    ) -> Result<Response<proto::ServerMetadataResponse>, Status> {
        Ok(Response::new(proto::ServerMetadataResponse {
            name: views::SERVER_NAME.to_owned(),
            version: views::SERVER_VERSION.to_owned(),
            extensions: views::EXTENSIONS.iter().map(|&name| name.to_owned()).collect(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<proto::ModelMetadataRequest>,
    ) -> Result<Response<proto::ModelMetadataResponse>, Status> {
        let proto::ModelMetadataRequest { name, version } = request.into_inner();
        let metadata = views::metadata(&self.server, &name, views::optional(&version));
        metadata.map(Response::new).map_err(|error| status(&error))
    }

    async fn model_infer(
        &self,
        request: Request<proto::ModelInferRequest>,
    ) -> Result<Response<proto::ModelInferResponse>, Status> {
        let response = Self::infer(&self.server, request.into_inner()).await;
        response.map(Response::new).map_err(|error| status(&error))
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<proto::ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let server = Arc::clone(&self.server);
        let answers = request.into_inner().then(move |request| {
            let server = Arc::clone(&server);
            async move { answer_in_stream(&server, request?).await }
        });
        // A broken request stream ends the answers too.
        let answers = answers.scan(false, |broken, answer| {
            let item = (!*broken).then_some(answer);
            *broken = matches!(item, Some(Err(_)));
            std::future::ready(item)
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn model_config(
        &self,
        request: Request<proto::ModelConfigRequest>,
    ) -> Result<Response<proto::ModelConfigResponse>, Status> {
        let proto::ModelConfigRequest { name, version } = request.into_inner();
        let config = views::config(&self.server, &name, views::optional(&version)).map_err(|error| status(&error))?;
        Ok(Response::new(proto::ModelConfigResponse { config: Some(config) }))
    }

    async fn model_statistics(
        &self,
        request: Request<proto::ModelStatisticsRequest>,
    ) -> Result<Response<proto::ModelStatisticsResponse>, Status> {
        let proto::ModelStatisticsRequest { name, version } = request.into_inner();
        let statistics = views::statistics(&self.server, views::optional(&name), views::optional(&version));
        let model_stats = statistics.map_err(|error| status(&error))?;
        Ok(Response::new(proto::ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<proto::RepositoryIndexRequest>,
    ) -> Result<Response<proto::RepositoryIndexResponse>, Status> {
        let proto::RepositoryIndexRequest { repository_name, ready } = request.into_inner();
        let index = views::repository_index(&self.server, &repository_name, ready).await;
        let models = index.map_err(|error| status(&error))?;
        Ok(Response::new(proto::RepositoryIndexResponse { models }))
    }

    async fn repository_model_load(
        &self,
        request: Request<proto::RepositoryModelLoadRequest>,
    ) -> Result<Response<proto::RepositoryModelLoadResponse>, Status> {
        let proto::RepositoryModelLoadRequest { repository_name, model_name, parameters } = request.into_inner();
        views::check_repository(&repository_name).map_err(|error| status(&error))?;
        let loaded = views::load(&self.server, &model_name, parameters.keys().map(String::as_str)).await;
        loaded.map_err(|error| status(&error))?;
        Ok(Response::new(proto::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<proto::RepositoryModelUnloadRequest>,
    ) -> Result<Response<proto::RepositoryModelUnloadResponse>, Status> {
        let proto::RepositoryModelUnloadRequest { repository_name, model_name, .. } = request.into_inner();
        views::check_repository(&repository_name).map_err(|error| status(&error))?;
        views::unload(&self.server, &model_name).await.map_err(|error| status(&error))?;
        Ok(Response::new(proto::RepositoryModelUnloadResponse {}))
    }
}

/// A failed request is a message of its own, so that the others of the stream go on.
async fn answer_in_stream(
    server: &ModelServer,
    request: proto::ModelInferRequest,
) -> Result<proto::ModelStreamInferResponse, Status> {
    let id = request.id.clone();
    let final_response = proto::InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    let (error_message, mut infer_response) = match InferenceService::infer(server, request).await {
        Ok(response) => (String::new(), response),
        Err(error) => (shorten(error.to_string()), proto::ModelInferResponse { id, ..Default::default() }),
    };
    infer_response.parameters.insert("triton_final_response".to_owned(), final_response);
    Ok(proto::ModelStreamInferResponse { error_message, infer_response: Some(infer_response) })
}

fn status(error: &Error) -> Status {
    let code = match error.kind() {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::TooLarge => Code::OutOfRange,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorKind::Unimplemented => Code::Unimplemented,
        ErrorKind::Internal => Code::Internal,
    };
    Status::new(code, shorten(error.to_string()))
}
