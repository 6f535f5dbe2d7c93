use super::*;
use crate::secret::{SeededEntropy, SystemEntropy};
use std::time::{Duration, Instant};

const CHEAP: PasswordCost = PasswordCost {
    memory_kib: 64,
    passes: 1,
    lanes: 1,
};

fn passwords(cost: PasswordCost) -> Passwords {
    Passwords::new(cost, 2, 8).unwrap()
}

#[tokio::test]
async fn the_right_password_is_right_and_any_other_is_wrong() {
    let passwords = passwords(CHEAP);
    let secret = Secret::new("correct horse battery");
    let stored = passwords.hash(&secret, &SystemEntropy).await.unwrap();
    assert!(stored.0.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
    assert_eq!(
        passwords.verify(&secret, Some(&stored)).await.unwrap(),
        Verdict::Right { outdated: false }
    );
    for wrong in [
        "",
        "correct horse batterz",
        "correct horse battery ",
        "nobody's password",
    ] {
        assert_eq!(
            passwords.verify(&wrong.into(), Some(&stored)).await.unwrap(),
            Verdict::Wrong
        );
    }
    let again = passwords.hash(&secret, &SystemEntropy).await.unwrap();
    assert_ne!(stored.0, again.0, "the salt must differ");
    assert!(!format!("{stored:?}").contains("argon2id"));
}

#[tokio::test]
async fn an_account_that_does_not_exist_is_wrong_even_with_nobodys_password() {
    let passwords = passwords(CHEAP);
    assert_eq!(
        passwords.verify(&"nobody's password".into(), None).await.unwrap(),
        Verdict::Wrong
    );
}

#[tokio::test]
async fn an_account_that_does_not_exist_costs_the_same_work_as_one_that_does() {
    let passwords = passwords(PasswordCost {
        memory_kib: 4096,
        passes: 2,
        lanes: 1,
    });
    let stored = passwords
        .hash(&"correct horse battery".into(), &SystemEntropy)
        .await
        .unwrap();
    // The same algorithm, version and cost, and a salt and hash of the same length.
    let cost = |hash: &PasswordHash| hash.0.rsplitn(3, '$').nth(2).map(str::to_owned);
    assert_eq!(cost(&passwords.dummy), cost(&stored));
    assert_eq!(passwords.dummy.0.len(), stored.0.len());
    // And it is really done. The factor leaves room for a busy machine; not hashing would be a thousandth.
    let wrong = Secret::new("something else entirely");
    let mut best = [Duration::MAX; 2];
    for _ in 0..7 {
        for (best, stored) in best.iter_mut().zip([Some(&stored), None]) {
            let start = Instant::now();
            passwords.verify(&wrong, stored).await.unwrap();
            *best = (*best).min(start.elapsed());
        }
    }
    let [known, unknown] = best;
    assert!(unknown * 10 > known, "{known:?} against {unknown:?}");
}

#[tokio::test]
async fn a_hash_of_another_cost_still_counts_and_is_reported() {
    let secret = Secret::new("correct horse battery");
    let old = passwords(CHEAP).hash(&secret, &SystemEntropy).await.unwrap();
    let new = passwords(PasswordCost { passes: 2, ..CHEAP });
    assert_eq!(
        new.verify(&secret, Some(&old)).await.unwrap(),
        Verdict::Right { outdated: true }
    );
}

#[tokio::test]
async fn a_damaged_hash_is_an_error_and_not_a_panic() {
    let passwords = passwords(CHEAP);
    for text in [
        "",
        "x",
        "$argon2id$",
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA",
        "$scrypt$ln=1$c2FsdHNhbHQ$aGFzaGhhc2g",
    ] {
        let stored = PasswordHash(text.to_owned());
        let result = passwords
            .verify(&"correct horse battery".into(), Some(&stored))
            .await;
        assert!(!matches!(result, Ok(Verdict::Right { .. })), "{text}");
    }
    let cost = PasswordCost {
        memory_kib: 0,
        passes: 0,
        lanes: 0,
    };
    assert!(matches!(Passwords::new(cost, 1, 1), Err(PasswordError::Cost)));
}

#[tokio::test]
async fn an_endless_password_is_wrong_and_costs_no_more_than_another() {
    let passwords = passwords(CHEAP);
    let stored = passwords
        .hash(&"correct horse battery".into(), &SystemEntropy)
        .await
        .unwrap();
    let endless = Secret::new("a".repeat(10 << 20));
    assert_eq!(
        passwords.verify(&endless, Some(&stored)).await.unwrap(),
        Verdict::Wrong
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_sign_ins_than_the_queue_holds_are_told_to_come_back() {
    let passwords = Passwords::new(
        PasswordCost {
            memory_kib: 8192,
            passes: 4,
            lanes: 1,
        },
        1,
        2,
    )
    .unwrap();
    let secret = Secret::new("correct horse battery");
    let tries = (0..12).map(|_| passwords.verify(&secret, None));
    let results = futures_util::future::join_all(tries).await;
    let done = results
        .iter()
        .filter(|result| matches!(result, Ok(Verdict::Wrong)))
        .count();
    let busy = results
        .iter()
        .filter(|result| matches!(result, Err(PasswordError::Busy)))
        .count();
    assert_eq!((done, busy), (3, 9));
    assert!(
        passwords.verify(&secret, None).await.is_ok(),
        "places are given back"
    );
}

#[test]
fn passwords_that_are_guessed_first_are_refused_with_the_rule() {
    use PasswordRuleError::{LikeAddress, TooLong, TooShort, TooSimple, WellKnown};
    let address = EmailAddress::parse("Johanna.Meier@example.com").unwrap();
    let long = "aB3$".repeat(33);
    for (text, rule) in [
        ("", TooShort),
        ("häuserZ9", TooShort),
        (long.as_str(), TooLong),
        ("aaaaaaaaaaaa", TooSimple),
        ("abababababab", TooSimple),
        ("abcdefghijkl", TooSimple),
        ("1234567890", TooSimple),
        ("9876543210", TooSimple),
        ("19.03.1984", TooSimple),
        ("Password123!", WellKnown),
        ("!!!QwertyUiop", WellKnown),
        ("1q2w3e4r5t", WellKnown),
        ("johanna.meier", LikeAddress),
        ("Johanna.Meier1!", LikeAddress),
        ("johanna.meier@example.com", LikeAddress),
    ] {
        assert_eq!(check_password(&text.into(), Some(&address)), Err(rule), "{text}");
    }
    for text in [
        "correct horse battery",
        "zwölf Häuser!",
        "kX9#mmPq2w",
        "密码很长很长吗是的呢吧",
        &"aB3$x".repeat(25),
    ] {
        assert_eq!(check_password(&text.into(), Some(&address)), Ok(()), "{text}");
    }
}

#[tokio::test]
async fn salts_come_from_the_given_entropy() {
    let passwords = passwords(CHEAP);
    let secret = Secret::new("correct horse battery");
    let first = passwords.hash(&secret, &SeededEntropy::new(1)).await.unwrap();
    let same = passwords.hash(&secret, &SeededEntropy::new(1)).await.unwrap();
    assert_eq!(first.0, same.0);
}
