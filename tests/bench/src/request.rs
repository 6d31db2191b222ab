//! As much of HTTP/1.1 as a load generator and its upstream need.

use memchr::memmem;
use std::net::SocketAddr;

/// A request with a JSON body, as it goes over the wire.
pub(crate) fn write(method: &str, path: &str, host: SocketAddr, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Type: application/json\r\n\
         Accept: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The header field that presents a bearer.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// The body of a whole message, without the frames of its chunks.
pub(crate) fn body(message: &[u8]) -> Option<Vec<u8>> {
    let head = memmem::find(message, b"\r\n\r\n")? + 4;
    let (lines, mut rest) = message.split_at(head);
    if field(lines, b"transfer-encoding").is_none() {
        return Some(rest.to_vec());
    }
    let mut body = Vec::new();
    loop {
        let line = memmem::find(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..line)?).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 2 + size + 2..)?;
    }
}

/// Where the head of the message at the start of `read` ends, and the message; `None` while some of it is missing.
/// A body has a length or comes in chunks; with neither there is none.
pub(crate) fn measure(read: &[u8]) -> Option<(usize, usize)> {
    let head = memmem::find(read, b"\r\n\r\n")? + 4;
    let (lines, rest) = read.split_at(head);
    let body = match (field(lines, b"content-length"), field(lines, b"transfer-encoding")) {
        (Some(length), _) => std::str::from_utf8(length).ok()?.parse().ok()?,
        (None, Some(_)) => chunked(rest)?,
        (None, None) => 0,
    };
    (rest.len() >= body).then_some((head, head + body))
}

/// The status of an answer; 0 where it has none.
pub(crate) fn status(head: &[u8]) -> u16 {
    let digits = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The value of a header field whose name is given in lower case.
fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (start, value) = line.split_at_checked(name.len())?;
        (start.eq_ignore_ascii_case(name) && value.first() == Some(&b':'))
            .then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// How long a chunked body is, frames included.
fn chunked(body: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = body.get(at..)?;
        let line = memmem::find(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..line)?).ok()?.trim(), 16).ok()?;
        at += line + 2 + size + 2;
        if size == 0 {
            return (body.len() >= at).then_some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_measured_when_all_of_it_is_there() {
        let message = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP";
        assert_eq!(measure(message), Some((38, 40)));
        assert_eq!(measure(&message[..39]), None);
        assert_eq!(status(message), 200);
    }

    #[test]
    fn chunks_are_counted_to_the_last() {
        let message = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(measure(message), Some((47, message.len())));
        assert_eq!(measure(&message[..message.len() - 1]), None);
        assert_eq!(body(message), Some(b"abc".to_vec()));
    }
}
