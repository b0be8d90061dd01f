//! Problems as gRPC statuses and back: the code travels as ErrorInfo, the fields as BadRequest (google.rpc).
use super::{FieldViolation, Kind, Problem};
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

const DOMAIN: &str = "moneta";
const VALUE: &str = "value.";

impl From<Kind> for Code {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::InvalidArgument => Self::InvalidArgument,
            Kind::Unauthenticated => Self::Unauthenticated,
            Kind::PermissionDenied => Self::PermissionDenied,
            Kind::NotFound => Self::NotFound,
            Kind::AlreadyExists => Self::AlreadyExists,
            Kind::Conflict => Self::Aborted,
            Kind::FailedPrecondition => Self::FailedPrecondition,
            Kind::ResourceExhausted => Self::ResourceExhausted,
            Kind::Unavailable => Self::Unavailable,
            Kind::DeadlineExceeded => Self::DeadlineExceeded,
            Kind::Unimplemented => Self::Unimplemented,
            Kind::Internal => Self::Internal,
        }
    }
}

impl From<Code> for Kind {
    fn from(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::PermissionDenied,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::Aborted => Self::Conflict,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::ResourceExhausted => Self::ResourceExhausted,
            Code::Unavailable => Self::Unavailable,
            Code::DeadlineExceeded | Code::Cancelled => Self::DeadlineExceeded,
            Code::Unimplemented => Self::Unimplemented,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Self::Internal,
        }
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        // BadRequest has a field and a description only, so the given values travel in the metadata of ErrorInfo.
        let values: HashMap<String, String> =
            problem.fields.iter().map(|field| (format!("{VALUE}{}", field.field), field.value.clone())).collect();
        let mut details = ErrorDetails::new();
        details.set_error_info(problem.code, DOMAIN, values);
        for field in &problem.fields {
            details.add_bad_request_violation(field.field.clone(), field.allowed.clone());
        }
        Self::with_error_details(problem.kind.into(), problem.message, details)
    }
}

/// A problem as the caller of a service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemView {
    /// Its class.
    pub kind: Kind,
    /// Its stable code.
    pub code: String,
    /// What was wrong, for a person.
    pub message: String,
    /// The fields at fault.
    pub fields: Vec<FieldViolation>,
}

impl Problem {
    /// Reads the problem that a service answered.
    pub fn from_status(status: &Status) -> ProblemView {
        let kind = Kind::from(status.code());
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == DOMAIN);
        let fields = details
            .bad_request()
            .map(|bad| {
                bad.field_violations
                    .iter()
                    .map(|violation| FieldViolation {
                        field: violation.field.clone(),
                        value: info
                            .and_then(|info| info.metadata.get(&format!("{VALUE}{}", violation.field)))
                            .cloned()
                            .unwrap_or_default(),
                        allowed: violation.description.clone(),
                    })
                    .collect()
            })
            .unwrap_or_default();
        ProblemView {
            kind,
            code: info.map_or_else(|| kind.default_code().to_owned(), |info| info.reason.clone()),
            message: status.message().to_owned(),
            fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_survives_the_way_through_a_status() {
        for kind in Kind::ALL {
            let problem = Problem::new(kind, "some_code", "text").with_field("a.b", "x", "one of y, z");
            let view = Problem::from_status(&Status::from(problem.clone()));
            assert_eq!(view.kind, kind);
            assert_eq!(view.code, "some_code");
            assert_eq!(view.message, "text");
            assert_eq!(view.fields, problem.fields);
        }
    }

    #[test]
    fn a_foreign_status_gets_the_code_of_its_kind() {
        assert_eq!(Problem::from_status(&Status::unavailable("gone")).code, "unavailable");
    }

    #[test]
    fn an_internal_fault_tells_the_caller_nothing_of_the_inside() {
        let problem = Problem::internal(std::io::Error::other("password table missing"));
        assert!(!problem.message.contains("password"));
    }
}
