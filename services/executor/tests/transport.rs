//! What lies between the executor and a good upstream: compression, TLS, HTTP/2, proxies, long answers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails ends here"
)]

mod support;

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use bytes::Bytes;
use executor::Proxy;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use model::Reason;
use proto::Execute;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{
    House, MUTATION, QUERY, collect,
    upstream::{Act, GOOD, Upstream, reply},
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
};

async fn written<W: AsyncWrite + Unpin>(mut encoder: W, text: &[u8]) -> W {
    encoder.write_all(text).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder
}

async fn compressed(text: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    [
        ("gzip", written(GzipEncoder::new(Vec::new()), text).await.into_inner()),
        ("br", written(BrotliEncoder::new(Vec::new()), text).await.into_inner()),
        ("zstd", written(ZstdEncoder::new(Vec::new()), text).await.into_inner()),
    ]
}

#[tokio::test]
async fn compressed_answers_arrive_as_they_were() {
    let house = House::open();
    let long = format!(r#"{{"data":"{}"}}"#, "0123456789".repeat(100_000));
    for text in [GOOD, &long] {
        for (coding, body) in compressed(text.as_bytes()).await {
            let fields = format!("Content-Encoding: {coding}\r\n");
            let upstream = Upstream::start([Act::Write(reply("200 OK", &fields, body))]).await;
            let grant = house.grant(QUERY, &upstream.url);
            assert!(house.good(&grant).await == text, "{coding}, {} bytes", text.len());
            assert!(upstream.seen()[0].head.contains("accept-encoding: gzip, br, zstd\r\n"));
        }
    }
}

#[tokio::test]
async fn a_bomb_is_stopped_at_the_limit() {
    let house = House::open_with(|config| config.max_response_bytes = 1 << 20);
    let bomb = format!(r#"{{"data":"{}"}}"#, " ".repeat(16 << 20));
    for (coding, body) in compressed(bomb.as_bytes()).await {
        assert!(body.len() < 1 << 20, "{coding}");
        let fields = format!("Content-Encoding: {coding}\r\n");
        let upstream = Upstream::start([Act::Write(reply("200 OK", &fields, body))]).await;
        let grant = house.grant(QUERY, &upstream.url);
        let answer = house.call(&grant).await.unwrap();
        let fault = collect(answer.body).await.unwrap_err();
        assert_eq!(fault.reason(), Reason::UpstreamResponseTooLarge, "{coding}");
        assert_eq!(house.good(&grant).await, GOOD, "{coding}");
    }
}

#[tokio::test]
async fn a_long_answer_arrives_byte_for_byte() {
    let house = House::open();
    let long = format!(r#"{{"data":[{}0]}}"#, "1234567890,".repeat(700_000));
    for padding in [0, 1, 255, 4096] {
        let long = format!("{long}{}", " ".repeat(padding));
        let upstream = Upstream::start([Act::Write(reply("200 OK", "", &long))]).await;
        let answer = house.call(&house.grant(QUERY, &upstream.url)).await.unwrap();
        assert!(matches!(answer.body, proto::Body::Stream(_)));
        assert!(collect(answer.body).await.unwrap() == long);
    }
}

#[tokio::test]
async fn an_answer_that_comes_slowly_is_waited_for() {
    let house = House::open();
    let reply = reply("200 OK", "", GOOD);
    for cut in [10, reply.len() - 5] {
        let go_on = Arc::new(Notify::new());
        let (first, rest) = reply.split_at(cut);
        let pause = Act::Pause(first.to_vec(), Arc::clone(&go_on), rest.to_vec());
        let upstream = Upstream::start([pause]).await;
        let waiting = tokio::spawn(house.executor.execute(house.grant(MUTATION, &upstream.url).call()));
        upstream.until_called(1).await;
        go_on.notify_one();
        assert!(waiting.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let house = House::open();
    let upstream = Upstream::start([]).await;
    let grant = house.grant(MUTATION, &upstream.url);
    for _ in 0..10 {
        house.good(&grant).await;
    }
    assert_eq!((upstream.calls(), upstream.connections()), (10, 1));
}

#[tokio::test]
async fn a_compressed_answer_leaves_its_connection_to_the_next() {
    for (coding, body) in compressed(GOOD.as_bytes()).await {
        let house = House::open();
        let fields = format!("Content-Encoding: {coding}\r\n");
        let whole = reply("200 OK", &fields, &body);
        let chunked = in_chunks("200 OK", &fields, &body);
        // The last chunk, which is empty, comes by itself.
        let (most, last) = chunked.split_at(chunked.len() - 5);
        let go_on = Arc::new(Notify::new());
        go_on.notify_one();
        let apart = Act::Pause(most.to_vec(), go_on, last.to_vec());
        let upstream = Upstream::start([Act::Write(whole), Act::Write(chunked.clone()), apart]).await;
        let grant = house.grant(MUTATION, &upstream.url);
        for _ in 0..4 {
            assert_eq!(house.good(&grant).await, GOOD, "{coding}");
        }
        assert_eq!((upstream.calls(), upstream.connections()), (4, 1), "{coding}");
    }
}

#[tokio::test]
async fn an_answer_of_several_members_is_read_to_its_end() {
    let (begin, end) = GOOD.split_at(10);
    let (begin, end) = (compressed(begin.as_bytes()).await, compressed(end.as_bytes()).await);
    for ((coding, begin), (_, end)) in begin.into_iter().zip(end) {
        let fields = format!("Content-Encoding: {coding}\r\n");
        let upstream = Upstream::start([Act::Write(reply("200 OK", &fields, [begin, end].concat()))]).await;
        let house = House::open();
        assert_eq!(house.good(&house.grant(QUERY, &upstream.url)).await, GOOD, "{coding}");
    }
}

#[tokio::test]
async fn a_failure_leaves_its_connection_to_the_next() {
    let house = House::open();
    let text = "no ".repeat(1_000);
    let failures = ["401 Unauthorized", "429 Too Many Requests", "500 Internal Server Error", "302 Found"];
    for status in failures {
        let replies = [reply(status, "", &text), in_chunks(status, "", text.as_bytes())];
        let upstream = Upstream::start(replies.map(Act::Write)).await;
        let grant = house.grant(MUTATION, &upstream.url);
        for _ in 0..2 {
            assert!(house.call(&grant).await.is_err(), "{status}");
        }
        assert_eq!(house.good(&grant).await, GOOD, "{status}");
        assert_eq!((upstream.calls(), upstream.connections()), (3, 1), "{status}");
    }
}

#[tokio::test]
async fn a_failure_that_does_not_end_is_not_waited_for() {
    let house = House::open();
    let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 10\r\n\r\n1".to_owned();
    let long = reply("500 Internal Server Error", "", " ".repeat(1 << 20));
    for act in [Act::Hang(head.into_bytes()), Act::Write(long)] {
        let upstream = Upstream::start([act]).await;
        let grant = house.grant(MUTATION, &upstream.url);
        let fault = house.call(&grant).await.map(|_| ()).unwrap_err();
        assert_eq!(fault.reason(), Reason::UpstreamError);
        assert_eq!(house.good(&grant).await, GOOD);
        assert_eq!(upstream.connections(), 2);
    }
}

/// The same as [`reply`], in one chunk.
fn in_chunks(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{fields}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
    [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

/// A good upstream over TLS that speaks what `alpn` says, and tells the HTTP version of each request.
async fn secure(alpn: &[&[u8]]) -> (String, CertificateDer<'static>, mpsc::Receiver<Version>) {
    secure_with(alpn, []).await
}

/// The same, with other answers to the first requests.
async fn secure_with(
    alpn: &[&[u8]],
    answers: impl IntoIterator<Item = Bytes>,
) -> (String, CertificateDer<'static>, mpsc::Receiver<Version>) {
    let script = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/graphql", listener.local_addr().unwrap().port());
    let (versions, seen) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let (versions, script) = (versions.clone(), Arc::clone(&script));
            let answer = service_fn(move |request: Request<Incoming>| {
                let versions = versions.clone();
                let answer = script.lock().unwrap().pop_front();
                async move {
                    versions.try_send(request.version()).unwrap();
                    request.into_body().collect().await.unwrap();
                    let answer = answer.unwrap_or(Bytes::from_static(GOOD.as_bytes()));
                    Ok::<_, Infallible>(Response::new(Full::new(answer)))
                }
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), answer).await.ok();
            });
        }
    });
    (url, certificate, seen)
}

#[tokio::test]
async fn over_tls_the_upstream_chooses_between_http_1_1_and_2() {
    let choices: [(&[&[u8]], Version); 3] = [
        (&[b"h2", b"http/1.1"], Version::HTTP_2),
        (&[b"http/1.1"], Version::HTTP_11),
        (&[], Version::HTTP_11),
    ];
    for (alpn, version) in choices {
        let (url, certificate, mut seen) = secure(alpn).await;
        let house = House::open_with(|config| config.upstream_ca = vec![certificate]);
        assert_eq!(house.good(&house.grant(MUTATION, &url)).await, GOOD);
        assert_eq!(seen.recv().await, Some(version));
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_hold_up_no_other_on_their_connection() {
    let long = Bytes::from(format!(r#"{{"data":"{}"}}"#, "0".repeat(2 << 20)));
    let (url, certificate, mut seen) = secure_with(&[b"h2"], vec![long; 20]).await;
    let house = House::open_with(|config| config.upstream_ca = vec![certificate]);
    let grant = house.grant(MUTATION, &url);
    let mut unread = Vec::new();
    for _ in 0..20 {
        unread.push(house.call(&grant).await.unwrap());
    }
    // Well before the unread calls' own deadline, which would make room again.
    let good = tokio::time::timeout(Duration::from_secs(5), house.good(&grant)).await;
    assert_eq!(good.unwrap(), GOOD);
    assert_eq!(seen.recv().await, Some(Version::HTTP_2));
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let (url, _, mut seen) = secure(&[b"h2"]).await;
    let house = House::open();
    let fault = house.refused(&house.grant(QUERY, &url)).await;
    assert_eq!(fault.reason(), Reason::UpstreamUnreachable);
    assert!(seen.try_recv().is_err());
}

/// A proxy that knows CONNECT, and tells the head of each request.
async fn tunnel(answer: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:word@{}", listener.local_addr().unwrap());
    let (heads, seen) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let host = head.split(' ').nth(1).unwrap().to_owned();
            heads.try_send(head).unwrap();
            client.write_all(answer.as_bytes()).await.unwrap();
            if answer.contains("200") {
                let mut server = TcpStream::connect(host).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await.ok() });
            }
        }
    });
    (url, seen)
}

#[tokio::test]
async fn https_goes_through_a_tunnel_where_there_is_a_proxy() {
    let (url, certificate, mut versions) = secure(&[b"h2"]).await;
    let (proxy, mut heads) = tunnel("HTTP/1.1 200 OK\r\n\r\n").await;
    let house = House::open_with(|config| {
        config.upstream_ca = vec![certificate];
        config.proxy = Proxy::new(&proxy, "", "").unwrap();
    });
    assert_eq!(house.good(&house.grant(QUERY, &url)).await, GOOD);
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("CONNECT localhost:"), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjp3b3jk"), "{head}");
    assert_eq!(versions.recv().await, Some(Version::HTTP_2));
}

#[tokio::test]
async fn a_proxy_that_refuses_makes_the_upstream_unreachable() {
    let (proxy, _heads) = tunnel("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let house = House::open_with(|config| config.proxy = Proxy::new(&proxy, "", "").unwrap());
    let fault = house.refused(&house.grant(QUERY, "https://upstream.invalid/")).await;
    assert_eq!(fault.reason(), Reason::UpstreamUnreachable);
}

#[tokio::test]
async fn http_is_asked_of_the_proxy_with_the_whole_uri() {
    let proxy = Upstream::start([]).await;
    let url = proxy.url.replace("http://", "http://user:word@");
    let house = House::open_with(|config| config.proxy = Proxy::new("", &url, "direct.invalid").unwrap());
    assert_eq!(house.good(&house.grant(QUERY, "http://upstream.invalid/graphql")).await, GOOD);
    let head = proxy.seen()[0].head.clone();
    assert!(head.starts_with("POST http://upstream.invalid/graphql HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: Basic"), "{head}");
    house.refused(&house.grant(QUERY, "http://direct.invalid/graphql")).await;
    assert_eq!(proxy.calls(), 1);
}
