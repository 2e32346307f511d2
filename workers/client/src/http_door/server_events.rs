//! Server-sent events out of the pieces in which they come. Pure.

/// More than this without an end is no event of ours: a message has at most 1 MB.
const LONGEST: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ServerEvent {
    /// What a stream goes on behind.
    pub(super) id: Option<String>,
    /// What kind.
    pub(super) name: String,
    /// What it says.
    pub(super) data: String,
}

/// What was read and is not an event yet.
#[derive(Debug, Default)]
pub(super) struct ServerEvents {
    rest: Vec<u8>,
    begun: ServerEvent,
}

/// Something else than events comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has no end")]
pub(super) struct TooLong;

impl ServerEvents {
    /// The events that end within this piece.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Vec<ServerEvent>, TooLong> {
        self.rest.extend_from_slice(piece);
        let mut ended = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            ended.extend(self.line(line.trim_end_matches(['\r', '\n'])));
        }
        if self.rest.len() + self.begun.data.len() > LONGEST { Err(TooLong) } else { Ok(ended) }
    }

    fn line(&mut self, line: &str) -> Option<ServerEvent> {
        if line.is_empty() {
            let ended = std::mem::take(&mut self.begun);
            return Some(ended).filter(|event| !event.data.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.begun.id = Some(value.to_owned()),
            "event" => self.begun.name = value.to_owned(),
            "data" => {
                if !self.begun.data.is_empty() {
                    self.begun.data.push('\n');
                }
                self.begun.data.push_str(value);
            }
            // A comment shows that the stream is alive; other fields are none of ours.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let text =
            b"id: 1\nevent: A\ndata: {\"a\":\ndata: 1}\n\n: alive\n\nid:2\r\nevent:B\r\ndata:x\r\n\r\nid: 3\ndata: not";
        let event = |id: &str, name: &str, data: &str| ServerEvent {
            id: Some(id.to_owned()),
            name: name.to_owned(),
            data: data.to_owned(),
        };
        for size in [1, 3, 7, text.len()] {
            let mut events = ServerEvents::default();
            let found: Vec<ServerEvent> = text.chunks(size).flat_map(|piece| events.push(piece).unwrap()).collect();
            assert_eq!(found, [event("1", "A", "{\"a\":\n1}"), event("2", "B", "x")], "{size}");
        }
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        let mut events = ServerEvents::default();
        assert_eq!(events.push(&vec![b'x'; LONGEST + 1]), Err(TooLong));
    }
}
