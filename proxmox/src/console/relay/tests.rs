//! A relay between a browser made of channels and a PVE made of a WebSocket in memory.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::task::{Context, Poll, Waker};

use futures_channel::mpsc;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

const LIMITS: RelayLimits = RelayLimits {
    lifetime: PATIENCE,
    keepalive: PATIENCE,
    silence: PATIENCE,
    farewell: Duration::from_millis(500),
};

struct Stand {
    browser: mpsc::Sender<BrowserMessage>,
    shown: mpsc::Receiver<ToBrowser>,
    pve: WebSocketStream<DuplexStream>,
    stop: CancellationToken,
    relay: tokio::task::JoinHandle<RelayReport>,
}

impl Stand {
    async fn with(limits: RelayLimits) -> Self {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let mut stand = Self::over(near, limits).await;
        stand.pve = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
        stand
    }

    /// With something else than a WebSocket at PVE's end.
    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, limits: RelayLimits) -> Self {
        let socket = ConsoleSocket::over(stream).await;
        let (_, far) = tokio::io::duplex(1);
        let (browser, from_browser) = mpsc::channel(0);
        let (to_browser, shown) = mpsc::channel(0);
        let stop = CancellationToken::new();
        let cancelled = stop.clone();
        let relay = tokio::spawn(async move {
            let from_browser = from_browser.map(Ok::<_, Infallible>);
            relay(from_browser, to_browser, socket, &limits, &cancelled).await
        });
        Self {
            browser,
            shown,
            pve: WebSocketStream::from_raw_socket(far, Role::Server, None).await,
            stop,
            relay,
        }
    }

    async fn say(&mut self, message: BrowserMessage) {
        self.browser.send(message).await.unwrap();
    }

    /// What the browser is told at last.
    async fn told(&mut self) -> Option<u16> {
        while let Some(message) = timeout(PATIENCE, self.shown.next()).await.unwrap() {
            if let ToBrowser::Close { code, .. } = message {
                let _ = self.browser.send(BrowserMessage::Close(Some(code))).await;
                return Some(code);
            }
        }
        None
    }

    /// The code that PVE is told at last.
    async fn told_to_pve(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = timeout(PATIENCE, self.pve.next()).await.unwrap() {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }

    async fn report(self) -> RelayReport {
        timeout(PATIENCE, self.relay).await.unwrap().unwrap()
    }
}

fn bytes(count: usize) -> Bytes {
    (0..count).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

#[tokio::test]
async fn bytes_arrive_in_both_directions_and_are_counted() {
    let mut stand = Stand::with(LIMITS).await;
    let large = bytes(300_000);
    let (mut received, said) = (Vec::new(), large.clone());
    let reading = async {
        while received.len() < large.len() {
            if let Message::Binary(part) = stand.pve.next().await.unwrap().unwrap() {
                assert!(part.len() <= 128 * 1024);
                received.extend(part);
            }
        }
    };
    let (sent, ()) = tokio::join!(stand.browser.send(BrowserMessage::Data(said)), reading);
    sent.unwrap();
    assert_eq!(received, large);
    stand.pve.send(Message::Binary("RFB".into())).await.unwrap();
    assert_eq!(stand.shown.next().await, Some(ToBrowser::Data("RFB".into())));
    stand.say(BrowserMessage::Close(Some(1001))).await;
    assert_eq!(stand.told_to_pve().await, Some(1000));
    let report = stand.report().await;
    assert_eq!(report.end, RelayEnd::BrowserLeft(Some(1001)));
    assert_eq!((report.to_pve, report.to_browser), (300_000, 3));
}

#[tokio::test]
async fn a_connection_of_pve_that_just_ends_is_a_good_end_for_the_browser() {
    for with_farewell in [false, true] {
        let mut stand = Stand::with(LIMITS).await;
        stand.pve.send(Message::Binary("bye".into())).await.unwrap();
        if with_farewell {
            stand.pve.close(None).await.unwrap();
        } else {
            let (gone, _) = tokio::io::duplex(1);
            stand.pve = WebSocketStream::from_raw_socket(gone, Role::Server, None).await;
        }
        assert_eq!(stand.shown.next().await, Some(ToBrowser::Data("bye".into())));
        assert_eq!(stand.told().await, Some(1000));
        assert_eq!(stand.report().await.end, RelayEnd::PveEnded);
    }
}

/// What becomes of a relay to which PVE sends these bytes, and then nothing more.
async fn after(bytes: Vec<u8>) -> (RelayEnd, Option<ToBrowser>) {
    let (near, far) = tokio::io::duplex(1024);
    let socket = ConsoleSocket::over(near).await;
    let (mut answers, mut says) = tokio::io::split(far);
    let pve = tokio::spawn(async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut says, &bytes).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut says).await;
    });
    let heard = tokio::spawn(async move { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await });
    let (_browser, from_browser) = mpsc::channel::<BrowserMessage>(0);
    let (to_browser, shown) = mpsc::channel(4);
    let last = tokio::spawn(shown.fold(None, |_, message| async { Some(message) }));
    let from_browser = from_browser.map(Ok::<_, Infallible>);
    let stop = CancellationToken::new();
    let limits = RelayLimits {
        farewell: Duration::from_millis(50),
        ..LIMITS
    };
    let report = relay(from_browser, to_browser, socket, &limits, &stop).await;
    pve.abort();
    heard.abort();
    (report.end, last.await.unwrap())
}

