use std::sync::Arc;

use bytes::Bytes;

use super::event::Outcome;
use crate::{Error, ErrorKind, Failure, Result, extensions::ExecutionScope, protocol::Fabric};

/// Ends an execution, after everything that it has created is acknowledged.
///
/// What the Fabric would not take as a result (too large, for one) becomes the failure of the execution; a reservation
/// that is lost by now is no matter: whoever has it will do the same.
pub(super) async fn conclude(fabric: Fabric, execution: Arc<ExecutionScope>, outcome: Outcome) {
    let outcome = match (execution.flush().await, outcome) {
        (Err(error), Outcome::Completed(_)) => Outcome::Failed(unflushed(error)),
        (_, outcome) => outcome,
    };
    execution.end();
    let refused = match outcome {
        Outcome::Completed(results) => match complete(&fabric, &execution, Ok(results)).await {
            Err(error) if is_refusal(error.kind()) => complete(&fabric, &execution, Err(error.into())).await,
            outcome => outcome,
        },
        Outcome::Failed(failure) => match complete(&fabric, &execution, Err(failure)).await {
            Err(error) if is_refusal(error.kind()) => {
                // The text itself was too much.
                complete(&fabric, &execution, Err(error.into())).await
            }
            outcome => outcome,
        },
        Outcome::Released => {
            fabric.release_execution(&execution.execution, execution.reservation.clone()).await
        }
    };
    if let Err(error) = refused {
        tracing::debug!(execution = execution.execution, %error, "the outcome of an execution was not taken");
    }
}

async fn complete(
    fabric: &Fabric,
    execution: &ExecutionScope,
    outcome: Result<Vec<Bytes>, Failure>,
) -> Result<()> {
    fabric.complete_execution(&execution.execution, execution.reservation.clone(), outcome).await
}

/// Whether the Fabric would take another outcome in place of this one.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::LimitExceeded | ErrorKind::InvalidValue | ErrorKind::InvalidArgument)
}

fn unflushed(error: Error) -> Failure {
    let mut failure = Failure::from(error);
    failure.message = format!("something that the handler created could not be created: {}", failure.message);
    failure
}
