//! What `dev` says of requests at the gateway: a line for each, and for a refusal the command that
//! explains it.

use std::{
    fmt::Write as _,
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use time::OffsetDateTime;
use tokio::{
    fs::File,
    io::{AsyncBufReadExt as _, AsyncSeekExt as _, BufReader},
};

use crate::{calm::line, clock, output::note};

/// How often the gateway's access log is looked at.
const EVERY: Duration = Duration::from_millis(200);
/// The most requests that are told of at once: more than a person can read are a load test, which is
/// not to be slowed down.
const MOST_AT_ONCE: u32 = 100;

/// A request of the gateway's access log.
#[derive(Deserialize)]
struct Passed {
    time: i64,
    request_id: String,
    method: Option<String>,
    path: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    report_code: Option<String>,
}

/// Says what passes the gateway, from its access log, until the runtime ends.
pub(super) async fn tell(access_log: PathBuf, program: String) {
    let Ok(mut lines) = end_of(&access_log).await else {
        return;
    };
    loop {
        let told = tell_new(&mut lines, &program).await;
        if told > MOST_AT_ONCE && lines.seek(SeekFrom::End(0)).await.is_ok() {
            let all = access_log.display();
            note(&format!(
                "          more requests than are shown here; all are in {all}"
            ));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Says what is new; of how many requests, which is one more than it says of most at once.
async fn tell_new(lines: &mut BufReader<File>, program: &str) -> u32 {
    let mut line = String::new();
    for told in 0..=MOST_AT_ONCE {
        // A line without its end is still being written, and is read again.
        let begin = lines.stream_position().await.unwrap_or_default();
        let read = lines.read_line(&mut line).await.unwrap_or_default();
        if read == 0 || !line.ends_with('\n') {
            let _ = lines.seek(SeekFrom::Start(begin)).await;
            return told;
        }
        if told < MOST_AT_ONCE
            && let Ok(passed) = serde_json::from_str::<Passed>(&line)
        {
            note(&passed.told(program));
        }
        line.clear();
    }
    MOST_AT_ONCE + 1
}

async fn end_of(path: &Path) -> io::Result<BufReader<File>> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::End(0)).await?;
    Ok(BufReader::new(file))
}

impl Passed {
    fn told(&self, program: &str) -> String {
        let status = self
            .status
            .map_or_else(String::new, |status| status.to_string());
        let code = self.code.as_deref();
        let reported = self.report_code.as_deref().filter(|code| *code != "permit");
        let mut what = match (code, reported) {
            (Some(code), _) => format!("{status} {code}"),
            (None, Some(code)) => format!("{status}, once enforced: {code}"),
            (None, None) => status,
        };
        if code.or(reported).is_some() {
            let _ = write!(what, "   {program} explain {}", self.request_id);
        }
        let at = OffsetDateTime::from_unix_timestamp(self.time);
        line(
            at.unwrap_or_else(|_| clock::now()),
            self.method.as_deref().unwrap_or("-"),
            self.path.as_deref().unwrap_or("-"),
            &what,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_comes_with_the_command_that_explains_it() {
        let told = |line: &str| {
            serde_json::from_str::<Passed>(line)
                .unwrap()
                .told("countersign")
        };
        let passed = r#"{"time":0,"request_id":"req_a","method":"GET","path":"/v1/x","code":null,"status":200}"#;
        assert_eq!(told(passed), "00:00:00  GET /v1/x  200");
        let refused = passed
            .replace("null", "\"certificate_required\"")
            .replace("200", "401");
        assert_eq!(
            told(&refused),
            "00:00:00  GET /v1/x  401 certificate_required   countersign explain req_a"
        );
        let reported = passed.replace("}", ",\"report_code\":\"certificate_required\"}");
        assert!(told(&reported).contains("200, once enforced: certificate_required"));
    }
}
