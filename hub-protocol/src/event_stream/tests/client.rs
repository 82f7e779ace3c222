//! A client of an event stream, written from the standard's text. Fuzzing uses it, too.

/// An event as a client dispatches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dispatched {
    pub(crate) event_type: String,
    pub(crate) data: String,
    pub(crate) last_event_id: String,
}

/// A client: WHATWG HTML, "Interpreting an event stream".
#[derive(Default)]
pub(crate) struct Client {
    data: String,
    event_type: String,
    pub(crate) last_event_id: String,
    pub(crate) retry: Option<u64>,
    pub(crate) dispatched: Vec<Dispatched>,
}

impl Client {
    pub(crate) fn read(stream: &[u8]) -> Self {
        let text = str::from_utf8(stream).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut client = Self::default();
        // Lines end with CR LF, LF or CR; what follows the last one is no line.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<_> = text.split('\n').collect();
        lines.pop();
        for line in lines {
            client.line(line);
        }
        client
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.event_type = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.last_event_id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok();
            }
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        let event_type = std::mem::take(&mut self.event_type);
        if data.is_empty() {
            return;
        }
        data.pop();
        self.dispatched.push(Dispatched {
            event_type,
            data,
            last_event_id: self.last_event_id.clone(),
        });
    }
}
