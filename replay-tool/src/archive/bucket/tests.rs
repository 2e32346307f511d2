//! A bucket, before a server that answers by a script.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector as _, HttpErrorKind, HttpRequest, HttpRequestBody};

use super::*;

/// Answers one request after the other; `MARK` stands for the mark of the last object that was put.
struct Server {
    endpoint: String,
    /// Of each request the first line, and the number of its connection.
    asked: JoinHandle<Vec<(String, usize)>>,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    /// Status, further headers, body.
    Is(&'static str, &'static str, &'static str),
    /// Reads the request, and closes the connection.
    HangsUp,
    /// The same, and leaves that to whoever asked.
    IsSilent,
}

use Answer::{HangsUp, Is, IsSilent};

const DONE: Answer = Is("200 OK", "", "");
const THERE: Answer = Is("412 Precondition Failed", "", "<Error><Code>PreconditionFailed</Code></Error>");
const OURS: Answer =
    Is("200 OK", "last-modified: Sun, 29 Nov 2026 12:00:00 GMT\r\nx-amz-meta-archive-put: MARK\r\n", "");
const OTHERS: Answer =
    Is("200 OK", "last-modified: Sun, 29 Nov 2026 12:00:00 GMT\r\nx-amz-meta-archive-put: x\r\n", "");

impl Server {
    fn answering(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers.to_vec();
        Server { endpoint, asked: thread::spawn(move || answer_all(&listener, &answers)) }
    }

    fn bucket(&self) -> (Bucket, AmazonS3) {
        let settings = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", "KEY"),
            ("AWS_SECRET_ACCESS_KEY", "SECRET"),
        ];
        let settings = super::settings(settings.map(|(name, value)| (name.into(), value.into())));
        Bucket::by("s3://shop", "shop", settings, connector()).unwrap()
    }
}

fn connector() -> Connector {
    Connector { tls: tls(None).unwrap(), answer_within: Duration::from_millis(500) }
}

fn answer_all(listener: &TcpListener, answers: &[Answer]) -> Vec<(String, usize)> {
    let (mut asked, mut connections, mut mark) = (Vec::new(), 0, String::new());
    let mut open: Option<BufReader<TcpStream>> = None;
    let mut silent = Vec::new();
    for answer in answers {
        let (line, mut stream) = loop {
            let mut stream = open.take().unwrap_or_else(|| {
                connections += 1;
                BufReader::new(listener.accept().unwrap().0)
            });
            if let Some(line) = read(&mut stream, &mut mark) {
                break (line, stream);
            }
        };
        asked.push((line.clone(), connections));
        match answer {
            HangsUp => {}
            IsSilent => silent.push(stream),
            Is(status, headers, body) => {
                let length = if line.starts_with("HEAD") { 7 } else { body.len() };
                let headers = headers.replace("MARK", &mark);
                let head = format!("HTTP/1.1 {status}\r\netag: \"1\"\r\ncontent-length: {length}\r\n{headers}\r\n");
                stream.get_mut().write_all((head + body).as_bytes()).unwrap();
                open = Some(stream);
            }
        }
    }
    for mut stream in silent {
        let _ = stream.read_to_end(&mut Vec::new());
    }
    asked
}

/// A request's first line; nothing where the connection is at its end.
fn read(stream: &mut BufReader<TcpStream>, mark: &mut String) -> Option<String> {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("x-amz-meta-archive-put", value)) => value.clone_into(mark),
            Some(_) => {}
            None => break,
        }
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    Some(first)
}

async fn put_new(answers: &[Answer]) -> (Result<bool, ReplayError>, usize) {
    let server = Server::answering(answers);
    let (bucket, store) = server.bucket();
    let put = bucket.put_new(&store, &Path::from("order.commands.v1/topic.json"), Bytes::from_static(b"{}")).await;
    (put, server.asked.join().unwrap().len())
}

#[tokio::test]
async fn an_object_is_new_and_a_second_one_is_refused() {
    assert!(matches!(put_new(&[DONE, THERE]).await, (Ok(true), 2)));
    assert!(matches!(put_new(&[THERE, OTHERS]).await, (Ok(false), 2)));
}

#[tokio::test]
async fn an_object_whose_answer_is_lost_is_known_again() {
    for lost in [HangsUp, IsSilent, Is("503 Slow Down", "", "")] {
        assert!(matches!(put_new(&[lost, THERE, OURS, THERE]).await, (Ok(true), 4)), "{lost:?}");
        assert!(matches!(put_new(&[lost, THERE, OTHERS]).await, (Ok(false), 3)), "{lost:?}");
        assert!(matches!(put_new(&[lost, DONE, THERE]).await, (Ok(true), 3)), "{lost:?}");
    }
}

#[tokio::test]
async fn what_is_refused_for_another_put_that_made_nothing_is_put_again() {
    let conflict = Is("409 Conflict", "", "<Error><Code>ConditionalRequestConflict</Code></Error>");
    let missing = Is("404 Not Found", "", "");
    assert!(matches!(put_new(&[conflict, missing, DONE, THERE]).await, (Ok(true), 4)));
}

