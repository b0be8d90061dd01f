//! GraphQL, for whole screens in one query. It reads through the same calls as REST, with the same token, so nobody sees
//! more here than there.
mod dashboard;
mod scan;
mod turns;

use crate::{
    App, Config, Error, Result,
    auth::Caller,
    body::{Body, Fields, Read},
};
use async_graphql::{EmptyMutation, EmptySubscription, ErrorExtensionValues, Object, ServerError, Variables};
use async_graphql_axum::GraphQLResponse;
use axum::extract::State;
use dashboard::{Dashboard, OPEN};
use moneta_kit::problem::{Kind, Problem};
use serde_json::Value;
use tokio::runtime::Handle;
use turns::Turn;
pub(crate) use turns::Turns;
use utoipa::ToSchema;

/// The schema.
pub(crate) type Schema = async_graphql::Schema<Query, EmptyMutation, EmptySubscription>;

/// The schema with the configured limits.
pub(crate) fn schema(config: &Config) -> Schema {
    Schema::build(Query, EmptyMutation, EmptySubscription)
        .limit_complexity(config.graphql_complexity)
        .limit_depth(config.graphql_depth)
        .finish()
}

/// Who asks, for the resolvers.
pub(crate) struct Asker {
    pub app: App,
    pub caller: Caller,
}

/// What can be asked.
pub(crate) struct Query;

#[Object]
impl Query {
    /// Everything that a person's first screen shows. Each part is asked for only when it is selected, and a part whose
    /// service does not answer is null with an error of its own.
    #[graphql(complexity = "OPEN + child_complexity")]
    async fn dashboard(
        &self,
        context: &async_graphql::Context<'_>,
        #[graphql(desc = "left out: the caller's first portfolio")] portfolio_id: Option<async_graphql::ID>,
    ) -> async_graphql::Result<Dashboard> {
        let Asker { app, caller } = context.data::<Asker>()?;
        Ok(Dashboard::open(app.clone(), caller.clone(), portfolio_id.map(|id| id.0)).await)
    }
}

/// A GraphQL request.
#[derive(Debug, Clone, ToSchema)]
#[schema(as = GraphQlRequest)]
pub(crate) struct Request {
    pub query: String,
    #[schema(rename = "operationName")]
    pub operation_name: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub variables: Option<Value>,
}

impl Read for Request {
    const ALLOWED: &'static str = r#"an object such as {"query": "{ dashboard { user { email } } }"}"#;

    fn read(path: &str, value: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of::<Self>(path, value, &["query", "operationName", "variables"])?;
        let request = Self {
            query: fields.take("query")?,
            operation_name: fields.take("operationName")?,
            variables: fields.take("variables")?,
        };
        match &request.variables {
            Some(Value::Object(_)) | None => Ok(request),
            Some(other) => Err(Problem::invalid("variables", other, "an object")),
        }
    }
}

/// Most errors of one answer: a document can have as many as it has words.
const MOST_ERRORS: usize = 50;

/// Answers a query.
#[utoipa::path(post, path = "/graphql", tag = "graphql", request_body = Request,
    responses((status = 200, body = Object, content_type = "application/graphql-response+json")))]
pub(crate) async fn serve(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Request>,
) -> Result<GraphQLResponse> {
    scan::check(&body.query)?;
    let mut request = async_graphql::Request::new(body.query);
    if let Some(operation) = body.operation_name {
        request = request.operation_name(operation);
    }
    if let Some(variables) = body.variables {
        request = request.variables(Variables::from_json(variables));
    }
    let work = async {
        let turn = app.turns().take(caller.user).await?;
        execute(app.clone(), request.data(Asker { app: app.clone(), caller }), turn).await
    };
    let mut response = tokio::time::timeout(app.work_deadline(), work)
        .await
        .map_err(|_| Problem::new(Kind::DeadlineExceeded, "deadline_exceeded", "the query took too long"))??;
    response.errors.truncate(MOST_ERRORS);
    response.errors.iter_mut().for_each(code);
    Ok(response.into())
}

/// Parses, validates and resolves away from the threads that serve connections: whatever a query costs, they go on.
async fn execute(app: App, request: async_graphql::Request, turn: Turn) -> Result<async_graphql::Response> {
    let runtime = Handle::current();
    let worked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        runtime.block_on(app.schema().execute(request))
    });
    Ok(worked.await.map_err(Problem::internal)?)
}

/// Every error has the stable code that REST would have, and says no more than REST would say.
fn code(error: &mut ServerError) {
    let (code, fields) = match error.source::<Error>() {
        Some(source) => {
            let details = source.details("");
            error.message = details.detail;
            (details.code, details.errors)
        }
        None => ("invalid_query".to_owned(), Vec::new()),
    };
    let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
    extensions.set("code", code);
    if let Ok(fields) = async_graphql::to_value(fields)
        && !matches!(&fields, async_graphql::Value::List(list) if list.is_empty())
    {
        extensions.set("errors", fields);
    }
}
