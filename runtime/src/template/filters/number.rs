//! Filters of numbers.

use minijinja::{Error, ErrorKind, Value};

/// A number: whole as long as it can be, else a fraction.
fn combine(
    left: &Value,
    right: &Value,
    whole: fn(i64, i64) -> Option<i64>,
    fraction: fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    if !left.is_number() || !right.is_number() {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "both values must be numbers",
        ));
    }
    let integers =
        || Some((left.as_i64()?, right.as_i64()?)).filter(|_| left.is_integer() && right.is_integer());
    if let Some(result) = integers().and_then(|(a, b)| whole(a, b)) {
        return Ok(Value::from(result));
    }
    Ok(Value::from(fraction(
        f64::try_from(left.clone())?,
        f64::try_from(right.clone())?,
    )))
}

pub(super) fn plus(left: &Value, right: &Value) -> Result<Value, Error> {
    combine(left, right, i64::checked_add, |a, b| a + b)
}

pub(super) fn times(left: &Value, right: &Value) -> Result<Value, Error> {
    combine(left, right, i64::checked_mul, |a, b| a * b)
}

/// A whole number of a number, which loses its fraction, or of a text; `otherwise` where it is neither.
pub(super) fn int(value: &Value, otherwise: Option<i64>) -> Result<i64, Error> {
    let parsed = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None if value.is_integer() => value.as_i64(),
        None => f64::try_from(value.clone()).ok().and_then(whole),
    };
    parsed
        .or(otherwise)
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "this is not a whole number"))
}

/// The number without its fraction, none where it is not one that fits.
pub(super) fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    if number.is_finite() && number.abs() <= LIMIT {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be within 2^53")]
        let whole = number.trunc() as i64;
        Some(whole)
    } else {
        None
    }
}

/// A number of a number or a text; `otherwise` where it is neither.
pub(super) fn float(value: &Value, otherwise: Option<f64>) -> Result<f64, Error> {
    let parsed = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    };
    parsed
        .filter(|number: &f64| number.is_finite())
        .or(otherwise)
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "this is not a number"))
}
