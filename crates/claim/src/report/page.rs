//! The frame of every page: head, style, foot.

/// A page under construction.
pub(super) struct Page {
    html: String,
}

impl Page {
    /// A page with its head and style.
    pub(super) fn new(title: &str) -> Self {
        // The icon is an empty one, so that no browser asks for a file.
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\
             <title>{}</title><style>{STYLE}</style></head><body><main>\n",
            escape(title)
        );
        Self { html }
    }

    /// Adds HTML.
    pub(super) fn push(&mut self, html: &str) {
        self.html.push_str(html);
        self.html.push('\n');
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        self.html.push_str("</main></body></html>\n");
        self.html
    }
}

/// Text as HTML text or attribute value.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Control characters are not allowed in HTML, escaped or not.
            control if control.is_control() && !matches!(control, '\n' | '\t') => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

const STYLE: &str = "
:root{color-scheme:light dark;--ground:#fbfaf7;--ink:#1d1c1a;--quiet:#6b6862;--line:#dedad1;--panel:#f3f1eb;
--holds:#1b7f4b;--fails:#b3261e;--inconclusive:#8a6d00;--vacuous:#6b4fa0;--not-run:#6b6862;
--series-0:#2f5d8a;--series-1:#c0612b;--series-2:#3b8a6e;--series-3:#9a4c8f;--series-4:#7a6a1f;--series-5:#7d7d7d}
@media (prefers-color-scheme:dark){:root{--ground:#171614;--ink:#eceae4;--quiet:#a09c93;--line:#3a3833;--panel:#201f1c;
--holds:#5cc890;--fails:#ff8a80;--inconclusive:#e0c04c;--vacuous:#b9a2ea;--not-run:#a09c93;
--series-0:#7fb0e0;--series-1:#f0995f;--series-2:#6fcfae;--series-3:#d890cc;--series-4:#cdbb60;--series-5:#b0b0b0}}
*{box-sizing:border-box}body{margin:0;background:var(--ground);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}
main{max-width:72rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:2.1rem;line-height:1.15;margin:.1rem 0 .4rem;letter-spacing:-.015em}h2{font-size:1.2rem;margin:2.4rem 0 .7rem}h3{font-size:.95rem;font-weight:500;margin:1.6rem 0 .5rem}
.eyebrow{text-transform:uppercase;letter-spacing:.08em;font-size:.75rem;color:var(--quiet);margin:0}
.paper{margin:.2rem 0 1rem;font-size:1.05rem}.quiet{color:var(--quiet);font-size:.86rem}
.note{border-left:3px solid var(--inconclusive);padding:.4rem .8rem;background:var(--panel)}
.reason{margin:.25rem 0 0;font-size:.88rem}td p,th p{margin:.2rem 0 0}
.tally{display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;margin:1rem 0}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;width:100%;font-size:.93rem}th,td{padding:.6rem .75rem;text-align:left;vertical-align:top}
td:first-child{min-width:17rem}
thead th{font-size:.75rem;text-transform:uppercase;letter-spacing:.05em;color:var(--quiet);background:var(--panel)}
tbody tr+tr>*{border-top:1px solid var(--line)}tbody th{font-weight:600}
.number{font-variant-numeric:tabular-nums;white-space:nowrap}.number .quiet{white-space:normal}
.badge{display:inline-block;padding:.05rem .5rem;border:1px solid currentColor;border-radius:99px;font-size:.8rem;
font-weight:600;white-space:nowrap}.holds{color:var(--holds)}.fails{color:var(--fails)}
.inconclusive,.stale{color:var(--inconclusive)}.vacuous{color:var(--vacuous)}.not-run{color:var(--not-run)}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:1rem}
figure{margin:0;padding:.8rem;border:1px solid var(--line);border-radius:6px}figcaption{font-size:.86rem;margin-bottom:.4rem}
svg{display:block;max-width:100%;height:auto}svg text{fill:var(--quiet);font:11px system-ui,sans-serif}
svg .axis{stroke:var(--line)}svg .margin{stroke:var(--fails);stroke-dasharray:3 2}
svg .ours{stroke:var(--ink);fill:var(--ink)}svg .control{stroke:var(--quiet);fill:var(--quiet)}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.2rem 1rem;font-size:.9rem}dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}
code,pre{font:.88em ui-monospace,SFMono-Regular,Menlo,monospace}pre{overflow-x:auto;background:var(--panel);padding:.8rem;border-radius:6px}
a{color:inherit}@media (max-width:40rem){main{padding:1.2rem .8rem 3rem}h1{font-size:1.6rem}}
@media print{.scroll{overflow:visible}}
";

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escape("<a href='x' on=\"y\">&\u{0}"),
            "&lt;a href=&#39;x&#39; on=&quot;y&quot;&gt;&amp;\u{fffd}"
        );
    }
}
