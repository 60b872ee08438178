//! The ways into the stand-in. Each has an address of its own: so it is known who did what, and each can be cut off.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::server::{Shared, serve};

/// A way in.
pub(crate) struct Front {
    pub(crate) name: String,
    address: SocketAddr,
    /// Ends the connections; none while it is cut off.
    connections: Mutex<Option<CancellationToken>>,
}

impl Front {
    pub(super) async fn open(name: &str, shared: Arc<Shared>, stop: &CancellationToken) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Arc::new(Front {
            name: name.to_owned(),
            address: listener.local_addr().unwrap(),
            connections: Mutex::new(Some(CancellationToken::new())),
        });
        let accept = accept(listener, Arc::clone(&front), shared, stop.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept));
        front
    }

    pub(crate) fn client(&self) -> kube::Client {
        let config = kube::Config::new(format!("http://{}", self.address).parse().unwrap());
        kube::Client::try_from(config).unwrap()
    }

    /// A file that leads a process here.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let path = folder.join("kubeconfig");
        let text = format!(
            "
apiVersion: v1
kind: Config
clusters: [{{name: here, cluster: {{server: 'http://{}'}}}}]
users: [{{name: me, user: {{}}}}]
contexts: [{{name: here, context: {{cluster: here, user: me, namespace: default}}}}]
current-context: here
",
            self.address
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Nobody gets through here any more.
    pub(crate) fn cut(&self) {
        if let Some(connections) = self.connections.lock().unwrap().take() {
            connections.cancel();
        }
    }

    pub(crate) fn mend(&self) {
        self.connections.lock().unwrap().get_or_insert_default();
    }
}

async fn accept(listener: TcpListener, front: Arc<Front>, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let Some(connections) = front.connections.lock().unwrap().clone() else { continue };
        let (shared, front) = (Arc::clone(&shared), Arc::clone(&front));
        let service = service_fn(move |request| {
            let (shared, front) = (Arc::clone(&shared), Arc::clone(&front));
            async move { Ok::<_, Infallible>(serve(request, shared, &front.name).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let connection = stop.clone().run_until_cancelled_owned(connection);
        tokio::spawn(connections.run_until_cancelled_owned(connection));
    }
}