#[tokio::test]
async fn a_server_that_overwrites_is_not_written_to() {
    let (put, _) = put_new(&[DONE, DONE]).await;
    assert!(put.unwrap_err().to_string().contains("does not refuse a second object"));
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_shows_no_credentials() {
    let refused = |code: &'static str| match code {
        "NoSuchBucket" => Is("404 Not Found", "", "<Error><Code>NoSuchBucket</Code></Error>"),
        "AccessDenied" => Is("403 Forbidden", "", "<Error><Code>AccessDenied</Code><Key>KEY</Key></Error>"),
        "InvalidAccessKeyId" => Is("403 Forbidden", "", "<Error><Code>InvalidAccessKeyId</Code><Key>KEY</Key></Error>"),
        "SignatureDoesNotMatch" => Is("403 Forbidden", "", "<Error><Code>SignatureDoesNotMatch</Code>KEY</Error>"),
        "RequestTimeTooSkewed" => Is("403 Forbidden", "", "<Error><Code>RequestTimeTooSkewed</Code></Error>"),
        "ExpiredToken" => Is("400 Bad Request", "", "<Error><Code>ExpiredToken</Code>KEY</Error>"),
        "PermanentRedirect" => Is("301 Moved Permanently", "", "<Error><Code>PermanentRedirect</Code></Error>"),
        "InvalidRequest" => Is("400 Bad Request", "", "<Error><Code>InvalidRequest</Code>KEY</Error>"),
        _ => Is("404 Not Found", "", "<html>KEY</html>"),
    };
    for (code, words) in [
        ("NoSuchBucket", "no such bucket"),
        ("AccessDenied", "s3:ListBucket"),
        ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("RequestTimeTooSkewed", "clock"),
        ("ExpiredToken", "AWS_SESSION_TOKEN"),
        ("PermanentRedirect", "AWS_REGION"),
        ("InvalidRequest", "400 Bad Request, InvalidRequest"),
        ("", "not as S3 does"),
    ] {
        let server = Server::answering(&[refused(code)]);
        let (bucket, store) = server.bucket();
        let error = bucket.error("", &store.list_with_delimiter(None).await.unwrap_err());
        let told = error.to_string();
        assert!(told.contains(words) && told.contains(&server.endpoint), "{code}: {told}");
        assert!(
            !format!("{told} {error:?}")
                .replace("AWS_ACCESS_KEY", "")
                .replace("AWS_SECRET_ACCESS_KEY", "")
                .contains("KEY"),
            "{error:?}"
        );
        server.asked.join().unwrap();
    }
}

fn client(may_be_plain: bool) -> HttpClient {
    connector().connect(&ClientOptions::new().with_allow_http(may_be_plain)).unwrap()
}

fn get(server: &str) -> HttpRequest {
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = format!("{server}/x?list-type=2").parse().unwrap();
    request
}

#[tokio::test]
async fn a_connection_is_used_again_while_the_server_keeps_it() {
    let server = Server::answering(&[DONE, DONE, HangsUp, DONE]);
    let client = client(true);
    for _ in 0..2 {
        assert!(client.execute(get(&server.endpoint)).await.unwrap().status().is_success());
    }
    let hung_up = client.execute(get(&server.endpoint)).await.unwrap_err();
    assert_eq!(hung_up.kind(), HttpErrorKind::Interrupted, "{hung_up}");
    assert!(client.execute(get(&server.endpoint)).await.unwrap().status().is_success());
    let asked = server.asked.join().unwrap();
    assert_eq!(asked.iter().map(|(_, connection)| *connection).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert!(asked.iter().all(|(line, _)| line == "GET /x?list-type=2 HTTP/1.1\r\n"), "{asked:?}");
}

#[tokio::test]
async fn every_wait_has_an_end_and_nothing_goes_in_clear_unasked() {
    let server = Server::answering(&[IsSilent]);
    let late = client(true).execute(get(&server.endpoint)).await.unwrap_err();
    assert_eq!(late.kind(), HttpErrorKind::Timeout, "{late}");
    server.asked.join().unwrap();
    let plain = client(false).execute(get(&server_that_is_away())).await.unwrap_err();
    assert_eq!(plain.kind(), HttpErrorKind::Unknown, "{plain}");
    let away = client(true).execute(get(&server_that_is_away())).await.unwrap_err();
    assert_eq!(away.kind(), HttpErrorKind::Connect, "{away}");
}

fn server_that_is_away() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn settings_that_cannot_be_meant_are_refused_without_showing_credentials() {
    for (endpoint, words) in
        [("http://user:hush@s3.example", "variables of their own"), ("s3.example:9000", "no URL of a server"), ("", "")]
    {
        let settings =
            super::settings([("AWS_ENDPOINT_URL".into(), endpoint.into()), ("AWS_PAGER".into(), "x".into())]);
        let told = server(&settings).map_or_else(|refusal| refusal.to_string(), |_| String::new());
        assert!(told.contains(words) && !told.contains("hush"), "{endpoint}: {told}");
    }
}
