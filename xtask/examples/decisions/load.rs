//! An Envoy's questions, over one connection: so many at once, or so many each second.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{HttpRequest, Request},
    authorization_client::AuthorizationClient,
    check_response::HttpResponse,
};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::outcome::Outcome;

/// How many questions are under way, where no rate is given.
const AT_ONCE: usize = 16;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[arg(long)]
    address: SocketAddr,
    /// Where the leaves are.
    #[arg(long)]
    directory: PathBuf,
    #[arg(long)]
    key: String,
    #[arg(long)]
    secret: String,
    #[arg(long)]
    count: usize,
    /// Questions a second; without it, as many as are answered.
    #[arg(long)]
    rate: Option<u32>,
}

type Client = AuthorizationClient<Channel>;

pub(super) async fn run(arguments: Arguments) -> Outcome {
    let client = Client::connect(format!("http://{}", arguments.address)).await?;
    let questions = questions(&arguments)?;
    let took = match arguments.rate {
        None => as_answered(&client, &questions, &arguments).await?,
        Some(rate) => at_a_rate(&client, &questions, &arguments, rate).await?,
    };
    let took_ns: Result<Vec<_>, _> = took.iter().map(|took| took.as_nanos().try_into()).collect();
    let took_ns: Vec<u64> = took_ns?;
    println!("{}", json!({ "answers": took.len(), "took_ns": took_ns }));
    Ok(())
}

/// A question for each leaf, with the headers of an ordinary request.
fn questions(arguments: &Arguments) -> Outcome<Vec<CheckRequest>> {
    let pems = std::fs::read_to_string(arguments.directory.join("leaves.pem"))?;
    let ends = "-----END CERTIFICATE-----";
    let begins = "-----BEGIN CERTIFICATE-----";
    let leaves = pems.split(begins).skip(1).filter_map(|rest| {
        let (body, _) = rest.split_once(ends)?;
        Some(format!("{begins}{body}{ends}\n"))
    });
    let questions = leaves.map(|leaf| {
        let escaped = leaf
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D")
            .replace('\n', "%0A")
            .replace(' ', "%20");
        let headers = [
            (":authority", "api.example.com".to_owned()),
            (":path", "/v1/responses".to_owned()),
            (":method", "POST".to_owned()),
            (":scheme", "https".to_owned()),
            ("accept", "application/json".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("user-agent", "OpenAI/Python 3.54.0".to_owned()),
            ("authorization", format!("Bearer {}", arguments.key)),
            (
                "x-request-id",
                "8c7f2a31-59d2-4b60-9f0e-2d3f5f1f7a10".to_owned(),
            ),
            ("x-forwarded-proto", "https".to_owned()),
            ("x-forwarded-client-cert", format!("Chain=\"{escaped}\"")),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        CheckRequest {
            attributes: Some(AttributeContext {
                request: Some(Request {
                    http: Some(HttpRequest {
                        method: "POST".to_owned(),
                        path: "/v1/responses".to_owned(),
                        host: "api.example.com".to_owned(),
                        headers: headers.into(),
                        ..HttpRequest::default()
                    }),
                    ..Request::default()
                }),
                ..AttributeContext::default()
            }),
        }
    });
    Ok(questions.collect())
}

/// Asks once. Any answer but a yes is a failure: refusals would make a server look fast.
async fn ask(mut client: Client, question: CheckRequest, secret: String) -> Outcome<Duration> {
    let mut request = tonic::Request::new(question);
    let metadata = request.metadata_mut();
    metadata.insert("x-countersign-proxy-secret", secret.parse()?);
    let began = Instant::now();
    let answer = client.check(request).await?.into_inner();
    let took = began.elapsed();
    match answer.http_response {
        Some(HttpResponse::OkResponse(_)) => Ok(took),
        other => Err(format!("refused: {other:?}").into()),
    }
}

async fn as_answered(
    client: &Client,
    questions: &[CheckRequest],
    arguments: &Arguments,
) -> Outcome<Vec<Duration>> {
    let mut tasks = JoinSet::new();
    let mut took = Vec::with_capacity(arguments.count);
    for question in questions.iter().cycle().take(arguments.count) {
        if tasks.len() >= AT_ONCE
            && let Some(done) = tasks.join_next().await
        {
            took.push(done??);
        }
        tasks.spawn(ask(
            client.clone(),
            question.clone(),
            arguments.secret.clone(),
        ));
    }
    while let Some(done) = tasks.join_next().await {
        took.push(done??);
    }
    Ok(took)
}

async fn at_a_rate(
    client: &Client,
    questions: &[CheckRequest],
    arguments: &Arguments,
    rate: u32,
) -> Outcome<Vec<Duration>> {
    let mut tasks = JoinSet::new();
    let each = Duration::from_secs(1) / rate.max(1);
    let mut next = Instant::now();
    for question in questions.iter().cycle().take(arguments.count) {
        next += each;
        tokio::time::sleep_until(next.into()).await;
        tasks.spawn(ask(
            client.clone(),
            question.clone(),
            arguments.secret.clone(),
        ));
    }
    let mut took = Vec::with_capacity(arguments.count);
    while let Some(done) = tasks.join_next().await {
        took.push(done??);
    }
    Ok(took)
}