#[tokio::test]
async fn nonsense_of_pve_is_told_from_its_end() {
    let huge = [&[0x82, 127][..], &(2_u64 << 20).to_be_bytes()].concat();
    let impossible = [&[0x82, 127][..], &u64::MAX.to_be_bytes()].concat();
    // A message in parts, which never ends.
    let part = [&[0x00, 126][..], &8_000_u16.to_be_bytes(), &[7; 8_000]].concat();
    let endless = [&[0x02, 0x00][..], &part.repeat(140)].concat();
    for (what, bytes) in [
        ("a masked frame", vec![0x82, 0x81, 1, 2, 3, 4, 5]),
        ("a compressed frame", vec![0xC2, 0x01, 1]),
        ("a frame of an unknown kind", vec![0x83, 0x01, 1]),
        ("a frame that is too large", huge),
        ("a frame larger than any memory", impossible),
        ("a message without end", endless),
    ] {
        let (end, told) = after(bytes).await;
        assert!(matches!(&end, RelayEnd::PveBroken(_)), "{what}: {end:?}");
        assert!(
            matches!(told, Some(ToBrowser::Close { code: 1011, .. })),
            "{what}: {told:?}"
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(32))]

    #[test]
    fn whatever_bytes_pve_sends_the_relay_ends(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (end, _) = runtime.block_on(after(bytes));
        proptest::prop_assert!(matches!(end, RelayEnd::PveEnded | RelayEnd::PveBroken(_)), "{end:?}");
    }
}

#[tokio::test]
async fn what_no_vnc_client_sends_ends_the_relay() {
    let large = Bytes::from(vec![0; MAX_FROM_BROWSER + 1]);
    for (message, code) in [(BrowserMessage::Text, 1003), (BrowserMessage::Data(large), 1009)] {
        let mut stand = Stand::with(LIMITS).await;
        stand.say(message).await;
        assert_eq!(stand.told().await, Some(code));
        assert_eq!(stand.told_to_pve().await, Some(1000));
        assert_eq!(stand.report().await.end, RelayEnd::BrowserRefused(code));
    }
}

