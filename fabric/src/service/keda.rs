use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use perper_proto::externalscaler::external_scaler_server::ExternalScaler;
use perper_proto::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use perper_proto::{Reason, v1};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::Service;
use crate::broker::{Broker, Observation};
use crate::engine::ExecutionQuery;

const REGISTRY: &str = "Registry";

/// What KEDA is to scale an agent by, out of the trigger's metadata.
struct Trigger {
    agent: String,
    /// Executions per replica; none: not scaled by executions.
    target_executions: Option<i64>,
    /// Instances per replica; none: not scaled by instances.
    target_instances: Option<i64>,
}

impl Trigger {
    fn read(scaled: &ScaledObjectRef) -> Result<Self, Status> {
        let metadata = &scaled.scaler_metadata;
        let agent = metadata.get("agent").filter(|agent| !agent.is_empty()).cloned().ok_or_else(|| {
            let name = &scaled.name;
            Reason::InvalidArgument
                .error(format!("the trigger of scaled object {name:?} has no metadata `agent`"))
        })?;
        let target = |name: &str| {
            let Some(text) = metadata.get(name) else { return Ok(None) };
            match text.parse::<i64>() {
                Ok(target) if target > 0 => Ok(Some(target)),
                _ => Err(Reason::InvalidArgument
                    .error(format!("`{name}` is {text:?}; it takes a whole number from 1"))),
            }
        };
        let (target_executions, target_instances) = (target("targetExecutions")?, target("targetInstances")?);
        // This server sees all there is, so `local` asks for the same; but a typing error must not pass for a no.
        if let Some(local) = metadata.get("local").filter(|local| !matches!(local.as_str(), "true" | "false"))
        {
            return Err(Reason::InvalidArgument
                .error(format!("`local` is {local:?}; it takes true or false"))
                .into());
        }
        // Without a target, one replica for each execution that is to be carried out.
        let target_executions = target_executions.or(target_instances.is_none().then_some(1));
        Ok(Self { agent, target_executions, target_instances })
    }

    fn executions(&self, broker: &Broker) -> u64 {
        broker.engine().count_executions(&ExecutionQuery {
            agent: Some(Arc::from(self.agent.as_str())),
            claimable: true,
            ..ExecutionQuery::default()
        })
    }

    fn instances(&self, broker: &Broker) -> u64 {
        broker.engine().count_executions(&ExecutionQuery {
            agent: Some(Arc::from(REGISTRY)),
            instance: Some(Arc::from(self.agent.as_str())),
            claimable: true,
            ..ExecutionQuery::default()
        })
    }

    fn is_active(&self, broker: &Broker) -> bool {
        (self.target_executions.is_some() && self.executions(broker) > 0)
            || (self.target_instances.is_some() && self.instances(broker) > 0)
    }

    fn metrics(&self) -> impl Iterator<Item = (String, i64)> {
        let executions = self.target_executions.map(|target| (format!("{}-executions", self.agent), target));
        let instances = self.target_instances.map(|target| (format!("{}-instances", self.agent), target));
        executions.into_iter().chain(instances)
    }
}

#[tonic::async_trait]
impl ExternalScaler for Service {
    type StreamIsActiveStream = Activity;

    async fn is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<IsActiveResponse>, Status> {
        let trigger = Trigger::read(request.get_ref())?;
        Ok(Response::new(IsActiveResponse { result: trigger.is_active(&self.0) }))
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Activity>, Status> {
        let trigger = Trigger::read(request.get_ref())?;
        let filter = |agent: &str, instance: &str| v1::ExecutionFilter {
            agent: agent.to_owned(),
            instance: instance.to_owned(),
            delegates: Vec::new(),
        };
        let changes = [
            self.0.observe(filter(&trigger.agent, ""), true),
            self.0.observe(filter(REGISTRY, &trigger.agent), true),
        ];
        Ok(Response::new(Activity { broker: Arc::clone(&self.0), trigger, changes, told: None }))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        let trigger = Trigger::read(request.get_ref())?;
        let metric_specs = trigger
            .metrics()
            .map(|(metric_name, target)| MetricSpec {
                metric_name,
                target_size: target,
                target_size_float: target as f64,
            })
            .collect();
        Ok(Response::new(GetMetricSpecResponse { metric_specs }))
    }

    async fn get_metrics(
        &self,
        request: Request<GetMetricsRequest>,
    ) -> Result<Response<GetMetricsResponse>, Status> {
        let request = request.into_inner();
        let trigger = Trigger::read(&request.scaled_object_ref.unwrap_or_default())?;
        let metric_name = request.metric_name;
        let count = match metric_name.strip_prefix(&trigger.agent) {
            Some("-executions") => trigger.executions(&self.0),
            Some("-instances") => trigger.instances(&self.0),
            _ => {
                return Err(Reason::InvalidArgument
                    .error(format!(
                        "there is no metric {metric_name:?} of agent {0:?}; there are {0}-executions and {0}-instances",
                        trigger.agent
                    ))
                    .into());
            }
        };
        let metric_value = i64::try_from(count).unwrap_or(i64::MAX);
        let value = MetricValue { metric_name, metric_value, metric_value_float: metric_value as f64 };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }
}

/// Whether an agent has something to do: at first, and whenever that changes.
pub(crate) struct Activity {
    broker: Arc<Broker>,
    trigger: Trigger,
    /// What it may change with.
    changes: [Observation; 2],
    told: Option<bool>,
}

impl Stream for Activity {
    type Item = Result<IsActiveResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        for changes in &mut this.changes {
            while let Poll::Ready(change) = Pin::new(&mut *changes).poll_next(context) {
                if change.is_none() {
                    return Poll::Ready(None);
                }
            }
        }
        let result = this.trigger.is_active(&this.broker);
        if this.told == Some(result) {
            return Poll::Pending;
        }
        this.told = Some(result);
        Poll::Ready(Some(Ok(IsActiveResponse { result })))
    }
}
