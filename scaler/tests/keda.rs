//! The Fabric as KEDA's external scaler, driven by the protocol's own client as KEDA does it.

mod support;

use std::collections::BTreeMap;

use perper::protocol::NewExecution;
use perper_proto::externalscaler::external_scaler_client::ExternalScalerClient;
use perper_proto::externalscaler::{GetMetricsRequest, ScaledObjectRef};
use tonic::transport::{Channel, Endpoint};

use self::support::{PATIENCE, World, start, stop};

async fn connect(world: &World) -> ExternalScalerClient<Channel> {
    let endpoint = Endpoint::from_shared(world.endpoint()).unwrap();
    ExternalScalerClient::new(endpoint.connect().await.unwrap())
}

fn scaled(metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let metadata: BTreeMap<String, String> =
        metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ScaledObjectRef { name: "words".into(), namespace: "default".into(), scaler_metadata: metadata }
}

async fn metric(client: &mut ExternalScalerClient<Channel>, object: &ScaledObjectRef, name: &str) -> i64 {
    let request = GetMetricsRequest { scaled_object_ref: Some(object.clone()), metric_name: name.into() };
    let values = client.get_metrics(request).await.unwrap().into_inner().metric_values;
    assert_eq!((values.len(), values[0].metric_name.as_str()), (1, name));
    values[0].metric_value
}

/// The metadata of the example is what is used here.
fn example() -> ScaledObjectRef {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/keda/scaledobject.yaml");
    let example: serde_json::Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let trigger = &example["spec"]["triggers"][0];
    assert_eq!(trigger["type"], "external-push");
    let metadata = trigger["metadata"].as_object().unwrap();
    let metadata: Vec<(&str, &str)> =
        metadata.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    scaled(&metadata)
}

#[tokio::test(flavor = "multi_thread")]
async fn keda_hears_of_load_as_it_comes_and_goes() {
    let world = World::new().await;
    let mut client = connect(&world).await;
    let object = example();
    let specs = client.get_metric_spec(object.clone()).await.unwrap().into_inner().metric_specs;
    assert_eq!((specs[0].metric_name.as_str(), specs[0].target_size), ("Reader-executions", 16));
    assert!(!client.is_active(object.clone()).await.unwrap().into_inner().result);

    let mut activity = client.stream_is_active(object.clone()).await.unwrap().into_inner();
    let mut next = async || {
        let message = tokio::time::timeout(PATIENCE, activity.message()).await.expect("it says so");
        message.unwrap().expect("it stays open").result
    };
    assert!(!next().await);
    let fabric = world.fabric().connect().await.unwrap();
    for number in 0..20 {
        let execution = NewExecution {
            agent: "Reader".into(),
            delegate: "Read".into(),
            ..NewExecution::new(format!("e{number}"))
        };
        fabric.fabric().create_execution(execution).await.unwrap();
    }
    assert!(next().await, "the first execution wakes the first replica");
    assert_eq!(metric(&mut client, &object, "Reader-executions").await, 20);
    for number in 0..20 {
        fabric.fabric().cancel_execution(format!("e{number}")).await.unwrap();
    }
    assert!(!next().await);
    assert_eq!(metric(&mut client, &object, "Reader-executions").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn keda_may_scale_by_instances() {
    let world = World::new().await;
    let mut client = connect(&world).await;
    let object = scaled(&[("agent", "Sleeper"), ("targetInstances", "10")]);
    let agent = world.agent("Sleeper").await;
    start(agent.context(), "Sleeper", "i").await;
    start(agent.context(), "Sleeper", "j").await;
    assert!(client.is_active(object.clone()).await.unwrap().into_inner().result);
    assert_eq!(metric(&mut client, &object, "Sleeper-instances").await, 2);
    stop(agent.context(), "i").await;
    stop(agent.context(), "j").await;
    assert!(!client.is_active(object.clone()).await.unwrap().into_inner().result);
}

#[tokio::test(flavor = "multi_thread")]
async fn keda_is_told_what_is_wrong_with_a_trigger() {
    let world = World::new().await;
    let mut client = connect(&world).await;
    for (metadata, complaint) in [
        (&[][..], "has no metadata `agent`"),
        (&[("agent", "A"), ("targetExecutions", "0")], "`targetExecutions` is \"0\""),
        (&[("agent", "A"), ("local", "maybe")], "`local` is \"maybe\""),
    ] {
        let error = client.is_active(scaled(metadata)).await.expect_err(complaint);
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
        assert!(error.message().contains(complaint), "{error}");
    }
}