#[tokio::test]
async fn the_time_and_the_token_end_a_relay_on_both_sides() {
    let mut stand = Stand::with(RelayLimits {
        lifetime: Duration::from_millis(20),
        ..LIMITS
    })
    .await;
    assert_eq!(stand.told().await, Some(1008));
    assert_eq!(stand.told_to_pve().await, Some(1000));
    assert_eq!(stand.report().await.end, RelayEnd::Lifetime);

    let mut stand = Stand::with(LIMITS).await;
    stand.stop.cancel();
    assert_eq!(stand.told().await, Some(1001));
    assert_eq!(stand.told_to_pve().await, Some(1000));
    assert_eq!(stand.report().await.end, RelayEnd::Cancelled);
}

#[tokio::test]
async fn a_browser_that_is_gone_without_a_word_ends_the_relay() {
    let mut stand = Stand::with(LIMITS).await;
    stand.browser.close_channel();
    assert_eq!(stand.told_to_pve().await, Some(1000));
    assert_eq!(stand.report().await.end, RelayEnd::BrowserLeft(None));
}

#[tokio::test]
async fn both_sides_are_pinged_and_pongs_keep_the_relay_alive() {
    let mut stand = Stand::with(RelayLimits {
        keepalive: Duration::from_millis(30),
        silence: Duration::from_secs(1),
        ..LIMITS
    })
    .await;
    let begun = Instant::now();
    let mut pings = 0;
    // Longer than the silence that would end it.
    while begun.elapsed() < Duration::from_millis(1500) {
        tokio::select! {
            message = stand.shown.next() => {
                assert_eq!(message, Some(ToBrowser::Ping));
                pings += 1;
                stand.browser.send(BrowserMessage::Pong(Bytes::new())).await.unwrap();
            }
            // Reading is what makes the other end answer pings.
            message = stand.pve.next() => assert!(matches!(message, Some(Ok(Message::Ping(_)))), "{message:?}"),
        }
    }
    assert!(pings > 5, "{pings}");
    stand.stop.cancel();
    stand.told().await;
    assert_eq!(stand.report().await.end, RelayEnd::Cancelled);
}

