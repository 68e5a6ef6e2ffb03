//! Op times as a Chrome trace (chrome://tracing, Perfetto).

use std::path::Path;

use drdiff::graph::OpTime;
use drdiff::model::write_whole;
use serde_json::{Value, json};

/// Events so far; each step begins where the one before ended.
#[derive(Default)]
pub struct Trace {
    events: Vec<Value>,
    end: f64,
}

impl Trace {
    pub fn add(&mut self, step: usize, times: Vec<OpTime>) {
        let origin = times.first().map_or(0.0, |time| time.begin);
        let base = self.end;
        for time in times {
            let begin = base + (time.begin - origin) / 1e3;
            let duration = (time.end - time.begin) / 1e3;
            self.end = self.end.max(begin + duration);
            self.events.push(json!({
                "name": time.name, "cat": "op", "ph": "X", "pid": 1, "tid": 1,
                "ts": begin, "dur": duration, "args": { "step": step },
            }));
        }
    }

    pub fn write(self, path: &Path) -> drdiff::Result<()> {
        let trace = json!({ "displayTimeUnit": "ms", "traceEvents": self.events });
        write_whole(path, trace.to_string().as_bytes())
    }
}
