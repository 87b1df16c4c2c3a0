//! What is measured of every server.

use crate::bench::gateway::traffic::Load;

/// A quantity, and the load that shows it.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static [&'static str],
    /// How many answers in one sample, or in one part of it.
    pub(crate) count: usize,
    pub(crate) what: What,
}

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The server's CPU, in microseconds an answer.
    Cpu,
    /// The same, each connection with a leaf that the server never saw.
    CpuUnseen,
    /// The time to an answer, above the upstream's own, in microseconds.
    Latency,
}

/// The names that the goals are found by.
pub(crate) const SEEN: &str = "new connection, leaf seen before";
pub(crate) const UNSEEN: &str = "new connection, leaf never seen";
pub(crate) const GET: &str = "kept-alive HTTP/1.1 GET";
pub(crate) const POST: &str = "kept-alive HTTP/1.1 POST";
pub(crate) const HTTP2: &str = "kept-alive HTTP/2 GET";
pub(crate) const LARGE: &str = "streamed answer, 1 MiB";
pub(crate) const MEMORY: &str = "idle connection, memory";
pub(crate) const P50: &str = "added latency, p50";
pub(crate) const P99: &str = "added latency, p99";
pub(crate) const SLOW: &str = "answers that took over 1 ms";

/// Requests each millisecond when latency is measured.
const PACE: &str = "2";

/// In how many parts the latency of a round is measured, each with every server: what disturbs the machine for
/// a moment then disturbs a small part of each, and not the whole of one.
pub(crate) const PARTS: usize = 8;

/// What is measured in rounds: `scale` is how much of it.
pub(crate) const fn all(scale: usize) -> [Measure; 7] {
    const fn cpu(name: &'static str, kind: &'static [&'static str], count: usize) -> Measure {
        Measure {
            name,
            kind,
            count,
            what: What::Cpu,
        }
    }
    let unseen = Measure {
        what: What::CpuUnseen,
        ..cpu(UNSEEN, &["connections", "--unseen"], 30 * scale)
    };
    let latency = Measure {
        what: What::Latency,
        ..cpu(P50, &["paced", PACE], 10 * scale)
    };
    [
        cpu(SEEN, &["connections"], 30 * scale),
        unseen,
        cpu(GET, &["requests", "get"], 300 * scale),
        cpu(POST, &["requests", "post"], 300 * scale),
        cpu(HTTP2, &["requests", "http2"], 300 * scale),
        cpu(LARGE, &["large", "1048576"], 10 * scale),
        latency,
    ]
}

impl Measure {
    /// The load of one round.
    pub(crate) fn load(&self, round: usize) -> Load {
        Load {
            kind: self.kind.iter().map(ToString::to_string).collect(),
            count: self.count,
            leaf: self.first_leaf(round),
        }
    }

    /// Leaf 0 is the one that is repeated.
    fn first_leaf(&self, round: usize) -> usize {
        match self.what {
            What::CpuUnseen => 1 + round * self.count,
            What::Cpu | What::Latency => 0,
        }
    }

    /// How many leaves this many rounds use.
    pub(crate) fn leaves(&self, rounds: usize) -> usize {
        match self.what {
            What::CpuUnseen => 1 + rounds * self.count,
            What::Cpu | What::Latency => 1,
        }
    }
}
