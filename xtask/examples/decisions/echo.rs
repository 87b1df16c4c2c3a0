//! A bare gRPC server: `tonic` on hyper, as it comes. It answers with as many headers as the gateway.

use std::net::SocketAddr;

use envoy_types::pb::envoy::{
    config::core::v3::{HeaderValue, HeaderValueOption},
    service::auth::v3::{
        CheckRequest, CheckResponse, OkHttpResponse,
        authorization_server::{Authorization, AuthorizationServer},
        check_response::HttpResponse,
    },
};
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use crate::outcome::Outcome;

/// Header names as long as the gateway's own.
const NAMES: [&str; 6] = [
    "x-countersign-organization",
    "x-countersign-project",
    "x-countersign-key",
    "x-countersign-certificate",
    "x-countersign-leaf-sha256",
    "x-request-id",
];

struct Echo;

#[tonic::async_trait]
impl Authorization for Echo {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        drop(request);
        let headers = NAMES.map(|name| HeaderValueOption {
            header: Some(HeaderValue {
                key: name.to_owned(),
                value: "a-value-as-long-as-an-identifier".to_owned(),
                ..HeaderValue::default()
            }),
            ..HeaderValueOption::default()
        });
        let allowed = OkHttpResponse {
            headers: headers.into(),
            ..OkHttpResponse::default()
        };
        Ok(Response::new(CheckResponse {
            http_response: Some(HttpResponse::OkResponse(allowed)),
            ..CheckResponse::default()
        }))
    }
}

pub(super) async fn serve(address: SocketAddr) -> Outcome {
    let listener = TcpListener::bind(address).await?;
    let service = AuthorizationServer::new(Echo);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        let serving = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(serving);
    }
}
