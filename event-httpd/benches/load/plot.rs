//! `benches/load.svg`: bars, legible on a light and on a dark page.

use std::fmt::Write as _;

use super::Result;
use super::figures::{Figures, Measure};
use super::parts::Part;
use super::report::by_server;
use super::servers::Peer;

struct Panel {
    title: &'static str,
    part: Part,
    work: &'static str,
    measure: Measure,
    unit: &'static str,
}

const fn panel(
    title: &'static str,
    part: Part,
    work: &'static str,
    measure: Measure,
    unit: &'static str,
) -> Panel {
    Panel {
        title,
        part,
        work,
        measure,
        unit,
    }
}

#[rustfmt::skip]
const PANELS: [Panel; 8] = [
    panel("Processor time per request", Part::Requests, "request", Measure::Processor, "µs"),
    panel("Processor time per request, pipelined by 16", Part::Requests, "request, pipelined by 16", Measure::Processor, "µs"),
    panel("Processor time per connection and request", Part::Connections, "connection and request, 64 at a time", Measure::Processor, "µs"),
    panel("Processor time per delivery, 100 receivers, 16 senders", Part::Fanout, "delivery, 100 receivers, 16 senders", Measure::Processor, "µs"),
    panel("Memory per silent connection", Part::Memory, "HTTP server", Measure::PerConnection, "bytes"),
    panel("Start to first answer", Part::Start, "first answer", Measure::Start, "ms"),
    panel("99 % of requests answered within, at half load", Part::Tail, "request at half load", Measure::P99, "µs"),
    panel("99.9 % of requests answered within, at half load", Part::Tail, "request at half load", Measure::P999, "µs"),
];

const WIDTH: usize = 820;
const COLUMN: usize = WIDTH / 2;
const NAME: usize = 110; // of the space for names
const BAR: usize = 190; // the longest
const LINE: usize = 20;
const HEIGHT: usize = 136; // of a panel

const STYLE: &str = "<style>\n\
    text { font: 12px system-ui, sans-serif; fill: #1f2328 }\n\
    .title { font-weight: 600 } .small { fill: #59636e; font-size: 11px }\n\
    .bar { fill: #a3adb8 } .ours { fill: #0969da }\n\
    @media (prefers-color-scheme: dark) {\n\
      text { fill: #f0f6fc } .small { fill: #9198a1 } .bar { fill: #656c76 } .ours { fill: #4493f8 }\n\
    }\n\
    </style>";

pub(crate) fn draw(figures: &Figures) -> Result<String> {
    let mut panels = String::new();
    let mut drawn = 0;
    for panel in &PANELS {
        let values = by_server(figures, panel.part, panel.work, panel.measure);
        if values.is_empty() {
            continue;
        }
        let (x, y) = (drawn % 2 * COLUMN + 10, drawn / 2 * HEIGHT + 34);
        drawn += 1;
        writeln!(panels, "<g transform=\"translate({x} {y})\">")?;
        writeln!(
            panels,
            "<text class=\"title\" y=\"10\">{}</text>",
            panel.title
        )?;
        let longest = values.values().copied().fold(f64::MIN_POSITIVE, f64::max);
        for (line, (peer, value)) in values.into_iter().enumerate() {
            let y = 20 + line * LINE;
            let length = (value / longest * BAR as f64).max(1.0);
            let class = if peer == Peer::Ours {
                "bar ours"
            } else {
                "bar"
            };
            let end = NAME as f64 + length + 6.0;
            let shown = panel.measure.write(value);
            writeln!(
                panels,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"{class}\" x=\"{NAME}\" y=\"{y}\" width=\"{length:.1}\" height=\"14\" rx=\"2\"/>\
                 <text x=\"{end:.1}\" y=\"{}\">{shown} {}</text>",
                NAME - 8,
                y + 11,
                peer.name(),
                y + 11,
                panel.unit,
            )?;
        }
        writeln!(panels, "</g>")?;
    }
    let height = drawn.div_ceil(2) * HEIGHT + 50;
    let note = figures.note(Part::Requests.name()).unwrap_or_default();
    let note = note.replace('&', "&amp;").replace('<', "&lt;");
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"event-httpd beside a C program on libevent, nginx, hyper and Redis\">\n\
         {STYLE}\n\
         <text class=\"small\" x=\"10\" y=\"16\">Shorter is better. One processor for the server, another for the client.</text>\n\
         {panels}\
         <text class=\"small\" x=\"10\" y=\"{}\">{note}</text>\n\
         </svg>\n",
        height - 10,
    ))
}