#[tokio::test]
async fn a_side_without_a_sign_of_life_ends_the_relay() {
    let short = RelayLimits {
        keepalive: Duration::from_millis(20),
        silence: Duration::from_secs(1),
        ..LIMITS
    };
    let mut stand = Stand::with(short).await;
    let end = loop {
        tokio::select! {
            // The browser takes everything and says nothing.
            message = stand.shown.next() => match message {
                Some(ToBrowser::Ping) => {}
                other => break other,
            },
            Some(_) = stand.pve.next() => {}
        }
    };
    assert!(
        matches!(end, Some(ToBrowser::Close { code: 1001, .. })),
        "{end:?}"
    );
    drop(stand.browser);
    drop(stand.pve);
    assert_eq!(stand.relay.await.unwrap().end, RelayEnd::BrowserSilent);

    let mut stand = Stand::with(short).await;
    // PVE is never read from, so it answers no ping.
    let code = loop {
        match stand.shown.next().await {
            Some(ToBrowser::Ping) => stand.say(BrowserMessage::Pong(Bytes::new())).await,
            Some(ToBrowser::Close { code, .. }) => break code,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 1011);
    drop(stand.browser);
    assert_eq!(stand.relay.await.unwrap().end, RelayEnd::PveSilent);
}

#[tokio::test]
async fn a_slow_browser_makes_pve_wait_and_loses_nothing() {
    let mut stand = Stand::with(LIMITS).await;
    let part = bytes(10_000);
    let mut sent = 0_usize;
    // PVE has a lot to say, and the browser takes nothing: soon nothing more leaves PVE.
    while timeout(
        Duration::from_millis(300),
        stand.pve.send(Message::Binary(part.clone())),
    )
    .await
    .is_ok()
    {
        sent += part.len();
        assert!(
            sent < 1_000_000,
            "the relay piles up what the browser does not take"
        );
    }
    assert!(sent > 0);
    // The one that was cut short is in PVE's own buffer.
    let all = sent + part.len();
    let mut shown = Vec::new();
    let flushing = async {
        stand.pve.flush().await.unwrap();
        std::future::pending::<()>().await;
    };
    let reading = async {
        while shown.len() < all {
            if let Some(ToBrowser::Data(data)) = stand.shown.next().await {
                shown.extend(data);
            }
        }
    };
    tokio::select! {
        () = flushing => {}
        done = timeout(PATIENCE, reading) => done.unwrap(),
    }
    assert_eq!(shown, part.repeat(all / part.len()));
}

#[tokio::test]
async fn a_slow_pve_makes_the_browser_wait() {
    let mut stand = Stand::with(LIMITS).await;
    let message = BrowserMessage::Data(bytes(10_000));
    let mut sent = 0;
    while timeout(Duration::from_millis(300), stand.browser.send(message.clone()))
        .await
        .is_ok()
    {
        sent += 10_000;
        assert!(sent < 1_000_000, "the relay piles up what PVE does not take");
    }
    stand.stop.cancel();
    let report = stand.report().await;
    assert_eq!(report.end, RelayEnd::Cancelled, "being stuck does not keep it");
}

#[tokio::test]
async fn limits_that_no_timer_takes_are_taken_as_the_nearest_that_one_does() {
    for keepalive in [Duration::ZERO, Duration::MAX] {
        let mut stand = Stand::with(RelayLimits {
            lifetime: Duration::MAX,
            keepalive,
            silence: Duration::MAX,
            farewell: Duration::ZERO,
        })
        .await;
        stand.say(BrowserMessage::Close(Some(1000))).await;
        let shown = std::mem::replace(&mut stand.shown, mpsc::channel(0).1);
        tokio::spawn(shown.for_each(|_| std::future::ready(())));
        assert_eq!(stand.report().await.end, RelayEnd::BrowserLeft(Some(1000)));
    }
}

/// PVE's end of a connection that was reset while its last words were under way: nothing can be sent, and what was said
/// before can still be read.
struct Reset {
    said: Vec<u8>,
    refused: bool,
    reader: Option<Waker>,
    then: Option<ErrorKind>,
}

impl Reset {
    /// With one message in it, and this after it.
    fn saying(words: &[u8], then: Option<ErrorKind>) -> Self {
        let size = u8::try_from(words.len()).unwrap();
        Self {
            said: [&[0x82, size], words].concat(),
            refused: false,
            reader: None,
            then,
        }
    }
}

impl AsyncRead for Reset {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let said = std::mem::take(&mut self.said);
        match (self.refused, said.is_empty(), self.then) {
            (true, false, _) => {
                buffer.put_slice(&said);
                Poll::Ready(Ok(()))
            }
            (true, true, Some(kind)) => Poll::Ready(Err(kind.into())),
            _ => {
                self.said = said;
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Reset {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        self.refused = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Err(ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_pve_said_before_its_connection_was_reset_reaches_the_browser() {
    for (then, end) in [
        (Some(ErrorKind::ConnectionReset), RelayEnd::PveEnded),
        (Some(ErrorKind::UnexpectedEof), RelayEnd::PveEnded),
        (
            Some(ErrorKind::HostUnreachable),
            RelayEnd::PveBroken("IO error: host unreachable".to_owned()),
        ),
        // It says nothing further: then what sending met with counts.
        (None, RelayEnd::PveEnded),
    ] {
        let mut stand = Stand::over(Reset::saying(b"last words", then), LIMITS).await;
        stand.say(BrowserMessage::Data(bytes(5))).await;
        let heard = timeout(PATIENCE, stand.shown.next()).await.unwrap();
        assert_eq!(heard, Some(ToBrowser::Data(Bytes::from_static(b"last words"))));
        let told = stand.told().await;
        assert_eq!(
            told,
            Some(if end == RelayEnd::PveEnded { 1000 } else { 1011 }),
            "{then:?}"
        );
        assert_eq!(stand.report().await.end, end, "{then:?}");
    }
}
