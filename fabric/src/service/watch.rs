use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use perper_proto::v1;
use tokio_stream::Stream;
use tonic::Status;
use v1::observe_executions_response::Event as Observed;
use v1::watch_response::Event;

use crate::broker::{Broker, Observation, StreamObservation};

/// What `Inspection.Watch` sends: the present entries of each kind asked for, one mark, then each change.
pub(crate) struct Watch {
    broker: Arc<Broker>,
    instances: Option<Observation>,
    executions: Option<Observation>,
    streams: Option<StreamObservation>,
    /// Kinds whose present entries have not all been sent.
    starting: usize,
}

impl Watch {
    pub(super) fn new(broker: &Arc<Broker>, request: v1::WatchRequest) -> Self {
        let filter = |agent: &str, instance: &str| v1::ExecutionFilter {
            agent: agent.to_owned(),
            instance: instance.to_owned(),
            delegates: Vec::new(),
        };
        let instances = request.instances.then(|| broker.observe(filter("Registry", &request.agent), true));
        let executions = request.executions.then(|| broker.observe(filter(&request.agent, ""), true));
        let streams = request.streams.then(|| broker.observe_streams());
        let starting = [instances.is_some(), executions.is_some(), streams.is_some()]
            .into_iter()
            .filter(|asked| *asked)
            .count();
        Self { broker: Arc::clone(broker), instances, executions, streams, starting }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event, Status>>> {
        if let Some(Poll::Ready(Some(observed))) =
            self.instances.as_mut().map(|instances| Pin::new(instances).poll_next(context))
        {
            return Poll::Ready(Some(observed.map(|observed| match observed.event {
                Some(Observed::Execution(execution)) => {
                    Event::Instance(self.broker.instance_message(&execution))
                }
                Some(Observed::Removed(id)) => Event::RemovedInstance(id),
                Some(Observed::StartReached(_)) | None => Event::StartReached(true),
            })));
        }
        if let Some(Poll::Ready(Some(observed))) =
            self.executions.as_mut().map(|executions| Pin::new(executions).poll_next(context))
        {
            return Poll::Ready(Some(observed.map(|observed| match observed.event {
                Some(Observed::Execution(execution)) => Event::Execution(execution),
                Some(Observed::Removed(id)) => Event::RemovedExecution(id),
                Some(Observed::StartReached(_)) | None => Event::StartReached(true),
            })));
        }
        if let Some(Poll::Ready(event)) = self.streams.as_mut().map(|streams| streams.poll_event(context)) {
            return Poll::Ready(Some(Ok(event)));
        }
        Poll::Pending
    }
}

impl Stream for Watch {
    type Item = Result<v1::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let event = match self.poll_event(context) {
                Poll::Ready(Some(Ok(event))) => event,
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            };
            if let Event::StartReached(_) = event {
                self.starting -= 1;
                // One mark for all kinds.
                if self.starting > 0 {
                    continue;
                }
            }
            return Poll::Ready(Some(Ok(v1::WatchResponse { event: Some(event) })));
        }
    }
}
