//! Tokens: CPU of an exchange at the gateway and at the control plane, without the handshake, and of a request with
//! a remembered token beside one with a key. The gateway on one core, everything else on the other; medians over
//! the rounds.

use std::{fs, path::Path};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    bench::{
        gateway::{Countersign, Load, Target, Traffic, measuring::Measuring},
        report::{self, Goal},
        sampling::median,
        server::{self, Server, cpu_seconds_of_family},
    },
    process::{self, Outcome, say},
};

/// The name under which the gateway exchanges.
const HOST: &str = "auth.localhost";
/// As many as connections exchange at once.
const LEAVES: usize = 16;

/// Microseconds of CPU for each exchange or request, in every round.
#[derive(Default, Serialize)]
struct Figures {
    exchange_at_gateway: Vec<f64>,
    exchange_at_control_plane: Vec<f64>,
    request_with_key: Vec<f64>,
    request_with_token: Vec<f64>,
}

/// What is measured, and how much of it.
struct Bench<'a> {
    traffic: &'a Traffic,
    gateway: &'a Server,
    control_plane: &'a Server,
    target: &'a Target,
    body: String,
    exchanges: usize,
    requests: usize,
}

pub(crate) fn run(arguments: &Measuring) -> Outcome {
    let program = arguments.program()?;
    let directory = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(process::target_directory())?;
    server::raise_file_limit()?;
    server::pin_load()?;
    let traffic = Traffic::prepare(arguments.quick, directory.path(), LEAVES)?;
    let upstream = traffic.upstream()?;
    let countersign = Countersign::prepare(program, directory.path(), "tokens")?;
    let more = format!("\n[token_exchange]\nhosts = [\"{HOST}\"]\n");
    let gateway = countersign.start_with(&traffic, upstream.address, "Countersign", &more)?;
    let (exchanges, requests) = if arguments.quick {
        (64, 200)
    } else {
        (8_000, 100_000)
    };
    let bench = Bench {
        traffic: &traffic,
        gateway: &gateway.server,
        control_plane: &countersign.control_plane,
        target: &gateway.target,
        body: federate(&countersign)?,
        exchanges,
        requests,
    };
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    let mut figures = Figures::default();
    bench.warm_up()?;
    for round in 0..rounds {
        say(&format!("round {} of {rounds}", round + 1));
        bench.round(&mut figures)?;
    }
    finish(arguments.quick, arguments.json.as_deref(), &figures)
}

/// Makes a provider, a service account and a rule for the load's certificates; the body of their exchanges.
fn federate(countersign: &Countersign) -> Outcome<String> {
    let administration = &countersign.administration;
    let subject =
        json!({ "attribute": "openai.subject", "expression": "assertion.subject.common_name" });
    let names =
        json!({ "attribute": "openai.name", "expression": "assertion.subject_alt_names[0].value" });
    let providers = "workload_identity_providers";
    let provider =
        json!({ "type": "x509", "name": "load", "attribute_transformations": [subject, names] });
    let provider = administration.create(providers, &provider)?;
    let project = &administration.project;
    let accounts = format!("projects/{project}/service_accounts");
    let account = administration.create(&accounts, &json!({ "name": "load" }))?;
    let matchers: Value = json!({ "openai.subject": "client-*", "openai.name": "client-*" });
    let rule = json!({
        "project_id": project, "service_account_id": account, "attribute_matchers": matchers,
    });
    administration.create(&format!("{providers}/{provider}/federation_rules"), &rule)?;
    let body = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:openai:params:oauth:token-type:x509",
        "identity_provider_id": provider,
        "service_account_id": account,
    });
    Ok(body.to_string())
}

impl Bench<'_> {
    fn exchange(&self, count: usize) -> Outcome<String> {
        let exchange = (HOST, self.body.as_str());
        self.traffic.exchange(self.target, exchange, count)
    }

    fn send(&self, key: &str, count: usize) -> Outcome {
        let target = Target {
            key: key.to_owned(),
            ..self.target.clone()
        };
        let load = Load {
            kind: vec!["requests".to_owned(), "get".to_owned()],
            count,
            leaf: 0,
        };
        self.traffic.send(&target, &load).map(drop)
    }

    fn warm_up(&self) -> Outcome {
        let token = self.exchange(self.exchanges / 4)?;
        self.send(&token, self.requests / 4)?;
        self.send(&self.target.key, self.requests / 4)
    }

    fn round(&self, figures: &mut Figures) -> Outcome {
        let both = || -> Outcome<[f64; 2]> {
            let gateway = cpu_seconds_of_family(self.gateway.process())?;
            Ok([
                gateway,
                cpu_seconds_of_family(self.control_plane.process())?,
            ])
        };
        let [gateway, control_plane] = both()?;
        let token = self.exchange(self.exchanges)?;
        let [gateway_after, control_plane_after] = both()?;
        // What the connections themselves cost is less than a hundredth of this many exchanges.
        let each = 1e6 / f64::from(u32::try_from(self.exchanges)?);
        let at_gateway = (gateway_after - gateway) * each;
        figures.exchange_at_gateway.push(at_gateway);
        let at_control_plane = (control_plane_after - control_plane) * each;
        figures.exchange_at_control_plane.push(at_control_plane);
        let each = 1e6 / f64::from(u32::try_from(self.requests)?);
        for (key, figures) in [
            (&self.target.key, &mut figures.request_with_key),
            (&token, &mut figures.request_with_token),
        ] {
            let before = cpu_seconds_of_family(self.gateway.process())?;
            self.send(key, self.requests)?;
            let after = cpu_seconds_of_family(self.gateway.process())?;
            figures.push((after - before) * each);
        }
        Ok(())
    }
}

fn finish(quick: bool, file: Option<&Path>, figures: &Figures) -> Outcome {
    let [gateway, control_plane, key, token] = [
        &figures.exchange_at_gateway,
        &figures.exchange_at_control_plane,
        &figures.request_with_key,
        &figures.request_with_token,
    ]
    .map(|values| median(values.clone()));
    say(&format!("\n{:<30} {:>10}", "", "CPU us"));
    for (what, figure) in [
        ("exchange, at the gateway", gateway),
        ("exchange, at the control plane", control_plane),
        ("request with a key", key),
        ("request with a token", token),
    ] {
        say(&format!("{what:<30} {figure:>10.1}"));
    }
    let goals = [
        Goal::at_most("us of CPU of an exchange at the gateway", gateway, 250.0),
        Goal::at_most(
            "us of CPU of an exchange at the control plane",
            control_plane,
            400.0,
        ),
        Goal::at_most(
            "CPU of a request with a token by that of one with a key",
            token / key,
            1.02,
        ),
    ];
    if quick {
        say("a quick run judges no goal: it shows only that the benchmark works");
    } else {
        report::print_goals(&goals);
    }
    if let Some(file) = file {
        let report = json!({ "quick": quick, "cpu_us": figures, "goals": goals });
        fs::write(file, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}
