//! Where tests run: on the stand-in, and in the cluster that `KUBECONFIG` names.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use futures_util::FutureExt as _;
use kube::config::Kubeconfig;

use super::Cluster;
use crate::standin::StandIn;

/// Makes two tests of each function that is given a [`Cluster`]: `stand_in::NAME` always runs, `in_the_cluster::NAME`
/// where it is asked for.
macro_rules! tests_of_clusters {
    ($($test:ident),* $(,)?) => {
        mod stand_in {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                crate::cluster::on_the_stand_in(super::$test).await;
            })*
        }

        mod in_the_cluster {
            /// How many there are.
            #[allow(dead_code, reason = "one file has to know")]
            pub(super) const TESTS: usize = [$(stringify!($test)),*].len();

            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs a cluster: KUBECONFIG=FILE ./dev scaler, or ./dev cluster"]
            async fn $test() {
                crate::cluster::in_the_cluster(super::$test).await;
            })*
        }
    };
}
pub(crate) use tests_of_clusters;

pub(crate) async fn on_the_stand_in<F: Future<Output = ()>>(test: impl FnOnce(Arc<Cluster>) -> F) {
    let stand_in = Arc::new(StandIn::start().await);
    let kubeconfig = serde_json::from_value(stand_in.kubeconfig()).unwrap();
    run(Cluster::make(kubeconfig, Some(Arc::clone(&stand_in))).await.unwrap(), test).await;
    assert_eq!(stand_in.count("namespaces"), 0, "nothing is left");
    assert_eq!(stand_in.count("customresourcedefinitions"), 0, "nothing is left");
}

/// Whoever runs this has asked for it: a cluster that cannot be used is an error.
pub(crate) async fn in_the_cluster<F: Future<Output = ()>>(test: impl FnOnce(Arc<Cluster>) -> F) {
    let name = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let kubeconfig = match Kubeconfig::from_env() {
        Ok(Some(kubeconfig)) => kubeconfig,
        Ok(None) => panic!("KUBECONFIG is not set: it names the file that leads to the cluster"),
        Err(error) => panic!("KUBECONFIG={name:?} cannot be read: {error}"),
    };
    match Cluster::make(kubeconfig, None).await {
        Ok(cluster) => run(cluster, test).await,
        Err(error) => panic!("KUBECONFIG={name:?}: {error}"),
    }
}

/// Whatever becomes of the test, nothing is left of it.
async fn run<F: Future<Output = ()>>(cluster: Cluster, test: impl FnOnce(Arc<Cluster>) -> F) {
    let cluster = Arc::new(cluster);
    let outcome = AssertUnwindSafe(test(Arc::clone(&cluster))).catch_unwind().await;
    let removed = cluster.remove().await;
    if let Err(panic) = outcome {
        if let Err(error) = removed {
            eprintln!("{error}");
        }
        resume_unwind(panic);
    }
    removed.expect("nothing is left");
}

/// Tells of a part of a test that cannot be had.
pub(crate) fn skipped(what: &str) {
    let text = format!("SKIPPED: {what}, because no controllers of Kubernetes run in this cluster\n");
    // Not with a macro: of a test that passes, the output of those is not shown.
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes()).unwrap();
}
