use super::*;
use crate::clock::ManualClock;
use crate::secret::SeededEntropy;
use crate::store::MemoryStore;

struct Fixture {
    store: SharedStore,
    clock: ManualClock,
    sessions: Sessions,
}

const POLICY: SessionPolicy = SessionPolicy {
    idle: Duration::from_hours(1),
    absolute: Duration::from_hours(10),
    touch: Duration::from_mins(5),
    per_account: 3,
};

fn fixture() -> Fixture {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let clock = ManualClock::default();
    let entropy = Arc::new(SeededEntropy::new(1));
    let sessions = Sessions::new(store.clone(), Arc::new(clock.clone()), entropy, POLICY);
    Fixture {
        store,
        clock,
        sessions,
    }
}

const CLIENT: Client<'_> = Client {
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    user_agent: "Test/1.0",
};

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

impl Fixture {
    async fn sign_in(&self, id: &str) -> (RandomId, Session) {
        let epoch = self.sessions.epoch(&account(id)).await.unwrap();
        self.sessions.start(&epoch, None, CLIENT).await.unwrap()
    }

    async fn lives(&self, token: &RandomId) -> bool {
        self.sessions.find(token, CLIENT).await.unwrap().is_some()
    }

    async fn rows(&self) -> (usize, usize) {
        let count = async |table| self.store.scan(&Scan::table(table)).await.unwrap().entries.len();
        (count(Table::Sessions).await, count(Table::SessionOwners).await)
    }
}

