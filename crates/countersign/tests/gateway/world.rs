//! A deployment: a control plane, a gateway in front of an upstream, and a CA for clients.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use countersign_client::Client;
use countersign_gateway::{
    Gateway, Sockets, StartError,
    options::{
        ForwardedHeaders, GatewayOptions, IdentitySource, Limits, Paths, Route, Traceparent,
        XfccFormat, this_machine,
    },
};
use countersign_server::{
    App, Limits as ServerLimits, router, serve,
    store::{Location, Sources, Store},
};
use countersign_testca::{General, Minted, oid, root};
use countersign_types::{
    certificate::{Scope, UploadCertificateRequest},
    id::{CertificateId, OrganizationId, ProjectId},
    project::{ProjectCreateRequest, ServiceAccountCreateRequest},
    secret::Secret,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, time::timeout};

use crate::{client::Tls, upstream};

/// The longest that a test waits for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) api: Client,
    pub(crate) organization: OrganizationId,
    pub(crate) admin_key: String,
    pub(crate) project: ProjectId,
    pub(crate) key: String,
    pub(crate) server_ca: Minted,
    pub(crate) ca: Minted,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) options: GatewayOptions,
    /// The time, as the gateway sees it.
    pub(crate) clock: Arc<AtomicU64>,
    _directory: TempDir,
}

/// 2030-01-01: within what `testca` mints by default.
pub(crate) const NOW: u64 = 1_893_456_000;

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A deployment whose gateway's options are changed first.
    pub(crate) async fn with(change: impl FnOnce(&mut GatewayOptions)) -> Self {
        let store = Store::open(&Location::Memory, Sources::system()).await;
        Self::on(store.unwrap(), change).await
    }

    /// A deployment on a store.
    pub(crate) async fn on(store: Store, change: impl FnOnce(&mut GatewayOptions)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(NOW));
        let plane = start_plane(&store).await;
        let created = store.create_organization("acme").await.unwrap();
        let admin_key = created.key.value.unwrap().reveal().to_owned();
        let api = Client::builder()
            .base_url(format!("http://{plane}/v1"))
            .key(Secret::new(&admin_key))
            .build()
            .unwrap();
        let (project, key) = make_project(&api, "alpha").await;
        let server_ca = root("Server CA").mint();
        let mut options = options(&directory, &server_ca, &store, plane).await;
        options.routes[0].upstream = vec![format!("http://{}", upstream::start().await)];
        change(&mut options);
        let mut world = Self {
            store,
            api,
            organization: created.organization.id,
            admin_key,
            project,
            key,
            server_ca,
            ca: root("Client CA").mint(),
            gateway: None,
            options,
            clock,
            _directory: directory,
        };
        world.start().await;
        world
    }

    /// Starts the gateway, or starts it again, and waits until it is ready.
    pub(crate) async fn start(&mut self) {
        let gateway = self.gateway_with(self.options.clone(), 7);
        timeout(LIMIT, gateway.ready())
            .await
            .expect("the gateway to pull its bundle");
        self.gateway = Some(gateway);
    }

    /// A gateway with other options on this clock. The number makes its id.
    pub(crate) fn gateway_with(&self, options: GatewayOptions, number: u8) -> Gateway {
        self.try_gateway_with(options, number).unwrap()
    }

    /// The same, or why it does not start.
    pub(crate) fn try_gateway_with(
        &self,
        options: GatewayOptions,
        number: u8,
    ) -> Result<Gateway, StartError> {
        let clock = Arc::clone(&self.clock);
        Gateway::start(
            options,
            Sockets::default(),
            Arc::new(move || clock.load(Ordering::Relaxed)),
            [u128::from(number); 2],
            Arc::new(String::new),
            None,
        )
    }

    /// Stops the gateway on another thread: it says goodbye to the control plane on this one.
    pub(crate) async fn stop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            let stopping = tokio::task::spawn_blocking(move || gateway.stop());
            timeout(LIMIT, stopping).await.unwrap().unwrap();
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().address()
    }

    pub(crate) fn scope(&self) -> Scope {
        Scope::Project(self.project.clone())
    }

    /// A client that presents this chain.
    pub(crate) fn tls(&self, chain: &[&Minted]) -> Tls {
        Tls::new(&self.server_ca, chain)
    }

    pub(crate) async fn upload(&self, anchor: &Minted, policy: Option<&str>) -> CertificateId {
        let request = UploadCertificateRequest {
            certificate: anchor.pem(),
            name: None,
            cel_policy: policy.map(str::to_owned),
        };
        self.api
            .certificates()
            .upload(&request)
            .await
            .unwrap()
            .id
            .clone()
    }

    /// Activates and waits until the gateway enforces it.
    pub(crate) async fn activate(&self, scope: &Scope, id: &CertificateId) {
        let done = self
            .api
            .certificates()
            .activate(scope, std::slice::from_ref(id))
            .await
            .unwrap();
        self.enforced(done.revision.unwrap()).await;
    }

    pub(crate) async fn deactivate(&self, scope: &Scope, id: &CertificateId) {
        let done = self
            .api
            .certificates()
            .deactivate(scope, std::slice::from_ref(id))
            .await
            .unwrap();
        self.enforced(done.revision.unwrap()).await;
    }

    /// Waits until every gateway reports a revision, which it does only once it enforces it.
    pub(crate) async fn enforced(&self, revision: u64) {
        let reached = async {
            loop {
                let known = self.api.countersign().gateways().await.unwrap();
                if known.gateways.iter().all(|each| each.revision >= revision) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, reached)
            .await
            .expect("the gateway to enforce the change");
    }

    /// Activates the CA at the project; its id, and a leaf that passes.
    pub(crate) async fn with_active_ca(&self) -> (CertificateId, Minted) {
        let id = self.upload(&self.ca, None).await;
        self.activate(&self.scope(), &id).await;
        let leaf = self
            .ca
            .leaf("billing")
            .attribute(oid::ORGANIZATIONAL_UNIT, "Production")
            .san(General::dns("billing.example.com"))
            .mint();
        (id, leaf)
    }

    /// The code of one `GET /v1/echo` on a new connection; empty if it passes.
    pub(crate) async fn code(&self, chain: &[&Minted], key: &str) -> String {
        self.try_code(chain, key).await.expect("an answer")
    }

    /// The same; `None` when the response is cut.
    pub(crate) async fn try_code(&self, chain: &[&Minted], key: &str) -> Option<String> {
        let mut connection = self.tls(chain).connect(self.address()).await;
        Some(connection.try_get("/v1/echo", key, "").await?.code())
    }
}

