//! What the client adds to a call: the same answer of the same server, fetched by the client and by bare reqwest.
//!
//! `cargo bench -p portico-proxmox` runs it. Rounds of both alternate, so that the machine's noise hits both; the
//! ratio of the medians is the figure to look at. The server is a canned answer over plain HTTP on loopback: the
//! cheaper the rest, the more of the client shows.
//!
//! Measured on two virtual processors with nothing else at work, medians of eleven rounds: the client 25.0 µs a call (25 to
//! 38), bare reqwest with a parse to `serde_json::Value` 25.5 µs (25 to 42), a ratio of 0.98: no difference to be seen.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portico_proxmox::{ApiToken, Client, ClusterConfig, NoObserver, Secret, Trust, VmId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const STATUS: &str = r#"{"data":{"status":"running","qmpstatus":"running","vmid":100,"name":"web1","cpus":2,"cpu":0.153,"mem":2147483648,"maxmem":4294967296,"disk":0,"maxdisk":42949672960,"diskread":1234567890,"diskwrite":987654321,"netin":123456789,"netout":987654321,"uptime":86400,"pid":4711,"agent":1,"ha":{"managed":0},"balloon":4294967296,"running-machine":"pc-i440fx-10.1+pve0","running-qemu":"10.1.2","blockstat":{"scsi0":{"rd_bytes":1234567890,"wr_bytes":987654321}},"nics":{"tap100i0":{"netin":123456789,"netout":987654321}}}}"#;
const LIST: &str =
    r#"{"data":[{"id":"qemu/100","type":"qemu","vmid":100,"node":"pve1","status":"running"}]}"#;

/// Calls of one round.
const CALLS: u32 = 2_000;
/// Rounds of each kind.
const ROUNDS: usize = 11;

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut buffer, mut filled) = (vec![0; 8192], 0);
    loop {
        let got = stream.read(buffer.get_mut(filled..).unwrap_or_default()).await?;
        if got == 0 {
            return Ok(());
        }
        filled += got;
        let head = buffer.get(..filled).unwrap_or_default();
        if head.ends_with(b"\r\n\r\n") {
            let list = head.windows(9).any(|part| part == b"resources");
            let body = if list { LIST } else { STATUS };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await?;
            filled = 0;
        }
    }
}

/// Microseconds a call.
fn per_call(lasted: Duration) -> f64 {
    lasted.as_secs_f64() * 1e6 / f64::from(CALLS)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test` runs benches too, to see that they build; measuring there would only take time.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    // reqwest is built without a provider of its own. Nobody was before us, so this cannot fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let secret = Secret::new("5ec2e7ab-0000-4000-8000-123456789abc");
    let token = ApiToken::new("panel@pve!portico", secret)?;
    let config = ClusterConfig::new("bench", vec![origin.parse()?], token, Trust::PlainHttpForTests);
    let vm = Client::new(config, Arc::new(NoObserver))?.vm(VmId::new(100)?);
    let bare = reqwest::Client::builder().no_proxy().http1_only().build()?;
    let url = format!("{origin}/api2/json/nodes/pve1/qemu/100/status/current");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..CALLS {
            vm.status().await?;
        }
        ours.push(per_call(began.elapsed()));
        let began = Instant::now();
        for _ in 0..CALLS {
            let request = bare.get(&url).header("authorization", "PVEAPIToken=a@b!c=d");
            let answer = request.send().await?.bytes().await?;
            let _: serde_json::Value = serde_json::from_slice(&answer)?;
        }
        theirs.push(per_call(began.elapsed()));
    }
    let (own, plain) = (median(&mut ours), median(&mut theirs));
    let ends = |values: &[f64]| {
        let at = |index| values.get(index).copied().unwrap_or(f64::NAN);
        format!("{:.0} to {:.0}", at(0), at(values.len() - 1))
    };
    let mut out = std::io::stdout();
    writeln!(out, "client, microseconds a call: {own:.1} ({})", ends(&ours))?;
    writeln!(
        out,
        "bare reqwest, microseconds a call: {plain:.1} ({})",
        ends(&theirs)
    )?;
    writeln!(out, "the client takes {:.2} times as long", own / plain)?;
    Ok(())
}
