//! Many browsers at once, each on one connection that is kept open.
//!
//! They run on one thread of their own and do no more than they must: what they cost is taken from the same processors,
//! and would make everything they measure look alike.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Pages before the counting starts.
const WARM_UP: Duration = Duration::from_millis(300);

/// What came of a time under load.
pub(crate) struct Slice {
    /// Pages.
    pub(crate) pages: u64,
    /// For how long.
    pub(crate) took: Duration,
    /// From the first byte of a request to the last of its answer, microseconds.
    pub(crate) latency: Histogram<u64>,
    /// Processor time of this program without the browsers, all pages.
    pub(crate) server_cpu: Duration,
}

/// A GET of a signed-in browser.
pub(crate) fn get(path: &str, cookie: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nCookie: {cookie}\r\n\
         User-Agent: portico-bench\r\nSec-Fetch-Site: same-origin\r\n\r\n"
    )
    .into_bytes()
}

/// One page, for a look at it.
pub(crate) async fn fetch(address: SocketAddr, request: &[u8]) -> anyhow::Result<String> {
    let mut browser = Browser::connect(address).await?;
    browser.get(request).await?;
    Ok(String::from_utf8_lossy(&browser.body).into_owned())
}

/// Asks for pages again and again, `connections` at a time, the requests dealt out in turn.
pub(crate) async fn load(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Slice> {
    tokio::task::spawn_blocking(move || {
        let executor = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        executor.block_on(browse(address, requests, connections, time))
    })
    .await?
}

async fn browse(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Slice> {
    let mut browsers = Vec::with_capacity(connections);
    for request in requests.iter().cycle().take(connections) {
        browsers.push((Browser::connect(address).await?, request.clone()));
    }
    let from = Instant::now() + WARM_UP;
    let until = from + time;
    let mut tasks = JoinSet::new();
    for (mut browser, request) in browsers {
        tasks.spawn(async move {
            let mut latency = histogram()?;
            loop {
                let start = Instant::now();
                if start >= until {
                    return anyhow::Ok(latency);
                }
                browser.get(&request).await?;
                if start >= from {
                    let took = u64::try_from(start.elapsed().as_micros())?;
                    latency.saturating_record(took);
                }
            }
        });
    }
    tokio::time::sleep_until(from.into()).await;
    let (begun, cpu) = (Instant::now(), cpu()?);
    tokio::time::sleep_until(until.into()).await;
    let (took, cpu) = (begun.elapsed(), self::cpu()?.saturating_sub(cpu));
    let mut latency = histogram()?;
    while let Some(browser) = tasks.join_next().await {
        latency.add(browser??)?;
    }
    Ok(Slice {
        pages: latency.len(),
        took,
        latency,
        server_cpu: cpu,
    })
}

/// Up to a minute, to three digits.
pub(crate) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

/// Processor time of this program so far, without that of the present thread.
fn cpu() -> anyhow::Result<Duration> {
    let used = |usage: Usage| {
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        u64::try_from(micros).map(Duration::from_micros)
    };
    let all = used(getrusage(UsageWho::RUSAGE_SELF)?)?;
    let own = used(getrusage(UsageWho::RUSAGE_THREAD)?)?;
    Ok(all.saturating_sub(own))
}

struct Browser {
    stream: TcpStream,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

impl Browser {
    async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(64 << 10),
            body: Vec::new(),
        })
    }

    /// Sends a request and reads the whole answer, which must be a page.
    async fn get(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the panel closed the connection");
            }
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head = self.buffer.get(..end).unwrap_or_default();
                break (end + 4, length(head)?);
            }
        };
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the panel closed the connection in the middle of a page");
            }
        }
        self.body.clear();
        self.body
            .extend_from_slice(self.buffer.get(head..).unwrap_or_default());
        Ok(())
    }
}

/// The length of the body; an answer that is no page is an error.
fn length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200 ") {
        bail!("the panel answered `{status}`");
    }
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    Ok(length.context("an answer without a length")?.parse()?)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
