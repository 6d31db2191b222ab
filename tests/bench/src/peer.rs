//! Whatever else one would compare with: started, asked and stopped as a line on the command line says.

use crate::{
    Failure,
    contender::{Contender, Door, Part},
    upstream::{Answer, CREDENTIAL},
};
use house::Process;
use http::Uri;
use std::{env, net::SocketAddr, path::Path, str::FromStr, time::Duration};
use tokio::{net::TcpStream, time::sleep};

/// How long it may take to listen: some are built at their start.
const PATIENCE: u32 = 60;

/// Where the name of the answer stands in a peer's URL.
const ANSWER: &str = "{answer}";

/// `name=start command,url=…,body=…[,header=…]…`
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    name: String,
    start: String,
    url: String,
    body: String,
    headers: Vec<String>,
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (name, rest) = line.split_once('=').ok_or("it has no name: name=start command,url=…,body=…")?;
        // Commands and bodies have commas of their own, so that only these words end what is before them.
        let mut words: Vec<(usize, &str)> =
            [",url=", ",body=", ",header="].into_iter().flat_map(|word| rest.match_indices(word)).collect();
        words.sort_unstable();
        let ends = words.iter().skip(1).map(|(at, _)| *at).chain([rest.len()]);
        let mut peer = Self {
            name: name.to_owned(),
            start: rest.get(..words.first().map_or(rest.len(), |(at, _)| *at)).unwrap_or_default().to_owned(),
            url: String::new(),
            body: String::new(),
            headers: Vec::new(),
        };
        for ((at, word), end) in words.iter().zip(ends) {
            let value = rest.get(at + word.len()..end).unwrap_or_default().to_owned();
            match *word {
                ",url=" => peer.url = value,
                ",body=" => peer.body = value,
                _ => peer.headers.push(value),
            }
        }
        match (peer.url.is_empty(), peer.body.is_empty()) {
            (true, _) => Err(String::from("it has no `,url=…`")),
            (_, true) => Err(String::from("it has no `,body=…`")),
            _ => Ok(peer),
        }
    }
}

impl Peer {
    /// Starts it and waits until it listens. A URL without `{answer}` gives the small one.
    pub(crate) async fn open(&self, folder: &Path, upstream: SocketAddr) -> Result<Contender, Failure> {
        let mut environment: Vec<(&str, String)> =
            vec![("UPSTREAM", upstream.to_string()), ("UPSTREAM_TOKEN", CREDENTIAL.to_owned())];
        // A stranger may need what its author has set; a house gets nothing but its own.
        let inherited: Vec<(String, String)> = env::vars().collect();
        environment.extend(inherited.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let output = folder.join(format!("{}.output", self.name));
        // Leading a group of its own, it is found with all that it has started, even behind what has ended.
        let arguments = ["sh", "-c", &self.start].map(str::to_owned);
        let process = Process::start(Path::new("setsid"), &arguments, &environment, &output);
        let uri: Uri = self.url.replace(ANSWER, "answer").parse()?;
        let address = authority(&uri)?;
        let mut peer = Contender::new(&self.name, address, vec![Part { role: "peer", process }]);
        if !listens(address).await {
            peer.end().await?;
            return Err(format!("{} does not listen on {address}", self.name).into());
        }
        let both: &[Answer] = &[Answer::Small, Answer::Large];
        let answers = if self.url.contains(ANSWER) { both } else { &[Answer::Small] };
        for answer in answers {
            let uri: Uri = self.url.replace(ANSWER, answer.name()).parse()?;
            let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            let headers = self.headers.iter().map(|header| format!("{header}\r\n")).collect();
            peer.has(*answer, Door { path, headers, body: self.body.clone() });
        }
        Ok(peer)
    }
}

fn authority(uri: &Uri) -> Result<SocketAddr, Failure> {
    let authority = uri.authority().ok_or("a peer's url is like http://127.0.0.1:4000/graphql")?;
    Ok(authority.as_str().replace("localhost", "127.0.0.1").parse()?)
}

async fn listens(address: SocketAddr) -> bool {
    for _ in 0..PATIENCE * 10 {
        if TcpStream::connect(address).await.is_ok() {
            return true;
        }
        sleep(Duration::from_millis(100)).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_have_commas_and_equal_signs_in_its_values() {
        let line = r#"x=run --a=1,2 -b,url=http://127.0.0.1:4/g?a=b,body={"a":1,"n":"{n}"},header=A: b,header=C: d,e"#;
        let peer: Peer = line.parse().unwrap();
        assert_eq!((peer.name.as_str(), peer.start.as_str()), ("x", "run --a=1,2 -b"));
        assert_eq!(peer.url, "http://127.0.0.1:4/g?a=b");
        assert_eq!(peer.body, r#"{"a":1,"n":"{n}"}"#);
        assert_eq!(peer.headers, ["A: b", "C: d,e"]);
        assert!("x=run,url=http://127.0.0.1:4".parse::<Peer>().is_err());
    }
}
