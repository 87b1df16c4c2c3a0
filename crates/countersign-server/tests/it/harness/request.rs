//! A request to the server under test, and its answer, held against the documents as it arrives.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use http::HeaderMap;
use serde_json::Value;

use super::{Server, document};

pub(crate) struct Request {
    client: reqwest::Client,
    base: String,
    method: String,
    path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Request {
    pub(crate) fn new(server: &Server, method: &str, path: &str) -> Self {
        let request = Self {
            client: server.client.clone(),
            base: server.base.clone(),
            method: method.to_owned(),
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: None,
        };
        request.key(&server.key)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.no_key()
            .header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn no_key(mut self) -> Self {
        self.headers.remove("authorization");
        self
    }

    /// Adds a header beside those of that name that there are.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body(body.to_string().as_bytes(), "application/json")
    }

    /// A body of any bytes and any media type, even none.
    pub(crate) fn body(mut self, body: &[u8], media_type: &str) -> Self {
        self.headers.remove("content-type");
        self.body = Some(body.to_vec());
        if media_type.is_empty() {
            self
        } else {
            self.header("content-type", media_type)
        }
    }

    /// Sends it and checks what every answer must be: nobody can forget to.
    pub(crate) async fn send(self) -> Answer {
        let method = self.method.parse().unwrap();
        let mut request = self
            .client
            .request(method, format!("{}{}", self.base, self.path));
        request = request.headers(self.headers);
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.bytes().await.unwrap().to_vec();
        let answer = Answer {
            status,
            headers,
            text,
        };
        answer.check_headers();
        let path = self.path.split('?').next().unwrap_or_default();
        document::check(&self.method, path, status, &answer.body());
        answer
    }
}

impl IntoFuture for Request {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: Vec<u8>,
}

impl Answer {
    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(&self.text).expect("every answer is JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn expect_ok(self) -> Value {
        let body = self.body();
        assert_eq!(self.status, 200, "{body}");
        body
    }

    /// A refusal with this code and this parameter.
    #[track_caller]
    pub(crate) fn refused(&self, code: &str, param: Option<&str>) -> String {
        let error = &self.body()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert_eq!(error["param"].as_str(), param, "{error}");
        let known = countersign_types::error::ErrorCode::from_code(code).unwrap();
        assert_eq!(self.status, known.status(), "{error}");
        error["message"].as_str().unwrap().to_owned()
    }

    fn check_headers(&self) {
        let is = |name: &str, value: &str| {
            let all: Vec<_> = self.headers.get_all(name).iter().collect();
            assert_eq!(all, [value], "{name}");
        };
        is("content-type", "application/json");
        is("openai-version", "2020-10-01");
        is("cache-control", "no-store");
        assert!(self.header("x-request-id").unwrap().starts_with("req_"));
        assert!(
            self.header("openai-processing-ms")
                .unwrap()
                .parse::<u64>()
                .is_ok()
        );
        assert!(self.header("location").is_none());
        assert_eq!(self.header("retry-after").is_some(), self.status == 503);
        assert_eq!(self.header("allow").is_some(), self.status == 405);
    }
}

impl Request {
    /// The body of a success.
    pub(crate) async fn ok(self) -> Value {
        self.send().await.expect_ok()
    }

    /// The message of a refusal with this code and this parameter.
    pub(crate) async fn refused(self, code: &str, param: Option<&str>) -> String {
        self.send().await.refused(code, param)
    }
}