impl Drop for World {
    /// Whoever needs the end of the gateway stops it before.
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            std::thread::spawn(move || gateway.stop());
        }
    }
}

pub(crate) async fn start_plane(store: &Store) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = App::new(store.clone(), &Sources::system()).unwrap();
    let limits = ServerLimits::default();
    tokio::spawn(async move {
        serve(listener, router(app), None, limits, std::future::pending()).await;
    });
    address
}

/// Creates a project and a key of it.
pub(crate) async fn make_project(api: &Client, name: &str) -> (ProjectId, String) {
    let request = ProjectCreateRequest {
        name: name.to_owned(),
        residency: None,
        external_key_id: None,
    };
    let project = api.projects().create(&request).await.unwrap().id.clone();
    let request = ServiceAccountCreateRequest {
        name: "robot".to_owned(),
        create_service_account_only: None,
    };
    let account = api
        .service_accounts(&project)
        .create(&request)
        .await
        .unwrap()
        .value
        .into_inner();
    (project, account.api_key.unwrap().value.reveal().to_owned())
}

/// A route for everything, whose upstream is set later.
fn route() -> Route {
    Route::to(Vec::new())
}

async fn options(
    directory: &TempDir,
    server_ca: &Minted,
    store: &Store,
    plane: SocketAddr,
) -> GatewayOptions {
    let server = server_ca
        .leaf("localhost")
        .eku(&[oid::SERVER_AUTH])
        .san(General::dns("localhost"))
        .mint();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let gateway_key = store.create_gateway_key("test").await.unwrap().value;
    GatewayOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        name: Some("test".to_owned()),
        certificate: write("server.pem", &server.pem()),
        private_key: write("server.key", &server.key_pem()),
        control_plane: format!("http://{plane}/v1"),
        control_plane_ca: None,
        allow_cleartext: false,
        key_file: write("gateway.key", gateway_key.reveal()),
        data_dir: directory.path().join("gateway"),
        identity: IdentitySource::Bearer,
        decisions: Vec::new(),
        routes: vec![route()],
        proxy_protocol: false,
        proxy_protocol_senders: this_machine(),
        client_cert_header: false,
        xfcc_header: false,
        xfcc_fields: Vec::new(),
        xfcc_format: XfccFormat::default(),
        forwarded_headers: ForwardedHeaders::default(),
        traceparent: Traceparent::default(),
        paths: Paths::default(),
        access_log: Some(directory.path().join("access.log")),
        access_log_group_readable: false,
        admin_listen: Some("127.0.0.1:0".parse().unwrap()),
        project_metrics: 0,
        token_exchange: countersign_gateway::options::TokenExchange::default(),
        log: countersign_gateway::options::Log::default(),
        observations: false,
        observation_interval: Duration::from_millis(20),
        threads: Some(2),
        limits: Limits::default(),
    }
}