#[tokio::test]
async fn a_cookie_finds_its_session_and_only_its_hash_is_stored() {
    let fixture = fixture();
    let (token, session) = fixture.sign_in("a").await;
    let found = fixture.sessions.find(&token, CLIENT).await.unwrap().unwrap();
    assert_eq!(found, session);
    assert_eq!(
        (found.account.as_str(), found.user_agent.as_str()),
        ("a", "Test/1.0")
    );
    let other = RandomId::generate(&SeededEntropy::new(2));
    assert!(!fixture.lives(&other).await);
    let cookie = token.encode();
    for table in Table::ALL {
        for entry in fixture.store.scan(&Scan::table(*table)).await.unwrap().entries {
            let raw = [entry.key.as_bytes(), &entry.record.value].concat();
            assert!(!raw.windows(43).any(|window| window == cookie.as_bytes()));
        }
    }
    // The stored hash is no cookie.
    assert!(RandomId::parse(&session.id.to_string()).is_none());
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_and_at_its_absolute_end() {
    let fixture = fixture();
    let (token, _) = fixture.sign_in("a").await;
    for _ in 0..11 {
        fixture.clock.advance(Duration::from_mins(50));
        assert!(fixture.lives(&token).await);
    }
    fixture.clock.advance(Duration::from_mins(50));
    assert!(!fixture.lives(&token).await, "ten hours are over");
    let (token, _) = fixture.sign_in("a").await;
    fixture.clock.advance(Duration::from_hours(1));
    assert!(!fixture.lives(&token).await);
    assert!(fixture.sessions.list(&account("a")).await.unwrap().is_empty());
    assert_eq!(fixture.sessions.purge().await.unwrap(), 2);
    assert_eq!(fixture.rows().await, (0, 0));
}

#[tokio::test]
async fn the_last_use_is_written_down_coarsely() {
    let fixture = fixture();
    let (token, session) = fixture.sign_in("a").await;
    let version = async || {
        fixture
            .store
            .get(Table::Sessions, &session.id.key())
            .await
            .unwrap()
            .unwrap()
            .version
    };
    let before = version().await;
    fixture.clock.advance(Duration::from_mins(4));
    assert!(fixture.lives(&token).await);
    assert_eq!(version().await, before);
    fixture.clock.advance(Duration::from_mins(1));
    let client = Client {
        address: "198.51.100.7".parse().unwrap(),
        ..CLIENT
    };
    let found = fixture.sessions.find(&token, client).await.unwrap().unwrap();
    assert_eq!((found.seen, found.address), (fixture.clock.now(), client.address));
    assert!(version().await > before);
}

#[tokio::test]
async fn a_sign_in_ends_the_session_the_browser_had_before() {
    let fixture = fixture();
    let (planted, _) = fixture.sign_in("attacker").await;
    let epoch = fixture.sessions.epoch(&account("a")).await.unwrap();
    let (token, session) = fixture
        .sessions
        .start(&epoch, Some(&planted), CLIENT)
        .await
        .unwrap();
    assert_ne!(token.hash(), planted.hash());
    assert!(!fixture.lives(&planted).await);
    assert!(fixture.lives(&token).await);
    assert_eq!(fixture.sessions.list(&account("a")).await.unwrap(), [session]);
    assert_eq!(fixture.rows().await, (1, 1));
}

#[tokio::test]
async fn one_session_is_revoked_by_its_owner_and_by_nobody_else() {
    let fixture = fixture();
    let (first, session) = fixture.sign_in("a").await;
    let (second, _) = fixture.sign_in("a").await;
    assert!(!fixture.sessions.revoke(&account("b"), &session.id).await.unwrap());
    assert!(fixture.lives(&first).await);
    assert!(
        fixture
            .sessions
            .is_live(&account("a"), &session.id)
            .await
            .unwrap()
    );
    assert!(
        !fixture
            .sessions
            .is_live(&account("b"), &session.id)
            .await
            .unwrap()
    );
    assert!(fixture.sessions.revoke(&account("a"), &session.id).await.unwrap());
    assert!(
        !fixture
            .sessions
            .is_live(&account("a"), &session.id)
            .await
            .unwrap()
    );
    assert!(!fixture.sessions.revoke(&account("a"), &session.id).await.unwrap());
    assert!(!fixture.lives(&first).await);
    assert!(fixture.lives(&second).await);
}

#[tokio::test]
async fn all_others_are_revoked_and_the_kept_one_lives_on() {
    let fixture = fixture();
    let (first, _) = fixture.sign_in("a").await;
    let (second, kept) = fixture.sign_in("a").await;
    let (other, foreign) = fixture.sign_in("b").await;
    fixture
        .sessions
        .revoke_all(&account("a"), Some(&kept.id))
        .await
        .unwrap();
    assert!(!fixture.lives(&first).await);
    assert!(fixture.lives(&second).await);
    assert!(fixture.lives(&other).await);
    assert_eq!(fixture.sessions.list(&account("a")).await.unwrap().len(), 1);
    // Keeping what is not one's own keeps nothing, and what has ended does not come back to life.
    fixture
        .sessions
        .revoke_all(&account("a"), Some(&foreign.id))
        .await
        .unwrap();
    assert!(!fixture.lives(&second).await);
    fixture
        .sessions
        .revoke_all(&account("a"), Some(&kept.id))
        .await
        .unwrap();
    assert!(!fixture.lives(&second).await);
    assert!(fixture.lives(&other).await);
}

#[tokio::test]
async fn a_sign_in_that_checked_the_old_password_does_not_survive_the_new_one() {
    let fixture = fixture();
    for _ in 0..2 {
        let epoch = fixture.sessions.epoch(&account("a")).await.unwrap();
        // Meanwhile the password is changed.
        let mut batch = Batch::new();
        fixture
            .sessions
            .revoke_all_in(&mut batch, &account("a"), None)
            .await
            .unwrap();
        batch.put(Table::Accounts, Key::text("a"), "new password");
        fixture.store.apply(batch).await.unwrap();
        let error = fixture.sessions.start(&epoch, None, CLIENT).await.unwrap_err();
        assert!(matches!(error, SessionError::Changed), "{error}");
    }
    let (token, _) = fixture.sign_in("a").await;
    assert!(fixture.lives(&token).await);
}

#[tokio::test]
async fn a_failed_password_change_ends_no_session() {
    let fixture = fixture();
    let (token, _) = fixture.sign_in("a").await;
    let mut batch = Batch::new();
    fixture
        .sessions
        .revoke_all_in(&mut batch, &account("a"), None)
        .await
        .unwrap();
    batch.require_present(Table::Accounts, Key::text("a"));
    assert!(fixture.store.apply(batch).await.is_err());
    assert!(fixture.lives(&token).await);
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_sessions_and_the_stalest_goes() {
    let fixture = fixture();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(fixture.sign_in("a").await.0);
        fixture.clock.advance(Duration::from_mins(6));
    }
    assert!(fixture.lives(&tokens[0]).await, "the first is used again");
    tokens.push(fixture.sign_in("a").await.0);
    let mut lives = Vec::new();
    for token in &tokens {
        lives.push(fixture.lives(token).await);
    }
    assert_eq!(lives, [true, false, true, true]);
    assert_eq!(fixture.rows().await, (3, 3));
}

#[tokio::test]
async fn a_hostile_user_agent_is_cut_to_something_harmless() {
    let fixture = fixture();
    let agent = format!("evil\r\n\x1b[31m{}", "x".repeat(100_000));
    let epoch = fixture.sessions.epoch(&account("a")).await.unwrap();
    let client = Client {
        user_agent: &agent,
        ..CLIENT
    };
    let (_, session) = fixture.sessions.start(&epoch, None, client).await.unwrap();
    assert_eq!(session.user_agent.chars().count(), 256);
    assert!(session.user_agent.starts_with("evil[31mx"));
}
